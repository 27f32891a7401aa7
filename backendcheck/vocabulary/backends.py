"""Backends by name: any that `KERAS_BACKEND` takes, what to import for one, what to install."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from backendcheck.errors import UsageError, install_command
from backendcheck.text.close_names import did_you_mean

_Named = TypeVar("_Named")

ENTRY_POINTS = "backendcheck.backends"  # the group in which a package says what a backend brings, by the name of the backend


class Ability(StrEnum):
    """What a backend can do. A backend that trains has all of them."""

    FORWARD = "forward"
    LOSS = "loss"
    GRADIENT = "gradient"
    METRICS = "metrics"
    TRAIN = "train"


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend of Keras by name. The value is what `KERAS_BACKEND` takes."""

    value: str

    def __str__(self) -> str:
        return self.value

    @property
    def install_command(self) -> str:
        """The command that installs this backend beside backendcheck."""
        return install_command(self.value) if self in BUILT_IN else f"pip install {self.value}"

    def missing_modules(self) -> list[str]:
        """Modules that a recording needs and that are not installed. Looks them up without importing them."""
        return [module for module in ("keras", self.value) if importlib.util.find_spec(module) is None]

    def version(self) -> str | None:
        """The installed version by its package metadata, or None. Imports nothing."""
        distributions = [self.value, "tensorflow-cpu", "tensorflow-intel"] if self == TENSORFLOW else [self.value]
        return next(filter(None, map(installed_version, distributions)), None)


TENSORFLOW, JAX, TORCH, NUMPY, OPENVINO = map(Backend, ("tensorflow", "jax", "torch", "numpy", "openvino"))
BUILT_IN = (TENSORFLOW, JAX, TORCH, NUMPY, OPENVINO)
"""The backends that backendcheck itself knows, in the order of reports."""
DEFAULT_BACKENDS = (TENSORFLOW, JAX, TORCH)
"""Those that are used where none is named: the built-in ones that train."""
DEFAULT_NAMES = ",".join(backend.value for backend in DEFAULT_BACKENDS)


@functools.cache
def backends_by_name() -> Mapping[str, Backend]:
    """The backends that may be named: built-in ones, those of the installed Keras, and those that packages bring."""
    brought = [point.name for point in importlib.metadata.entry_points(group=ENTRY_POINTS)]
    names = [*(backend.value for backend in BUILT_IN), *_of_installed_keras(), *sorted(brought)]
    return MappingProxyType({name: Backend(name) for name in names})


def _of_installed_keras() -> tuple[str, ...]:
    """The backends in the source of Keras, which is not imported: each is a folder with a trainer."""
    spec = importlib.util.find_spec("keras")
    if spec is None or not spec.origin:
        return ()
    folder = Path(spec.origin).parent / "src" / "backend"
    return tuple(sorted(trainer.parent.name for trainer in folder.glob("*/trainer.py")))


def backend_order(name: str) -> tuple[int, str]:
    """A sort key for names of backends: the built-in ones in their order, then all others by name."""
    names = [backend.value for backend in BUILT_IN]
    return (names.index(name), "") if name in names else (len(names), name)


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
    known = backends_by_name()
    backend = known.get(name.strip().lower())
    if backend is None:
        close = "Keras calls PyTorch 'torch'." if "torch" in name.lower() else did_you_mean(name, known)
        message = f"backend {name!r}: not a backend; expected one of {', '.join(known)}. {close}".rstrip()
        raise UsageError(message)
    return backend


def parse_backends(names: str) -> tuple[Backend, ...]:
    """Backends from a comma-separated list, in that order.

    Raises:
        UsageError: if the list is empty, names one twice, or holds an unknown name.
    """
    return each_once(names, parse_backend)


def each_once(names: str, parse: Callable[[str], _Named]) -> tuple[_Named, ...]:
    """What `parse` makes of each name in a comma-separated list, in that order.

    Raises:
        UsageError: if the list is empty, or names one twice.
    """
    parsed = tuple(parse(name) for name in names.split(",") if name.strip())
    if not parsed:
        message = f"backends {names!r}: names none; expected a list such as {DEFAULT_NAMES}."
        raise UsageError(message)
    if len(set(parsed)) != len(parsed):
        message = f"backends {names!r}: names one twice; expected each once. Remove the repetition."
        raise UsageError(message)
    return parsed


def installed_backends(names: str | None = None) -> tuple[Backend, ...]:
    """The backends of a comma-separated list; without one, all of the default ones that are installed.

    Raises:
        UsageError: if one of the list is not installed, or no backend is.
    """
    if names is None:
        backends = tuple(backend for backend in DEFAULT_BACKENDS if not backend.missing_modules())
        check_some_installed(backends)
        return backends
    backends = parse_backends(names)
    check_some_installed([backend for backend in backends if not backend.missing_modules()])
    for backend in backends:
        if missing := backend.missing_modules():
            message = f"{backend}: {' and '.join(missing)} is not installed here. Install with: {backend.install_command}"
            raise UsageError(message)
    return backends


def check_some_installed(installed: Sequence[Backend]) -> None:
    """Refuse to begin with no backend at all.

    Raises:
        UsageError: if `installed` is empty.
    """
    if not installed:
        message = (
            "no backend is installed here; expected keras and at least one of tensorflow, jax and torch. "
            f"For example: {JAX.install_command}"
        )
        raise UsageError(message)
