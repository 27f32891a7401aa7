"""Commits of a local git repository as versions: which there are between two, and what its history says of one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from packaging.version import Version

from backendcheck.errors import UsageError
from backendcheck.sessions.source_address import commit_address
from backendcheck.versions.origin import Origin

_GIT_S = 120.0
_RELEASE = re.compile(r"v\d+(\.\d+)*")  # not a release candidate
_LENGTH = 12  # of the commits that are shown


def commits_between(checkout: Path, good: str, bad: str) -> list[str]:
    """The commits from `good` to `bad`, the oldest first, along first parents.

    If `good` is on a branch of its own, as a tag of a release may be, the first commit is the one where it left the way to `bad`.

    Raises:
        UsageError: if the directory is no git repository, or one of the two is no commit of it.
    """
    for option, name in (("--good", good), ("--bad", bad)):
        if not _git(checkout, "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"):
            message = f"{checkout}: {option} {name} is no commit there; expected a tag, branch or commit of a git repository."
            raise UsageError(message)
    first = _git(checkout, "merge-base", good, bad)
    later = _git(checkout, "rev-list", "--reverse", "--first-parent", f"{first}..{bad}").split() if first else []
    if not later:
        message = f"{checkout}: no commits from {good} to {bad}; expected --good before --bad."
        raise UsageError(message)
    return [commit[:_LENGTH] for commit in (first, *later)]


def origin_of_commit(checkout: Path, commit: str) -> Origin:
    """The date, the subject and, if the origin is a service that is known, the address of a commit."""
    whole, date, subject = _git(checkout, "show", "--no-patch", "--format=%H%n%cs%n%s", commit).split("\n", 2)
    link = commit_address(_git(checkout, "config", "--get", "remote.origin.url"), whole)
    tags = _git(checkout, "tag", "--list", "--contains", whole, "v[0-9]*").split()
    versions = sorted(Version(tag[1:]) for tag in tags if _RELEASE.fullmatch(tag))
    return Origin(release=str(versions[0]) if versions else "", date=date, subject=subject, link=link)


def _git(checkout: Path, *arguments: str) -> str:
    """What git says, or nothing if it fails."""
    try:
        command = ["git", "-C", str(checkout), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=_GIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"{checkout}: git cannot be run ({error}). Install git, or leave --git out."
        raise UsageError(message) from error
    return done.stdout.strip() if done.returncode == 0 else ""
