"""A warm process of one backend that observes the situations of `backendcheck explore`, one after another.

Each line on standard input is a request in JSON, each line on standard output the answer to one request, in the same order.

    {"do": "describe", "target": …}                     what kind of target it is, and what its constructor takes
    {"do": "observe", "target": …, "arrays": …, …}      the recording of one situation; with a "source", of that program

Arrays come as dtype, shape and Base64, and a recording goes back as the content of its file. Nothing is ever unpickled.
"""

from __future__ import annotations

import base64
import inspect
import json
import os
import sys
import traceback
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from backendcheck.case import LossCase
from backendcheck.record.explore_kept import Programs
from backendcheck.record.explore_targets import describe, kind_of, resolve
from backendcheck.recordings.files import as_bytes
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.stages import RecordingStage

_ORACLES = (Oracle.AGREEMENT, Oracle.PATHS, Oracle.REFERENCE)
_VALUE = "metric/result"
_FORGET_AFTER = 100  # calls and programs of models; the compiled programs of that many models take about a gigabyte


def main() -> None:
    """Serve what the arguments of the process name: the leg, the device, and the file for what situations print."""
    serve(*sys.argv[1:])


def serve(leg: str, device: str, log: str) -> None:
    """Answer requests until standard input ends."""
    import signal

    from backendcheck.sessions.child_processes import end_with_parent

    end_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which keeps what it has
    # What a target prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(printed, 1)
    os.dup2(printed, 2)

    def answer(content: Mapping[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    try:
        answer(_start(leg, device))
    except Exception as error:  # noqa: BLE001 - any error is reported to the parent
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    warnings.simplefilter("ignore")
    programs = Programs()
    for line in requests:
        if programs.n_new >= _FORGET_AFTER:
            _forget_programs(programs)
        try:
            request = json.loads(line)
            answer(describe(request["target"]) if request["do"] == "describe" else _observe(leg, request, programs))
        except Exception as error:  # noqa: BLE001 - one situation that fails must not end the process that serves the others
            answer({"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()[-2000:]})


def _forget_programs(programs: Programs) -> None:
    from backendcheck.record.backends import backend_module

    programs.forget_all()
    backend_module().forget_programs()


def _start(name: str, device: str) -> dict[str, Any]:
    import keras

    from backendcheck.record.backends import backend_module
    from backendcheck.record.environment import settings, start_leg
    from backendcheck.record.isolation import seed_everything, serialize_without_importing_tensorflow
    from backendcheck.vocabulary.backends import DEFAULT_BACKENDS, installed_version
    from backendcheck.vocabulary.leg_names import parse_leg

    leg = parse_leg(name)
    if keras.backend.backend() != leg.backend.value:
        message = f"keras runs on {keras.backend.backend()}"
        raise RuntimeError(message)
    serialize_without_importing_tensorflow()
    start_leg(leg, device)
    backend_module().start()
    seed_everything(0)
    folder = os.getcwd()  # noqa: PTH109
    if folder not in sys.path:
        sys.path.append(folder)
    # The other backends too, if they are there: an entry may ask for TensorFlow, which some layers need on every backend.
    others = {backend.value: version for backend in DEFAULT_BACKENDS if (version := backend.version())}
    own = {leg.backend.value: leg.backend_version(), "numpy": installed_version("numpy")}
    versions = {"keras": keras.__version__, **others, **own}
    return {"ready": True, "versions": versions, "device": backend_module().device_name(), "settings": settings()}


# --- situations --------------------------------------------------------------------------------------------------


def _array(entry: Mapping[str, Any]) -> np.ndarray:
    content = base64.b64decode(entry["data"])
    return np.frombuffer(content, np.dtype(entry["dtype"])).reshape(entry["shape"]).copy()


def _observe(leg: str, request: Mapping[str, Any], programs: Programs) -> dict[str, Any]:
    return {"recording": base64.b64encode(as_bytes(_recording(leg, request, programs))).decode("ascii")}


def _recording(leg: str, request: Mapping[str, Any], programs: Programs) -> Recording:
    from backendcheck.record.environment import settings
    from backendcheck.record.isolation import clear_session, preserved_process_state, seed_everything
    from backendcheck.record.observe.trace import Trace

    trace = Trace()
    arrays = {name: _array(entry) for name, entry in request["arrays"].items()}
    with preserved_process_state():
        if not programs.has(request, arrays):  # it would forget what is compiled
            clear_session()
        seed_everything(0)
        in_force = settings()
        with trace.ended_by_problems():
            target: Any = None
            options = dict(request["options"])
            with trace.stage(RecordingStage.CASE):
                target = resolve(request["target"])
            if not trace.raised and "source" in request:
                from backendcheck.record.explore_program import observe_program

                observe_program(target, request, arrays, trace, programs)
            elif not trace.raised:
                programs.n_new += 1  # a call compiles, for its shapes and types, what it has not called before
                observe = _observe_metric if kind_of(target) == "metric" else _observe_loss
                observe(target, options, arrays, request, trace)
    return trace.recording(
        case=request["case"], backend=leg, run="explore", oracles=_ORACLES, settings=in_force, claim=request["target"]
    )


def _observe_loss(
    target: Any, options: Mapping[str, Any], arrays: Mapping[str, np.ndarray], request: Mapping[str, Any], trace: Any
) -> None:
    from backendcheck.record.observe.losses import LossObserver
    from backendcheck.record.observe.perturbation import Perturbation

    del request
    loss: Any = None
    with trace.stage(RecordingStage.LOSS):
        loss = target(**options) if inspect.isclass(target) else target
    if trace.raised:
        return
    case = LossCase(loss, arrays["y_true"], arrays["y_pred"], sample_weight=arrays.get("sample_weight"))
    # Op by op: each situation has another program, and compiling it takes JAX a hundred times as long as running it.
    observer = LossObserver(case, trace, seed=0, noise=Perturbation(), compiled=False)
    if observer.loss is None:
        return
    observer.observe_first(trace)


def _observe_metric(
    target: Any, options: Mapping[str, Any], arrays: Mapping[str, np.ndarray], request: Mapping[str, Any], trace: Any
) -> None:
    import keras

    from backendcheck.record.explore_program import metric_described
    from backendcheck.record.observe.arrays import as_observation, digests, to_tensor
    from backendcheck.record.observe.draws import sentence, watched

    for name, array in arrays.items():
        trace.digests |= digests(name, array)
        trace.labels[name] = as_observation(array, where=name).value
    names = [name for name in ("y_true", "y_pred") if name in arrays]
    with watched(target) as draws, trace.stage(RecordingStage.METRICS):
        metric = target(**options)
        for first, end in request["batches"]:
            batch = [to_tensor(arrays[name][first:end]) for name in names]
            weight = {"sample_weight": to_tensor(arrays["sample_weight"][first:end])} if "sample_weight" in arrays else {}
            metric.update_state(*batch, **weight)
        trace.lower_precision(metric.dtype)
        trace.add(_VALUE, keras.ops.convert_to_tensor(metric.result()))
        trace.metrics["result"] = metric_described(metric)
    if draws:
        trace.not_compared["*"] = sentence(f"the metric {target.__name__}")

