"""A call of the fixture `backends_agree`: the case that it stands for, and what it gives back."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from backendcheck.node_id import case_id
from backendcheck.recording import Recording


def call_id(nodeid: str, number: int) -> str:
    """The id of the case that a call stands for, by the test's node id: that of the test, with ``#2`` from the second call on."""
    return case_id(nodeid) if number == 1 else f"{case_id(nodeid)}#{number}"


def test_of(case: str, tests: Collection[str]) -> str:
    """The id of the item that a case came from, out of `tests`: the test itself for any of its calls."""
    test, _, number = case.rpartition("#")
    return test if number.isdigit() and test in tests else case


def returned(recording: Recording) -> Any:
    """What the function returned on one backend: an array, or a dict of arrays by path where it returned a nest of them."""
    values: dict[str, np.ndarray] = {
        name.removeprefix("value/"): seen.value
        for name, seen in recording.observations.items()
        if name.startswith("value/") and not name.endswith(" (order)")
    }
    return values["result"] if set(values) == {"result"} else values
