"""Names of legs, ``BACKEND[@DEVICE][+MODE][/PACKAGE-VERSION]…``: one environment in which cases run, taken apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from backendcheck.errors import UsageError
from backendcheck.text.close_names import did_you_mean
from backendcheck.vocabulary.backends import JAX, TENSORFLOW, Backend, backend_order, each_once, installed_version, parse_backend

FORM = "BACKEND[@DEVICE][+MODE][/PACKAGE-VERSION]..."
MODES: Mapping[str, str] = {
    "eager": "compile with run_eagerly=True", "jit": "compile with jit_compile=True", "compile": "torch.compile around the model",
    "replicas": "train on two replicas of data parallel as well",
}  # fmt: skip
DEVICES = ("cpu", "gpu", "mps", "tpu")
_IMPLEMENTED_MODES = ("eager", "jit", "replicas")
_WITH_REPLICAS = (TENSORFLOW, JAX)  # torch has one device in one process
_IMPLEMENTED_DEVICES = ("cpu",)
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
    """A leg by the parts of its name. Empty parts are not in the name."""

    backend: Backend
    device: str = ""
    mode: str = ""
    packages: tuple[PackageVersion, ...] = ()

    def __str__(self) -> str:
        return self.value

    @property
    def value(self) -> str:
        """The name."""
        device, mode = (f"{sign}{part}" if part else "" for sign, part in (("@", self.device), ("+", self.mode)))
        return f"{self.backend}{device}{mode}{''.join(f'/{package}' for package in self.packages)}"

    @property
    def folder(self) -> str:
        """The name of its folder on disk."""
        return folder_of(self.value)

    @property
    def install_command(self) -> str:
        """The command that installs its backend beside backendcheck."""
        return self.backend.install_command

    def missing_modules(self) -> list[str]:
        """Modules that a recording needs and that are not installed. Looks them up without importing them."""
        return self.backend.missing_modules()

    def keras_version(self) -> str | None:
        """The version of Keras in this leg, or None without one. Imports nothing."""
        return self._brought("keras") or installed_version("keras")

    def backend_version(self) -> str | None:
        """The version of the backend in this leg, or None without one. Imports nothing."""
        return self._brought(self.backend.value) or self.backend.version()

    def _brought(self, package: str) -> str | None:
        return next((brought.version for brought in self.packages if brought.package == package), None)


def folder_of(leg: str) -> str:
    """The name of the folder of a leg."""
    return leg.replace("/", "~")


def backend_in(leg: str) -> str:
    """The backend that a leg begins with, by name; its number, where it has one, is left out."""
    return re.split(r"[@+/#]", leg, maxsplit=1)[0]


def leg_order(leg: str) -> tuple[tuple[int, str], str]:
    """A sort key for names of legs: by backend, and the leg without qualifiers before the others."""
    return backend_order(backend_in(leg)), leg.removeprefix(backend_in(leg))


def parse_leg(name: str) -> LegName:
    """The leg of that name.

    Raises:
        UsageError: if the name has another form, or a part of it is unknown or not implemented yet.
    """
    leg = read_leg_name(name)
    for what, part, implemented in (
        ("mode +", leg.mode, _IMPLEMENTED_MODES), ("device @", leg.device, _IMPLEMENTED_DEVICES),
        *(("package /", package.package, IMPLEMENTED_PACKAGES) for package in leg.packages),
    ):  # fmt: skip
        if part and part not in implemented:
            message = f"leg {name!r}: the {what}{part} {_NOT_YET}; expected one of {', '.join(implemented)}. Leave it out."
            raise UsageError(message)
    if unused := next((package for package in leg.packages if not package.is_used_by(leg.backend)), None):
        message = f"leg {name!r}: {leg.backend} does not use {unused.package}; expected a leg of {unused.package}. Leave it out."
        raise UsageError(message)
    if leg.mode == "replicas" and leg.backend not in _WITH_REPLICAS:
        expected = " or ".join(map(str, _WITH_REPLICAS))
        message = f"leg {name!r}: {leg.backend} has no replicas in one process; expected {expected}. Leave the mode out."
        raise UsageError(message)
    if any(package.version == _LATEST_SOURCE for package in leg.packages):
        message = f"leg {name!r}: the version git {_NOT_YET}; expected a release such as keras-3.14.1. Name one."
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
    head, *packages = leg.partition("#")[0].split("/")
    match = _HEAD.fullmatch(head)
    versions = tuple(PackageVersion(p["package"], p["version"]) for text in packages if (p := _PACKAGE.fullmatch(text)))
    if match is None:
        return LegName(backend=Backend(head), packages=versions)
    device, mode = match["device"] or "", match["mode"] or ""
    return LegName(backend=Backend(match["backend"]), device=device, mode=mode, packages=versions)


def parse_legs(names: str) -> tuple[LegName, ...]:
    """Legs from a comma-separated list, in that order.

    Raises:
        UsageError: if the list is empty, names one twice, or holds a name that is not one of a leg.
    """
    return each_once(names, parse_leg)
