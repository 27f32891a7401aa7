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
from backendcheck.errors import UsageError
from backendcheck.record.leg_directory import WORK, alone_in, claim_leg, clear_leg, clear_planted_legs
from backendcheck.record.pytest_session import INTERNAL_ERROR, INTERRUPTED, WRONG_USAGE, reason, run_pytest
from backendcheck.record.request import Request, check_expressions
from backendcheck.record.session_file import SessionFile
from backendcheck.recording import RECORDINGS, SUFFIX, Environment, file_sha256, read_recording, write_environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a session ended. `statuses` maps each case to the status of its recording."""

    environment: Environment
    statuses: dict[str, str]

    @property
    def exit_code(self) -> int:
        """0 when every case was recorded (raising is a recording), 2 when there was no case, otherwise 3."""
        whole = self.environment.exit_state == "complete" and not self.environment.problems
        if whole and not self.environment.cases:
            return 2
        return 0 if whole and all(status in ("recorded", "raised") for status in self.statuses.values()) else 3


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
    find_case_files([*request.paths] or [str(builtin_cases())])
    check_expressions(request)
    leg = claim_leg(request)
    with alone_in(leg):
        clear_leg(leg)
        if request.plants:
            clear_planted_legs(request)
        return _record(request, leg)


def _record(request: Request, leg: Path) -> Outcome:
    work = leg / WORK
    work.mkdir()
    session = SessionFile(
        backend=request.backend.value,
        leg=str(leg),
        work=str(work),
        run=uuid.uuid4().hex,
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
    )
    began = time.monotonic()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    running = Environment(
        backend=request.backend.value, run=session.run, exit_state="running", selection=request.selection, started=started
    )
    write_environment(leg, running)
    exit_code, output = run_pytest(request, session)
    environment, statuses = _gather(running, leg, work, exit_code, output, time.monotonic() - began)
    write_environment(leg, environment)
    for fault in request.plants:
        _end_planted_leg(environment, request.planted_leg(fault))
    if exit_code == INTERRUPTED and (work / "keyboard-interrupt").exists():
        shutil.rmtree(work, ignore_errors=True)
        raise KeyboardInterrupt
    if (work / "fatal").exists() and not statuses:
        raise UsageError((work / "fatal").read_text(encoding="utf-8") + ".")
    if exit_code in (INTERNAL_ERROR, WRONG_USAGE) and not statuses:
        raise UsageError(f"pytest could not start the recording: {reason(output)}")
    shutil.rmtree(work, ignore_errors=True)
    return Outcome(environment=environment, statuses=statuses)


def _gather(
    running: Environment, leg: Path, work: Path, exit_code: int, output: str, duration_s: float
) -> tuple[Environment, dict[str, str]]:
    """The environment file of the ended session, and the status of each recording."""
    notes = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(work.glob("*.environment"))]
    problems = [json.loads(path.read_text(encoding="utf-8")) for path in work.glob("problem-*")]
    problems.sort(key=lambda problem: (problem["file"], problem["line"], problem["message"]))
    if exit_code == INTERNAL_ERROR:
        where = ", ".join(running.selection["paths"])
        message = f"the recording ended early, because pytest or a hook of a conftest.py failed: {reason(output)}"
        problems.append({"file": where, "line": 1, "message": message})
    statuses, digests = _statuses_and_digests(leg)
    note = notes[0] if notes else {}
    collected = (work / "collected").read_text(encoding="utf-8") if (work / "collected").exists() else "[]"
    cases = tuple(json.loads(collected))
    whole = exit_code in (0, 1, 5) and not (work / "fatal").exists() and all(case in statuses for case in cases)
    environment = Environment(
        backend=running.backend,
        run=running.run,
        exit_state="complete" if whole else "interrupted",
        selection=running.selection,
        cases=cases,
        problems=tuple(problems),
        digests=digests,
        started=running.started,
        duration_s=round(duration_s, 3),
        **note,
    )
    return environment, statuses


def _statuses_and_digests(leg: Path) -> tuple[dict[str, str], dict[str, str]]:
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
