"""report.json: the run for programs. Strict JSON in ASCII; fields may be added, never renamed.

Schema history
    1  first version (report.schema.json describes it)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from backendcheck import __version__
from backendcheck.compare.findings import Comparison, Finding
from backendcheck.diagnose import Diagnosis
from backendcheck.recordings.files import ENVIRONMENT_FILE
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.noise import Noise, NoiseFloor, headroom, multiple
from backendcheck.recordings.recording import Raised
from backendcheck.recordings.scripts import KeptScript
from backendcheck.report.views.case import cells
from backendcheck.report.views.findings import required_tolerance
from backendcheck.report.views.remedies import what_to_do
from backendcheck.report.views.run import exit_reason, expected_and_compared
from backendcheck.results.results import CaseResult, Results
from backendcheck.verdicts.known import Divergence

SCHEMA = 1


def render(results: Results) -> str:
    """The text of report.json: one line for each top-level field and each result, which helps to search and to compare."""
    lines = [f"{json.dumps(name)}: {_dumped(value)}" for name, value in _run(results).items()]
    by_case = ",\n".join(f"  {_dumped(_result(result, results))}" for result in results.cases)
    lines.append(f'"results": [\n{by_case}\n]' if by_case else '"results": []')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def entry(result: CaseResult, results: Results) -> str:
    """The entry of one case in one line, as in report.json."""
    return _dumped(_result(result, results))


def _dumped(value: Any) -> str:
    try:
        text = json.dumps(value, allow_nan=False, separators=(", ", ": "))
        if "\\ud" not in text:  # a surrogate, which may be a lone one
            return text
    except (TypeError, ValueError):
        pass  # NumPy, sets, NaN: strict JSON cannot contain them
    return json.dumps(plain(value), allow_nan=False, separators=(", ", ": "))


def plain(value: Any) -> Any:
    """`value` as strict JSON: NaN and Infinity as text, lone surrogates escaped, arrays as lists."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist()) if not isinstance(value, np.void) else str(value)
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(str(item)) for item in value)
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item) for item in value]
    return plain(str(value))


def _run(results: Results) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "generator": {"name": "backendcheck", "version": __version__},
        "created": results.created,
        "exit_code": results.exit_code,
        "exit_reason": exit_reason(results),
        "shard": str(results.shard) if results.shard else None,
        "backends": results.backends,
        "counts": results.counts,
        "n_comparisons": results.n_comparisons,
        "compared": {row.noun: {"n": row.n, "expected": row.expected} for row in expected_and_compared(results)},
        "problems": list(map(str, results.problems)),
        "known": {
            "entries": len(results.known),
            "active": len(results.known) - len(results.expired),
            "unmatched": [_known(entry) for entry in results.unmatched],
            "expired": [_known(entry) for entry in results.expired],
            "causes": _causes(results),
        },
        "baseline": {
            "created": results.since,
            "changes": [
                {"case": change.case, "what": change.what, "before": change.before, "now": change.now}
                for change in results.changes
            ],
        }
        if results.since
        else None,
        "environments": {leg.label: _environment(leg) for leg in results.legs},
        **_noise_of_run(results),
    }


def _noise_of_run(results: Results) -> dict[str, Any]:
    """The noise recordings of the run; empty if none were asked for."""
    recorded = {leg.label: list(leg.noise) for leg in results.legs if leg.noise}
    if not recorded and not results.noise_problems:
        return {}
    return {"noise_floor": {"recordings": recorded, "problems": results.noise_problems}}


def _environment(leg: Leg) -> dict[str, Any]:
    environment = leg.environment
    return {
        "backend": environment.backend,
        "run": environment.run,
        "exit_state": environment.exit_state,
        "versions": environment.versions,
        "platform": environment.platform,
        "device": environment.device,
        "settings": environment.settings,
        "determinism": environment.determinism,
        "n_cases": len(environment.cases),
        "n_recordings": len(leg.recordings),
        "started": environment.started,
        "duration_s": environment.duration_s,
        **({"pieces": ENVIRONMENT_FILE.encode(environment.parts)} if environment.parts else {}),
        **({"sessions": ENVIRONMENT_FILE.encode(environment.sessions)} if environment.sessions else {}),
    }


def _known(entry: Divergence) -> dict[str, Any]:
    expires = entry.expires.isoformat() if entry.expires else None
    return {
        "entry": entry.name, "case": entry.case, "cause": entry.cause.id if entry.cause else None, "reason": entry.reason,
        "link": entry.link or None, "expires": expires, "backends": sorted(entry.backends), "versions": dict(entry.versions),
        "outcome": {backend: str(outcome) for backend, outcome in entry.outcome.items()},
    }  # fmt: skip


def _causes(results: Results) -> dict[str, dict[str, str | None]]:
    """The causes that entries name, by id."""
    causes = {entry.cause.id: entry.cause for entry in results.known if entry.cause is not None}
    return {
        name: {
            "title": cause.title, "explanation": cause.explanation, "link": cause.link or None, "since": cause.since or None,
            "until": cause.until or None,
        }
        for name, cause in sorted(causes.items())
    }  # fmt: skip


def _result(result: CaseResult, results: Results) -> dict[str, Any]:
    worst, script = result.worst_excess, results.script(result.case)
    return {
        "case": result.case,
        "verdict": result.verdict.value,
        "odd_one_out": result.odd_one_out,
        "headline": result.headline,
        "what_to_do": what_to_do(result),
        "claim": result.claim,
        "file": result.file,
        "line": result.line,
        "problems": list(map(str, result.problems)),
        "statuses": {
            cell.leg: {"status": status, "shown": cell.text}
            for cell in cells(result, results.backends)
            for status in [result.recordings[cell.leg].status if cell.leg in result.recordings else "missing"]
        },
        "stages": [
            {"stage": stage.name, "state": stage.state, "first": stage.first, "backends": stage.backends}
            for stage in result.stages
        ],
        "max_excess": _finite(worst),
        "max_excess_infinite": worst is not None and math.isinf(worst),
        "findings": [_finding(finding) for finding in result.findings],
        "diagnoses": [_diagnosis(diagnosis) for diagnosis in result.diagnoses],
        "raised": {
            leg: [_raised(error, whole=not number) for number, error in enumerate(recording.raised)]
            for leg, recording in result.recordings.items()
            if recording.raised
        },
        **({"failures": failures} if (failures := _failures(result)) else {}),
        "known": [_known(entry) for entry in result.known],
        "changed": result.changed,
        **({"noise_notes": result.noise_notes} if result.noise_notes else {}),
        **({"script": _script(script)} if script is not None and script.source else {}),
        "comparisons": [_compact(comparison) for comparison in result.comparisons],
    }


def _raised(error: Raised, *, whole: bool = True) -> dict[str, Any]:
    """An exception, with its traceback if `whole`: of several of a leg the first one says why."""
    frame = error.frame
    return {
        "stage": error.stage, "type": error.type, "message": error.message,
        **({} if frame is None else {
            "frame": {"file": frame.file, "line": frame.line, "function": frame.function, "source": frame.source.strip()},
            "by_author": error.by_author,
        }),
        **({"traceback": error.traceback} if whole and error.traceback else {}),
    }  # fmt: skip


def _failures(result: CaseResult) -> dict[str, Any]:
    """What kept legs from observing the case, where that was an exception."""
    return {leg: _raised(recording.failure) for leg, recording in result.recordings.items() if recording.failure is not None}


def _script(script: KeptScript) -> dict[str, Any]:
    return {"source": script.source, "outputs": script.outputs, "shows": script.shows, "data": script.data or None}


def _diagnosis(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "code": diagnosis.code,
        "backends": diagnosis.backends,
        "message": diagnosis.message,
        "remedy": diagnosis.remedy,
        "evidence": diagnosis.evidence,
    }


def _compact(comparison: Comparison) -> dict[str, Any]:
    """The fields of every comparison, also of those that passed."""
    excess, tolerance = comparison.excess, comparison.tolerance
    infinite = excess is not None and math.isinf(excess)
    return {
        "oracle": comparison.oracle,
        "observation": comparison.observation,
        "left": comparison.left,
        "right": comparison.right,
        "kind": comparison.kind if isinstance(comparison, Finding) else None,
        "excess": _finite(excess),
        **({"excess_infinite": True} if infinite else {}),
        "tolerance": {
            "rtol": tolerance.rtol if tolerance else 0.0,
            "atol": tolerance.atol if tolerance else 0.0,
            "origin": comparison.origin,
        },
        **({} if comparison.noise is None else {"noise_floor": _noise_floor(comparison.noise, excess)}),
    }


def _noise_floor(floor: NoiseFloor, excess: float | None) -> dict[str, Any]:
    largest = floor.largest
    return {
        "largest": largest.source if largest else None,
        "max_abs": largest.max_abs if largest else None,
        "head_room": headroom(largest) if largest else None,
        "multiple": multiple(excess, largest) if largest else None,
        **{source: None if noise is None else _noise(noise) for source, noise in floor.by_source.items()},
    }


def _noise(noise: Noise) -> dict[str, Any]:
    return {
        "leg": noise.leg,
        "max_abs": noise.max_abs,
        "excess": _finite(noise.excess),
        "n_different": noise.n_different,
        "message": noise.message or None,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    required = required_tolerance(finding)
    return {
        **_compact(finding),
        "message": finding.message,
        "n_elements": finding.n_elements,
        "n_different": finding.n_different,
        "max_abs": finding.max_abs,
        "max_rel": finding.max_rel,
        "worst_index": finding.worst_index,
        "worst_left": finding.worst_left,
        "worst_right": finding.worst_right,
        "required_tolerance": {"rtol": required.rtol, "atol": required.atol} if required else None,
        "evidence": finding.evidence,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
