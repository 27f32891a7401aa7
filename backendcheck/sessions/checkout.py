"""What is recorded: commit and branch of the project, and the CI job. Read from files and variables, so git is not needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from backendcheck.sessions.source_address import source_address

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# By service: GitHub, GitLab, Jenkins, Azure Pipelines, CircleCI, Bitbucket.
_COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT", "BUILD_SOURCEVERSION", "CIRCLE_SHA1", "BITBUCKET_COMMIT")
_BRANCHES = (
    "GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BRANCH_NAME", "GIT_BRANCH", "BUILD_SOURCEBRANCHNAME",
    "CIRCLE_BRANCH", "BITBUCKET_BRANCH",
)  # fmt: skip
_PROJECTS = ("GITHUB_REPOSITORY", "CI_PROJECT_PATH", "JOB_NAME", "BUILD_REPOSITORY_NAME", "BITBUCKET_REPO_FULL_NAME")
_LINKS = ("CI_JOB_URL", "BUILD_URL", "CIRCLE_BUILD_URL")
_IN_CI = ("CI", "GITHUB_ACTIONS", "JENKINS_URL", "TF_BUILD")
_LONGEST = 300


def checkout_of(directory: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """`commit`, `branch`, `project`, `link` and `source` of what is recorded in `directory`; what is not known is left out.

    The repository of the directory says which commit it is, and otherwise the variables of the CI service. `source` is where a
    service shows the files of the directory at that commit.
    """
    in_ci = any(variables.get(name) for name in _IN_CI)
    commit, branch, source = _in_repository(directory)
    of_service = variables if in_ci else {}
    links = [_github_link(of_service), *(of_service.get(name, "") for name in _LINKS)]
    checkout = {
        "commit": commit or next((of_service[name] for name in _COMMITS if _COMMIT.fullmatch(of_service.get(name, ""))), ""),
        "branch": branch or _first(of_service, _BRANCHES),
        "project": _first(of_service, _PROJECTS),
        "link": next((link for link in links if link.startswith(("https://", "http://"))), ""),
        "source": source,
    }
    return {name: value[:_LONGEST] for name, value in checkout.items() if value}


def _first(variables: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((variables[name] for name in names if variables.get(name)), "")


def _github_link(variables: Mapping[str, str]) -> str:
    server, project, run = (variables.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{project}/actions/runs/{run}" if server and project and run else ""


def _in_repository(directory: Path) -> tuple[str, str, str]:
    """Commit, branch and source of the git repository that `directory` is in; empty where they are not known."""
    try:
        root = next((folder for folder in (directory, *directory.parents) if (folder / ".git").exists()), None)
        if root is None:
            return "", "", ""
        place = root / ".git"
        if place.is_file():  # a worktree or a submodule
            place = (place.parent / place.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()
        if not (place / "HEAD").is_file():  # reading a pipe would wait for ever
            return "", "", ""
        head = (place / "HEAD").read_text(encoding="utf-8").strip()
        common = place / "commondir"
        shared = (place / common.read_text(encoding="utf-8").strip()).resolve() if common.is_file() else place
        if head.startswith("ref:"):
            name = head.removeprefix("ref:").strip()
            commit = next(filter(None, (_loose(folder, name) for folder in (place, shared))), "") or _packed(shared, name)
        else:
            name, commit = "", head if _COMMIT.fullmatch(head) else ""
        config = (shared / "config").read_text(encoding="utf-8") if (shared / "config").is_file() else ""
        below = PurePosixPath(directory.relative_to(root).as_posix())
        return commit, name.removeprefix("refs/heads/"), source_address(config, commit, below)
    except (OSError, ValueError):
        return "", "", ""


def _loose(folder: Path, name: str) -> str:
    path = folder / name
    commit = path.read_text(encoding="utf-8").strip() if ".." not in name and path.is_file() else ""
    return commit if _COMMIT.fullmatch(commit) else ""


def _packed(folder: Path, name: str) -> str:
    path = folder / "packed-refs"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    commits = (line.partition(" ")[0] for line in lines if line.partition(" ")[2] == name)
    return next((commit for commit in commits if _COMMIT.fullmatch(commit)), "")
