"""Judge one case of a pytest session as soon as it is recorded, while other cases are still being recorded."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from backendcheck.errors import UnreadableInput
from backendcheck.in_pytest.files import Exchange
from backendcheck.in_pytest.settings import Settings
from backendcheck.recordings.environment import Environment
from backendcheck.recordings.files import find_recording, read_environment, read_recording
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.recording import Recording
from backendcheck.report.formats.text import failing
from backendcheck.results.results import CaseResult, analyze
from backendcheck.sessions.worker_files import WorkerFiles
from backendcheck.text.process_end import process_end
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.known_files import known_in_force
from backendcheck.vocabulary.problems import Problem, ProblemCode
from backendcheck.vocabulary.states import ExitState


@contextlib.contextmanager
def ignoring_warnings() -> Iterator[None]:
    """Run with the session's warning filters and NumPy error state disabled. They apply to its tests, not to this code."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


class Judge:
    """Judges cases from their recordings."""

    def __init__(self, settings: Settings, exchange: Exchange, start: Path) -> None:
        self.settings = settings
        self.exchange = exchange
        self.start = start  # where pytest was started; paths of files in reports are relative to its
        self.backends = tuple(backend.value for backend in settings.backends)
        self._environments: dict[str, Environment] = {}
        self._known_read: list[Divergence] | None = None

    def has_any(self, case: str) -> bool:
        """Whether any backend has a recording of the case."""
        return any(find_recording(self.settings.out / name, case) is not None for name in self.backends)

    @ignoring_warnings()
    def result(self, case: str) -> CaseResult:
        """The verdict on a case, from the recordings made so far.

        Raises:
            UnreadableInput: if one is damaged.
            UsageError: if the known divergences cannot be read.
        """
        legs = []
        for name in self.backends:
            recording = self._recording(name, case)
            if recording is not None:
                environment = replace(self._environment(name), cases=(case,))
                legs.append(Leg(label=name, path=self.settings.out / name, environment=environment, recordings={case: recording}))
        if not legs:  # a case without any recording has a result too
            environment = Environment(backend=self.backends[0], run="", exit_state=ExitState.INTERRUPTED, cases=(case,))
            legs = [Leg(label=self.backends[0], path=self.settings.out, environment=environment, recordings={})]
        results = analyze(
            legs, expected=self.backends, known=self._known(legs), overrides=self.settings.configuration.tolerances
        )  # fmt: skip
        return next(result for result in results.cases if result.case == case)

    @ignoring_warnings()
    def explain(self, result: CaseResult, file: Path, width: int | None) -> str:
        """What is wrong with a case, in lines as in reports, and why legs have no recording of it."""
        unseen = [name for name in self.backends if name not in result.recordings]
        reasons = {name: self._reasons(name, result.case, file) for name in unseen}
        problems = []
        for problem in result.problems:
            why = reasons.get(problem.legs[0], []) if problem.code is ProblemCode.NO_RECORDING else []
            problems.append(replace(problem, detail=why[0]) if why else problem)
        for name, why in reasons.items():
            problems += [Problem(code=ProblemCode.NO_RECORDING, legs=(name,), text=reason) for reason in why[1:]]
        return "\n".join(failing(replace(result, problems=tuple(problems)), width, self.settings.place))

    def _recording(self, backend: str, case: str) -> Recording | None:
        path = find_recording(self.settings.out / backend, case)
        return read_recording(path) if path is not None else None

    def _environment(self, backend: str) -> Environment:
        """The environment of a leg that is being recorded; its versions are known, its cases are not yet."""
        if backend not in self._environments:
            leg = self.settings.out / backend
            environment = read_environment(leg)
            if not environment.versions:
                try:
                    environment = replace(environment, **WorkerFiles.of_leg(leg).environments()[0])
                except (OSError, IndexError):  # the session has just ended and removed its files
                    environment = read_environment(leg)
            self._environments[backend] = environment
        return self._environments[backend]

    def _known(self, legs: list[Leg]) -> list[Divergence]:
        if self._known_read is None:
            self._known_read = known_in_force(legs, self.settings.configuration.known)
        return self._known_read

    def _reasons(self, backend: str, case: str, file: Path) -> list[str]:
        """Why a leg has no recording of a case in `file`: the problems of the file, or else of the leg."""
        if case.rpartition("#")[0] and self._recording(backend, case.rpartition("#")[0]) is not None:
            return ["the test has made fewer calls there"]
        try:
            problems = read_environment(self.settings.out / backend).problems
        except UnreadableInput:
            problems = ()
        of_file = [problem for problem in problems if (self.start / problem.file).resolve() == file.resolve()]
        reasons = [str(problem) for problem in of_file or problems]
        end = self.exchange.ended(backend)
        if not reasons and end is not None:
            how = f"{'was ' if end.exit_code < 0 else ''}{process_end(end.exit_code)}"
            reasons = end.message.splitlines() or [f"its recording process {how}."]
        return reasons
