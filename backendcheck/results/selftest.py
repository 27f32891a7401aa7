"""How well injected faults are detected: each faulty recording is judged among the clean ones of the other backends, and counted.

It reads no file and imports no backend. The columns:

    reached    the fault changed a number in the case, or was in a compiled function, where its effect cannot be observed
    visible    on the backend with the fault, a recorded number moved by more than twice its tolerance, or an exact value, a shape
               or an exception changed. A backend that agreed with the clean recording within tolerance cannot agree with this
               one, so the fault must be detected. A number that moved by 1 % of the largest beside it is visible whatever the
               comparison says: a comparison that misses something must not excuse itself. Smaller changes are only listed.
    detected   the verdict on the case is FAILED, with a finding that the clean recordings do not have
    named      a diagnosis that the clean recordings do not have fits the fault; first: the first of them does
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backendcheck.compare.backends import compare_backends, inside_only, not_compared
from backendcheck.compare.findings import Comparison, Finding, findings_of
from backendcheck.compare.tolerances import Override
from backendcheck.diagnose import Diagnosis
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.recording import Recording
from backendcheck.results.results import CaseResult, Results, analyze
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.faults import Fault

_OWED = 2.0  # times the tolerance; below, two backends may still agree with one another within it
_PLAIN = 1e-2  # of the largest magnitude of an observation: beyond any tolerance there is
_NO_NAME = "unexplained"  # says that nothing fits, which is true where nothing does


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One fault on one case of one backend. `moved` says what moved most and how far; `problem` why there is nothing to judge."""

    fault: str
    backend: str
    case: str
    codes: tuple[str, ...]
    reached: bool = False
    visible: bool = False
    detected: bool = False
    named: bool = False
    first: bool = False
    verdict: str = ""
    moved: str = ""
    headline: str = ""
    diagnoses: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """All trials, the false alarms, and what is missing. `left_out` are faults that none of the selected backends can have."""

    trials: tuple[Trial, ...]
    false_alarms: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    n_clean: int = 0

    @property
    def owed(self) -> tuple[Trial, ...]:
        """The trials in which the fault has to be detected."""
        return tuple(trial for trial in self.trials if trial.visible)

    @property
    def detection_rate(self) -> float:
        return _share([trial.detected for trial in self.owed])

    @property
    def naming_rate(self) -> float:
        """Of the faults detected, the share named at all."""
        return _share([trial.named for trial in self.owed if trial.detected])

    @property
    def first_rate(self) -> float:
        """Of the faults detected, the share whose first diagnosis names them."""
        return _share([trial.first for trial in self.owed if trial.detected])

    @property
    def besides(self) -> dict[str, int]:
        """How often each diagnosis was made of a fault that it does not fit, most often first."""
        counts = Counter(code for trial in self.owed for code in trial.diagnoses if code not in (*trial.codes, _NO_NAME))
        return dict(counts.most_common())

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Why the counts are incomplete: missing recordings, faults that could not be removed, faults that were never visible."""
        visible = {trial.fault for trial in self.trials if trial.visible}
        faults = dict.fromkeys(trial.fault for trial in self.trials)
        hidden = tuple(f"{fault}: was not visible on any of its cases" for fault in faults if fault not in visible)
        missing = tuple(f"{t.fault} on {t.backend}, {t.case}: {t.problem}" for t in self.trials if t.problem)
        return (*self.problems, *missing, *hidden, *(() if self.trials else ("no fault was tried",)))

    @property
    def exit_code(self) -> int:
        """0 all detected, no false alarm; 3 something is missing; otherwise 1. The naming rate does not matter."""
        if self.incomplete:
            return 3
        return 0 if self.detection_rate == 1.0 and not self.false_alarms else 1


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def try_fault(
    fault: Fault,
    faulty: Leg | None,
    notes: Mapping[str, Mapping[str, int]],
    clean: Results,
    *,
    backend: str,
    known: Sequence[Divergence] = (),
    overrides: Sequence[Override] = (),
) -> list[Trial]:
    """Judge `fault` on each of its cases: its leg takes the place of the clean one of that backend.

    `notes` maps cases to what the fault counted there (``n_altered``, ``n_traced``, ``n_unsettled``).
    """
    recordings = dict(faulty.recordings) if faulty is not None else {}
    faulty_results = {}
    if recordings:
        legs = [_among(leg, recordings, injected=leg.label == backend) for leg in clean.legs]
        results = analyze(legs, expected=clean.expected, known=known, overrides=overrides)
        faulty_results = {result.case: result for result in results.cases}
    trials = []
    for case in fault.cases:
        trial = Trial(fault=fault.name, backend=backend, case=case, codes=fault.codes)
        problem = _problem(case, clean, recordings.get(case), notes.get(case), backend)
        if problem:
            trials.append(replace(trial, problem=problem))
            continue
        before, after = clean.result(case), faulty_results[case]
        assert before is not None  # noqa: S101 - _problem has seen to that
        moved = furthest_moved(before.recordings[backend], after.recordings[backend], overrides)
        reached = notes[case]["n_altered"] + notes[case]["n_traced"] > 0
        trials.append(_judged(replace(trial, reached=reached), moved, before, after))
    return trials


def _among(leg: Leg, recordings: Mapping[str, Recording], *, injected: bool) -> Leg:
    """The cases of `recordings` only, in the leg that they belong to and in the others."""
    selected = {case: leg.recordings[case] for case in recordings if case in leg.recordings}
    environment = replace(leg.environment, cases=tuple(recordings))
    return replace(leg, environment=environment, recordings=dict(recordings) if injected else selected)


def _problem(
    case: str, clean: Results, faulty: Recording | None, notes: Mapping[str, int] | None, backend: str
) -> str:  # fmt: skip
    result = clean.result(case)
    if result is None or backend not in result.recordings:
        return "has no clean recording; is it still among the built-in cases?"
    if result.verdict is Verdict.ERROR:
        return f"cannot be judged even without a fault: {'; '.join(map(str, result.problems))}"
    if faulty is None or notes is None:
        return "has no recording with the fault injected"
    if not faulty.was_observed:
        return f"was not recorded with the fault injected ({faulty.status}): {faulty.problem}"
    if notes["n_unsettled"]:
        return "the fault could not be removed: other code had replaced the function"
    return ""


def _judged(trial: Trial, moved: Comparison | None, before: CaseResult, after: CaseResult) -> Trial:
    pair = before.recordings[trial.backend], after.recordings[trial.backend]
    owed = moved is not None and (moved.excess is None or moved.excess > _OWED)
    visible = trial.reached and (owed or moved_plainly(*pair))
    old = {_key(finding) for finding in before.findings}
    new = [finding for finding in after.findings if _key(finding) not in old]
    named_before = {(diagnosis.code, diagnosis.backends) for diagnosis in before.diagnoses}
    diagnoses: list[Diagnosis] = [d for d in after.diagnoses if (d.code, d.backends) not in named_before]
    codes = tuple(dict.fromkeys(diagnosis.code for diagnosis in diagnoses))
    return replace(
        trial,
        visible=visible,
        detected=after.verdict is Verdict.FAILED and bool(new),
        named=bool(set(codes) & set(trial.codes)),
        first=bool(codes) and codes[0] in trial.codes,
        verdict=after.verdict.value,
        moved=_in_words(moved),
        headline=after.headline,
        diagnoses=codes,
    )


def _key(finding: Finding) -> tuple[str, str, str, str, str | None]:
    return finding.oracle, finding.observation, finding.left, finding.right, finding.kind


def _in_words(moved: Comparison | None) -> str:
    if moved is None:
        return ""
    if moved.excess is not None:
        how_far = f"{moved.excess:.2g} x tolerance"
    else:
        how_far = str(moved.kind) if isinstance(moved, Finding) else "nothing"
    return f"{moved.observation}: {how_far}"


def furthest_moved(before: Recording, after: Recording, overrides: Sequence[Override] = ()) -> Comparison | None:
    """What differs most between two recordings of one case on one backend, on any path; None if nothing does."""
    pairs = [(before, after)]
    by_path = {(variant.oracle, variant.path): variant for variant in before.variants}
    for variant in after.variants:
        if (same := by_path.get((variant.oracle, variant.path))) is not None:
            pairs.append((_as_recording(before, same), _as_recording(after, variant)))  # noqa: PERF401 - two lines of it
    comparisons = [c for left, right in pairs for c in compare_backends({"clean": left, "faulty": right}, overrides)]
    moved = [comparison for comparison in comparisons if isinstance(comparison, Finding) or (comparison.excess or 0.0) > 0.0]
    return max(moved, key=lambda c: float("inf") if c.excess is None else c.excess, default=None)


def moved_plainly(before: Recording, after: Recording) -> bool:
    """Whether any number that backends can agree on differs by 1 % of the largest beside it, by NumPy alone."""
    for name in {*before.observations} & {*after.observations}:
        left, right = before.observations[name].value, after.observations[name].value
        if left.dtype.kind not in "fiub" or left.shape != right.shape or not left.size or inside_only(name):
            continue
        if not_compared(name, before):
            continue
        first, second = left.astype(np.float64), right.astype(np.float64)
        if np.isfinite(first).all() and np.abs(second - first).max() > _PLAIN * max(np.abs(first).max(), _PLAIN):
            return True
    return False


def _as_recording(recording: Recording, variant: object) -> Recording:
    raised = getattr(variant, "raised", None)
    return replace(
        recording, observations=getattr(variant, "observations", {}), raised=() if raised is None else (raised,), variants=()
    )


def false_alarms(clean: Results) -> list[str]:
    """Findings in the clean recordings, apart from known divergences."""
    alarms = []
    for result in clean.cases:
        if result.verdict in (Verdict.FAILED, Verdict.XPASSED, Verdict.ERROR):
            alarms.append(f"{result.case}: {result.verdict} {result.headline}")
        alarms += [f"{result.case}: {d.code} without a finding" for d in result.diagnoses if not result.findings]
    return alarms


def compare_again(leg: Leg, again: Leg, overrides: Sequence[Override] = ()) -> tuple[list[str], list[str]]:
    """One backend, recorded twice without a fault: findings between the two, and cases that are not identical bit for bit.

    One of the recordings was made before the faults of its case were injected, the other after they were removed.
    """
    alarms, changed = [], []
    for case, second in again.recordings.items():
        first = leg.recordings.get(case)
        if first is None or not (first.was_observed and second.was_observed):
            changed.append(f"{case} on {leg.label}: was not recorded twice")
            continue
        comparisons = compare_backends({leg.label: first, f"{leg.label} again": second}, overrides)
        # NaN on both sides is a finding between backends; of one backend with itself, it is the same again.
        findings = [finding for finding in findings_of(comparisons) if not _alike(first, second, finding.observation)]
        alarms += [f"{case}: {leg.label} differs from itself: {c.observation}: {c.message}" for c in findings]
        names = {*first.observations} ^ {*second.observations}
        names |= {name for name in first.observations if not _alike(first, second, name)}
        if names:
            changed.append(f"{case} on {leg.label}: not the same bit for bit after the faults: {', '.join(sorted(names))}")
    return alarms, changed


def _alike(first: Recording, second: Recording, name: str) -> bool:
    left, right = first.observations.get(name), second.observations.get(name)
    if left is None or right is None:
        return name == "raised" and [r.type for r in first.raised] == [r.type for r in second.raised]
    if left.value.dtype != right.value.dtype or left.value.shape != right.value.shape:
        return False
    return bool(np.array_equal(left.value, right.value, equal_nan=left.value.dtype.kind in "fc"))
