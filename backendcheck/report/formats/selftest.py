"""The results of `selftest` as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from backendcheck.results.selftest import SelfTest, Trial
from backendcheck.vocabulary.faults import Fault

SCHEMA = 1


def as_dict(result: SelfTest) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "schema": SCHEMA,
        "exit_code": result.exit_code,
        "n_faults": len({trial.fault for trial in result.trials}),
        "n_trials": len(result.trials),
        "n_visible": len(result.owed),
        "detection_rate": result.detection_rate,
        "naming_rate": result.naming_rate,
        "first_rate": result.first_rate,
        "besides": result.besides,
        "n_clean": result.n_clean,
        "false_alarms": list(result.false_alarms),
        "incomplete": list(result.incomplete),
        "left_out": list(result.left_out),
        "trials": [asdict(trial) for trial in result.trials],
    }


def listed_faults(faults: Sequence[Fault]) -> list[str]:
    """The faults in a line each: name, effect, and the diagnoses that name it."""
    width = max(len(fault.name) for fault in faults)
    return [f"{fault.name:{width}}  {fault.what} -> {' or '.join(fault.codes)}" for fault in faults]


def table(result: SelfTest) -> Iterator[str]:
    """A line for each fault and backend, then the trials that were missed, then the totals."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in result.trials:
        groups.setdefault((trial.fault, trial.backend), []).append(trial)
    width = max((len(fault) for fault, _ in groups), default=5)
    yield f"{'fault':{width}}  {'backend':10}  cases  visible  detected  named  first  diagnoses"
    for (fault, backend), trials in groups.items():
        visible = [trial for trial in trials if trial.visible]
        detected = [trial for trial in visible if trial.detected]
        codes = ", ".join(dict.fromkeys(code for trial in visible for code in trial.diagnoses)) or "-"
        counts = f"{len(trials):5}  {len(visible):7}  {len(detected):8}  {_n(detected, 'named'):5}  {_n(detected, 'first'):5}"
        yield f"{fault:{width}}  {backend:10}  {counts}  {codes}"
    yield ""
    yield from _listed("not detected", [_line(t) for t in result.owed if not t.detected])
    unnamed = [f"{_line(t)}; expected {' or '.join(t.codes)}" for t in result.owed if t.detected and not t.named]
    yield from _listed("not named", unnamed)
    invisible = [_line(t) for t in result.trials if not t.visible and not t.problem]
    yield from _listed("not visible, so not counted", invisible)
    yield from _listed("false alarms", result.false_alarms)
    yield from _listed("incomplete", result.incomplete)
    yield from _listed("left out, because they cannot be injected on these backends", result.left_out)
    n_visible = len(result.owed)
    n_detected = sum(t.detected for t in result.owed)
    yield f"detected {n_detected} of {n_visible} ({result.detection_rate:.1%})"
    yield f"named    {result.naming_rate:.1%} of those, {result.first_rate:.1%} by the first diagnosis"
    if result.besides:
        others = ", ".join(f"{code} {n} times" for code, n in result.besides.items())
        yield f"also     {others}: diagnoses that do not fit the fault"
    yield f"false alarms {len(result.false_alarms)} in {result.n_clean} clean cases"


def _n(trials: Sequence[Trial], what: str) -> int:
    return sum(getattr(trial, what) for trial in trials)


def _line(trial: Trial) -> str:
    why = trial.moved or "nothing recorded moved"
    reached = "" if trial.reached else ", not reached"
    named = ", ".join(trial.diagnoses) or "no diagnosis"
    return f"{trial.fault} on {trial.backend}, {trial.case}: {why}{reached}; {trial.verdict}, {named}"


def _listed(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  {line}" for line in lines)
        yield ""
