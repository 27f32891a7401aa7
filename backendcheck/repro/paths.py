"""The path of a recorded case file, and the file name of a script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from backendcheck.case_files import BUILT_IN, builtin_cases, file_digest, split_node_id
from backendcheck.errors import UsageError
from backendcheck.recordings.legs import Leg
from backendcheck.results.results import CaseResult


def script_name(case: str) -> str:
    """The file name of the script for a case."""
    return f"repro_{re.sub(r'[^A-Za-z0-9]+', '_', case).strip('_')[:100]}.py"


def case_file(result: CaseResult, legs: Sequence[Leg]) -> Path:
    """The file of a case, unchanged since the recording.

    Raises:
        UsageError: if it is not found, or has changed.
    """
    stem = Path(result.file).name
    candidates = [Path(result.file)]
    for leg in legs:
        for path in leg.environment.selection.paths:
            folder = builtin_cases() if path == BUILT_IN else split_node_id(path)[0]
            candidates += [folder, *(folder.rglob(stem) if folder.is_dir() else ())]
    existing = [path for path in candidates if path.is_file() and path.name == stem]
    if not existing:
        remedy = "Run this in the directory where it was recorded, or pass --file."
        message = f"{result.file}: not found; expected the case file of {result.case}. {remedy}"
        raise UsageError(message)
    digests = {recording.file_digest for recording in result.recordings.values() if recording.file_digest}
    unchanged = next((path for path in existing if not digests or file_digest(path) in digests), None)
    if unchanged is None:
        message = f"{existing[0]}: has changed since {result.case} was recorded. Record it again."
        raise UsageError(message)
    return unchanged.absolute()
