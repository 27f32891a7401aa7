"""report.json: the run for programs. Strict JSON in ASCII; fields may be added, never renamed.

Schema history
    1  first version (report.schema.json describes it)
"""

from __future__ import annotations

import json
import math
from typing import Any

from backendcheck import __version__
from backendcheck.compare.findings import Comparison, Finding
from backendcheck.diagnose import Diagnosis
from backendcheck.recordings.noise import Noise, NoiseFloor, headroom, multiple
from backendcheck.recordings.recording import Raised
from backendcheck.recordings.scripts import KeptScript
from backendcheck.report.formats.moment import in_json
from backendcheck.report.formats.strict_json import dumped
from backendcheck.report.views.case import cells
from backendcheck.report.views.findings import required_tolerance
from backendcheck.report.views.moment import CREATED, ENVIRONMENTS, Moment, filled
from backendcheck.report.views.remedies import what_to_do
from backendcheck.report.views.run import exit_reason, expected_and_compared
from backendcheck.results.figures import Moved
from backendcheck.results.history import History
from backendcheck.results.results import CaseResult, Results
from backendcheck.verdicts.known import Divergence
from backendcheck.vocabulary.leg_names import parts_of

SCHEMA = 1


def render(results: Results) -> str:
    """The text of report.json: one line for each top-level field and each result, which helps to search and to compare."""
    return filled(frame(results), in_json(Moment.of(results)))


def frame(results: Results) -> str:
    """report.json with marks for what concerns the run alone."""
    lines = [f"{json.dumps(name)}: {dumped(value)}" for name, value in _run(results).items()]
    by_case = [f"  {dumped(_result(result, results))}" for result in results.cases] or [""]
    between = "\n" if results.cases else ""
    by_case[0] = f'"results": [{between}{by_case[0]}'
    lines[0] = f"{{\n{lines[0]}"
    by_case[-1] += f"{between}]\n}}\n"
    return ",\n".join([*lines, *by_case])  # joined once: the text is large


def entry(result: CaseResult, results: Results) -> str:
    """The entry of one case in one line, as in report.json."""
    return dumped(_result(result, results))


def _run(results: Results) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "generator": {"name": "backendcheck", "version": __version__},
        "created": CREATED,
        "exit_code": results.exit_code,
        "exit_reason": exit_reason(results),
        "shard": str(results.shard) if results.shard else None,
        "backends": results.backends,
        "legs": {label: _parts(label) for label in results.backends},
        "counts": results.counts,
        **({"not_supported": lacking} if (lacking := results.not_supported) else {}),
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
            "moved": {case: list(map(_moved, figures)) for case, figures in results.moved.items()},
        }
        if results.since
        else None,
        **({} if results.history is None else {"history": _history(results.history)}),
        "environments": ENVIRONMENTS,
        **_noise_of_run(results),
    }


def _parts(leg: str) -> dict[str, Any]:
    """The parts of a name of a leg; null for what is not in it."""
    parts = parts_of(leg)
    packages = {package.package: package.version for package in parts.packages}
    return {"backend": parts.backend.value, "device": parts.device or None, "mode": parts.mode or None, "packages": packages}


def _noise_of_run(results: Results) -> dict[str, Any]:
    """The noise recordings of the run; empty if none were asked for."""
    recorded = {leg.label: list(leg.noise) for leg in results.legs if leg.noise}
    if not recorded and not results.noise_problems:
        return {}
    return {"noise_floor": {"recordings": recorded, "problems": results.noise_problems}}


def _moved(figure: Moved) -> dict[str, Any]:
    return {
        "oracle": figure.oracle, "observation": figure.observation, "left": figure.left, "right": figure.right,
        "figure": figure.figure, "before": figure.before, "now": figure.now,
    }  # fmt: skip


def _history(history: History) -> dict[str, Any]:
    """What has changed since the last of the earlier runs."""
    return {
        "runs": [{"created": run.created, "commit": run.commit or None} for run in history.runs],
        "new": history.new, "gone": history.gone, "changed": list(history.changed), "flaky": history.flaky_cases,
        "ignored": history.ignored or None,
    }  # fmt: skip


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
        "seconds": {leg: round(sum(recording.timings_s.values()), 3) for leg, recording in result.recordings.items()},
        "max_excess": _finite(worst),
        "max_excess_infinite": worst is not None and math.isinf(worst),
        "findings": [_finding(finding) for finding in result.findings],
        "diagnoses": [_diagnosis(diagnosis) for diagnosis in result.diagnoses],
        "raised": {
            leg: [_raised(error, whole=not number) for number, error in enumerate(recording.raised)]
            for leg, recording in result.recordings.items()
            if recording.raised
        },
        **({"not_supported": lacking} if (lacking := _lacking_of(result)) else {}),
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


def _lacking_of(result: CaseResult) -> dict[str, Any]:
    """What the backends of legs cannot do of the case, and why."""
    return {leg: dict(recording.not_supported) for leg, recording in result.recordings.items() if recording.not_supported}


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
        **({} if comparison.max_abs is None else {"max_abs": comparison.max_abs}),
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
