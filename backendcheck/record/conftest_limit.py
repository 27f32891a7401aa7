"""A time limit for importing each conftest.py. A session in which one hangs would never end, and never say why."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_GRACE_S = 5.0  # after the exception, for what catches it, or hangs in a library that does not return to Python


def limit_conftests(manager: pytest.PytestPluginManager, limit_s: float) -> None:
    """Have pytest import each conftest.py within `limit_s`. One that takes longer fails as any other that cannot be imported."""
    importing: Callable[..., Any] | None = getattr(manager, "_importconftest", None)  # pytest has no hook around it
    if importing is None or threading.current_thread() is not threading.main_thread():
        return

    def import_conftest(path: Path, *args: Any, **kwargs: Any) -> Any:
        with _limited(limit_s):
            return importing(path, *args, **kwargs)

    vars(manager)["_importconftest"] = import_conftest


@contextlib.contextmanager
def _limited(limit_s: float) -> Iterator[None]:
    def end(*_: Any) -> None:
        message = f"importing it took longer than {limit_s:g} s"
        raise TimeoutError(message)

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    with os.fdopen(os.dup(2), "wb", 0) as stacks:  # sys.stderr may be a file in memory
        faulthandler.dump_traceback_later(limit_s + _GRACE_S, exit=True, file=stacks)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)
