"""Write backendcheck/labels/contract/backend_behavior.json.

It states what each backend does with labels that break a rule, from runs of the built-in cases.

    backendcheck run --out reports/latest && python docs/generate_today.py reports/latest
    python docs/generate_today.py --check reports/latest     # fails if backend_behavior.json is out of date

The file today.toml, next to this one, names the cases for each rule. Several runs of the same versions may be passed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.labels.contract.backend_behavior import DOES
from backendcheck.recordings.files import read_recording
from backendcheck.recordings.paths import recording_path
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS
from backendcheck.vocabulary.observations import quantity_of

MAPPING = Path(__file__).parent / "today.toml"
TODAY = MAPPING.parents[1] / "backendcheck" / "labels" / "contract" / "backend_behavior.json"
SCHEMA = 1
# The observation that represents a recording: the first that is present. The value is its word in the sentence.
_REPRESENTATIVE = {"loss": "loss", "train/loss": "loss", "value/loss": "loss", "value/result": "result"}
_ROUNDING = 1e-6  # smaller values are rounding errors of zero in float32


def main() -> None:
    """Write or check backend_behavior.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="directory of a run of the built-in cases, with its report.json")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if backend_behavior.json is out of date")
    options = parser.parse_args()
    content = tomllib.loads(MAPPING.read_text(encoding="utf-8"))
    text = json.dumps(facts_of(content, [read_run(run) for run in options.runs]), indent=1, ensure_ascii=False) + "\n"
    if options.check:
        if not TODAY.exists() or TODAY.read_text(encoding="utf-8") != text:
            sys.exit(f"{TODAY.name}: out of date. Run: python docs/generate_today.py {' '.join(map(str, options.runs))}")
        return
    TODAY.write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run: its directory, its versions by backend, and the result of each case from report.json."""

    path: Path
    versions: Mapping[str, Mapping[str, str]]
    results: Mapping[str, Mapping[str, Any]]


def read_run(path: Path) -> Run:
    """The run in a directory."""
    report = json.loads((path / "report.json").read_text(encoding="utf-8"))
    legs = [backend.value for backend in DEFAULT_BACKENDS]
    if report["backends"] != legs:
        sys.exit(f"{path}: has {', '.join(report['backends'])}; expected {', '.join(legs)}. Run the cases on all backends.")
    versions = {leg: report["environments"][leg]["versions"] for leg in legs}
    return Run(path=path, versions=versions, results={result["case"]: result for result in report["results"]})


def facts_of(mapping: Mapping[str, Any], runs: Sequence[Run]) -> dict[str, Any]:
    """The content of backend_behavior.json; see `backendcheck.labels.contract.backend_behavior.facts`."""
    versions = {leg: of_leg[leg] for leg, of_leg in runs[0].versions.items()}
    keras = {of_leg["keras"] for run in runs for of_leg in run.versions.values()}
    if len(keras) != 1 or any(run.versions[leg][leg] != versions[leg] for run in runs for leg in versions):
        sys.exit(f"{', '.join(str(run.path) for run in runs)}: recorded with different versions; expected the same versions.")
    return {
        "schema": SCHEMA,
        "keras": keras.pop(),
        "versions": versions,
        "rules": {code: [shown(entry, runs) for entry in entries(rule)] for code, rule in sorted(mapping.items())},
    }


def entries(rule: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The cases of a rule of today.toml, one entry for each case: ``{loss}`` is replaced by each loss."""
    for entry in rule["shown"]:
        if "{loss}" not in entry["case"]:
            yield entry
        for loss in entry.get("losses", []) if "{loss}" in entry["case"] else []:
            yield {**entry, "case": entry["case"].replace("{loss}", loss), "losses": [loss]}


def shown(entry: Mapping[str, Any], runs: Iterable[Run]) -> dict[str, Any]:
    """A case in backend_behavior.json: the entry of today.toml, the correct result, and the behavior of each backend."""
    case = entry["case"]
    run = next((run for run in runs if case in run.results), None)
    if run is None:
        sys.exit(f"{MAPPING.name}: {case} not found in the runs; expected every case of the file. Run all built-in cases.")
    result = run.results[case]
    if result["verdict"] == "ERROR":
        sys.exit(f"{run.path}: {case} is an ERROR ({result['headline']}), so its behavior is unknown. Run it again.")
    recordings = {leg: read_recording(recording_path(run.path / leg, case)) for leg in run.versions}
    name = _representative(list(recordings.values()))
    return {
        "case": case,
        "given": entry["given"],
        "losses": entry.get("losses", []),
        "kinds": entry.get("kinds", []),
        "does": entry.get("does", DOES),
        "figure": _REPRESENTATIVE.get(name, ""),
        "right": _correct(list(recordings.values()), name),
        "backends": {leg: _behavior(recording, result, name) for leg, recording in recordings.items()},
    }


def _behavior(recording: Recording, result: Mapping[str, Any], name: str) -> dict[str, Any]:
    if recording.raised:
        return {"raised": recording.raised[0].type, "stage": recording.raised[0].stage}
    observation = recording.observations.get(name)
    differs = {
        quantity_of(finding["observation"]).words if not finding["observation"].startswith("value/") else "result"
        for finding in result["findings"]
        if finding["oracle"] == "reference" and finding["left"] == recording.backend
    }
    weights = recording.observations.get("value/finite_weights")
    return {
        "figure": None if observation is None else _rounded(observation.value),
        "differs": sorted(differs),
        **({"weights": "NaN"} if weights is not None and not weights.value else {}),
    }


def _representative(recordings: Sequence[Recording]) -> str:
    going = [recording for recording in recordings if not recording.raised]
    for name in sorted(_REPRESENTATIVE, key=lambda name: (not any(name in {*r.reference, *r.reference_values} for r in going),)):
        if any(name in recording.observations and recording.observations[name].value.size == 1 for recording in going):
            return name
    return ""


def _correct(recordings: Sequence[Recording], name: str) -> str | None:
    """``raise``, or the correct value; ``other`` if only another observation has a reference; None without any reference."""
    if any(recording.expect is not None for recording in recordings):
        return "raise"
    for recording in recordings:
        if name in recording.reference:
            return _rounded(recording.reference[name])
        if name in recording.reference_values:
            return _rounded(recording.reference_values[name].value)
    return "other" if any(recording.reference or recording.reference_values for recording in recordings) else None


def _rounded(value: np.ndarray) -> str:
    number = float(np.asarray(value, dtype="float64").ravel()[0])
    if np.isnan(number):
        return "NaN"
    return "0" if abs(number) < _ROUNDING else f"{number:.4g}"


if __name__ == "__main__":
    main()
