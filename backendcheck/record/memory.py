"""The memory of a worker: what its backend keeps of cases that are over is let go, and a worker that keeps too much is full."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import sys
from pathlib import Path

_LEAST_ROOM = 256 << 20  # bytes for what cases leave, whatever the bound; less would replace a worker after every case
_PAGE = mmap.PAGESIZE
_KEPT_AT_MOST = 0.5  # part of the room that may still be in use after memory was let go
_LIBRARIES = {"tensorflow": 500 << 20, "torch": 200 << 20, "jax": 130 << 20}  # bytes that importing each takes at most


class WorkerMemory:
    """Watches the memory of this process between two cases. `bound` is in bytes, 0 for none.

    Backends keep each program that they have compiled, in case that its shape comes again. To forget all of them after every case
    would compile common operations again and again. So they are forgotten where the process is above the bound. If that does not
    help, because something else keeps memory, the worker is full.

    The room for cases is what the bound leaves beside what the process needed before its first case. A fixture of a module and a
    large library are needed by the next worker, too. So is the library of another backend that a case imports: Keras looks up
    labels with TensorFlow. A case that needs much while it runs is no reason either: that memory is free after it.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.began_at = 0
        self._needed = 0  # what the next worker will need as well
        self._before = 0  # resident at the last look
        self._libraries: set[str] = set()

    def begin(self) -> None:
        """Note what the process needs before its first case."""
        if not self.began_at:
            self.began_at = self._needed = self._before = resident_bytes()
            self._libraries = _imported_libraries()

    def is_full(self) -> bool:
        """Whether the process keeps more than it may. Memory is let go where it is above the bound."""
        if not self.bound or not self.began_at:
            return False
        most = max(self.bound, self.began_at + _LEAST_ROOM)
        now, libraries = resident_bytes(), _imported_libraries()
        if new := libraries - self._libraries:
            grown = min(max(now - self._before, 0), sum(_LIBRARIES[name] for name in new))  # the case may keep more
            self._needed, self._libraries = min(self._needed + grown, most), libraries
        self._before = now
        if now <= most:
            return False
        let_go()
        self._before = resident_bytes()
        return self._before > self._needed + (most - self._needed) * _KEPT_AT_MOST


def _imported_libraries() -> set[str]:
    return {name for name in _LIBRARIES if name in sys.modules}


def let_go() -> None:
    """Let go what is kept of cases that are over: cycles, compiled programs, and free memory that the allocator has kept."""
    from backendcheck.record.backends import backend_module

    with contextlib.suppress(Exception):  # of a version that cannot, or a backend that a case has damaged
        backend_module().forget_programs()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)


def resident_bytes() -> int:
    """The resident memory of this process. Outside Linux it is the most that it ever was; 0 where the system does not tell."""
    try:
        fields = Path("/proc/self/statm").read_bytes().split()
        return int(fields[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return _peak_bytes()


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
