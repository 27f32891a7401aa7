"""What the terminal shows of an upgrade: groups of changes, what could not be compared, and the counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backendcheck.text.lines import wrapped
from backendcheck.text.words import counted, listed, some_of
from backendcheck.versions.upgrade import Change, Upgrade

_MOST = 12  # cases of a group, unless all are asked for
_SOME = 3


def upgrade_lines(upgrade: Upgrade, width: int | None, *, verbose: bool = False, quiet: bool = False) -> Iterator[str]:
    """The text. `verbose` shortens no list, `quiet` leaves out what has not changed."""
    for (what, diagnosis), changes in upgrade.groups.items():
        yield from _group(what, diagnosis, changes, width, verbose=verbose)
        yield ""
    yield from _not_comparable(upgrade, width)
    if upgrade.not_compared and not quiet:
        cases = list(dict.fromkeys(result.case for _, result in upgrade.not_compared))
        yield from wrapped(f"not compared in {counted(len(cases), 'case')}: {some_of(cases, _SOME)}", width, hang="    ")
        reasons = dict.fromkeys(result.headline.partition(": ")[2] for _, result in upgrade.not_compared)
        for reason in reasons if verbose else [*reasons][:_SOME]:
            yield from wrapped(reason, width, first="    ", hang="      ")
        yield ""
    n_changed = len({change.case for change in upgrade.changes})
    versions = f"{upgrade.package} {upgrade.before} -> {upgrade.after} on {listed(list(upgrade.results))}"
    yield from wrapped(f"{versions}: {n_changed} of {counted(upgrade.n_cases, 'case')} change", width, hang="    ")


def _group(what: str, diagnosis: str, changes: Sequence[Change], width: int | None, *, verbose: bool) -> Iterator[str]:
    by_case: dict[tuple[str, frozenset[tuple[str, str]]], list[Change]] = {}
    for change in changes:
        seen = frozenset((finding.observation, str(finding.kind)) for finding in change.findings)
        by_case.setdefault((change.case, seen), []).append(change)
    n_cases = len({change.case for change in changes})
    yield f"{what.upper()}{f' ({diagnosis})' if diagnosis else ''}: {counted(n_cases, 'case')}"
    rows = list(by_case.values())
    for same in rows if verbose else rows[:_MOST]:
        backends = listed([change.backend for change in same])
        yield from wrapped(f"{same[0].case} on {backends}", width, first="  ", hang="      ")
        yield from wrapped(same[0].headline, width, first="      ", hang="        ")
        for known in same[0].known:
            yield from wrapped(f"known: {known}", width, first="      ", hang="        ")
    if len(rows) > _MOST and not verbose:
        yield f"  and {len(rows) - _MOST} more; --verbose and upgrade.json list them all"


def _not_comparable(upgrade: Upgrade, width: int | None) -> Iterator[str]:
    by_problem: dict[str, list[str]] = {}
    for backend, result in upgrade.not_comparable:
        by_problem.setdefault(result.headline, []).append(f"{result.case} on {backend}")
    for problem, cases in by_problem.items():
        yield from wrapped(f"{problem}   ({some_of(cases, _SOME)})", width, first="ERROR ", hang="    ")
    problems = [str(problem) for results in upgrade.results.values() for problem in results.problems]
    for problem in dict.fromkeys(problems):
        yield from wrapped(problem, width, first="PROBLEM ", hang="    ")
    if by_problem or problems:
        yield ""


def exit_sentence(upgrade: Upgrade) -> str:
    """What the exit code means here."""
    meaning = {0: "nothing changes", 1: "something changes", 3: "not everything could be compared"}[upgrade.exit_code]
    return f"exit code {upgrade.exit_code}: {meaning}"
