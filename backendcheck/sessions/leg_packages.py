"""Packages that a leg has in place of the installed ones: installed once, without their dependencies, into a kept folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path

from backendcheck.errors import UsageError
from backendcheck.vocabulary.leg_names import LegName, PackageVersion

_INSTALL_S = 600.0
_SIZE_S = 15.0
_LARGEST = 400e6  # bytes of a wheel
_COMPANIONS = {"jax": ("jaxlib",)}  # packages that must have the same version


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
        if folder.is_dir():
            continue
        if package.commit:
            message = f"leg {leg}: commit {package.commit} of {package.package} is not in {folder}; expected an exported commit."
            raise UsageError(f"{message} `backendcheck bisect CASE --git DIR` exports the commits that it tries.")
        _install(leg, package, folder)


def export_commit(checkout: Path, package: PackageVersion) -> None:
    """Put the source of a package, as it is in its commit of a local git repository, into its folder, unless it is there.

    Raises:
        UsageError: if git does not give it.
    """
    folder = folder_of_package(package)
    if folder.is_dir():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as new:
            archive = Path(new, "source.tar")
            command = ["git", "-C", str(checkout), "archive", f"--output={archive}", package.commit, package.package]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
            if done.returncode == 0:
                with tarfile.open(archive) as source:
                    source.extractall(whole := Path(new, "source"), filter="data")
                _put(whole, folder)
                return
            problem = (done.stderr.strip().splitlines() or ["git failed"])[-1].removeprefix("fatal: ")
    except (OSError, subprocess.TimeoutExpired, tarfile.TarError) as error:
        problem = str(error)
    message = f"{checkout}: commit {package.commit} could not be exported into {folder} ({problem.rstrip('.')}). Is it Keras 3?"
    raise UsageError(message)


def _install(leg: LegName, package: PackageVersion, folder: Path) -> None:
    names = [package.package, *_COMPANIONS.get(package.package, ())]
    requirements = [f"{name}=={package.version}" for name in names]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as new:
            problem = _pip(["--dry-run", "--report", str(report := Path(new, "report.json"))], requirements)
            if not problem and (large := _too_large(report)):
                raise _refused(leg, requirements, folder, large)
            problem = problem or _pip(["--target", str(whole := Path(new, "packages"))], requirements)
            if not problem:
                _put(whole, folder)
                return
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    raise _refused(leg, requirements, folder, problem)


def _pip(options: list[str], requirements: list[str]) -> str:
    """What pip complains about, or nothing if it succeeds."""
    command = [
        *(sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"),
        *options, *requirements,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    if done.returncode == 0:
        return ""
    problem = next((line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), "pip failed")
    return problem.removeprefix("ERROR: ").rstrip(".")


def _too_large(report: Path) -> str:
    """The first wheel of pip's report that is too large, with its size; nothing where a size is not known."""
    for item in json.loads(report.read_text(encoding="utf-8")).get("install", ()):
        url = item["download_info"]["url"]
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_SIZE_S) as answer:  # noqa: S310
                size = int(answer.headers["Content-Length"])
        except (OSError, ValueError, TypeError):
            continue
        if size > _LARGEST:
            name = url.rpartition("/")[2]
            return f"{name} has {size / 1e6:.0f} MB, more than {_LARGEST / 1e6:.0f}, as builds for CUDA have"
    return ""


def _refused(leg: LegName, requirements: list[str], folder: Path, problem: str) -> UsageError:
    what = " ".join(requirements)
    return UsageError(
        f"leg {leg}: {what} could not be installed into {folder} ({problem}). Check the version, that it has wheels for this "
        "Python, and the network; what is in that folder is used without network."
    )


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
