"""Names of legs, ``BACKEND[@DEVICE][+MODE][/PACKAGE-VERSION]…``: one environment in which cases run, taken apart."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from backendcheck.errors import UsageError
from backendcheck.text.close_names import did_you_mean
from backendcheck.vocabulary.backends import (
    JAX,
    TENSORFLOW,
    TORCH,
    Backend,
    backend_order,
    each_once,
    installed_version,
    parse_backend,
)
from backendcheck.vocabulary.interpreters import RECORDER, Installed, installed_in
from backendcheck.vocabulary.named_legs import named_legs

FORM = "BACKEND[@DEVICE][+MODE][/PACKAGE-VERSION]..."
MODES: Mapping[str, str] = {
    "eager": "compile with run_eagerly=True", "jit": "compile with jit_compile=True", "compile": "torch.compile around the model",
    "replicas": "train on two replicas of data parallel as well", "tf32": "matrix products in TF32 where the device has it",
}  # fmt: skip
DEVICES = ("cpu", "gpu", "mps", "tpu")
_OF_BACKENDS: Mapping[str, tuple[tuple[Backend, ...], str]] = {
    "compile": ((TORCH,), "has no torch.compile"),
    "replicas": ((TENSORFLOW, JAX), "has no replicas in one process"),
    "tf32": ((TENSORFLOW, JAX, TORCH), "has no setting for TF32"),
}  # modes that only some backends have, and what is wrong with the others
IMPLEMENTED_PACKAGES = ("keras", "jax", "torch", "tensorflow", "numpy")
_OF_EVERY_BACKEND = ("keras", "numpy")
_LATEST_SOURCE = "git"  # the version of a package that pyproject.toml names
_HEAD = re.compile(r"(?P<backend>[^@+]*)(?:@(?P<device>[^@+]*))?(?:\+(?P<mode>[^@+]*))?")
_DEVICE = re.compile(rf"({'|'.join(DEVICES)})\d*")
_PACKAGE = re.compile(r"(?P<package>[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)-(?P<version>\d[a-z0-9.!+]*|git(?:\.[0-9a-f]{7,64})?)")
_NOT_YET = "is not implemented yet"


@dataclass(frozen=True, slots=True)
class PackageVersion:
    """A package in a version that a leg has in place of the installed one, such as ``keras-3.14.1``."""

    package: str
    version: str

    def __str__(self) -> str:
        return f"{self.package}-{self.version}"

    @property
    def is_source(self) -> bool:
        """Whether it is ``keras-git``, in one state of the source or in the one that pyproject.toml names."""
        return self.version.partition(".")[0] == _LATEST_SOURCE

    @property
    def commit(self) -> str:
        """The commit of ``keras-git.3422977a5e41``; empty for a release."""
        return self.version.removeprefix(f"{_LATEST_SOURCE}.") if self.version.startswith(f"{_LATEST_SOURCE}.") else ""

    def is_used_by(self, backend: Backend) -> bool:
        """Whether a leg of this backend imports the package."""
        return self.package in (*_OF_EVERY_BACKEND, backend.value)

    @classmethod
    def of_commit(cls, package: str, commit: str) -> PackageVersion:
        """The package as it is in a commit of its source."""
        return cls(package, f"{_LATEST_SOURCE}.{commit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LegName:
    """A leg by the parts of its name. Empty parts are not in the name.

    A leg of pyproject.toml has a `name` of its own. It may have its own interpreter, `python`, and environment variables, `env`.
    """

    backend: Backend
    device: str = ""
    mode: str = ""
    packages: tuple[PackageVersion, ...] = ()
    name: str = ""
    python: str = ""
    env: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.value

    @property
    def value(self) -> str:
        """The name."""
        return self.name or self.parts

    @property
    def parts(self) -> str:
        """The name that says all of its parts, also of a leg with a name of its own."""
        device, mode = (f"{sign}{part}" if part else "" for sign, part in (("@", self.device), ("+", self.mode)))
        return f"{self.backend}{device}{mode}{''.join(f'/{package}' for package in self.packages)}"

    @property
    def folder(self) -> str:
        """The name of its folder on disk."""
        return folder_of(self.value)

    @property
    def install_command(self) -> str:
        """The command that installs what it lacks: its backend beside backendcheck, or all in its own interpreter."""
        if not self.python:
            return self.backend.install_command
        return f"{self.python} -m pip install {' '.join(RECORDER.get(module, module) for module in self.missing_modules())}"

    @property
    def place(self) -> str:
        """Where its packages have to be installed."""
        return f"in {self.python}" if self.python else "here"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that have a script run as this leg does. A script reads the mode from ``MODE``."""
        device = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"} if self.device == "cpu" else {}
        if number := self.device.removeprefix("gpu"):
            device |= {"CUDA_VISIBLE_DEVICES": number} if number.isdigit() else {}
        return {"KERAS_BACKEND": self.backend.value, **({"MODE": self.mode} if self.mode else {}), **device, **dict(self.env)}

    def in_shell(self, command: str = "") -> str:
        """A line for a shell that runs `command` as this leg does; a comment in it says which versions it needs."""
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.variables.items())
        versions = ", ".join(f"{package.package}=={package.version}" for package in self.packages)
        return f"{variables} {command}".rstrip() + (f"  # with {versions}" if versions else "")

    def missing_modules(self) -> list[str]:
        """Modules that a recording needs and that are not installed. Looks them up without importing them."""
        return list(self._installed.missing) if self.python else self.backend.missing_modules()

    def missing_in_words(self) -> str:
        """What is missing, where, and the command that installs it; empty if nothing is."""
        missing = " and ".join(self.missing_modules())
        return missing and f"{missing} is not installed {self.place}. Install with: {self.install_command}"

    @property
    def _installed(self) -> Installed:
        return installed_in(self.python, self.backend.value)

    def keras_version(self) -> str | None:
        """The version of Keras in this leg, empty for source, or None without one. Imports nothing."""
        brought = self._brought("keras")
        return brought if brought is not None else self._version_there("keras") if self.python else installed_version("keras")

    def backend_version(self) -> str | None:
        """The version of the backend in this leg, or None without one. Imports nothing."""
        if (brought := self._brought(self.backend.value)) is not None:
            return brought
        return self._version_there(self.backend.value) if self.python else self.backend.version()

    def _version_there(self, package: str) -> str | None:
        return dict(self._installed.versions).get(package)

    def _brought(self, package: str) -> str | None:
        versions = ("" if brought.is_source else brought.version for brought in self.packages if brought.package == package)
        return next(versions, None)


def folder_of(leg: str) -> str:
    """The name of the folder of a leg."""
    return leg.replace("/", "~")


def backend_in(leg: str) -> str:
    """The backend that a leg begins with, by name; its number, where it has one, is left out."""
    named = named_legs().get(leg.partition("#")[0])
    return re.split(r"[@+/#]", named.parts if named else leg, maxsplit=1)[0]


def leg_order(leg: str) -> tuple[tuple[int, str], str]:
    """A sort key for names of legs: by backend, and the leg without qualifiers before the others."""
    return backend_order(backend_in(leg)), leg.removeprefix(backend_in(leg))


def parse_leg(name: str) -> LegName:
    """The leg of that name.

    Raises:
        UsageError: if the name has another form, or a part of it is unknown or not implemented yet.
    """
    if (named := named_legs().get(name.strip())) is not None:
        leg = replace(parse_leg(named.parts), name=named.name, python=named.python, env=named.env)
        if leg.python and (problem := leg._installed.problem):  # noqa: SLF001 - of its own class
            message = f"leg {name!r}: {problem}. Correct python in [tool.backendcheck.legs.{name}]."
            raise UsageError(message)
        return leg
    leg = read_leg_name(name)
    if leg.device not in DEVICES and leg.device.rstrip("0123456789") not in ("", "gpu"):
        message = f"leg {name!r}: only gpu takes a number; expected one of {', '.join(DEVICES)}, or such as gpu1. Leave it out."
        raise UsageError(message)
    if other := next((package for package in leg.packages if package.package not in IMPLEMENTED_PACKAGES), None):
        expected = ", ".join(IMPLEMENTED_PACKAGES)
        message = f"leg {name!r}: the package /{other.package} {_NOT_YET}; expected one of {expected}. Leave it out."
        raise UsageError(message)
    if unused := next((package for package in leg.packages if not package.is_used_by(leg.backend)), None):
        message = f"leg {name!r}: {leg.backend} does not use {unused.package}; expected a leg of {unused.package}. Leave it out."
        raise UsageError(message)
    backends, lack = _OF_BACKENDS.get(leg.mode, ((leg.backend,), ""))
    if leg.backend not in backends:
        *others, last = map(str, backends)
        expected = f"{', '.join(others)} or {last}" if others else last
        message = f"leg {name!r}: {leg.backend} {lack}; expected {expected}. Leave the mode out."
        raise UsageError(message)
    if any(package.is_source and package.package != "keras" for package in leg.packages):
        message = f"leg {name!r}: only keras may have the version git; expected a release such as jax-0.9.2. Name one."
        raise UsageError(message)
    return leg


def read_leg_name(name: str) -> LegName:
    """The parts of a name of a leg, also of one that cannot be recorded here.

    Raises:
        UsageError: if the name has another form, or a part of it is unknown.
    """

    def refuse(what: str) -> UsageError:
        return UsageError(f"leg {name!r}: {what}. A leg is {FORM}, such as jax, torch+eager or jax/keras-3.14.1.")

    head, *packages = name.strip().lower().split("/")
    match = _HEAD.fullmatch(head)
    if match is None:
        raise refuse("invalid form; expected at most one device behind @, and then at most one mode behind +")
    device, mode = match["device"], match["mode"]
    backend = parse_backend(match["backend"])
    if device is not None and not _DEVICE.fullmatch(device):
        raise refuse(f"{device!r} is not a device; expected one of {', '.join(DEVICES)}, or a numbered one such as gpu1")
    if mode is not None and mode not in MODES:
        close = did_you_mean(mode, MODES)
        raise refuse(f"{mode!r} is not a mode; expected one of {', '.join(MODES)}{f'. {close}' if close else ''}".rstrip("?."))
    versions = []
    for text in packages:
        package = _PACKAGE.fullmatch(text)
        if package is None:
            raise refuse(f"{text!r} is not a package with its version; expected one such as keras-3.14.1")
        versions.append(PackageVersion(package["package"], package["version"]))
    if len({version.package for version in versions}) != len(versions):
        raise refuse("names a package twice; expected each once")
    return LegName(backend=backend, device=device or "", mode=mode or "", packages=tuple(versions))


def parts_of(leg: str) -> LegName:
    """The parts of the name or the label of a leg that was recorded, also on a backend that is not known here."""
    if (named := named_legs().get(leg.partition("#")[0])) is not None:
        return replace(parts_of(named.parts), name=named.name)
    head, *packages = leg.partition("#")[0].split("/")
    match = _HEAD.fullmatch(head)
    versions = tuple(PackageVersion(p["package"], p["version"]) for text in packages if (p := _PACKAGE.fullmatch(text)))
    if match is None:
        return LegName(backend=Backend(head), packages=versions)
    device, mode = match["device"] or "", match["mode"] or ""
    return LegName(backend=Backend(match["backend"]), device=device, mode=mode, packages=versions)


def in_shell(leg: str) -> str:
    """What has a shell run a script in a leg that was recorded: see `LegName.in_shell`."""
    try:
        return parse_leg(leg).in_shell()
    except UsageError:  # a leg of another project, or of another time
        return parts_of(leg).in_shell()


def parse_legs(names: str) -> tuple[LegName, ...]:
    """Legs from a comma-separated list, in that order.

    Raises:
        UsageError: if the list is empty, names one twice, or holds a name that is not one of a leg.
    """
    return each_once(names, parse_leg)
