"""What another interpreter has: the modules that a leg needs there, and the versions of packages. Nothing of them is imported."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

_ASK_S = 60.0
# What a process that records imports, beside Keras and the backend, by the name under which pip installs it.
RECORDER: Mapping[str, str] = {
    "click": "click", "cloudpickle": "cloudpickle", "numpy": "numpy", "packaging": "packaging", "platformdirs": "platformdirs",
    "pytest": "pytest", "pytest_timeout": "pytest-timeout", "rich": "rich", "safetensors": "safetensors", "scipy": "scipy",
    "xdist": "pytest-xdist",
}  # fmt: skip
_PROBE = """
import importlib.metadata, importlib.util, json, sys
modules, packages = json.loads(sys.argv[1])
def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
missing = [module for module in modules if importlib.util.find_spec(module) is None]
print(json.dumps([list(sys.version_info[:2]), missing, {package: version(package) for package in packages}]))
"""
_OLDEST = (3, 11)


@dataclass(frozen=True, slots=True)
class Installed:
    """What an interpreter has. `problem` says why it cannot be asked, or cannot record; empty if it can."""

    missing: tuple[str, ...] = ()
    versions: tuple[tuple[str, str | None], ...] = ()
    problem: str = ""


@functools.cache
def installed_in(python: str, backend: str) -> Installed:
    """What the interpreter at a path has of Keras, the backend and the recorder."""
    modules = list(dict.fromkeys(["keras", backend, *RECORDER]))
    try:
        done = subprocess.run(
            [python, "-P", "-c", _PROBE, json.dumps([modules, ["keras", backend]])],
            capture_output=True, text=True, timeout=_ASK_S, check=True,
        )  # fmt: skip
        version, missing, versions = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        last = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        return Installed(problem=f"{python} does not run ({last[-1] if last else type(error).__name__})")
    if tuple(version) < _OLDEST:
        return Installed(problem=f"{python} is Python {'.'.join(map(str, version))}; expected 3.11 or newer")
    return Installed(missing=tuple(missing), versions=tuple(versions.items()))
