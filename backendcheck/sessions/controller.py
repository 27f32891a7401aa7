"""The half of the recording plugin that runs in the controller: collection, progress, and workers that died."""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from backendcheck.case_files import PREFIX, case_functions, file_digest
from backendcheck.errors import BackendcheckError
from backendcheck.recordings.files import read_environment, read_recording, recording_files, write_environment
from backendcheck.recordings.recording import Recording
from backendcheck.sessions.events import Collected, Event, Finished, Started, report
from backendcheck.sessions.session_state import SessionState
from backendcheck.sessions.spare_worker import hand_over
from backendcheck.text.process_end import process_end
from backendcheck.vocabulary.case_ids import case_id
from backendcheck.vocabulary.states import Status

_STDERR_TAIL = 4000  # characters: enough for a fatal error's stack, little beside the arrays of a recording
_AGAIN = "again"  # in place of the phase of a report: the item is still to be run
_MOST_TIMES_AGAIN = 3
_COLLECTION_DEATHS = 20  # workers that may die while importing case files before the session gives up


class Controller:
    """Follows the workers of one session."""

    def __init__(self, session: SessionState, config: pytest.Config) -> None:
        self.session = session
        self.config = config
        self.files = session.files
        self.cases: dict[str, None] = {}
        self.n_done = 0
        self.seconds: dict[str, float] = {}
        self.collected: set[str] = set()
        self.deaths_while_collecting = 0
        self.again: Counter[str] = Counter()  # how often an item was taken back from a worker that died before it had begun it
        self.root = config.rootpath

    def _report(self, event: Event) -> None:
        if self.session.request.report_events:
            try:
                report(event)
            except BrokenPipeError:  # the parent process has gone
                raise KeyboardInterrupt from None

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self) -> None:
        hand_over(self.session, self.config)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        if excinfo.type is KeyboardInterrupt:  # subclasses of it are how pytest ends itself
            self.files.note_interrupt()
        # Cases that still run are given up; every recording is written whole or not at all.
        dsession = self.config.pluginmanager.getplugin("dsession")
        for gateway in getattr(getattr(dsession, "nodemanager", None), "group", ()):
            with contextlib.suppress(Exception):
                gateway._io.popen.kill()  # noqa: SLF001 - execnet has no public way to do it at once

    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        self.collected.add(node.gateway.id)
        new = {case_id(nodeid): None for nodeid in ids}
        if not self.cases:
            self._report(Collected(len(new)))
        self.cases |= new
        self.files.note_collected(self.cases)
        if len(self.collected) == 1:
            # If the session is killed from here on, the leg still says which cases are missing.
            leg = self.session.request.leg
            write_environment(leg, self.files.noted(read_environment(leg)))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that workers have collected different cases; the workers note all other problems themselves."""
        if report.failed and report.longreprtext.startswith("Different tests were collected"):
            first = report.longreprtext.partition("\n")[0].rstrip(".: ")
            lines = [line for line in report.longreprtext.splitlines() if line.startswith(("+", "-")) and "::" in line]
            some = ", ".join(lines[:4])
            message = f"{first}: {some}. What is collected must not depend on chance or on the process: fix its order"
            file = lines[0][1:].partition("::")[0] if lines else report.nodeid
            self.files.note_problem(file, 1, message)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._report(Started(case_id(nodeid)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == _AGAIN:
            return
        case = case_id(report.nodeid)
        self.seconds[case] = round(self.seconds.get(case, 0.0) + report.duration, 3)
        if report.when in ("teardown", "???"):
            self.n_done += 1
            self._report(Finished(case, self.n_done))

    def pytest_sessionfinish(self) -> None:
        self.files.note_seconds(self.seconds)

    # --- deaths -----------------------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Any) -> None:
        """A worker died while it ran `crashitem`: leave a recording that says so. One not begun is run elsewhere."""
        node: Any = report.node
        files = self.files.of_worker(node.gateway.id)
        not_begun = not files.running.exists() and self.again[crashitem] < _MOST_TIMES_AGAIN
        if files.retired.exists() or not_begun:
            self.again[crashitem] += not files.retired.exists()
            report.when, report.outcome = _AGAIN, "passed"  # type: ignore[assignment]
            sched.mark_test_pending(crashitem)
            return
        for unfinished in recording_files(files.unfinished):  # such as of the calls before, in the same test
            self.session.finish(files.unfinished, self.session.request.leg, read_recording(unfinished).case)
        path = self.root / crashitem.partition("::")[0]
        claim, line = _claim_and_line(path, crashitem)
        begun = files.read_running()
        files.running.unlink(missing_ok=True)
        stacks = _tail(files.timeout, 0)
        tail = _tail(files.stderr, begun.get("stderr_from", 0))
        if stacks:
            limit = self._timeout_of(files.timeout)
            status, problem = Status.TIMED_OUT, f"took longer than {limit} and was ended"
        else:
            status, problem = Status.CRASHED, _how_it_ended(node)
        recording = Recording(
            case=begun.get("case") or case_id(crashitem),
            backend=self.session.backend,
            run=self.session.run,
            status=status,
            claim=claim,
            file=self.session.case_file(path),
            line=line,
            file_digest=file_digest(path) if path.exists() else "",
            problem=problem,
            stderr_tail=stacks or tail,
        )
        self.session.write(self.session.request.leg, recording)

    def _timeout_of(self, stacks: Path) -> str:
        # faulthandler begins with "Timeout (1:23:45.678)!", which is the case's own limit if it has one.
        with stacks.open(encoding="utf-8", errors="replace") as file:
            spelt = re.match(r"Timeout \((\d+):(\d\d):(\d\d(?:\.\d+)?)\)", file.readline())
        seconds = self.session.request.timeout_s if spelt is None else int(spelt[1]) * 3600 + int(spelt[2]) * 60 + float(spelt[3])
        return f"{seconds:g} s"

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker died before it had collected: bar the file that it was importing, or give up."""
        worker = node.gateway.id
        if not error or worker in self.collected:
            return
        self.deaths_while_collecting += 1
        files = self.files.of_worker(worker)
        if files.importing.exists() and self.deaths_while_collecting < _COLLECTION_DEATHS:
            path = files.importing.read_text(encoding="utf-8")
            files.importing.unlink()
            self.files.note_poisoned(path)
            hung = bool(_tail(files.timeout, 0))
            limit_s = self.session.request.timeout_s
            reason = f"took longer than {limit_s:g} s" if hung else f"killed its process ({_how_it_ended(node)})"
            self.session.note_problem(Path(path), 1, f"does not import: importing it {reason}. Correct it, or take it out")
            return
        if not self.files.fatal():
            tail = _tail(files.stderr, 0).strip().splitlines()
            reason = tail[-1] if tail else _how_it_ended(node)
            if _tail(files.timeout, 0):
                reason = f"it did not start within {self.session.request.start_timeout_s:g} s. See that there is enough memory"
            self.files.note_fatal(f"a {self.session.backend} worker died before its first case: {reason}")
        dsession = self.config.pluginmanager.getplugin("dsession")
        if dsession is not None:
            dsession.shouldstop = "the workers cannot start"
            dsession._max_worker_restart = 0  # noqa: SLF001 - or the next would be started, to die of the same


def _claim_and_line(path: Path, nodeid: str) -> tuple[str, int]:
    name = nodeid.partition("::")[2].partition("[")[0].removeprefix(PREFIX)
    try:
        return next((c.claim, c.line) for c in case_functions(path) if c.id == f"{path.stem}/{name}")
    except (BackendcheckError, StopIteration):
        return "", 1


# Lines that are the same whatever happened: the harness's own frames, every C extension by name, and what XLA says of each
# program that it loads instead of compiling it.
_NOISE = re.compile(
    r"^Extension modules: "
    r"|^[EW]\d{4} .*\b(cpu_aot_loader|text_format)\.cc:\d+\]"
    r'|^  File "(<string>|.*[/\\](_pytest|pluggy|xdist|execnet|backendcheck[/\\](record|sessions))[/\\][^"]*)", line \d+ in '
)


def _tail(path: Path, start: int) -> str:
    """The end of what a worker wrote into `path` from byte `start` on, without the harness's own frames."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(start, size - 10 * _STDERR_TAIL))
            text = file.read().decode("utf-8", errors="backslashreplace")
    except OSError:
        return ""
    return "\n".join(line for line in text.splitlines() if not _NOISE.match(line))[-_STDERR_TAIL:]


def _how_it_ended(node: Any) -> str:
    """How the process of a worker ended, from its exit code if the system tells it."""
    try:
        code = node.gateway._io.popen.wait(timeout=5)  # noqa: SLF001 - execnet has no public way to ask
    except Exception:  # noqa: BLE001 - whatever it is, the process is gone
        return "the process died"
    return f"the process {'was ' if code < 0 else ''}{process_end(code)}"
