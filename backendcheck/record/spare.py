"""The process of a spare worker: it imports its backend, and waits for a session. See `backendcheck.sessions.spare_worker`."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from backendcheck.record.kept_programs import keep_programs
from backendcheck.sessions.child_processes import end_with_parent
from backendcheck.sessions.spare_worker import is_unchanged_since

if TYPE_CHECKING:
    from backendcheck.record.tracking.events import Events

EARLY_EVENTS: list[Events] = []  # of a spare worker, which listens before there is a session
_IMPORTED = (
    "xdist.remote", "pytest_timeout", "backendcheck.record.plugin", "backendcheck.record.tracking.tracker",
    "backendcheck.record.worker", "backendcheck.record.collection", "backendcheck.record.flow",
    "backendcheck.record.layers.replay", "backendcheck.record.oracles.paths_replicas",
)  # fmt: skip


def wait() -> None:
    """Import the backend of this process, and return when a session takes it. What it begins with is then as it was."""
    end_with_parent(signal.SIGKILL)
    began_ns = time.time_ns()
    answers = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # a library may print while it is imported
    os.close(null)
    from backendcheck.record.tracking.events import Events

    EARLY_EVENTS.append(Events())
    EARLY_EVENTS[0].start()
    keep_programs()
    for name in _IMPORTED:
        importlib.import_module(name)
    from backendcheck.record.backends import backend_module

    backend_module()
    sys.stdout.flush()
    os.dup2(answers, 1)
    os.close(answers)
    _say("ready")
    os.environ.update(json.loads(sys.stdin.readline() or "{}"))
    importlib.invalidate_caches()  # Python remembers folders of the search path that were not there
    _say("unchanged" if is_unchanged_since(began_ns) else "changed")


def _say(answer: str) -> None:
    os.write(1, f"{answer}\n".encode())
