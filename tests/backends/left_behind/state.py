"""Cases that leave state of the whole process changed, each before an innocent one."""

import asyncio
import atexit
import decimal
import gc
import json
import locale
import logging
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import threadpoolctl

from backendcheck import ModelCase

BACKEND = keras.backend.backend()
_KEPT = []
LOGGER = logging.getLogger("state")


class Blocks:
    """An import hook that lets nothing through."""

    def find_spec(self, name, path=None, target=None):
        raise ImportError(name)


class Policy(asyncio.DefaultEventLoopPolicy):
    """Another policy than the usual one."""


def hooks():
    yield "hook_of_exceptions", lambda: setattr(sys, "excepthook", None)
    yield "hook_of_threads", lambda: setattr(threading, "excepthook", None)
    yield "hook_of_imports", lambda: sys.meta_path.insert(0, Blocks())
    yield "event_loop", lambda: asyncio.set_event_loop(asyncio.new_event_loop())
    yield "running_loop", lambda: asyncio.events._set_running_loop(object())
    yield "loop_policy", lambda: asyncio.set_event_loop_policy(Policy())
    yield "asyncio_used", lambda: asyncio.run(asyncio.sleep(0))
    yield "logger", lambda: LOGGER.setLevel(logging.CRITICAL)
    yield "handler_of_logger", lambda: LOGGER.addHandler(logging.NullHandler())
    yield "exit_function", lambda: atexit.register(os._exit, 1)
    yield "root_logger", lambda: logging.disable(logging.CRITICAL)


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
    yield "limits", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    yield "warnings", lambda: warnings.simplefilter("error")
    yield from hooks()
    yield "pools", lambda: threadpoolctl.threadpool_limits(1)
    yield "errors", lambda: np.seterr(all="raise")
    yield "printing", lambda: np.set_printoptions(precision=1)
    yield "floatx", lambda: keras.config.set_floatx("float64")
    yield "policy", lambda: keras.config.set_dtype_policy("mixed_bfloat16")
    yield "epsilon", lambda: keras.config.set_epsilon(0.5)
    yield "custom_object", lambda: keras.saving.get_custom_objects().update(relu=None)
    yield from costly()
    if BACKEND == "torch":
        import torch
        from torch.optim.optimizer import register_optimizer_step_pre_hook

        yield "grad", lambda: torch.set_grad_enabled(False)
        yield "dtype", lambda: torch.set_default_dtype(torch.float64)
        yield "device", lambda: torch.set_default_device("meta")
        yield "deterministic", lambda: torch.use_deterministic_algorithms(False)
        yield "matmul", lambda: torch.set_float32_matmul_precision("medium")
        yield "threads", lambda: torch.set_num_threads(1)
        yield "anomaly", lambda: torch.autograd.set_detect_anomaly(True)
        yield "autocast", lambda: torch.set_autocast_enabled("cpu", True)
        yield "hook_of_modules", lambda: torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
        yield "hook_of_optimizers", lambda: register_optimizer_step_pre_hook(lambda *_: None)
        yield "hook_of_tensors", lambda: _KEPT.append(torch.autograd.graph.save_on_cpu().__enter__())
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
        like_numpy, no_eager = tf.experimental.numpy.experimental_enable_numpy_behavior, tf.compat.v1.disable_eager_execution
        yield "modes", lambda: (like_numpy(), no_eager())


PLANTS = dict(plants())


@pytest.mark.parametrize("name", [name for plant in PLANTS for name in (plant, f"{plant}-innocent")])
@pytest.mark.backendcheck(seed=3)
def case_plant(name, rng):
    if name in PLANTS:
        PLANTS[name]()
        return {"v": 1.0}
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    return ModelCase(model, "sparse_categorical_crossentropy", rng.normal(size=(6, 4)), rng.integers(0, 3, 6))


@pytest.fixture
def spoils():
    """It undoes nothing of what it sets."""
    np.set_printoptions(precision=1)
    np.seterr(all="raise")
    keras.config.set_dtype_policy("mixed_bfloat16")


def case_plant_of_a_fixture(spoils):
    return {"v": keras.config.dtype_policy().name}


def case_after_a_fixture():
    return {"v": [str(np.get_printoptions()["precision"]), np.geterr()["over"], keras.config.floatx(), layer_types()]}


def layer_types():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    return f"{layer.compute_dtype} {layer.kernel.dtype}"


def case_float64_layers():
    keras.config.set_floatx("float64")
    return {"v": layer_types()}


def case_layers_after_float64():
    return {"v": layer_types()}


def case_removes_tmp_path(tmp_path):
    shutil.rmtree(tmp_path.parent)
    return {"v": 1.0}


def case_uses_tmp_path(tmp_path):
    return {"v": float(tmp_path.is_dir())}
