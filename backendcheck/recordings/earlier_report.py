"""What an earlier report in a directory was about."""

from __future__ import annotations

import json
from pathlib import Path

from backendcheck.files import read_text


def runs_in(directory: Path) -> frozenset[str] | None:
    """The ids of the runs that the report.json in `directory` is about; None without a report."""
    path = directory / "report.json"
    try:
        report = json.loads(read_text(path))
        return frozenset(str(environment["run"]) for environment in report["environments"].values())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return frozenset()  # a file of that name that backendcheck has not written
