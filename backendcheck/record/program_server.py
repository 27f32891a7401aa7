"""A warm process of one backend that runs a case once and then any program made from it, as often as it is asked.

It is a pytest session of its own, so that the case finds its fixtures, and waits inside the case's call: each line on standard
input is a request in JSON, each line on standard output the answer.

    {"do": "describe"}                                  the case as programs, and the recording of the case itself
    {"do": "observe", "kind": …, "source": …, …}        the recording of a program
"""

from __future__ import annotations

import json
import linecache
import os
import sys
import traceback
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from backendcheck.case import FunctionCase, LossCase, ModelCase, ValueCase
from backendcheck.case_files import holds_cases
from backendcheck.record.case_module import CaseModule
from backendcheck.record.fixtures import declare_mark, seed_of
from backendcheck.recordings.files import write_recording
from backendcheck.recordings.paths import recording_path
from backendcheck.reference.of_recording import built_in_reference_values
from backendcheck.sessions.nest_json import encode
from backendcheck.vocabulary.case_ids import case_id
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.stages import RecordingStage


class ProgramServer:
    """The pytest plugin: collects case files, takes the one case that was asked for, and answers requests about it."""

    def __init__(self, backend: str, case: str, work: Path, answers: IO[str], requests: IO[str]) -> None:
        self.backend = backend
        self.case = case
        self.work = work
        self.answers = answers
        self.requests = requests
        self.n_programs = 0
        self.served = False

    def answer(self, **content: Any) -> None:
        """Write one line."""
        self.answers.write(json.dumps(content) + "\n")
        self.answers.flush()

    # --- pytest -----------------------------------------------------------------------------------------------

    def pytest_configure(self, config: pytest.Config) -> None:
        declare_mark(config)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if file_path.suffix != ".py" or parent.session.isinitpath(file_path) or not holds_cases(file_path):
            return None
        return CaseModule.from_parent(parent, path=file_path)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module:
        folder = str(module_path.parent)
        if folder not in sys.path:
            sys.path.append(folder)
        return CaseModule.from_parent(parent, path=module_path)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if case_id(item.nodeid) == self.case][:1]

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        if not isinstance(pyfuncitem.parent, CaseModule):
            return None
        self.served = True
        with warnings.catch_warnings():
            warnings.resetwarnings()
            warnings.simplefilter("ignore")
            self._serve(pyfuncitem)
        return True

    # --- requests ---------------------------------------------------------------------------------------------

    def _serve(self, item: pytest.Function) -> None:
        arguments = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}  # noqa: SLF001 - pytest's own call does this
        seed = seed_of(item)
        self.made: Any = None
        self.answer(ready=True)
        for line in self.requests:
            request = json.loads(line)
            try:
                if request["do"] == "describe":
                    self.answer(**self._describe(item, arguments, seed))
                else:
                    self.answer(recording=self._observe(request, seed))
            except Exception as error:  # noqa: BLE001 - one program that fails must not end the process that serves the others
                self.answer(error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc()[-2000:])

    def _describe(self, item: pytest.Function, arguments: Mapping[str, Any], seed: int) -> dict[str, Any]:
        from backendcheck.record.isolation import clear_session, seed_everything
        from backendcheck.record.observe.declarations import materialized
        from backendcheck.record.source.case_function import locals_of
        from backendcheck.record.source.programs import programs_of

        clear_session()
        seed_everything(seed)
        if "rng" in arguments:
            import numpy as np

            arguments = {**arguments, "rng": np.random.default_rng(seed)}
        self.made, error, values = locals_of(item.obj, arguments)
        self.made = materialized(self.made)
        programs, reasons = programs_of(item.obj, arguments, seed, self.made, values)
        return {
            "programs": [encode(program) for program in programs],
            "reasons": reasons,
            "raised": None if error is None else type(error).__name__,
        }

    def _observe(self, request: Mapping[str, Any], seed: int) -> str:
        from backendcheck.record import flow
        from backendcheck.record.environment import settings
        from backendcheck.record.isolation import clear_session, preserved_process_state, seed_everything
        from backendcheck.record.observe.declarations import reference_of, tolerances_of
        from backendcheck.record.observe.perturbation import Perturbation
        from backendcheck.record.observe.trace import Trace

        self.n_programs += 1
        trace = Trace()
        fields: dict[str, Any] = {}
        with preserved_process_state():
            clear_session()
            # Another seed in each leg: a script has none, so what a program shows must not rest on equal draws.
            seed_everything((seed + zlib.crc32(self.work.name.encode())) % 2**32)
            with trace.ended_by_problems():
                case: Any = None
                with trace.stage(RecordingStage.CASE):
                    case = self._case_of(request)
                if not trace.raised:
                    oracles = frozenset(map(Oracle, request["oracles"]))
                    flow.observe(case, trace, seed=seed, oracles=oracles, noise=Perturbation(), last=request["last"])
                    fields["tolerance"] = tolerances_of(self.made)
                    reference, dtypes = reference_of(case) if "reference" in request["oracles"] else ({}, {})
                    # What a smaller program does not compute any more has no value that could be missing.
                    fields["reference"] = {name: value for name, value in reference.items() if name in trace.observations}
                    fields["reference_dtypes"] = dtypes
        recording = trace.recording(
            case=self.case, backend=self.backend, run="repro", oracles=tuple(request["oracles"]), settings=settings(),
            expect=request["expect"], class_names=request["class_names"], **fields,
        )  # fmt: skip
        if Oracle.REFERENCE in recording.oracles:
            values = {**built_in_reference_values(recording), **recording.reference_values}
            recording = replace(recording, reference_values=values)
        write_recording(self.work, recording)
        return str(recording_path(self.work, self.case))

    def _case_of(self, request: Mapping[str, Any]) -> Any:
        # Under a name of its own and in the line cache, so that what reads source (tracing in TensorFlow does) finds it.
        name = f"<program {self.n_programs}>"
        source = request["source"]
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        space: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(source, name, "exec"), space)  # noqa: S102 - the user's own case, cut out of its file
        reference = getattr(self.made, "reference", None)
        tolerance = getattr(self.made, "tolerance", None)
        names: Mapping[str, Any] = {"reference": reference, "tolerance": tolerance}
        if request["kind"] == "value":
            return ValueCase(space["compute_values"], **names)
        if request["kind"] == "function":
            gradients = getattr(self.made, "gradients", True)
            return FunctionCase(space["function"], space["inputs"], gradients=gradients, **names)
        names = {**names, "order": getattr(self.made, "order", ()), "class_names": request["class_names"]}
        if request["kind"] == "loss":
            weight = space.get("sample_weight")
            return LossCase(space["loss"], space["y_true"], space["y_pred"], sample_weight=weight, **names)
        options = ("sample_weight", "class_weight", "loss_weights", "metrics", "weighted_metrics")
        set_options = {name: space[name] for name in options if name in space}
        optimizer = space["optimizer"]() if callable(space.get("optimizer")) else None
        return ModelCase(
            space["build"](), space["loss"], space["x"], space["y"], optimizer=optimizer, weights="as built",
            epochs=request["epochs"], batch_size=request["batch_size"], **set_options, **names,
        )  # fmt: skip


def main() -> None:
    """Serve what the arguments of the process name."""
    serve(*sys.argv[1:])


def serve(backend: str, nodeid: str, case: str, work: str, device: str, mode: str) -> None:
    """Serve the case `case`, which is in the file or node `nodeid`, on `backend` in `mode` until standard input ends."""
    import signal

    from backendcheck.sessions.child_processes import end_with_parent

    end_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which keeps what it has
    # What a case prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    log = os.open(os.path.join(work, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)  # noqa: PTH118 - for a descriptor
    os.dup2(log, 1)
    os.dup2(log, 2)
    server = ProgramServer(backend, case, Path(work), answers, requests)
    try:
        import keras

        from backendcheck.record.backends import backend_module
        from backendcheck.record.compile_mode import start_mode
        from backendcheck.record.isolation import serialize_without_importing_tensorflow

        if keras.backend.backend() != backend:
            server.answer(error=f"keras runs on {keras.backend.backend()}")
            return
        serialize_without_importing_tensorflow()
        start_mode(mode)
        backend_module().configure(device)
        for folder in (os.getcwd(),):  # noqa: PTH109
            if folder not in sys.path:
                sys.path.append(folder)
        exit_code = pytest.main(_arguments(nodeid, work), plugins=[server])
    except (Exception, SystemExit) as error:  # noqa: BLE001 - any error is reported to the parent
        server.answer(error=f"{type(error).__name__}: {error}")
        return
    if not server.served:
        server.answer(error=f"the case could not be set up (pytest ended with {int(exit_code)}): {_last_words(Path(work))}")


def _last_words(work: Path) -> str:
    lines = (work / "log").read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    return " ".join(line.strip() for line in lines if line.startswith("E "))[:500] or "no such case"


def _arguments(nodeid: str, work: str) -> list[str]:
    from backendcheck.sessions.pytest_session import OVERRIDDEN

    return [
        "-p", "backendcheck.record.fixtures", "-p", "no:xdist", "-p", "no:faulthandler", "-p", "no:unittest",
        "-p", "no:timeout", "-p", "no:cacheprovider",
        *(part for setting in OVERRIDDEN if not setting.startswith("timeout") for part in ("-o", setting)),
        "-q", "--no-header", "--tb=short", "--color=no", "--capture=no", "--import-mode=importlib",
        f"--basetemp={Path(work, 'tmp')}", nodeid,
    ]  # fmt: skip
