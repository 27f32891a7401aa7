"""One recording session: one backend, one pytest session, one directory of recordings."""

from __future__ import annotations

import datetime
import json
import shutil
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from backendcheck.case_files import builtin_cases, find_case_files
from backendcheck.errors import OutputInTheWay, UsageError
from backendcheck.files import file_sha256
from backendcheck.recordings.files import RECORDINGS, SUFFIX, read_environment, read_recording, write_environment
from backendcheck.recordings.leg_directory import WORK, alone_in, clear_leg
from backendcheck.recordings.recording import Environment
from backendcheck.sessions.claim import claim_leg, clear_planted_legs
from backendcheck.sessions.pytest_session import INTERNAL_ERROR, INTERRUPTED, WRONG_USAGE, reason, run_pytest
from backendcheck.sessions.request import Request, check_expressions
from backendcheck.sessions.resume import Earlier, earlier
from backendcheck.sessions.selected_items import Chosen
from backendcheck.sessions.session_file import SessionFile
from backendcheck.sessions.worker_files import REFUSED, noted
from backendcheck.vocabulary.states import ExitState, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a session ended. `statuses` maps each case to the status of its recording, `n_kept` are those of an earlier session."""

    environment: Environment
    statuses: dict[str, Status]
    n_kept: int = 0

    @property
    def exit_code(self) -> int:
        """0 when every case was recorded (raising is a recording), 2 when there was no case, otherwise 3.

        A shard may hold no case, if there are some in the others.
        """
        whole = self.environment.exit_state == ExitState.COMPLETE and not self.environment.problems
        if whole and not self.environment.cases and not self.environment.all_cases:
            return 2
        return 0 if whole and all(status in (Status.RECORDED, Status.RAISED) for status in self.statuses.values()) else 3


def record(request: Request) -> Outcome:
    """Record the cases of `request` under its backend.

    Raises:
        UsageError: if a path does not exist or holds no case, -k or -m is no expression, or the backend is not installed or does
            not start.
        OutputInTheWay: if the directory cannot be written or holds another run.
    """
    if missing := request.backend.missing_modules():
        what = " and ".join(missing)
        message = f"{request.backend}: {what} is not installed here. Install with: {request.backend.install_command}"
        raise UsageError(message)
    if request.chosen is not None:
        chosen = Chosen.load(request.chosen)
        request = replace(request, paths=chosen.files, narrowed=chosen.narrowed)
    else:
        find_case_files([*request.paths] or [str(builtin_cases())])
    check_expressions(request)
    leg = claim_leg(request)
    with alone_in(leg):
        before = earlier(request) if request.resume else None
        if before is None:
            clear_leg(leg)
        if request.plants:
            clear_planted_legs(request)
        return _record(request, leg, before)


def _record(request: Request, leg: Path, before: Earlier | None) -> Outcome:
    work = leg / WORK
    shutil.rmtree(work, ignore_errors=True)  # of a session that was killed
    work.mkdir()
    session = SessionFile(
        backend=request.backend.value,
        leg=str(leg),
        work=str(work),
        run=before.environment.run if before else uuid.uuid4().hex,
        device=request.device,
        directory=str(Path.cwd()),
        timeout_s=request.timeout_s,
        oracles=tuple(request.oracles),
        report_events=request.report_events,
        plants={fault: (list(cases), str(request.planted_leg(fault))) for fault, cases in request.plants.items()},
        noise=request.noise,
        only=request.only,
        layers=request.layers,
        teacher=str(request.teacher.absolute()) if request.teacher else "",
        shard=str(request.shard or ""),
        kept=before.kept if before else (),
        resumes=before is not None,
        chosen=str(request.chosen.absolute()) if request.chosen else "",
    )
    began = time.monotonic()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    running = Environment(
        backend=request.backend.value, run=session.run, exit_state=ExitState.RUNNING, selection=request.selection, started=started
    )
    write_environment(leg, before.resumed(started) if before else running)
    for path in before.damaged if before else ():
        path.unlink()
    _, there = _statuses_and_digests(leg)
    exit_code, output = run_pytest(request, session)
    if before is not None and (work / REFUSED).exists():
        write_environment(leg, before.environment)
        raise OutputInTheWay(f"{leg}: {(work / REFUSED).read_text(encoding='utf-8')}")
    # As on disk: the controller has written there what was collected, for the case that this is never reached.
    environment, statuses = _gather(read_environment(leg), leg, work, exit_code, output, time.monotonic() - began)
    write_environment(leg, environment)
    for fault in request.plants:
        _end_planted_leg(environment, request.planted_leg(fault))
    none_new = environment.digests == there
    if exit_code == INTERRUPTED and (work / "keyboard-interrupt").exists():
        shutil.rmtree(work, ignore_errors=True)
        raise KeyboardInterrupt
    if (work / "fatal").exists() and none_new:
        raise UsageError((work / "fatal").read_text(encoding="utf-8") + ".")
    if exit_code in (INTERNAL_ERROR, WRONG_USAGE) and none_new:
        raise UsageError(f"pytest could not start the recording: {reason(output)}")
    shutil.rmtree(work, ignore_errors=True)
    return Outcome(environment=environment, statuses=statuses, n_kept=len(session.kept))


def _gather(
    running: Environment, leg: Path, work: Path, exit_code: int, output: str, duration_s: float
) -> tuple[Environment, dict[str, Status]]:
    """The environment file of the ended session, and the status of each recording."""
    problems = [json.loads(path.read_text(encoding="utf-8")) for path in work.glob("problem-*")]
    problems.sort(key=lambda problem: (problem["file"], problem["line"], problem["message"]))
    if exit_code == INTERNAL_ERROR:
        where = ", ".join(running.selection["paths"])
        message = f"the recording ended early, because pytest or a hook of a conftest.py failed: {reason(output)}"
        problems.append({"file": where, "line": 1, "message": message})
    statuses, digests = _statuses_and_digests(leg)
    ended = noted(running, work)
    whole = exit_code in (0, 1, 5) and not (work / "fatal").exists() and all(case in statuses for case in ended.cases)
    environment = replace(
        ended,
        exit_state=ExitState.COMPLETE if whole else ExitState.INTERRUPTED,
        problems=tuple(problems),
        digests=digests,
        duration_s=round(running.duration_s + duration_s, 3),
    )
    return environment, statuses


def _statuses_and_digests(leg: Path) -> tuple[dict[str, Status], dict[str, str]]:
    statuses, digests = {}, {}
    for path in sorted((leg / RECORDINGS).rglob(f"*{SUFFIX}")):
        recording = read_recording(path)
        statuses[recording.case] = recording.status
        digests[recording.case] = file_sha256(path)
    return statuses, digests


def _end_planted_leg(environment: Environment, leg: Path) -> None:
    """Make the recordings of one planted fault a leg, which holds the cases that it was planted on."""
    _, digests = _statuses_and_digests(leg)
    write_environment(leg, replace(environment, cases=tuple(digests), digests=digests))
