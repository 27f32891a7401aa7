"""Backends by name: what to import, what to install."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from enum import Enum

from backendcheck.errors import UsageError


class Backend(Enum):
    """A Keras 3 backend that can train. The value is what `KERAS_BACKEND` takes."""

    TENSORFLOW = "tensorflow"
    JAX = "jax"
    TORCH = "torch"

    def __str__(self) -> str:
        return self.value

    @property
    def install_command(self) -> str:
        """The command that installs this backend beside backendcheck."""
        return f"pip install 'backendcheck[{self.value}]'"

    def missing_modules(self) -> list[str]:
        """Modules that a recording needs and that are not installed. Looks them up without importing them."""
        return [module for module in ("keras", self.value) if importlib.util.find_spec(module) is None]

    def version(self) -> str | None:
        """The installed version by its package metadata, or None. Imports nothing."""
        distributions = [self.value, "tensorflow-cpu", "tensorflow-intel"] if self is Backend.TENSORFLOW else [self.value]
        return next(filter(None, map(installed_version, distributions)), None)


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, or None. Imports nothing."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def parse_backend(name: str) -> Backend:
    """The backend of that name.

    Raises:
        UsageError: if the name is unknown.
    """
    try:
        return Backend(name.strip().lower())
    except ValueError:
        known = ", ".join(backend.value for backend in Backend)
        message = f"backend {name!r}: not a backend; expected one of {known}. Keras calls PyTorch 'torch'."
        raise UsageError(message) from None


def parse_backends(names: str) -> tuple[Backend, ...]:
    """Backends from a comma-separated list, in that order.

    Raises:
        UsageError: if the list is empty, names one twice, or holds an unknown name.
    """
    backends = tuple(parse_backend(name) for name in names.split(",") if name.strip())
    if not backends:
        message = f"backends {names!r}: names none; expected a list such as tensorflow,jax,torch."
        raise UsageError(message)
    if len(set(backends)) != len(backends):
        message = f"backends {names!r}: names one twice; expected each once. Remove the repetition."
        raise UsageError(message)
    return backends
