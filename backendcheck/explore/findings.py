"""What an exploration leaves on disk: findings.json, the scripts, the case file and the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.explore.case_file import case_file, case_name
from backendcheck.explore.explore import Exploration, Found
from backendcheck.explore.judging import expected_of, outcome_words
from backendcheck.explore.page import exploration_page
from backendcheck.explore.script import script_of
from backendcheck.explore.situation import Situation
from backendcheck.files import read_text, write_atomically
from backendcheck.report.formats.strict_json import plain
from backendcheck.vocabulary.leg_names import parse_leg

SCHEMA = 1
FINDINGS = "findings.json"
CASES = "cases/explored.py"
_TYPES: Mapping[str, Any] = {  # of what a later search goes on from
    "seed": int, "legs": list, "targets": list, "environments": dict, "situations": int, "seconds": int | float,
    "not_confirmed": int, "unsupported": int, "crashed": int, "dismissed": dict, "restarts": int, "findings": list,
}  # fmt: skip
_TYPES_OF_FINDING: Mapping[str, Any] = {
    "signature": str, "target": str, "situation": dict, "oracle": str, "kind": str, "stage": str, "legs": list, "diagnosis": str,
    "path": str, "headline": str, "hits": int, "first_s": int | float, "case": str, "confirmed": int,
}  # fmt: skip


def write_scripts(out: Path, found: Sequence[Found], kinds: Mapping[str, str]) -> dict[Path, Found]:
    """Write the script of each finding, and name its case; returns findings by path. Scripts of an earlier search are removed."""
    taken: list[str] = []
    by_path: dict[Path, Found] = {}
    for finding in found:
        sighting = finding.sighting
        name = case_name(sighting, taken)
        taken.append(name)
        finding.script, finding.case = f"scripts/{name}.py", f"{CASES}::case_{name}"
        source = script_of(sighting, finding.script, kinds[sighting.situation.target])
        write_atomically(out / finding.script, source.encode())
        by_path[out / finding.script] = finding
    for path in (out / "scripts").glob("*.py"):
        if path not in by_path:
            path.unlink()
    return by_path


def write_findings(
    out: Path, exploration: Exploration, *, legs: Sequence[str], budget_s: float | None, environments: Mapping[str, Any],
    numbers: Mapping[str, Any], targets: Sequence[str], kinds: Mapping[str, str], asked: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Write findings.json, the case file and the page; returns the content of findings.json."""
    found = sorted(exploration.findings, key=lambda finding: str(finding.sighting.signature))
    content: dict[str, Any] = plain({
        "schema": SCHEMA, "seed": exploration.seed, "budget_s": budget_s, "legs": list(legs), "environments": dict(environments),
        "situations": exploration.n_situations, "neighbors": exploration.n_neighbors, **numbers,
        "not_confirmed": exploration.n_unconfirmed,
        "seconds": round(exploration.seconds, 1), "targets": list(targets), "asked": list(asked), "notes": exploration.notes,
        "findings": [_entry(finding) for finding in found],
    })  # fmt: skip
    cases = [
        (finding.sighting, finding.case.partition("::case_")[2], kinds[finding.sighting.situation.target]) for finding in found
    ]
    write_atomically(out / CASES, case_file(cases).encode())
    write_atomically(out / "index.html", exploration_page(content, found, out).encode())
    write_atomically(out / FINDINGS, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
    return content


def _entry(finding: Found) -> dict[str, Any]:
    sighting, signature = finding.sighting, finding.sighting.signature
    return {
        "signature": str(signature), "target": signature.target, "situation": sighting.situation.to_json(),
        "oracle": signature.oracle, "kind": signature.kind, "stage": signature.stage, "legs": list(signature.legs),
        "diagnosis": signature.diagnosis, "path": signature.path, "headline": sighting.headline, "hits": finding.hits,
        "first_s": round(finding.first_s, 1), "known": finding.known, "case": finding.case, "script": finding.script,
        "confirmed": finding.confirmed, "since": finding.since, "not_in": finding.not_in,
        "outcomes": {leg: outcome_words(recording) for leg, recording in sighting.recordings.items()},
        "expected": expected_of(sighting.recordings),
    }  # fmt: skip


def read_earlier(out: Path) -> dict[str, Any]:
    """The findings.json of an earlier search, to go on from.

    Raises:
        UnreadableInput: if it is missing, damaged or of a later version.
    """
    path = out / FINDINGS
    try:
        content: dict[str, Any] = json.loads(read_text(path))
        if content["schema"] != SCHEMA:
            message = f"{path}: has schema {content['schema']}; expected {SCHEMA}. Use the backendcheck that wrote it."
            raise UnreadableInput(message)
        _check_types(content, _TYPES)
        for finding in content["findings"]:
            _check_types(finding, _TYPES_OF_FINDING)
            Situation.from_json(finding["situation"])
        for leg in content["legs"]:
            parse_leg(leg)
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error}). Explore without --resume first."
        raise UnreadableInput(message) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
        message = f"{path}: is not the result of an exploration ({type(error).__name__}: {error}). Explore anew."
        raise UnreadableInput(message) from error
    return content


def _check_types(entry: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    for key, expected in types.items():
        if not isinstance(entry[key], expected):
            message = f"{key} is {type(entry[key]).__name__}"
            raise TypeError(message)
