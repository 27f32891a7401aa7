"""From legs to results: every case judged, known divergences applied, the whole counted and given its exit code.

This is what all reports are made from. It reads no file and imports no backend.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from backendcheck.compare.noise_floor import with_noise
from backendcheck.compare.tolerances import Override
from backendcheck.recordings.kept_layers import LayersFound
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.recording import WHOLE
from backendcheck.recordings.scripts import KeptScript, ScriptsFound
from backendcheck.results.case_result import CaseResult, case_result
from backendcheck.results.changes import Baseline, Change, changes, moved_figures
from backendcheck.results.figures import Moved
from backendcheck.results.history import EarlierRun, History, commit_of, read_history, versions_of
from backendcheck.verdicts.known import Divergence, EntriesByCase
from backendcheck.verdicts.run_problems import missing_cases, run_problems, single_leg_problem
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.problems import Problem
from backendcheck.vocabulary.shards import Shard
from backendcheck.vocabulary.sides import Side
from backendcheck.vocabulary.states import Status

__all__ = ["CaseResult", "Results", "analyze", "in_force"]

_WORST_FIRST = (Verdict.ERROR, Verdict.FAILED, Verdict.XPASSED, Verdict.XFAILED, Verdict.PASSED)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Results:
    """A whole run, worst case first.

    `problems` concern no single case: a leg missing or unfinished, a file that did not import. `noise_problems` say which noise
    recordings are missing or of no use; they decide nothing. `changes` are those since an earlier run, made at `since`; `moved`
    are the figures of cases that have moved much since then.
    `shard` is the part of the cases that it was to be about, if it was not all of them. With `strict_known` entries of
    known_divergences.toml that match nothing or have expired fail the run. `scripts` holds what shows a case without
    backendcheck, where that was made. `history` has the verdicts of earlier runs, where a folder with them was given.
    """

    legs: tuple[Leg, ...]
    expected: tuple[str, ...]
    cases: tuple[CaseResult, ...]
    problems: tuple[Problem, ...] = ()
    noise_problems: tuple[str, ...] = ()
    known: tuple[Divergence, ...] = ()
    unmatched: tuple[Divergence, ...] = ()
    expired: tuple[Divergence, ...] = ()
    since: str = ""
    changes: tuple[Change, ...] = ()
    shard: Shard | None = None
    strict_known: bool = False
    scripts: ScriptsFound = field(default_factory=ScriptsFound)
    created: str = ""
    moved: Mapping[str, Sequence[Moved]] = field(default_factory=dict)
    history: History | None = None
    layers: LayersFound = field(default_factory=LayersFound)

    @property
    def backends(self) -> tuple[str, ...]:
        """The legs by label: those expected and those there."""
        labels = [leg.label for leg in self.legs]
        return tuple(dict.fromkeys([*self.expected, *labels]))

    @property
    def counts(self) -> dict[str, int]:
        """How many cases have each verdict."""
        counted = Counter(result.verdict for result in self.cases)
        return {verdict.value: counted[verdict] for verdict in Verdict}

    @property
    def not_supported(self) -> dict[str, dict[str, int]]:
        """By leg, how many cases its backend does not support in part, by what it lacks, and as a whole (``case``).

        Only legs whose backend has declared that it lacks something are in it.
        """
        lacking: dict[str, Counter[str]] = {}
        declaring = {leg for result in self.cases for leg, recording in result.recordings.items() if recording.not_supported}
        for result in self.cases:
            for leg, recording in result.recordings.items():
                whole = {WHOLE} if recording.status == Status.NOT_SUPPORTED else set()
                lacking.setdefault(leg, Counter()).update({*whole, *recording.not_supported})
        return {leg: dict(sorted(lacking[leg].items())) for leg in self.backends if leg in declaring}

    @property
    def n_comparisons(self) -> int:
        return sum(comparison.compared for result in self.cases for comparison in result.comparisons)

    @property
    def exit_code(self) -> int:
        """0 all PASSED or XFAILED; 1 some FAILED or XPASSED; 3 some ERROR, a leg missing, nothing compared. 3 goes before 1."""
        counts = self.counts
        rejected_as_asked = any(result.verdict is Verdict.PASSED and not result.comparisons for result in self.cases)
        anything_compared = any(comparison.compared for result in self.cases for comparison in result.comparisons)
        compared = anything_compared or rejected_as_asked or self._holds_no_case
        if counts["ERROR"] or self.problems or not compared:
            return 3
        stale = self.strict_known and bool(self.unmatched or self.expired)
        return 1 if counts["FAILED"] or counts["XPASSED"] or stale else 0

    @property
    def _holds_no_case(self) -> bool:
        """Whether it is of a shard that has none of the cases, while there are some."""
        empty = self.shard is not None and not self.cases and bool(self.legs)
        return empty and all(leg.environment.all_cases for leg in self.legs)

    def compared_with(self, baseline: Baseline) -> Results:
        """The same, with what has changed since an earlier run."""
        now = {result.case: result.outcome for result in self.cases}
        return replace(
            self, since=baseline.created or "an earlier run", changes=tuple(changes(baseline, now)),
            moved=moved_figures(baseline, now),
        )  # fmt: skip

    def with_history(self, directory: Path) -> Results:
        """The same, with the verdicts of the earlier runs in a folder.

        Raises:
            UnreadableInput: if the folder cannot be listed.
        """
        environments = [leg.environment for leg in self.legs]
        now = EarlierRun(
            created=self.created,
            commit=commit_of([environment.checkout for environment in environments]),
            versions=versions_of([environment.versions for environment in environments]),
            runs=frozenset(environment.run for environment in environments),
            verdicts={result.case: result.verdict.value for result in self.cases},
        )
        return replace(self, history=read_history(directory, now))

    def with_scripts(self, scripts: ScriptsFound) -> Results:
        """The same, with the scripts that belong to its recordings."""
        return replace(self, scripts=scripts)

    def with_layers(self, layers: LayersFound) -> Results:
        """The same, with the layers that `locate` has compared and that belong to its recordings."""
        return replace(self, layers=layers)

    def script(self, case: str) -> KeptScript | None:
        return self.scripts.by_case.get(case)

    def result(self, case: str) -> CaseResult | None:
        return next((result for result in self.cases if result.case == case), None)


def analyze(
    legs: Sequence[Leg],
    *,
    expected: Sequence[str] | None = None,
    expected_cases: Sequence[str] = (),
    known: Sequence[Divergence] = (),
    overrides: Sequence[Override] = (),
    today: datetime.date | None = None,
    now: datetime.datetime | None = None,
    shard: Shard | None = None,
) -> Results:
    """Judge every case of `legs`.

    `expected` names the legs that have to be there, by default those that are; `expected_cases` are patterns of case ids, each of
    which has to match a case. Legs that hold one shard are incomplete, unless `shard` says that this one is what was asked for.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    today = today or now.date()
    labels = [leg.label for leg in legs]
    wanted = list(expected) if expected is not None else labels
    missing = [name for name in wanted if name not in labels]
    # Labels may be jax#1 and jax#2 where jax was asked for: that backend is there, twice.
    missing = [name for name in missing if not any(Side(label).backend == name for label in labels)]
    wanted = [name for name in wanted if name in labels or name in missing] + [label for label in labels if label not in wanted]
    entries_of = in_force(known, legs, today)
    results = []
    for case in dict.fromkeys(case for leg in legs for case in (*leg.environment.cases, *leg.recordings)):
        recordings = {leg.label: leg.recordings[case] for leg in legs if case in leg.recordings}
        result = case_result(case, recordings, wanted, entries_of(case), overrides)
        comparisons, notes = with_noise(case, result.comparisons, legs)  # last, so that it cannot decide anything
        results.append(replace(result, comparisons=comparisons, noise_notes=notes))
    results.sort(key=_worst_first)
    cases = [result.case for result in results]
    everywhere = list(dict.fromkeys([*cases, *(case for leg in legs for case in leg.environment.all_cases)]))
    matching = frozenset(everywhere)
    of_run = [*run_problems(legs, missing, shard), *single_leg_problem(labels, expected)]
    return Results(
        legs=tuple(legs),
        expected=tuple(wanted),
        cases=tuple(results),
        problems=(*of_run, *missing_cases(expected_cases, everywhere)),
        noise_problems=tuple(problem for leg in legs for problem in leg.noise_problems),
        known=tuple(known),
        unmatched=tuple(entry for entry in known if entry.case not in matching and _is_unmatched(entry, legs, everywhere)),
        expired=tuple(entry for entry in known if entry.expired(today)),
        shard=shard,
        created=now.isoformat(timespec="seconds"),
    )


def in_force(known: Sequence[Divergence], legs: Sequence[Leg], today: datetime.date) -> EntriesByCase:
    """The entries that are not expired and apply to the environments of these legs."""
    environments = {leg.label: leg.environment for leg in legs}
    return EntriesByCase([entry for entry in known if not entry.expired(today) and entry.applies(environments)])


def _worst_first(result: CaseResult) -> tuple[int, float, str]:
    excess = result.worst_excess
    return _WORST_FIRST.index(result.verdict), -(excess if excess is not None else 0.0), result.case


def _is_unmatched(entry: Divergence, legs: Sequence[Leg], cases: Sequence[str]) -> bool:
    return _in_scope(entry, legs, cases) and not any(map(entry.matches_case, cases))


def _in_scope(entry: Divergence, legs: Sequence[Leg], cases: Sequence[str]) -> bool:
    """Whether the run would have had the case of an entry: all of its file was asked for, or all that there is.

    An entry from above the folder that was asked for may be about a case file that lies elsewhere.
    """
    stems: set[str] = set()
    if entry.found_above and entry.case.partition("/")[0] not in {case.partition("/")[0] for case in cases}:
        return False
    for leg in legs:
        selection = leg.environment.selection
        paths = selection.paths
        if selection.keyword or selection.marks or selection.is_subset or any("::" in path for path in paths):
            return False
        if any(not path.endswith(".py") for path in paths):
            return True
        stems |= {path.replace("\\", "/").rpartition("/")[2].removesuffix(".py") for path in paths}
    return not stems or entry.case.partition("/")[0] in stems
