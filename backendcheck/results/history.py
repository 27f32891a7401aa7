"""The verdicts of earlier runs, from a folder with their report.json files: what is new, gone, changed or flaky."""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput
from backendcheck.files import check_regular, read_text
from backendcheck.recordings.paths import RECORDINGS
from backendcheck.results.changes import stored_id
from backendcheck.text.words import listed
from backendcheck.verdicts.verdict import Verdict

MOST_RUNS = 30
_REPORT = "report.json"
_HEAD = 200_000  # bytes, in which the time of a report is found
_LARGEST = 500_000_000  # bytes of a report; that of 10,000 cases has 200 MB
_MOST_NAMES = 6
_CREATED = re.compile(r'"created"\s*:\s*"([0-9T:.+Z-]{10,40})"')
_N_CHANGES_OF_FLAKY = 3
_VERDICTS = frozenset(verdict.value for verdict in Verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """A run in a history: when it was reported, of which commit, with which versions, and the verdict of each case."""

    created: str
    commit: str
    versions: tuple[tuple[str, str], ...]
    runs: frozenset[str]
    verdicts: Mapping[str, str]

    @property
    def name(self) -> str:
        """The run in a sentence."""
        when = self.created[:16].replace("T", " ")
        return f"{when}, commit {self.commit[:10]}" if self.commit else when


@dataclass(frozen=True, kw_only=True)
class History:
    """The runs before this one, oldest first, and this one as the last. `ignored` says which files were not read, in one line."""

    runs: tuple[EarlierRun, ...]
    now: EarlierRun
    ignored: str = ""

    @property
    def last(self) -> EarlierRun | None:
        return self.runs[-1] if self.runs else None

    @property
    def new(self) -> tuple[str, ...]:
        """The cases that the last run did not have."""
        return tuple(case for case in self.now.verdicts if self.last and stored_id(case) not in self.last.verdicts)

    @property
    def gone(self) -> tuple[str, ...]:
        """The cases that only the last run had."""
        now = set(map(stored_id, self.now.verdicts))
        return tuple(case for case in (self.last.verdicts if self.last else ()) if case not in now)

    @property
    def changed(self) -> Mapping[str, str]:
        """The cases that had another verdict in the last run, with that."""
        last = self.last.verdicts if self.last else {}
        before = {case: last.get(stored_id(case), verdict) for case, verdict in self.now.verdicts.items()}
        return {case: before[case] for case, verdict in self.now.verdicts.items() if before[case] != verdict}

    @cached_property
    def flaky_cases(self) -> Mapping[str, str]:
        """The cases whose verdict goes back and forth, with the reason."""
        reasons = ((case, self._why_flaky(case)) for case in self.now.verdicts)
        return {case: reason for case, reason in reasons if reason}

    def verdicts(self, case: str) -> list[tuple[EarlierRun, str]]:
        """The verdicts of a case, oldest first; empty where a run did not have it."""
        return [*((run, run.verdicts.get(stored_id(case), "")) for run in self.runs), (self.now, self.now.verdicts.get(case, ""))]

    def _why_flaky(self, case: str) -> str:
        known = [(run, verdict) for run, verdict in self.verdicts(case) if verdict]
        by_source: dict[tuple[object, ...], tuple[EarlierRun, str]] = {}
        for run, verdict in known:
            _, before = by_source.setdefault((run.commit, run.versions), (run, verdict))
            if run.commit and before != verdict:
                return f"{before} and {verdict} at commit {run.commit[:10]}, with the same versions"
        n_changes = sum(before != after for (_, before), (_, after) in pairwise(known))
        return f"{n_changes} changes of verdict in {len(known)} runs" if n_changes >= _N_CHANGES_OF_FLAKY else ""


def read_history(directory: Path, now: EarlierRun) -> History:
    """The newest runs in a folder: every report.json in and below it, and every other .json file right in it.

    The report of this run itself is left out. Files that are damaged, or are not reports, are named in `ignored`.

    Raises:
        UnreadableInput: if the folder cannot be listed.
    """
    problems: list[str] = []
    dated: list[tuple[datetime.datetime, Path]] = []
    for path in _candidates(directory):
        try:
            dated.append((_created(path), path))
        except _NotAReportError as error:
            problems.append(f"{path.relative_to(directory)} ({error})")
    runs: list[EarlierRun] = []
    known = {now.runs} if now.runs else set()
    for _, path in sorted(dated, reverse=True):
        if len(runs) == MOST_RUNS:
            break
        try:
            run = _read(path)
        except _NotAReportError as error:
            problems.append(f"{path.relative_to(directory)} ({error})")
            continue
        if run.runs not in known:
            runs.append(run)
            known |= {run.runs} if run.runs else set()
    ignored = f"{directory}: ignored {listed(problems, most=_MOST_NAMES)}" if problems else ""
    return History(runs=tuple(reversed(runs)), now=now, ignored=ignored)


class _NotAReportError(ValueError):
    """Says why a file is not the report of a run."""


def _candidates(directory: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        if Path(error.filename or directory) == directory:
            message = f"{directory}: cannot be listed ({error.strerror or error}). Give a folder with report.json files."
            raise UnreadableInput(message) from error

    for parent, folders, names in os.walk(directory, onerror=refuse):
        folders[:] = sorted(folder for folder in folders if folder != RECORDINGS and not folder.startswith("."))
        for name in sorted(names):
            if name == _REPORT or (Path(parent) == directory and name.endswith(".json")):
                yield Path(parent) / name


def _created(path: Path) -> datetime.datetime:
    """The time of a report, from its beginning."""
    try:
        check_regular(path)
        if path.stat().st_size > _LARGEST:
            raise _NotAReportError("too large")
        with path.open("rb") as file:
            head = file.read(_HEAD).decode("utf-8", "replace")
    except OSError as error:
        raise _NotAReportError(error.strerror or str(error)) from error
    match = _CREATED.search(head)
    if match is None:
        raise _NotAReportError("is not a report")
    return _time(match[1])


def _time(text: str) -> datetime.datetime:
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise _NotAReportError("has an invalid date") from error
    return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)


def _read(path: Path) -> EarlierRun:
    try:
        report = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise _NotAReportError("unreadable, or invalid JSON") from error
    try:
        if report["schema"] != 1:
            raise _NotAReportError(f"has schema {report['schema']!r:.20}")
        verdicts = {result["case"]: result["verdict"] for result in report["results"]}
        if not all(isinstance(case, str) for case in verdicts) or not _VERDICTS.issuperset(verdicts.values()):
            raise _NotAReportError("has unknown cases or verdicts")
        environments = [*report["environments"].values()]
        return EarlierRun(
            created=_time(report["created"]).astimezone(datetime.UTC).isoformat(timespec="seconds"),
            commit=commit_of([environment.get("checkout", {}) for environment in environments]),
            versions=versions_of([environment.get("versions", {}) for environment in environments]),
            runs=frozenset(str(environment["run"]) for environment in environments),
            verdicts=verdicts,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _NotAReportError("lacks what a report has") from error


def commit_of(checkouts: Sequence[Mapping[str, Any]]) -> str:
    """The commit that all legs were recorded at; empty if it is not known, or not the same."""
    commits = {str(checkout.get("commit") or "") for checkout in checkouts}
    return commits.pop() if len(commits) == 1 else ""


def versions_of(versions: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """The versions of all legs, to be compared."""
    return tuple(sorted({(str(name), str(version)) for leg in versions for name, version in leg.items()}))
