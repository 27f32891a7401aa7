"""Wait until every backend has recorded an item, or cannot any more."""

from __future__ import annotations

import time
from collections.abc import Sequence

from backendcheck.in_pytest.files import Exchange

_POLL_EVERY_S = 0.02
_CHECK_OWNER_EVERY_S = 1.0
_BEGIN_WITHIN_S = 300.0  # time for the recorders to start, once all workers have collected


def wait_for(nodeid: str, backends: Sequence[str], exchange: Exchange) -> str:
    """Wait for the recordings of an item; returns an empty text, or the reason why they cannot come.

    A backend whose session has ended counts as done; the judge reports the missing recording.
    """
    began = checked = time.monotonic()
    pending = list(backends)
    while True:
        # In this order: after the session has ended, no item is added.
        pending = [
            name for name in pending if not (exchange.is_finished(name, nodeid) or exchange.ended(name) is not None)
        ]
        if not pending:
            return ""
        now = time.monotonic()
        if now - checked > _CHECK_OWNER_EVERY_S:
            checked = now
            if exchange.has_begun() and not exchange.owner_lives():
                return "the recording process is gone; expected the controller of pytest-xdist to outlive its workers"
            if not exchange.has_begun() and now - began > _BEGIN_WITHIN_S:
                return "recording has not started; expected the controller of pytest-xdist to do so. Install backendcheck there"
        time.sleep(_POLL_EVERY_S)
