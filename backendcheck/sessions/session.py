"""One recording session: one backend, one pytest session, one directory of recordings."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backendcheck.case_files import builtin_cases, find_case_files
from backendcheck.errors import OutputInTheWay, UnreadableInput, UsageError
from backendcheck.files import file_sha256, locked
from backendcheck.recordings.environment import CaseFileProblem, Environment
from backendcheck.recordings.files import read_environment, read_recording, recording_files, write_environment
from backendcheck.recordings.leg_directory import clear_leg
from backendcheck.recordings.paths import recording_paths
from backendcheck.recordings.recording import Recording
from backendcheck.sessions.checkout import checkout_of
from backendcheck.sessions.claim import claim_leg, clear_injection_legs
from backendcheck.sessions.kept import Kept, Recorded, forget, kept_for, remember
from backendcheck.sessions.leg_packages import install_packages
from backendcheck.sessions.pytest_session import INTERNAL_ERROR, INTERRUPTED, WRONG_USAGE, reason, run_pytest
from backendcheck.sessions.request import RecordingRequest, check_expressions
from backendcheck.sessions.resume import Earlier, earlier
from backendcheck.sessions.selected_items import SelectedItems
from backendcheck.sessions.session_state import SessionState
from backendcheck.sessions.worker_files import WorkerFiles
from backendcheck.vocabulary.states import ExitState, Status

_ENDED_WELL = (Status.RECORDED, Status.RAISED, Status.NOT_SUPPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a session ended. `statuses` maps each case to the status of its recording, `n_kept` are those of an earlier session."""

    environment: Environment
    statuses: dict[str, Status]
    n_kept: int = 0

    @property
    def exit_code(self) -> int:
        """0 when every case was recorded (raising is a recording) or is not supported, 2 when there was no case, otherwise 3.

        A shard may hold no case, if there are some in the others.
        """
        whole = self.environment.exit_state == ExitState.COMPLETE and not self.environment.problems
        if whole and not self.environment.cases and not self.environment.all_cases:
            return 2
        return 0 if whole and all(status in _ENDED_WELL for status in self.statuses.values()) else 3

    def messages(self, request: RecordingRequest) -> list[str]:
        """What the user has to know: the problems of case files, and that the request has selected no case."""
        messages = list(map(str, self.environment.problems))
        if self.exit_code == 2:  # noqa: PLR2004 - see the exit codes
            flags = "".join(f" {flag} {value!r}" for flag, value in (("-k", request.keyword), ("-m", request.marks)) if value)
            by = f" by{flags}" if flags else ""
            messages.append(f"{', '.join(request.paths) or 'built-in cases'}: no case is selected{by}.")
        return messages


def record(request: RecordingRequest) -> Outcome:
    """Record the cases of `request` under its backend.

    Raises:
        UsageError: if a path does not exist or holds no case, -k or -m is not an expression, or the backend is not installed
            or does not start.
        OutputInTheWay: if the directory cannot be written or holds another run.
    """
    if missing := request.backend.missing_in_words():
        message = f"{request.backend}: {missing}"
        raise UsageError(message)
    install_packages(request.backend)
    if request.selected_items is not None:
        selected = SelectedItems.load(request.selected_items)
        request = replace(request, paths=selected.files, is_subset=selected.is_subset)
    else:
        find_case_files([*request.paths] or [str(builtin_cases())])
    check_expressions(request)
    leg = claim_leg(request)
    with locked(leg, f"{leg}: is being recorded into by another process. Wait for it, or choose another --out."):
        before = earlier(request) if request.resume else None
        if before is None:
            clear_leg(leg)
        if request.injections:
            clear_injection_legs(request)
        try:
            return _record(request, leg, before, kept_for(request))
        except OSError as error:
            what = f"{error.filename or leg}: cannot be written or read ({error.strerror or error})"
            message = f"{what}. Free the space, or make it accessible, and go on with --resume; what was recorded is kept."
            raise OutputInTheWay(message) from error


def record_if_kept(request: RecordingRequest) -> bool:
    """Make the leg of `request` out of kept recordings; returns whether that is possible. Nothing is imported or recorded."""
    if request.backend.python:
        return False  # what it depends on is seen in its own interpreter only
    kept = kept_for(request)
    if kept is None or not kept.is_whole:
        return False
    with contextlib.suppress(OutputInTheWay, OSError):  # the recording process says what is in the way
        leg = claim_leg(request)
        with locked(leg, ""):
            clear_leg(leg)
            return _kept_whole(request, leg, kept) is not None
    return False


def _kept_whole(request: RecordingRequest, leg: Path, kept: Kept) -> Outcome | None:
    """The outcome of a session in which nothing is left to record; None if something is."""
    began = time.monotonic()
    kept = kept.put_into(leg)
    if not kept.is_whole:
        clear_leg(leg)
        return None
    environment = kept.noted_in(_running(request, uuid.uuid4().hex))
    environment = replace(environment, exit_state=ExitState.COMPLETE, duration_s=round(time.monotonic() - began, 3))
    write_environment(leg, environment)
    statuses = {case: kept.recordings[case].status for case in environment.cases}
    return Outcome(environment=environment, statuses=statuses, n_kept=len(statuses))


def _running(request: RecordingRequest, run: str) -> Environment:
    return Environment(
        backend=request.backend.value, run=run, exit_state=ExitState.RUNNING, selection=request.selection,
        durations=request.seconds_before if request.shard else {},
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), checkout=checkout_of(Path.cwd(), os.environ),
    )  # fmt: skip


def _record(request: RecordingRequest, leg: Path, before: Earlier | None, kept: Kept | None) -> Outcome:
    if kept is not None and kept.is_whole and (outcome := _kept_whole(request, leg, kept)) is not None:
        return outcome
    files = WorkerFiles.of_leg(leg)
    shutil.rmtree(files.folder, ignore_errors=True)  # of a session that was killed
    files.folder.mkdir()
    kept = None if kept is None else kept.put_into(leg)
    session = SessionState(
        request=request,
        run=before.environment.run if before else uuid.uuid4().hex,
        work=files.folder,
        directory=Path.cwd(),
        kept=before.kept if before else tuple(kept.recordings) if kept else (),
        resumes=before is not None or kept is not None,
    )
    began = time.monotonic()
    running = _running(request, session.run)
    if kept is not None:
        running = kept.noted_in(running)
    write_environment(leg, before.resumed(running.started) if before else running)
    for path in before.damaged if before else ():
        path.unlink()
    digests_before = {case: entry.sha256 for case, entry in _recorded(leg, kept).items()}
    exit_code, output = run_pytest(session)
    if before is not None and files.refused():
        write_environment(leg, before.environment)
        raise OutputInTheWay(f"{leg}: {files.refused()}")
    if kept is not None and files.refused():
        # The conditions have changed in a way that shows only where the backend is.
        forget(request)
        clear_leg(leg)
        return _record(replace(request, fresh=True), leg, None, None)
    ended = files.noted(read_environment(leg))
    if kept is not None and (ended.cases or ended.all_cases):  # a shard may have none of the cases that were collected
        kept = kept.restricted_to(ended.cases)
        ended = replace(ended, kept=kept.runs)
    for target in (leg, *map(request.injection_leg, request.injections)):
        _replace_damaged(target, session, ended.cases, kept)
    # As on disk: the controller has written there what was collected, in case the session does not get this far.
    recorded = _recorded(leg, kept)
    environment = _gather(ended, recorded, files, exit_code, output, time.monotonic() - began)
    write_environment(leg, environment)
    remember(request, environment, leg, recorded)
    for fault in request.injections:
        _end_injection_leg(environment, request.injection_leg(fault))
    none_new = environment.digests == digests_before
    if exit_code == INTERRUPTED and files.was_interrupted():
        shutil.rmtree(files.folder, ignore_errors=True)
        raise KeyboardInterrupt
    if files.fatal() and none_new:
        raise UsageError(f"{files.fatal()}.")
    if exit_code in (INTERNAL_ERROR, WRONG_USAGE) and none_new:
        raise UsageError(f"pytest could not start the recording: {reason(output)}")
    shutil.rmtree(files.folder, ignore_errors=True)
    n_kept = len(session.kept) if kept is None else len(kept.recordings)
    return Outcome(environment=environment, statuses={case: entry.status for case, entry in recorded.items()}, n_kept=n_kept)


def _gather(
    ended: Environment, recorded: Mapping[str, Recorded], files: WorkerFiles, exit_code: int, output: str, duration_s: float
) -> Environment:
    """The environment file of the ended session."""
    problems = files.problems()
    if exit_code == INTERNAL_ERROR and not files.fatal():
        where = ", ".join(ended.selection.paths)
        message = f"the recording ended early, because pytest or a hook of a conftest.py failed: {reason(output)}"
        problems.append(CaseFileProblem(file=where, line=1, message=message))
    whole = exit_code in (0, 1, 5) and not files.fatal() and all(case in recorded for case in ended.cases)
    return replace(
        ended,
        exit_state=ExitState.COMPLETE if whole else ExitState.INTERRUPTED,
        problems=tuple(problems),
        digests={case: entry.sha256 for case, entry in recorded.items()},
        duration_s=round(ended.duration_s + duration_s, 3),
        n_replaced_for_memory=ended.n_replaced_for_memory + files.n_retired_for_memory(),
    )


def _replace_damaged(leg: Path, session: SessionState, cases: Sequence[str], kept: Kept | None) -> None:
    """Put an ERROR of its case in the place of each recording that cannot be read. The others of the leg are whole."""
    for path in recording_files(leg):
        if kept is not None and path in kept.files:
            continue
        try:
            read_recording(path)
        except UnreadableInput as error:
            path.unlink()
            case = next((case for case in cases if path in recording_paths(leg, case)), "")
            problem = f"its recording was damaged after it was written: {error}"
            if case:
                lost = Recording(case=case, backend=session.backend, run=session.run, status=Status.ERROR, problem=problem)
                session.write(leg, lost)


def _recorded(leg: Path, kept: Kept | None = None) -> dict[str, Recorded]:
    """The recordings of a leg by case. Those that were kept are known."""
    recorded = {}
    for path in recording_files(leg):
        if kept is not None and (case := kept.files.get(path)) is not None:
            known = kept.recordings[case]
            recorded[case] = Recorded(path=path, status=known.status, sha256=known.sha256)
        else:
            recording = read_recording(path)
            recorded[recording.case] = Recorded(path=path, status=recording.status, sha256=file_sha256(path))
    return recorded


def _end_injection_leg(environment: Environment, leg: Path) -> None:
    """Make the recordings of one injected fault a leg, which holds the cases that it was injected into."""
    digests = {case: entry.sha256 for case, entry in _recorded(leg).items()}
    write_environment(leg, replace(environment, cases=tuple(digests), digests=digests))
