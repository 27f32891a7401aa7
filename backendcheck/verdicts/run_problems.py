"""Problems of a run as a whole: legs that are missing or unfinished, parts of what was wanted, case files that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from backendcheck.recordings.environment import Environment
from backendcheck.recordings.legs import Leg
from backendcheck.vocabulary.problems import Problem, ProblemCode
from backendcheck.vocabulary.shards import Shard
from backendcheck.vocabulary.states import ExitState

_MISSING = "is missing; expected recordings of it. Record it, or see why its job produced none."


def run_problems(legs: Sequence[Leg], missing: Sequence[str], shard: Shard | None) -> list[Problem]:
    """The problems of `legs`, of those that are `missing`, and of parts where another `shard` or the whole was asked for."""
    problems = [Problem(code=ProblemCode.LEG_MISSING, legs=(leg,), text=f"{leg}: its leg {_MISSING}") for leg in missing]
    for leg in legs:
        problems += _problems_of_leg(leg, shard)
    return _merged(problems)


def _problems_of_leg(leg: Leg, shard: Shard | None) -> Iterator[Problem]:
    def problem(code: ProblemCode, text: str) -> Problem:
        return Problem(code=code, legs=(leg.label,), text=text if code is ProblemCode.CASE_FILE else f"{leg.label}: {text}")

    environment = leg.environment
    n_recorded = f"{len(leg.recordings)} of its cases are there"
    part = environment.selection.shard
    if environment.parts:
        yield from (problem(code, text) for code, text in _problems_of_parts(environment))
    elif environment.exit_state != ExitState.COMPLETE:
        text = f"its recording {_ended(environment.exit_state)}; {n_recorded}. Record it again."
        yield problem(ProblemCode.LEG_UNFINISHED, text)
    if environment.exit_state == ExitState.COMPLETE and not (environment.cases or leg.recordings or environment.all_cases):
        yield problem(ProblemCode.NO_CASES, "its recording holds no case.")
    if part != shard:
        joining = f"is shard {part} alone; {n_recorded}. Join it with the others: backendcheck merge"
        text = joining if part else f"is not a shard; expected shard {shard} alone. Record it again."
        yield problem(ProblemCode.PART_ALONE, text)
    for case_file_problem in environment.problems:
        yield problem(ProblemCode.CASE_FILE, str(case_file_problem))


def _problems_of_parts(environment: Environment) -> Iterator[tuple[ProblemCode, str]]:
    """What a merged leg lacks."""
    for part in environment.parts:
        if part.exit_state is ExitState.MISSING:
            yield ProblemCode.PART_MISSING, f"{part.name} {_MISSING}"
        elif part.exit_state is not ExitState.COMPLETE:
            n_recorded = f"{part.n_recordings} of its cases are there"
            text = f"{part.name} ({part.path}) {_ended(part.exit_state)}; {n_recorded}. Record it again."
            yield ProblemCode.PART_UNFINISHED, text


def _ended(exit_state: str) -> str:
    words: dict[str, str] = {ExitState.RUNNING: "was killed or is still running", ExitState.INTERRUPTED: "was interrupted"}
    return words.get(exit_state, "did not end")


def single_leg_problem(labels: Sequence[str], required: Sequence[str] | None) -> list[Problem]:
    """One leg, where it was not asked for alone."""
    if len(labels) != 1 or required is not None:
        return []
    remedy = f"Give the others, or --expect-backends {labels[0]}."
    text = f"{labels[0]}: this is the only leg, so no backends were compared. {remedy}"
    return [Problem(code=ProblemCode.ONE_LEG, legs=tuple(labels), text=text)]


def missing_cases(patterns: Sequence[str], cases: Sequence[str]) -> list[Problem]:
    """Patterns of required cases that no case matches."""
    text = "no case has this id; expected one, as [tool.backendcheck] cases says. Was its file recorded?"
    return [
        Problem(code=ProblemCode.CASE_NOT_FOUND, text=f"{pattern}: {text}")
        for pattern in patterns
        if pattern not in cases and not any(fnmatchcase(case, pattern) for case in cases)
    ]


def _merged(problems: Sequence[Problem]) -> list[Problem]:
    """Problems of case files once, with all legs that have them."""
    merged: dict[tuple[str, ...], Problem] = {}
    for problem in problems:
        key = (problem.text,) if problem.code is ProblemCode.CASE_FILE else (problem.text, *problem.legs)
        legs = (*merged[key].legs, *problem.legs) if key in merged else problem.legs
        merged[key] = Problem(code=problem.code, legs=legs, text=problem.text)
    return list(merged.values())
