"""Waiting until every backend is done with an item, or will never be."""

from __future__ import annotations

import time
from collections.abc import Sequence

from backendcheck.in_pytest.files import Exchange

_LOOK_EVERY_S = 0.02
_LOOK_FOR_OWNER_EVERY_S = 1.0
_BEGIN_WITHIN_S = 300.0  # the recorders of a session whose workers have all collected


def wait_for(nodeid: str, backends: Sequence[str], exchange: Exchange) -> str:
    """Wait for the recordings of an item; returns why there will be none, or nothing.

    That a backend's session has ended without them is not told here: it is seen where they are read.
    """
    began = looked = time.monotonic()
    open_backends = list(backends)
    while True:
        # In this order: what is not noted when the session has ended will not be.
        open_backends = [
            name for name in open_backends if not (exchange.is_finished(name, nodeid) or exchange.ended(name) is not None)
        ]
        if not open_backends:
            return ""
        now = time.monotonic()
        if now - looked > _LOOK_FOR_OWNER_EVERY_S:
            looked = now
            if exchange.has_begun() and not exchange.owner_lives():
                return "the process that recorded is gone; expected the controller of pytest-xdist to outlive its workers"
            if not exchange.has_begun() and now - began > _BEGIN_WITHIN_S:
                return "nobody has begun to record; expected the controller of pytest-xdist to, with backendcheck installed there"
        time.sleep(_LOOK_EVERY_S)
