"""What a recording process finds when it has started: versions, device, settings, and what can move a number."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from pathlib import Path
from typing import Any

import backendcheck
from backendcheck.sessions.leg_packages import package_folders
from backendcheck.sessions.session_state import SessionState
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS, installed_version
from backendcheck.vocabulary.leg_names import LegName

# Variables of the environment that can move a number or its repeatability.
NUMERIC_VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_ENABLE_X64", "JAX_PLATFORMS", "KERAS_TORCH_DEVICE",
    "MKL_NUM_THREADS", "OMP_NUM_THREADS", "PYTHONHASHSEED", "TF_DETERMINISTIC_OPS", "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_XLA_FLAGS", "XLA_FLAGS",
)  # fmt: skip


def environment_note(session: SessionState) -> dict[str, Any]:
    """The fields of environment.json that only a worker knows: versions, device, settings. Imports keras.

    Raises:
        RuntimeError: if keras runs on another backend than the session's.
    """
    import keras
    import numpy as np

    from backendcheck.record.backends import backend_module
    from backendcheck.record.isolation import serialize_without_importing_tensorflow
    from backendcheck.record.observe.perturbation import Perturbation

    if keras.backend.backend() != session.keras_backend:
        message = f"keras runs on {keras.backend.backend()} although KERAS_BACKEND={session.keras_backend} was set"
        raise RuntimeError(message)
    serialize_without_importing_tensorflow()
    Perturbation(name=session.request.noise).prepare_session()
    backend, leg = session.request.backend.backend, session.request.backend
    determinism = start_leg(leg, session.request.device)
    module = sys.modules.get(backend.value)
    return {
        "versions": {
            "backendcheck": backendcheck.__version__,  # a leg with its own interpreter has it without its metadata
            "python": platform.python_version(),
            "keras": keras.__version__,
            # The others too, if they are there: some layers of Keras need TensorFlow on every backend.
            **{installed.value: version for installed in DEFAULT_BACKENDS if (version := installed.version())},
            backend.value: str(getattr(module, "__version__", backend.version() or "")),
            "numpy": np.__version__,
            **{name: version for name in ("scikit-learn", "jaxlib") if (version := installed_version(name))},
        },
        "platform": {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "cores": str(os.cpu_count()),
        },
        "device": backend_module().device_name(),
        "settings": settings(),
        "determinism": determinism | {name: os.environ[name] for name in NUMERIC_VARIABLES if name in os.environ},
    }


def start_leg(leg: LegName, device: str) -> dict[str, str]:
    """Have this process compute as its leg says: packages, mode, device. Returns the settings of the backend.

    Raises:
        RuntimeError: if it has another version of a package, or computes on another device.
    """
    from backendcheck.record.backends import backend_module
    from backendcheck.record.compile_mode import start_mode
    from backendcheck.record.oracles.paths_replicas import start_replicas

    for package, folder in zip(leg.packages, package_folders(leg), strict=True):
        origin = getattr(importlib.import_module(package.package), "__file__", None) or ""
        if not Path(origin).is_relative_to(folder):
            message = f"{origin} was imported; expected {package} of the leg {leg}. Something is before it on the path"
            raise RuntimeError(message)
    start_mode(leg.mode)
    start_replicas(leg.mode)
    asked = leg.device or device
    determinism = backend_module().configure(asked)
    if leg.mode == "tf32":
        determinism |= backend_module().reduce_precision()
    check_device_type(leg, asked, backend_module().device_type())
    return determinism


def check_device_type(leg: LegName, asked: str, found: str) -> None:
    """Refuse to compute on another type of device than the one that was asked for.

    Raises:
        RuntimeError: if `asked`, such as ``gpu1``, is not of the type that the backend has `found`.
    """
    wanted = asked.rstrip("0123456789")
    if wanted not in ("auto", found):
        message = (
            f"leg {leg}: {leg.backend} computes on {found} here; expected {wanted}. "
            f"Install {leg.backend} for {wanted} on a machine that has one, or choose another device"
        )
        raise RuntimeError(message)


def settings() -> dict[str, str]:
    """The Keras settings that decide what a number means; legs that differ in one are not comparable."""
    import keras

    from backendcheck.record.keras_settings import policy_name

    return {
        "floatx": keras.config.floatx(),
        "epsilon": repr(keras.config.epsilon()),
        "image_data_format": keras.config.image_data_format(),
        "dtype_policy": policy_name(),
    }
