"""How many workers this machine has room for: by its cores, and by the memory that each may keep."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from backendcheck.vocabulary.leg_names import LegName
from backendcheck.vocabulary.memory import worker_memory_of

_WITHOUT_BOUND = 2 << 30  # bytes of a worker that may keep any amount
_CGROUP = Path("/sys/fs/cgroup")
# The limit of a container, and what it uses of that: the files of both versions of control groups.
_LIMITS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


def workers_that_fit(legs: Sequence[LegName], worker_memory: int | None) -> int:
    """The number of workers for each of these legs, which record at the same time; at least one.

    `worker_memory` is the bound of a worker in bytes, 0 without one, None for that of its backend.
    """
    bounds = [worker_memory_of(leg.backend) if worker_memory is None else worker_memory for leg in legs]
    of_each = [bound or _WITHOUT_BOUND for bound in bounds]
    by_cores = n_cores() // len(legs)
    room = available_bytes()
    return max(1, by_cores if room is None else min(by_cores, room // sum(of_each)))


def n_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_bytes() -> int | None:
    """The memory that is free for new processes, within the limit of a container; None where the system does not tell."""
    return min(_available(), default=None)


def _available() -> Iterator[int]:
    meminfo = _text(Path("/proc/meminfo"))
    sizes = [line.split() for line in meminfo.splitlines() if line.startswith("MemAvailable:")]
    if sizes:
        yield int(sizes[0][1]) << 10
    elif "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit, usage in _LIMITS:
        texts = [_text(_CGROUP / name).strip() for name in (limit, usage)]
        if all(text.isdecimal() for text in texts):
            yield max(0, int(texts[0]) - int(texts[1]))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
