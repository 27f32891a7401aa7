"""Packages that a leg has in place of the installed ones: installed once, without their dependencies, into a kept folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from backendcheck.errors import UsageError
from backendcheck.vocabulary.leg_names import LegName, PackageVersion

_INSTALL_S = 600.0


def package_folders(leg: LegName) -> list[Path]:
    """The folders of the packages of a leg, in the order of its name. They may not be there yet."""
    return [folder_of_package(package) for package in leg.packages]


def folder_of_package(package: PackageVersion) -> Path:
    """The folder of one package. It may not be there yet."""
    return _kept() / str(package)


def install_packages(leg: LegName) -> None:
    """Install the packages of a leg that are not in their folders yet. Without network, those that are there are used.

    Raises:
        UsageError: if one cannot be installed.
    """
    for package, folder in zip(leg.packages, package_folders(leg), strict=True):
        if not folder.is_dir():
            _install(leg, package, folder)


def _install(leg: LegName, package: PackageVersion, folder: Path) -> None:
    requirement = f"{package.package}=={package.version}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as new:
            command = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--disable-pip-version-check"]
            done = subprocess.run(
                [*command, "--target", new, requirement], capture_output=True, text=True, timeout=_INSTALL_S, check=False
            )
            if done.returncode == 0:
                _put(Path(new), folder)
                return
            problem = next((line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), "pip failed")
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    message = f"leg {leg}: {requirement} could not be installed into {folder} ({problem.removeprefix('ERROR: ').rstrip('.')})."
    raise UsageError(f"{message} Check the version and the network; what is in that folder is used without network.")


def _put(new: Path, folder: Path) -> None:
    """Give the folder its name, so that half of a package is never taken for a whole one."""
    try:
        shutil.copytree(new, whole := folder.with_name(f".{folder.name}-{os.getpid()}"))
        whole.rename(folder)
    except OSError:
        shutil.rmtree(whole, ignore_errors=True)
        if not folder.is_dir():  # otherwise another process was faster
            raise


def _kept() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("backendcheck")) / "packages"
