"""Releases of a package: those that the package index has, as pip lists them, with the date and the page of one."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import re
import subprocess
import sys
import urllib.request

from packaging.utils import parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from backendcheck.errors import UsageError
from backendcheck.sessions.leg_packages import folder_of_package
from backendcheck.versions.origin import Origin
from backendcheck.vocabulary.leg_names import PackageVersion

OLDEST_KERAS = "3.4"  # the first version that backendcheck supports
_LIST_S = 120.0
_DATES_S = 15.0
_DEFAULT_INDEX = "https://pypi.org/simple"  # that of pip
_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
_ON_GITHUB = re.compile(r"(https://github\.com/[\w.-]+/[\w.-]+?)(?:\.git)?/?")
_TAGS = {"jax": "jax-v"}  # what is before the version in a tag, if it is not v
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


def origin_of_release(package: str, version: str) -> Origin:
    """The date of a release on the package index, and its page."""
    return Origin(release=version, date=_dates(package).get(version, ""), link=_page(package, version))


def _page(package: str, version: str) -> str:
    """The release notes, or the release on GitHub, as the metadata of that version says if it is installed; else nothing."""
    places = [str(folder_of_package(PackageVersion(package, version))), *sys.path]
    distributions = importlib.metadata.distributions(name=package, path=places)
    metadata = next((found.metadata for found in distributions if found.version.partition("+")[0] == version), None)
    if metadata is None:
        return ""
    labels = [str(line).partition(",") for line in metadata.get_all("Project-URL") or ()]
    addresses = [(label.strip(), address.strip()) for label, _, address in labels]
    addresses += [("Home-page", address) for address in metadata.get_all("Home-page") or ()]
    notes = (address for label, address in addresses if _NOTES.fullmatch(label))
    tag = f"{_TAGS.get(package, 'v')}{version}"
    tags = (f"{match[1]}/releases/tag/{tag}" for _, address in addresses if (match := _ON_GITHUB.fullmatch(address)))
    return next(itertools.chain(notes, tags), "")


def _dates(package: str) -> dict[str, str]:
    """The day of the first file of each release, if the package index tells it (PEP 700); else nothing."""
    try:
        request = urllib.request.Request(f"{_index()}/{package}/", headers={"Accept": _SIMPLE_JSON})  # noqa: S310
        with urllib.request.urlopen(request, timeout=_DATES_S) as answer:  # noqa: S310 - what pip asks, too
            files = json.load(answer)["files"]
        times = [(_release_of(file["filename"]), str(file.get("upload-time") or "")) for file in files]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    dates: dict[str, str] = {}
    for version, time in sorted(times, key=lambda file: file[1]):
        if version and time:
            dates.setdefault(version, time[:10])
    return dates


def _release_of(file_name: str) -> str:
    try:
        parse = parse_wheel_filename if file_name.endswith(".whl") else parse_sdist_filename
        return str(parse(file_name)[1])
    except ValueError:  # an old kind of file
        return ""


def _index() -> str:
    """The package index that pip is configured to use."""
    command = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIST_S, check=False)
    found = dict(re.findall(r"^(:env:|install|global)\.index-url='(.+)'$", done.stdout, re.MULTILINE))
    return next((found[place] for place in (":env:", "install", "global") if place in found), _DEFAULT_INDEX).rstrip("/")
