"""Files written atomically and read safely, their digests, and directories that one process has for itself."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from backendcheck.errors import OutputInTheWay


def write_atomically(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write `content` to `path` so that a reader sees all of it or nothing; `durable` after a loss of power, too.

    Raises:
        OutputInTheWay: if the directory cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            Path(temporary).chmod(0o666 & ~_umask())  # mkstemp makes files private; reports are to be shared
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        message = f"{path}: cannot be written ({error.strerror or error}). Choose another --out, or free the space."
        raise OutputInTheWay(message) from error


def check_regular(path: Path) -> None:
    """Refuse a pipe or a device, which could be read for ever.

    Raises:
        OSError: if `path` does not exist or is not a regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_bytes(path: Path) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: if it cannot be read or is not a regular file.
    """
    check_regular(path)
    return path.read_bytes()


def read_text(path: Path) -> str:
    """The text of a regular file in UTF-8. A byte order mark, which editors on Windows write, is not part of the text.

    Raises:
        OSError: if it cannot be read or is not a regular file.
        UnicodeDecodeError: if it is not UTF-8.
    """
    return read_bytes(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def files_below(folder: Path, suffix: str) -> list[Path]:
    """All files below a folder whose names end with `suffix`, in order; none if there is no such folder.

    Raises:
        OSError: if a folder cannot be listed. `Path.rglob` leaves such a folder out without a word.
    """

    def refuse(error: OSError) -> None:
        raise error

    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return []
    walk = os.walk(folder, onerror=refuse)
    return sorted(Path(parent) / name for parent, _, names in walk for name in names if name.endswith(suffix))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


@contextlib.contextmanager
def locked(directory: Path, message: str) -> Iterator[None]:
    """Keep other processes that lock the same directory out of it meanwhile.

    Raises:
        OutputInTheWay: with `message`, if another process has it.
    """
    with contextlib.ExitStack() as stack:
        try:
            import fcntl

            handle = os.open(directory, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputInTheWay(message) from None
        except (OSError, ImportError):
            pass  # this system, or this file system, has no such locks
        yield


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
