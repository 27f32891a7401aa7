"""What concerns the process of a command: signals, and what may be printed."""

from __future__ import annotations

import gc
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn


def end_on_signals(*, with_parent: bool = False) -> None:
    """Have SIGTERM, which CI systems send, end a command as Ctrl-C does: tidily, and whatever a shell has set.

    Only the first signal counts. Of the death of a parent with several threads the system may tell several times, and cleaning up
    takes no time worth interrupting.
    """
    import signal

    def end(_number: int, _frame: object) -> NoReturn:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, end)
    if with_parent:
        from backendcheck.sessions.signals import end_with_parent

        end_with_parent(signal.SIGINT)


@contextmanager
def without_collection() -> Iterator[None]:
    """Without the search for garbage: the many small values of a comparison live to the end, and it took 8 % of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def resuming(arguments: Sequence[str]) -> str:
    """The command that goes on with what a command with these arguments has begun."""
    name, *rest = arguments
    kept = [word for word in rest if word not in ("--resume", "--overwrite")]
    return shlex.join(["backendcheck", name, "--resume", *kept])
