"""The process of a command: signals, garbage collection, visible text, the command that resumes it."""

from __future__ import annotations

import gc
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn


def end_on_signals(*, with_parent: bool = False) -> None:
    """Make SIGTERM, which CI systems send, end a command as Ctrl-C does, with its clean-up.

    Only the first signal counts. The system may signal the death of a parent several times, once for each of its threads, and the
    clean-up must not be interrupted.
    """
    import signal

    def end(_number: int, _frame: object) -> NoReturn:
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, end)
    if with_parent:
        from backendcheck.sessions.child_processes import end_with_parent

        end_with_parent(signal.SIGINT)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Turn garbage collection off. All values of a comparison live to its end, and collection took 8 % of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def resume_command(arguments: Sequence[str]) -> str:
    """The command that resumes the run which a command with these arguments began."""
    name, *rest = arguments
    repeated = [word for word in rest if word not in ("--resume", "--overwrite", "--fresh", "--watch")]
    return shlex.join(["backendcheck", name, "--resume", *repeated])
