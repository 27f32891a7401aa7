"""Recording processes that were started before there was anything to record, and wait for their request.

The process of a command is forked from the one that has started them, so it has their pipes, but is not their parent. It learns
of their end by a pipe into which the parent writes the exit code.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import signal
import struct
import subprocess
from dataclasses import dataclass
from typing import IO

_CODE = struct.Struct("=i")


@dataclass(eq=False, slots=True)
class HeldProcess:
    """A recording process that waits, with the interface of `subprocess.Popen` for the process that gives it a request."""

    pid: int
    stdin: IO[str]
    stdout: IO[str]
    stderr: IO[str]
    exit_codes: tuple[int, int]  # the ends of the pipe
    taken: mmap.mmap  # one byte, shared with the parent
    returncode: int | None = None

    @property
    def is_taken(self) -> bool:
        """Whether a command has given it a request."""
        return self.taken[0] != 0

    def take(self, path: str) -> None:
        """Have it record the request in a file.

        Raises:
            OSError: if it has ended.
        """
        self.taken[0] = 1
        self.stdin.write(f"{path}\n")
        self.stdin.flush()

    def leave_to_parent(self) -> None:
        """In the process of a command: close what the parent alone writes, so that the end of the parent ends the pipe."""
        os.close(self.exit_codes[1])

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            readable, _, _ = select.select([self.exit_codes[0]], [], [], timeout)
            if not readable:
                raise subprocess.TimeoutExpired("backendcheck record", timeout or 0.0)
            content = os.read(self.exit_codes[0], _CODE.size)
            self.returncode = _CODE.unpack(content)[0] if len(content) == _CODE.size else -signal.SIGKILL
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def note_exit(self, status: int) -> None:
        """In the parent: tell how it has ended."""
        self.returncode = os.waitstatus_to_exitcode(status)
        os.write(self.exit_codes[1], _CODE.pack(self.returncode))

    def close(self) -> None:
        """Close the pipes. A process that still waits then ends."""
        for stream in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(OSError):
                stream.close()
        for descriptor in self.exit_codes:
            os.close(descriptor)


HELD: dict[str, HeldProcess] = {}  # by the name of the leg, in a process that was forked from their parent


def forked() -> HeldProcess | None:
    """Fork a process that waits: None in that process, whose standard streams are pipes; in the parent, what it is there."""
    pipes = [os.pipe() for _ in range(3)]
    exit_codes, taken = os.pipe(), mmap.mmap(-1, 1)
    if (pid := os.fork()) == 0:
        os.setsid()
        for number, pipe in enumerate(pipes):
            os.dup2(pipe[number > 0], number)
        for descriptor in (*(end for pipe in pipes for end in pipe), *exit_codes):
            os.close(descriptor)
        return None
    for number, pipe in enumerate(pipes):
        os.close(pipe[number > 0])
    stdin = os.fdopen(pipes[0][1], "w", encoding="utf-8", errors="backslashreplace")
    stdout, stderr = (os.fdopen(end, encoding="utf-8", errors="backslashreplace") for end, _ in pipes[1:])
    return HeldProcess(pid, stdin, stdout, stderr, exit_codes, taken)
