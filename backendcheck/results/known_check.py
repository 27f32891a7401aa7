"""What is wrong with known divergences: stale, changed, unmatched, overlapping, expired, misplaced, unused, without a link."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from backendcheck.results.results import Results
from backendcheck.verdicts.known import Cause, Divergence
from backendcheck.verdicts.known_files import file_for
from backendcheck.verdicts.verdict import Verdict


class EntryProblem(StrEnum):
    """What may be wrong with an entry or a cause. Only `NO_LINK` is not an error."""

    STALE = "stale"
    CHANGED = "changed"
    UNMATCHED = "unmatched"
    OVERLAPPING = "overlapping"
    EXPIRED = "expired"
    MISPLACED = "misplaced"
    UNUSED = "unused"
    NO_LINK = "without a link"

    @property
    def is_error(self) -> bool:
        return self is not EntryProblem.NO_LINK


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownProblem:
    """One problem, as one line: where it is, what is wrong and what to do."""

    code: EntryProblem
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.code}: {self.where}: {self.what}"


def check_known(
    entries: Sequence[Divergence],
    causes: Mapping[str, Cause],
    *,
    today: datetime.date,
    results: Results | None = None,
    functions: Sequence[str] = (),
) -> list[KnownProblem]:
    """All problems, by code.

    With `results` the entries are compared with what the run saw. Without, their patterns are compared with `functions`, the ids
    of the case functions in the sources.
    """
    if results is not None:
        problems = [*_of_run(results)]
    else:
        problems = [
            KnownProblem(code=EntryProblem.UNMATCHED, where=entry.name, what="matches no case. Correct or remove its pattern.")
            for entry in entries
            if functions and not any(_matches_function(entry.case, function) for function in functions)
        ]
    problems += [
        KnownProblem(
            code=EntryProblem.EXPIRED, where=entry.name, what=f"expired on {entry.expires}. Look again, then renew or remove it."
        )
        for entry in entries
        if entry.expired(today)
    ]  # fmt: skip
    problems += [*_overlapping(entries), *_misplaced(entries), *_of_causes(entries, causes)]
    order = list(EntryProblem)
    return sorted(problems, key=lambda problem: order.index(problem.code))


def _of_run(results: Results) -> Iterator[KnownProblem]:
    for result in results.cases:
        if result.verdict is Verdict.XPASSED:
            for entry in result.known:
                what = f"{result.case} does not diverge any more. Prune the entry, or refresh its version range."
                yield KnownProblem(code=EntryProblem.STALE, where=entry.name, what=what)
        elif result.verdict is Verdict.FAILED and result.known:
            what = f"{result.case} has changed: {result.changed[0]}. Look again, then correct the entry."
            yield KnownProblem(code=EntryProblem.CHANGED, where=result.known[0].name, what=what)
    for entry in results.unmatched:
        what = "matches no case of the run. Correct its pattern, or prune it."
        yield KnownProblem(code=EntryProblem.UNMATCHED, where=entry.name, what=what)


def _matches_function(pattern: str, function: str) -> bool:
    """Whether a pattern of case ids may match cases of a function, whose parameters are unknown here."""
    return fnmatchcase(function, pattern) or fnmatchcase(function, pattern.partition("[")[0])


def _overlapping(entries: Sequence[Divergence]) -> Iterator[KnownProblem]:
    """Pairs of entries that excuse the same finding, so that either of them may outlive its divergence unseen."""
    by_file: dict[str, list[Divergence]] = {}
    for entry in entries:
        stem = entry.case.partition("/")[0]
        by_file.setdefault("*" if "*" in stem else stem, []).append(entry)
    anywhere = by_file.pop("*", [])
    for group in [*(anywhere + of_file for of_file in by_file.values()), *([anywhere] if not by_file else [])]:
        for first, second in combinations(group, 2):
            if _overlap(first, second):
                what = f"excuses the same finding as {second.name}. Narrow or remove one of them."
                yield KnownProblem(code=EntryProblem.OVERLAPPING, where=first.name, what=what)


def _overlap(first: Divergence, second: Divergence) -> bool:
    if not (first.backends & second.backends and first.kinds & second.kinds and first.oracles & second.oracles):
        return False
    if first.installed & second.missing or second.installed & first.missing:
        return False
    if not (first.device.startswith(second.device) or second.device.startswith(first.device)):
        return False
    if not (_covers_id(first.case, second.case) or _covers_id(second.case, first.case)):
        return False
    packages = first.versions.keys() & second.versions
    return all(_share_a_version(first.versions[package], second.versions[package]) for package in packages)


def _covers_id(pattern: str, narrow: str) -> bool:
    return pattern == narrow or fnmatchcase(narrow.replace("[[]", "["), pattern)


def _share_a_version(first: str, second: str) -> bool:
    specifiers = [SpecifierSet(first), SpecifierSet(second)]
    bounds = [part.version.removesuffix(".*") for specifier in specifiers for part in specifier]
    versions = [Version(text) for bound in bounds for text in (bound, f"{bound}.1")] + [Version("0"), Version("99999")]
    return any(all(specifier.contains(version, prereleases=True) for specifier in specifiers) for version in versions)


def _misplaced(entries: Sequence[Divergence]) -> Iterator[KnownProblem]:
    """Entries that a reader of the folder looks for in another file."""
    for entry in entries:
        stem = entry.case.partition("/")[0]
        file = file_for(entry.path.parent, entry.case)
        if entry.in_folder and entry.path != file and not fnmatchcase(entry.path.stem, stem):
            what = f"belongs into {stem}.toml of the folder. Move it."
            yield KnownProblem(code=EntryProblem.MISPLACED, where=entry.name, what=what)


def _of_causes(entries: Sequence[Divergence], causes: Mapping[str, Cause]) -> Iterator[KnownProblem]:
    used: dict[str, list[Divergence]] = {}
    for entry in entries:
        if entry.cause is not None:
            used.setdefault(entry.cause.id, []).append(entry)
        elif not entry.link:
            yield KnownProblem(code=EntryProblem.NO_LINK, where=entry.name, what="has no link to an issue.")
    for cause in causes.values():
        where = f"{_short(cause.path)}, cause {cause.id}"
        if cause.id not in used:
            yield KnownProblem(code=EntryProblem.UNUSED, where=where, what="is the cause of no entry. Remove it.")
        elif not all(entry.link for entry in used[cause.id]):
            what = f"has no link to an issue ({len(used[cause.id])} patterns of cases)."
            yield KnownProblem(code=EntryProblem.NO_LINK, where=where, what=what)


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
