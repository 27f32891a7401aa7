"""Cases that leave state of the whole process changed, each before an innocent one."""

import decimal
import gc
import json
import locale
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from backendcheck import ModelCase

BACKEND = keras.backend.backend()
_KEPT = []


# After each of these the worker is replaced. That takes seconds, most with torch and TensorFlow, where they are planted together.
def patches():
    yield "json", lambda: setattr(json, "dumps", None)
    yield "numpy_function", lambda: setattr(np, "mean", None)
    yield "keras_function", lambda: setattr(keras.ops, "mean", lambda *_, **__: 0.0)


def kept_open():
    yield "thread", lambda: threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    yield "process", lambda: _KEPT.append(subprocess.Popen(["sleep", "20"]))
    yield "file", lambda: _KEPT.append(Path(__file__).open())  # noqa: SIM115 - it is left open
    yield "module", lambda: sys.modules.pop("keras.src.losses.losses")


def costly():
    for name, group in (("functions", dict(patches())), ("kept_open", dict(kept_open()))):
        yield from group.items() if BACKEND == "jax" else [(name, lambda group=group: [plant() for plant in group.values()])]


def plants():
    yield "directory", lambda: os.chdir("/")
    yield "environment", lambda: os.environ.update(SPOILED="1")
    yield "umask", lambda: os.umask(0o777)
    yield "import_path", sys.path.clear
    yield "recursion", lambda: sys.setrecursionlimit(5000)
    yield "collection", gc.disable
    yield "decimals", lambda: setattr(decimal.getcontext(), "prec", 3)
    yield "locale", lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8")
    yield "sockets", lambda: socket.setdefaulttimeout(0.1)
    yield "handler", lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    yield "timer", lambda: signal.setitimer(signal.ITIMER_REAL, 1000)
    yield "errors", lambda: np.seterr(all="raise")
    yield "printing", lambda: np.set_printoptions(precision=1)
    yield "floatx", lambda: keras.config.set_floatx("float64")
    yield "epsilon", lambda: keras.config.set_epsilon(0.5)
    yield "custom_object", lambda: keras.saving.get_custom_objects().update(relu=None)
    yield from costly()
    if BACKEND == "torch":
        import torch

        yield "grad", lambda: torch.set_grad_enabled(False)
        yield "dtype", lambda: torch.set_default_dtype(torch.float64)
        yield "device", lambda: torch.set_default_device("meta")
        yield "deterministic", lambda: torch.use_deterministic_algorithms(False)
        yield "matmul", lambda: torch.set_float32_matmul_precision("medium")
        yield "threads", lambda: torch.set_num_threads(1)
        yield "anomaly", lambda: torch.autograd.set_detect_anomaly(True)
        yield "autocast", lambda: torch.set_autocast_enabled("cpu", True)
        yield "inference", lambda: _KEPT.append(torch.inference_mode().__enter__())
    elif BACKEND == "jax":
        import jax

        for name, value in (
            ("jax_enable_x64", True), ("jax_default_matmul_precision", "bfloat16"), ("jax_debug_nans", True),
            ("jax_disable_jit", True), ("jax_numpy_rank_promotion", "raise"), ("jax_numpy_dtype_promotion", "strict"),
        ):  # fmt: skip
            yield name, lambda name=name, value=value: jax.config.update(name, value)
    else:
        import tensorflow as tf

        yield "eager_functions", lambda: tf.config.run_functions_eagerly(True)
        yield "tf32", lambda: tf.config.experimental.enable_tensor_float_32_execution(True)
        yield "determinism", tf.config.experimental.enable_op_determinism
        yield "placement", lambda: tf.config.set_soft_device_placement(False)
        yield "like_numpy", tf.experimental.numpy.experimental_enable_numpy_behavior


PLANTS = dict(plants())


@pytest.mark.parametrize("name", [name for plant in PLANTS for name in (plant, f"{plant}-innocent")])
@pytest.mark.backendcheck(seed=3)
def case_plant(name, rng):
    if name in PLANTS:
        PLANTS[name]()
        return {"v": 1.0}
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    return ModelCase(model, "sparse_categorical_crossentropy", rng.normal(size=(6, 4)), rng.integers(0, 3, 6))


def case_removes_tmp_path(tmp_path):
    shutil.rmtree(tmp_path.parent)
    return {"v": 1.0}


def case_uses_tmp_path(tmp_path):
    return {"v": float(tmp_path.is_dir())}
