"""What is wrong with a run as a whole, and concerns no single case: legs missing, unfinished, or a part of what was wanted."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from backendcheck.recordings.legs import Leg
from backendcheck.recordings.recording import Environment
from backendcheck.vocabulary.states import ExitState


def run_problems(legs: Sequence[Leg], missing: Sequence[str], shard: str) -> list[str]:
    """The problems of `legs`, of those that are `missing`, and of parts where another `shard` or the whole was asked for."""
    remedy = "Record it, or see why its job produced none."
    found = [f"{name}: its leg is missing; expected recordings of it. {remedy}" for name in missing]
    for leg in legs:
        environment = leg.environment
        there = f"{len(leg.recordings)} of its cases are there"
        part = str(environment.selection.get("shard", ""))
        if environment.pieces:
            found += [f"{leg.label}: {problem}" for problem in _problems_of_pieces(environment)]
        elif environment.exit_state != ExitState.COMPLETE:
            found.append(f"{leg.label}: its recording {_ended(environment.exit_state)}; {there}. Record it again.")
        if environment.exit_state == ExitState.COMPLETE and not (environment.cases or leg.recordings or environment.all_cases):
            found.append(f"{leg.label}: its recording holds no case.")
        if part != shard:
            found.append(f"{leg.label}: is shard {part} alone; {there}. Join it with the others: backendcheck merge")
        found += [f"{one['file']}:{one['line']}: {one['message']}. ({leg.label})" for one in environment.problems]
    return _joined(found)


def _problems_of_pieces(environment: Environment) -> list[str]:
    """What is missing of a leg that was joined of pieces."""
    found = []
    for piece in environment.pieces:
        name, state = f"shard {piece['shard']}" if piece["shard"] else "a piece", str(piece["exit_state"])
        if state == "missing":
            found.append(f"{name} is missing; expected recordings of it. Record it, or see why its job produced none.")
        elif state != "complete":
            there = f"{piece['n_recordings']} of its cases are there"
            found.append(f"{name} ({piece['path']}) {_ended(state)}; {there}. Record it again.")
    return found


def _ended(exit_state: str) -> str:
    return {"running": "was killed or is still running", "interrupted": "was interrupted"}.get(exit_state, "did not end")


def alone(labels: Sequence[str], expected: Sequence[str] | None) -> list[str]:
    """One leg, and nobody said that it is to be the only one."""
    if len(labels) != 1 or expected is not None:
        return []
    remedy = f"Give the others, or --expect-backends {labels[0]}."
    return [f"{labels[0]}: there is no other leg, so no backends were compared. {remedy}"]


def unmet(patterns: Sequence[str], cases: Sequence[str]) -> list[str]:
    return [
        f"{pattern}: no case has this id; expected one, as [tool.backendcheck] cases says. Was its file recorded?"
        for pattern in patterns
        if pattern not in cases and not any(fnmatchcase(case, pattern) for case in cases)
    ]


def _joined(problems: Sequence[str]) -> list[str]:
    """One line for what several legs say alike."""
    legs: dict[str, list[str]] = {}
    for problem in problems:
        text, separator, leg = problem.rpartition(" (")
        if separator and leg.endswith(")"):
            legs.setdefault(text, []).append(leg.removesuffix(")"))
        else:
            legs.setdefault(problem, [])
    return [f"{text} ({', '.join(names)})" if names else text for text, names in legs.items()]
