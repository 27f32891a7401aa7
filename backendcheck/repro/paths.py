"""Where things are: the case file that was recorded, the name of a script, the machine in words."""

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
    """The file of a case, as it was recorded.

    Raises:
        UsageError: if it is not to be found, or has changed since.
    """
    stem = Path(result.file).name
    candidates = [Path(result.file)]
    for leg in legs:
        for given in leg.environment.selection.get("paths", []):
            folder = builtin_cases() if given == BUILT_IN else split_node_id(str(given))[0]
            candidates += [folder, *(folder.rglob(stem) if folder.is_dir() else ())]
    there = [path for path in candidates if path.is_file() and path.name == stem]
    if not there:
        remedy = "Run this where it was recorded, or give --file."
        message = f"{result.file}: is not here; expected the case file of {result.case}. {remedy}"
        raise UsageError(message)
    digests = {recording.file_digest for recording in result.recordings.values() if recording.file_digest}
    found = next((path for path in there if not digests or file_digest(path) in digests), None)
    if found is None:
        message = f"{there[0]}: has changed since {result.case} was recorded. Record it again."
        raise UsageError(message)
    return found.absolute()
