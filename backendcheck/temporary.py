"""Temporary directories of one process. One that a killed process has left is removed by the next process of the same user."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "backendcheck-"
_OWNER = ".owner"  # the process that has made the directory
_LARGEST_OWNER = 1000  # bytes


@contextlib.contextmanager
def temporary_directory(purpose: str) -> Iterator[Path]:
    """A private directory, removed at the end of the block."""
    _remove_abandoned()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{purpose}-", ignore_cleanup_errors=True) as folder:
        if owner := _process(os.getpid()):
            Path(folder, _OWNER).write_text(json.dumps(owner), encoding="utf-8")
        inside = Path(folder, "files")
        inside.mkdir(mode=0o700)
        yield inside


def _remove_abandoned() -> None:
    """Remove directories of this user whose process has ended. What cannot be proved stays."""
    here = _process(os.getpid())
    if not here:
        return
    with contextlib.suppress(OSError):
        for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
            with contextlib.suppress(OSError, ValueError):
                status = path.lstat()
                owner = _owner(path) if path.is_dir() and not path.is_symlink() and status.st_uid == os.getuid() else {}
                # Another machine, or another container, may use the same folder. Its processes are not visible here.
                if owner and owner["seen_from"] == here["seen_from"] and _process(int(owner["pid"])) != owner:
                    shutil.rmtree(path, ignore_errors=True)


def _owner(folder: Path) -> dict[str, str]:
    """The process that has made a directory; empty if that is not known."""
    with os.fdopen(os.open(folder / _OWNER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        owner = json.loads(file.read(_LARGEST_OWNER))
    is_whole = isinstance(owner, dict) and owner.keys() == {"pid", "started", "seen_from"}
    return owner if is_whole and all(isinstance(value, str) for value in owner.values()) else {}


def _process(pid: int) -> dict[str, str]:
    """What tells a process from all others: its number, when it started, and where that is counted.

    Empty where the system does not tell. A process that is not there has no start.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        seen_from = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return {}
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        started = "" if fields[0] in ("Z", "X") else fields[19]
    except (OSError, IndexError):
        started = ""
    return {"pid": str(pid), "started": started, "seen_from": seen_from}
