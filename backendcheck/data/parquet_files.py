"""Parquet files, read in a process of their own.

The reader of polars does not survive every damaged file. It may ask for exabytes, and then the whole process is aborted. So a
child process reads the file, under limits, and writes the table as an Arrow file, which is safe to read here.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput
from backendcheck.files import check_regular
from backendcheck.text.words import first_line

_PATIENCE_S = 60  # for a small file, on a machine that is busy; reading takes a fraction of a second
_CPU_S = 8  # for a small file
_BYTES_PER_S = 5_000_000  # more time for a large one
_ROOM = 3 << 30  # bytes of address space for the libraries and a small table
_ROOM_PER_BYTE = 64  # more for a large one: a byte in a file can stand for many values


def read_parquet(path: Path) -> Any:
    """The table as a polars frame.

    Raises:
        UnreadableInput: if the file is damaged.
    """
    import polars

    check_regular(path)
    n_bytes = path.stat().st_size
    with tempfile.TemporaryDirectory(prefix="backendcheck-") as directory:
        target = Path(directory) / "table.arrow"
        limits = [str(int(_CPU_S + n_bytes / _BYTES_PER_S)), str(_ROOM + _ROOM_PER_BYTE * n_bytes)]
        command = [sys.executable, "-P", "-m", __name__, str(path.absolute()), str(target), *limits]
        environment = {**os.environ, "RUST_BACKTRACE": "0", "POLARS_MAX_THREADS": "2"}
        try:
            process = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                timeout=_PATIENCE_S + n_bytes / _BYTES_PER_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            reason = "reading it comes to no end"
        else:
            if process.returncode == 0:
                return polars.read_ipc(target.read_bytes())
            reason = _reason(process.stderr.decode("utf-8", "replace")) or f"the reader ended with {process.returncode}"
    message = f"{path}: unreadable table ({reason}); expected Parquet. Write it again."
    raise UnreadableInput(message)


def _reason(output: str) -> str:
    """What the child said, without the lines in which Rust tells of its threads."""
    lines = [line for line in output.splitlines() if not line.startswith(("thread '", "note: "))]
    return first_line("\n".join(lines))


def _limit(seconds: int, n_bytes: int) -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # a system without such limits, or with lower ones
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))


def _convert(source: str, target: str, seconds: str, n_bytes: str) -> int:
    """The child: read the file `source`, write the Arrow file `target`; returns the exit code."""
    import polars

    _limit(int(seconds), int(n_bytes))
    try:
        polars.read_parquet(source).write_ipc(target)
    except BaseException as error:  # noqa: BLE001 - a panic of polars is a BaseException
        sys.stderr.write(first_line(str(error)) or type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    os._exit(_convert(*sys.argv[1:]))  # threads that panicked may never end
