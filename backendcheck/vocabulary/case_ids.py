"""From a pytest node id to a case id."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from backendcheck.case_files import PREFIX


def case_id(nodeid: str) -> str:
    """The case id of a pytest node id: ``cases/a.py::case_b[c]`` is ``a/b[c]``.

    What is compared in an ordinary test goes by its whole path, for test files often share a name: ``tests/a.py::test_b`` is
    ``tests.a/test_b``.
    """
    path, _, name = nodeid.partition("::")
    if name and not name.startswith(PREFIX):
        return f"{path.removesuffix('.py').replace('/', '.')}/{name}"
    return f"{Path(path).stem}/{name.removeprefix(PREFIX)}"


def call_id(nodeid: str, number: int) -> str:
    """The id of the case that a call stands for, by the test's node id: that of the test, with ``#2`` from the second call on."""
    return case_id(nodeid) if number == 1 else f"{case_id(nodeid)}#{number}"


def test_of(case: str, tests: Collection[str]) -> str:
    """The id of the item that a case came from, out of `tests`: the test itself for any of its calls."""
    test, _, number = case.rpartition("#")
    return test if number.isdigit() and test in tests else case
