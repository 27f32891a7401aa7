"""Packages that a leg has in place of the installed ones: installed once, without their dependencies, into a kept folder."""

from __future__ import annotations

import hashlib
import json
import math
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
_LARGEST_MB = 400  # of a wheel: those of PyTorch for CUDA are larger, and need other packages
_LARGEST_VARIABLE = "BACKENDCHECK_LARGEST_WHEEL_MB"
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
        if leg.python and package.package != "keras":
            message = f"leg {leg}: {package} may be built for another Python than {leg.python}; expected versions of keras only."
            raise UsageError(f"{message} Install it in that interpreter.")
        if folder.is_dir():
            continue
        if package.is_source:
            message = f"leg {leg}: {package} is not in {folder}; expected source that `bisect --git` or /keras-git has put there."
            raise UsageError(f"{message} `run`, `record` and `upgrade` take /keras-git.")
        _install(leg, package, folder)


def put_source(source: Path, name: str) -> PackageVersion:
    """Put the source of a package into a kept folder of its state: a directory that has the package, or an archive of one.

    The state of a git repository without changes is its commit. Otherwise it is a digest of the content.

    Raises:
        UsageError: if it has no such package, or cannot be read.
    """
    if source.is_dir() and (commit := _clean_commit(source, name)):
        export_commit(source, package := PackageVersion.of_commit(name, commit))
        return package
    try:
        with tempfile.TemporaryDirectory() as temporary:
            if source.is_file() and ".tar" in source.name:
                shutil.unpack_archive(source, temporary, filter="data")
            elif source.is_file():
                shutil.unpack_archive(source, temporary)
            inside = Path(temporary) if source.is_file() else source
            places = [folder for folder in (inside, *inside.iterdir()) if (folder / name / "__init__.py").is_file()]
            if not places:
                message = f"{source}: has no package {name}; expected a directory or an archive with {name}/__init__.py."
                raise UsageError(message)
            package = PackageVersion.of_commit(name, _digest(places[0] / name))
            if not (folder := folder_of_package(package)).is_dir():
                whole = Path(temporary, "whole")
                shutil.copytree(places[0] / name, whole / name, ignore=shutil.ignore_patterns("__pycache__"))
                folder.parent.mkdir(parents=True, exist_ok=True)
                _put(whole, folder)
    except (OSError, ValueError, shutil.ReadError) as error:
        message = f"{source}: cannot be read ({error}); expected a directory or an archive with {name}/__init__.py."
        raise UsageError(message) from error
    return package


def _clean_commit(source: Path, name: str) -> str:
    """The commit of a git repository whose package has no changes; else nothing."""
    answers = []
    for arguments in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--", name], ["ls-tree", "HEAD", name]):
        try:
            command = ["git", "-C", str(source), *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        if done.returncode:
            return ""
        answers.append(done.stdout.strip())
    commit, changes, tree = answers
    return commit if tree and not changes else ""


def _digest(package: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


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
        megabytes = math.ceil(size / 1e6)
        if megabytes > _largest_mb():
            name = url.rpartition("/")[2]
            more = f"more than {_largest_mb()}, as builds for CUDA have; {_LARGEST_VARIABLE}={megabytes} allows it"
            return f"{name} has {megabytes} MB, {more}"
    return ""


def _largest_mb() -> int:
    text = os.environ.get(_LARGEST_VARIABLE, "")
    if text and not text.isdigit():
        message = f"{_LARGEST_VARIABLE}={text}: expected a number of megabytes, such as 700. Correct it."
        raise UsageError(message)
    return int(text or _LARGEST_MB)


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
