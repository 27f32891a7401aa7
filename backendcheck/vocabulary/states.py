"""How the recording of a case and the recording of a leg can end. Both are written to disk as their text."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """How the recording of one case ended."""

    RECORDED = "recorded"
    RAISED = "raised"
    SKIPPED = "skipped"
    ERROR = "error"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"
    NOT_SUPPORTED = "not supported"  # the backend has no way to do what the case needs, and says so


class ExitState(StrEnum):
    """How the recording of a leg ended. A leg that was killed stays ``running``; a part that never came is ``missing``."""

    RUNNING = "running"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    MISSING = "missing"
