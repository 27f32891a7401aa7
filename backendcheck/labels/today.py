"""The former name of `backendcheck.labels.contract.backend_behavior`, kept for one more release."""

from __future__ import annotations

from backendcheck.labels.contract.backend_behavior import DOES, backend_behavior, facts
from backendcheck.labels.contract.backend_behavior import BackendBehavior as Today

__all__ = ["DOES", "Today", "facts", "today"]


def today(code: str, loss: str | None = None, kind: str | None = None) -> Today | None:
    """See `backend_behavior`; `kind` is its `variant`."""
    return backend_behavior(code, loss, kind)
