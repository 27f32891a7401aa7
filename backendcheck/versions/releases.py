"""Releases of a package: those that the package index has, as pip lists them, and what its metadata says of release notes."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys

from packaging.version import InvalidVersion, Version

from backendcheck.errors import UsageError
from backendcheck.sessions.leg_packages import folder_of_package
from backendcheck.vocabulary.leg_names import PackageVersion

_LIST_S = 120.0
_NOTES = re.compile(r"(release\s*notes?|change\s*log|changes|what'?s\s*new|history|news)", re.IGNORECASE)


def releases_of(package: str) -> list[str]:
    """The releases on the package index, the oldest first. Without pre-releases.

    Raises:
        UsageError: if pip cannot list them.
    """
    command = [sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", package]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIST_S, check=False)
        problem = next((line for line in done.stderr.splitlines() if line.startswith("ERROR")), "pip failed")
        listed = re.search(r"^Available versions: (.+)$", done.stdout, re.MULTILINE) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired) as error:
        problem, listed = str(error), None
    if listed is None:
        problem = problem.removeprefix("ERROR: ").rstrip(".")
        message = f"{package}: its releases cannot be listed ({problem}). Pass --versions LIST."
        raise UsageError(message)
    return in_order(listed[1].split(","), "the package index")


def in_order(texts: list[str], where: str) -> list[str]:
    """Versions from the oldest to the newest, each once.

    Raises:
        UsageError: if one is not a version.
    """
    try:
        return [str(version) for version in sorted({Version(text.strip()) for text in texts if text.strip()})]
    except InvalidVersion as error:
        message = f"{where}: {error}; expected versions such as 3.14.1, with commas between them."
        raise UsageError(message) from None


def release_notes(package: str, version: str) -> str:
    """The address of the release notes, if the metadata of that version names one and it is installed; else nothing."""
    places = [str(folder_of_package(PackageVersion(package, version))), *sys.path]
    distributions = importlib.metadata.distributions(name=package, path=places)
    metadata = next((found.metadata for found in distributions if found.version == version), None)
    for line in (metadata.get_all("Project-URL") or ()) if metadata is not None else ():
        label, _, address = str(line).partition(",")
        if _NOTES.fullmatch(label.strip()):
            return address.strip()
    return ""
