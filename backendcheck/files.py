"""Files written atomically, and their digests."""

from __future__ import annotations

import hashlib
import os
import tempfile
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


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
