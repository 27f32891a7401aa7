"""Compare the time of `backendcheck run` with a plain loop over the same cases that records nothing.

    python benchmarks/plain_loop.py [PATH …] [--oracles agreement]    all three backends at once, then `backendcheck run`
    python benchmarks/plain_loop.py [PATH …] --only BACKEND           the loop alone, on one backend

For each case the loop does the same as a careful script: build it, predict, loss, gradients, evaluate, fit. The gradient
functions and the environment (threads, JAX's compilation cache) are those of the recorder. So the ratio shows the cost of pytest,
xdist, the recordings, the comparison and the report. The loop is warmed up once before it is timed, which fills JAX's
compilation cache for both. CPU seconds are those of all processes. Linux and macOS.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from backendcheck.case_files import builtin_cases, case_names, find_case_files
from backendcheck.sessions.child_processes import environment_for
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS
from backendcheck.vocabulary.leg_names import LegName


def loop(backend: str, paths: list[str]) -> int:
    """Run every case under the backend of this process, and return their number."""
    import warnings

    import keras
    import numpy as np

    from backendcheck import FunctionCase, LossCase, ModelCase, ValueCase
    from backendcheck.record.backends import backend_module
    from backendcheck.record.observe import losses

    assert keras.backend.backend() == backend
    warnings.simplefilter("ignore")
    backend_numerics = backend_module()
    backend_numerics.configure("cpu")
    sys.path.append(str(builtin_cases()))
    n_cases = 0
    for path in find_case_files(paths):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name in sorted(case_names(path)):
            function = getattr(module, name)
            for arguments in _parameters(function):
                n_cases += 1
                keras.utils.clear_session(free_memory=False)
                if "rng" in inspect.signature(function).parameters:
                    arguments["rng"] = np.random.default_rng(0)
                try:
                    case = function(**arguments)
                    if isinstance(case, ValueCase):
                        case.compute()
                    elif isinstance(case, FunctionCase):
                        _plain_function(case, keras, backend_numerics)
                    elif isinstance(case, LossCase):
                        _plain_loss(case, losses, backend_numerics)
                    elif isinstance(case, ModelCase):
                        _plain_model(case, keras, backend_numerics)
                except Exception:  # noqa: BLE001 - some cases raise on purpose
                    pass
    return n_cases


def _parameters(function):
    marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    axes = []
    for mark in marks:
        names = [name.strip() for name in mark.args[0].split(",")] if isinstance(mark.args[0], str) else list(mark.args[0])
        values = [getattr(value, "values", (value,) if len(names) == 1 else value) for value in mark.args[1]]
        if len(names) == 1:
            values = [(value[0] if isinstance(value, tuple) else value,) for value in values]
        axes.append([dict(zip(names, value, strict=True)) for value in values])
    for combination in itertools.product(*axes):
        yield {name: value for part in combination for name, value in part.items()}


def _plain_function(case, keras, backend_numerics) -> None:
    from backendcheck.record.observe.arrays import as_arrays, leaves, map_nest, to_tensor

    named = {name: map_nest(to_tensor, as_arrays(value)) for name, value in case.named_inputs.items()}

    def call(by_name):
        return case.function(**by_name) if isinstance(case.inputs, dict) else case.function(*by_name.values())

    call(named)
    if case.gradients:
        floats = {name: value for name, value in named.items() if keras.backend.is_float_dtype(str(getattr(value, "dtype", "")))}

        def total(floats, rest):
            return sum(keras.ops.sum(leaf) for _, leaf in leaves({"result": call(rest | floats)}))

        backend_numerics.gradient_function(lambda _: floats, total, ())(named)


def _plain_loss(case, losses, backend_numerics) -> None:
    from backendcheck.record.observe.arrays import to_tensor

    loss = losses.resolve(case.loss)
    data = {"y_true": to_tensor(case.y_true), "y_pred": to_tensor(case.y_pred), "weight": to_tensor(case.sample_weight)}
    losses.per_example(loss, data["y_true"], data["y_pred"], data["weight"], len(case.y_pred))
    loss(data["y_true"], data["y_pred"], sample_weight=data["weight"])
    backend_numerics.gradient_function(
        lambda data: data["y_pred"], lambda y_pred, data: loss(data["y_true"], y_pred, sample_weight=data["weight"]), ()
    )(data)


def _plain_model(case, keras, backend_numerics) -> None:
    from backendcheck.record.observe.arrays import as_arrays, leaves, map_nest, to_tensor

    model, x, y, weight = case.model, as_arrays(case.x), as_arrays(case.y), as_arrays(case.sample_weight)
    batch_size = case.batch_size or len(next(leaf for _, leaf in leaves(x)))
    model.compile(
        optimizer=case.optimizer or keras.optimizers.SGD(0.1),
        loss=case.loss,
        loss_weights=case.loss_weights,
        metrics=case.metrics,
    )
    model.predict(x, batch_size=batch_size, verbose=0)
    data = {name: map_nest(to_tensor, nest) for name, nest in (("x", x), ("y", y), ("weight", weight)) if nest is not None}
    y_pred = model(data["x"], training=False)

    def total(y_pred, data):
        return model.compute_loss(x=data["x"], y=data["y"], y_pred=y_pred, sample_weight=data.get("weight"))

    total(y_pred, data)
    backend_numerics.gradient_function(lambda data: model(data["x"], training=False), total, model.trainable_variables)(data)
    model.evaluate(x, y, sample_weight=weight, batch_size=batch_size, verbose=0)
    model.fit(
        x,
        y,
        sample_weight=weight,
        class_weight=case.class_weight,
        batch_size=batch_size,
        epochs=case.epochs,
        shuffle=False,
        verbose=0,
    )


def _timed(commands, environments) -> tuple[float, float]:
    """Seconds and CPU seconds of processes that run at the same time."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for command, environment in zip(commands, environments, strict=True)
    ]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode in (0, 1), errors
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _plain(paths: list[str]) -> tuple[float, float]:
    commands = [[sys.executable, __file__, *paths, "--only", backend.value] for backend in DEFAULT_BACKENDS]
    threads = os.cpu_count() or 1
    return _timed(commands, [environment_for(LegName(backend=backend), "cpu", threads) for backend in DEFAULT_BACKENDS])


def _run(paths: list[str], oracles: str) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        out = ["--fresh", "--out", str(Path(folder) / "report")]
        return _timed([[sys.executable, "-m", "backendcheck", "run", *paths, *out, "--oracles", oracles]], [None])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", metavar="PATH", default=[str(builtin_cases())])
    parser.add_argument("--oracles", action="append", help="those of the run; several times for several runs")
    parser.add_argument("--only", choices=[backend.value for backend in DEFAULT_BACKENDS])
    options = parser.parse_args()
    if options.only:
        began = time.perf_counter()
        n_cases = loop(options.only, options.paths)
        print(f"{options.only}: {n_cases} cases in {time.perf_counter() - began:.1f} s")
        return
    _plain(options.paths)
    plain_s, plain_cpu_s = _plain(options.paths)
    print(f"plain loop: {plain_s:.1f} s, {plain_cpu_s:.1f} CPU s", flush=True)
    for oracles in options.oracles or ["agreement", "agreement,paths,order,reference"]:
        run_s, run_cpu_s = _run(options.paths, oracles)
        ratios = f"{run_s / plain_s:.2f} times the loop, {run_cpu_s / plain_cpu_s:.2f} in CPU"
        print(f"run --oracles {oracles}: {run_s:.1f} s, {run_cpu_s:.1f} CPU s; {ratios}", flush=True)


if __name__ == "__main__":
    main()
