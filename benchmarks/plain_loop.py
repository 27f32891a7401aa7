"""Compare the time of `backendcheck run` with a plain loop over the same cases that records nothing.

    python benchmarks/plain_loop.py BACKEND     one backend: import it once, run every built-in case, print the seconds
    python benchmarks/plain_loop.py             all three at once, then `backendcheck run`, and the ratio

For each case the loop does the same as a careful script: build it, predict, loss, gradients, evaluate, fit. The gradient
functions and the environment (threads, JAX's compilation cache) are those of the recorder. So the ratio shows the cost of pytest,
xdist, the recordings, the comparison and the report. Both sides are warmed up once before they are timed.
"""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from backendcheck.case_files import builtin_cases, case_names, find_case_files
from backendcheck.sessions.child_processes import environment_for
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS
from backendcheck.vocabulary.leg_names import LegName


def loop(backend: str) -> int:
    """Run every built-in case under the backend of this process, and return their number."""
    import warnings

    import keras
    import numpy as np

    from backendcheck import LossCase, ModelCase, ValueCase
    from backendcheck.record.backends import backend_module
    from backendcheck.record.observe import losses

    assert keras.backend.backend() == backend
    warnings.simplefilter("ignore")
    backend_numerics = backend_module()
    backend_numerics.configure("cpu")
    sys.path.append(str(builtin_cases()))
    n_cases = 0
    for path in find_case_files([str(builtin_cases())]):
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


def _all_at_once() -> float:
    began = time.perf_counter()
    threads = os.cpu_count() or 1
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, backend.value],
            env=environment_for(LegName(backend=backend), "cpu", threads),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for backend in DEFAULT_BACKENDS
    ]
    assert all(process.wait() == 0 for process in processes)
    return time.perf_counter() - began


def _run() -> float:
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        command = [sys.executable, "-m", "backendcheck", "run", "--out", str(Path(out) / "report"), *sys.argv[1:]]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode in (0, 1), done.stderr
        return time.perf_counter() - began


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        began = time.perf_counter()
        n = loop(sys.argv[1])
        print(f"{sys.argv[1]}: {n} cases in {time.perf_counter() - began:.1f} s")
    else:
        _all_at_once(), _run()  # warm-up: this fills JAX's compilation cache
        plain, whole = _all_at_once(), _run()
        print(f"plain loop {plain:.1f} s, backendcheck run {whole:.1f} s, ratio {whole / plain:.2f}")
