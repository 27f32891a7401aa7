"""Kept recordings: those of earlier sessions that nothing has changed for are put into a leg, and new ones into the store.

What goes on from there is what `resume` does: the session records the cases that are not kept. If nothing is left, it
needs no pytest and no backend.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from backendcheck.case_files import builtin_cases, find_case_files
from backendcheck.errors import OutputInTheWay
from backendcheck.files import file_sha256
from backendcheck.recordings.conditions import condition_mismatches
from backendcheck.recordings.dependencies import Now, installed_value
from backendcheck.recordings.environment import Environment, KeptRun
from backendcheck.recordings.store import Index, Plan, Store, StoredRecording, place
from backendcheck.sessions.conditions import conditions_of, selection_key, variables_of
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.worker_files import WorkerFiles
from backendcheck.vocabulary.states import ExitState, Status

Row = tuple[str, str, str]
_KEPT = (Status.RECORDED, Status.RAISED, Status.NOT_SUPPORTED)  # what was not observed is recorded again
_NOTED = ("versions", "platform", "device", "settings", "determinism")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The file of a recording in a leg, its digest, and how it ended."""

    path: Path
    status: Status
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the store has for a request: the recordings that may be kept, by case, and the whole list of cases if it is known.

    `files` are those in the directory of the leg, with their cases.
    """

    store: Store
    index: Index
    recordings: Mapping[str, StoredRecording]
    plan: Plan | None
    files: Mapping[Path, str] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to record."""
        return self.plan is not None and bool(self.plan.cases) and {*self.plan.cases} <= {*self.recordings}

    def put_into(self, leg: Path) -> Kept:
        """Put the recordings into the directory of a leg; returns what could be put there."""
        placed, files = {}, {}
        folder = self.store.folder
        for case, recording in self.recordings.items():
            source, target = folder / recording.path, leg / recording.path
            with contextlib.suppress(OSError, ValueError):
                status = source.stat()
                is_as_written = (status.st_size, status.st_mtime_ns) == (recording.size, recording.mtime_ns)
                if is_as_written or file_sha256(source) == recording.sha256:
                    place(source, target)
                    placed[case], files[target] = recording, case
        with contextlib.suppress(OSError):
            os.utime(folder)  # it is in use
        return replace(self, recordings=placed, files=files)

    def restricted_to(self, cases: Collection[str]) -> Kept:
        """Remove the recordings of other cases from the leg again; the selection does not include them."""
        for path, case in self.files.items():
            if case not in cases:
                path.unlink(missing_ok=True)
        recordings = {case: recording for case, recording in self.recordings.items() if case in cases}
        return replace(self, recordings=recordings, files={path: case for path, case in self.files.items() if case in cases})

    @property
    def runs(self) -> tuple[KeptRun, ...]:
        """The runs that the recordings are from, the first one first."""
        runs = Counter((recording.started, recording.run) for recording in self.recordings.values())
        return tuple(KeptRun(run=run, started=started, n_recordings=n) for (started, run), n in sorted(runs.items()))

    def noted_in(self, environment: Environment) -> Environment:
        """An environment with what the store knows: versions and settings, and where the recordings come from."""
        known = {name: self.index.environment[name] for name in _NOTED if name in self.index.environment}
        seconds = {case: recording.seconds for case, recording in self.recordings.items()}
        environment = replace(environment, **known, kept=self.runs, seconds=seconds)
        if self.plan is not None and self.is_whole:
            environment = replace(
                environment, cases=self.plan.cases, all_cases=self.plan.all_cases, sources=self.plan.sources,
                digests={case: self.recordings[case].sha256 for case in self.plan.cases},
            )  # fmt: skip
        return environment


def store_of(request: RecordingRequest) -> Store | None:
    """The store of a request; None if it keeps nothing, because it records something else than whole cases."""
    special = request.noise or request.injections or request.only or request.layers or request.selected_items or request.pickled
    if request.store is None or special:
        return None
    return Store(request.store, request.backend.folder, conditions_of(request, variables_of(request)))


def kept_for(request: RecordingRequest) -> Kept | None:
    """What may be kept for a request; None if nothing may."""
    if request.fresh or request.resume or (store := store_of(request)) is None:
        return None
    index = store.read()
    unchanged = index.unchanged(Now(variables_of(request)))
    files = _case_files(request)
    plan = index.plans.get(selection_key(request))
    if plan is not None and not (plan.rows in unchanged and plan.files == files):
        plan = None
    recordings = {
        case: recording
        for case, recording in index.cases.items()
        if recording.file in files and recording.rows in unchanged and (plan is None or case in plan.cases)
    }
    return Kept(store=store, index=index, recordings=recordings, plan=plan) if recordings else None


def _case_files(request: RecordingRequest) -> tuple[str, ...]:
    paths = [*request.paths] or [str(builtin_cases())]
    return tuple(os.path.abspath(path) for path in find_case_files(paths))  # noqa: PTH100 - as pytest: links stay links


def remember(request: RecordingRequest, environment: Environment, leg: Path, recorded: Mapping[str, Recorded]) -> None:
    """Put the new recordings of a session that has ended into the store. A store that cannot be written keeps nothing."""
    if (store := store_of(request)) is None or not environment.versions:
        return
    with contextlib.suppress(OutputInTheWay, OSError), store.locked():
        index = store.read()
        if condition_mismatches(replace(environment, **index.environment), environment):
            index = Index()
        index = _merged(index, store, request, environment, leg, recorded)
        store.write(index)
        store.prune(index)


def forget(request: RecordingRequest, cases: set[str] | None = None) -> None:
    """Remove cases from the store, or all of them; they are recorded again next time."""
    if (store := store_of(request)) is None:
        return
    with contextlib.suppress(OutputInTheWay, OSError):
        index = store.read()
        left = {case: recording for case, recording in index.cases.items() if cases is not None and case not in cases}
        if len(left) < len(index.cases):
            with store.locked():
                store.write(replace(index, cases=left))


def _merged(
    before: Index, store: Store, request: RecordingRequest, environment: Environment, leg: Path, recorded: Mapping[str, Recorded]
) -> Index:
    """The index with what a session has recorded. Of a case that cannot be kept, an earlier recording goes."""
    rows = _Rows()
    there = {case: recording for case, recording in before.cases.items() if Path(recording.file).exists()}
    cases = {case: _renumbered(recording, before, rows) for case, recording in there.items()}
    plans = {key: _renumbered(plan, before, rows) for key, plan in before.plans.items() if key != selection_key(request)}
    installed = dict(before.installed)
    plan_rows = dict[Row, None]()
    is_planned = environment.exit_state is ExitState.COMPLETE and not environment.problems
    n_collections, not_kept = 0, dict(before.not_kept)
    for notes in WorkerFiles.of_leg(leg).dependencies():
        of_worker: list[Row] = []
        for note in notes:
            of_worker += [(key, value, identity) for key, value, identity in note["new"]]
            for path, identity in note["installed"].items():
                if installed.get(path, "none").partition(" ")[0] != identity:
                    installed[path] = installed_value(path, identity)
            used = [of_worker[number] for number in note["rows"]]
            case = note["case"]
            if not case:
                n_collections += 1
                is_planned = is_planned and not note["untracked"]
                not_kept[""] = (*note["untracked"], *(f"imports have changed {name}, for all cases" for name in note["coupled"]))
                plan_rows |= dict.fromkeys(used)
                continue
            cases.pop(case, None)
            not_kept[case] = tuple(note["untracked"])
            if not note["untracked"] and case in recorded and recorded[case].status in _KEPT:
                with contextlib.suppress(OSError):
                    cases[case] = _stored(case, recorded[case], note["file"], leg, store, environment, rows.add(used))
    if is_planned and n_collections:
        plans[selection_key(request)] = Plan(
            files=_case_files(request), cases=environment.cases, all_cases=environment.all_cases, sources=environment.sources,
            rows=rows.add(plan_rows), seconds={case: n for case, n in environment.seconds.items() if case in environment.cases},
        )  # fmt: skip
    noted = {name: getattr(environment, name) for name in _NOTED}
    not_kept = {case: reasons for case, reasons in not_kept.items() if reasons}
    return Index(
        environment=noted, installed=installed, rows=tuple(rows.rows), sets=tuple(rows.sets), cases=cases, plans=plans,
        not_kept=not_kept,
    )  # fmt: skip


class _Rows:
    """The rows of an index that grows, and sets of them."""

    def __init__(self) -> None:
        self.rows: dict[Row, int] = {}
        self.sets: dict[tuple[int, ...], int] = {}

    def add(self, used: Iterable[Row]) -> int:
        numbers = tuple(sorted({self.rows.setdefault(row, len(self.rows)) for row in used}))
        return self.sets.setdefault(numbers, len(self.sets))


_Entry = TypeVar("_Entry", Plan, StoredRecording)


def _renumbered(entry: _Entry, index: Index, rows: _Rows) -> _Entry:
    return replace(entry, rows=rows.add(index.rows[number] for number in index.sets[entry.rows]))


def _stored(
    case: str, recorded: Recorded, file: str, leg: Path, store: Store, environment: Environment, rows: int
) -> StoredRecording:
    """The recording of a case, put into the store."""
    target = store.folder / recorded.path.relative_to(leg)
    place(recorded.path, target)
    status = target.stat()
    return StoredRecording(
        run=environment.run, started=environment.started, status=recorded.status, file=file,
        path=str(target.relative_to(store.folder)), sha256=environment.digests[case], size=status.st_size,
        mtime_ns=status.st_mtime_ns, seconds=environment.seconds.get(case, 0.0), rows=rows,
    )  # fmt: skip
