"""From a pytest node id to a case id."""

from __future__ import annotations

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
