"""One module for each backend, with one interface: settings, device, gradients, float64, compilation.

configure(device) -> dict: make the backend repeatable before it runs any op; the settings, for the record.
device_name() -> str: the device that computes, such as ``cpu``.
gradient_function(predict, loss, variables, compiled=True) -> function: see there.
float64_enabled() -> context: float64 stays float64 while it is entered.
compiled(function, values) -> (function, list): the compiled function of tensors, and the float types that it rounds float64 to.
dense(gradient) -> tensor: only in `tensorflow`; a sparse gradient as one tensor.
"""

from __future__ import annotations

import importlib
from typing import Any

import keras


def backend_module() -> Any:
    """The module for the backend of this process."""
    return importlib.import_module(f"backendcheck.record.backends.{keras.backend.backend()}")
