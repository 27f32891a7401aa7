"""One unit in the last place, up or down: the least by which the inputs of a case can be moved. NumPy alone."""

from __future__ import annotations

import numpy as np

_SIGNIFICANT_BITS = {"float16": 11, "bfloat16": 8}


def jittered(
    array: np.ndarray, generator: np.random.Generator, *, fed_as: str, computed_in: str | None = None, codes: bool = False
) -> np.ndarray:
    """Every element of a float array moved by one unit in the last place, up or down at random.

    The unit is that of the type in which the backend gets it: float64 data is fed in the float type of the session (`fed_as`),
    and a model may compute in a coarser one (`computed_in`). NaN and Inf stay, and with `codes` whole numbers do. The dtype
    stays.
    """
    fed = array.astype(fed_as) if array.dtype == np.float64 else array
    up = generator.integers(0, 2, fed.shape).astype(bool)
    with np.errstate(all="ignore"):  # NaN, Inf and the largest finite number, put back below
        bits = _SIGNIFICANT_BITS.get(computed_in or "")
        if bits is not None and bits <= np.finfo(fed.dtype).nmant:
            unit = np.ldexp(np.ones_like(fed), np.frexp(fed)[1] - bits)
            moved = np.where(up, fed + unit, fed - unit)
        else:
            moved = np.nextafter(fed, np.where(up, np.inf, -np.inf).astype(fed.dtype))
        stays = ~np.isfinite(fed) | ~np.isfinite(moved)
        if codes:
            stays |= fed == np.round(fed)
    result: np.ndarray = np.where(stays, array, moved.astype(array.dtype)).astype(array.dtype)
    return result
