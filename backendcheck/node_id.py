"""From a pytest node id to a case id."""

from __future__ import annotations

from pathlib import Path

from backendcheck.case_files import PREFIX


def case_id(nodeid: str) -> str:
    """The case id of a pytest node id: ``cases/a.py::case_b[c]`` is ``a/b[c]``."""
    path, _, name = nodeid.partition("::")
    return f"{Path(path).stem}/{name.removeprefix(PREFIX)}"
