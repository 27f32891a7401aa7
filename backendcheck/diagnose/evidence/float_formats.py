"""Float formats: how precise each is, and values rounded to one."""

from __future__ import annotations

import numpy as np

# Bits of the significand, with the hidden one: a relative rounding error is at most 2**-bits.
SIGNIFICAND_BITS = {"bfloat16": 8, "float16": 11, "TF32": 11, "float32": 24, "float64": 53}


def rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """`values` as they come back from a float type, in float64; bfloat16 is the upper half of float32."""
    if dtype != "bfloat16":
        with np.errstate(over="ignore"):
            return values.astype(dtype).astype(np.float64)
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    # To nearest, ties to even, as hardware rounds.
    bits = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) & np.uint64(0xFFFF0000)
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)
