"""Parsers that do not survive every damaged file run in a process of their own, under limits of time and memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence

from backendcheck.text.words import first_line

PATIENCE_S = 60  # for a small file, on a machine that is busy; reading takes a fraction of a second
_CPU_S = 8  # for a small file
_BYTES_PER_S = 5_000_000  # more time for a large one
_ROOM = 3 << 30  # bytes of address space for the libraries and a small file
_ROOM_PER_BYTE = 64  # more for a large one: a byte in a file can stand for many values


def limits_for(n_bytes: int) -> str:
    """The limits for a file of `n_bytes`: seconds of processor time and bytes of address space."""
    return f"{int(_CPU_S + n_bytes / _BYTES_PER_S)} {_ROOM + _ROOM_PER_BYTE * n_bytes}"


def run_limited(module: str, arguments: Sequence[str], n_bytes: int) -> tuple[bytes, str]:
    """Run ``python -m module arguments`` for a file of `n_bytes`. The module ends with `end_limited`.

    Returns:
        What it wrote, and the reason why it failed; empty if it did not.
    """
    command = [sys.executable, "-P", "-W", "ignore", "-m", module, *arguments]  # the first line is the problem, not a warning
    environment = {
        **os.environ, "RUST_BACKTRACE": "0", "POLARS_MAX_THREADS": "2",
        "BACKENDCHECK_LIMITS": limits_for(n_bytes),
    }  # fmt: skip
    try:
        process = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=PATIENCE_S + n_bytes / _BYTES_PER_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return b"", "reading it comes to no end"
    if process.returncode == 0:
        return process.stdout, ""
    return b"", reason_of(process.returncode, process.stderr)


def reason_of(exit_code: int, stderr: bytes) -> str:
    """Why a limited process failed, from its exit code and what it wrote."""
    lines = stderr.decode("utf-8", "replace").splitlines()
    # Without the lines in which Rust tells of its threads.
    reason = first_line("\n".join(line for line in lines if not line.startswith(("thread '", "note: "))))
    return reason or f"the reader ended with {exit_code}"


def end_limited(read: Callable[..., bytes], arguments: Sequence[str]) -> None:
    """The limited process: write what ``read(*arguments)`` returns, or why it failed, and end."""
    seconds, n_bytes = map(int, os.environ["BACKENDCHECK_LIMITS"].split())
    with contextlib.suppress(ImportError, OSError, ValueError):  # a system without such limits, or with lower ones
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))
    code = 0
    try:
        sys.stdout.buffer.write(read(*arguments))
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - a panic of polars is a BaseException
        sys.stderr.write(first_line(str(error)) or type(error).__name__)
        sys.stderr.flush()
        code = 1
    os._exit(code)  # threads that panicked may never end
