"""The memory that a worker may keep between cases: sizes as people write them, and a bound for each backend."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from backendcheck.errors import UsageError
from backendcheck.vocabulary.backends import JAX, TENSORFLOW, TORCH, Backend

_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}  # powers of two, as ulimit, systemd and containers count
_LARGEST = 1 << 50

WORKER_MEMORY: Mapping[Backend, int] = MappingProxyType({TENSORFLOW: 1300 << 20, JAX: 1200 << 20, TORCH: 1150 << 20})
"""The bound where none is set. A case adds to it while it runs, so it is below what a worker should need at most."""
_OF_OTHERS = 1200 << 20


def worker_memory_of(backend: Backend) -> int:
    """The bound in bytes where none is set."""
    return WORKER_MEMORY.get(backend, _OF_OTHERS)


def parse_size(text: str) -> int:
    """The number of bytes that a size such as ``1500M`` or ``2G`` stands for. 0 means no bound.

    Raises:
        UsageError: if the text has another form.
    """
    spelt = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE | re.ASCII)
    n_bytes = int(float(spelt[1]) * (1 << _UNITS[spelt[2].upper()])) if spelt else -1
    if not 0 <= n_bytes <= _LARGEST:
        message = f"invalid size {text!r}: expected a number with K, M or G, such as 1500M or 2G, or 0 for no bound."
        raise UsageError(message)
    return n_bytes


def size_in_words(n_bytes: int) -> str:
    """A size as `parse_size` reads it, in whole megabytes."""
    return f"{n_bytes / (1 << 20):.0f}M"
