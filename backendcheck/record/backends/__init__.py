"""What each backend does in its own way: gradients, determinism, masks."""

from __future__ import annotations

import importlib
from typing import Any

import keras


def backend_module() -> Any:
    """The gradient module of the backend in force."""
    return importlib.import_module(f"backendcheck.record.backends.{keras.backend.backend()}")
