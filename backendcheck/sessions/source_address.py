"""Where a service shows the source of a commit: an address to which the path of a file and a line can be added."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import PurePosixPath

_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?!//)(?P<path>[^:]+)")  # git@github.com:owner/name.git
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_PROJECT = re.compile(r"[\w.~-]+(?:/[\w.~-]+)+")
_SERVICES = {"github": "", "gitlab": "-/"}  # by a part of the name of the host: what is before the kind of a page


def source_address(git_config: str, commit: str, below: PurePosixPath) -> str:
    """``https://github.com/owner/name/blob/COMMIT/below``, from the remote ``origin``; empty for a service that is not known."""
    folder = "".join(f"/{urllib.parse.quote(part)}" for part in below.parts)
    return f"{page}{folder}" if (page := _page(_url_of_origin(git_config), "blob", commit)) else ""


def commit_address(url_of_remote: str, commit: str) -> str:
    """``https://github.com/owner/name/commit/COMMIT``; empty for a service that is not known."""
    return _page(url_of_remote, "commit", commit)


def _page(url: str, kind: str, commit: str) -> str:
    """Nothing of the address of the remote is taken but host and path: a user, a password or a token in it stays there."""
    host, path = _host_and_path(url)
    project = path.strip("/").removesuffix(".git")
    services = (before for service, before in _SERVICES.items() if any(part.startswith(service) for part in host.split(".")))
    before = next(services, None)
    if before is None or not (commit and _HOST.fullmatch(host) and _PROJECT.fullmatch(project)) or ".." in project.split("/"):
        return ""
    return f"https://{host}/{project}/{before}{kind}/{commit}"


def _url_of_origin(git_config: str) -> str:
    section = ""
    for line in map(str.strip, git_config.splitlines()):
        if line.startswith("["):
            section = line
        elif section == '[remote "origin"]' and line.partition("=")[0].strip() == "url":
            return line.partition("=")[2].strip()
    return ""


def _host_and_path(url: str) -> tuple[str, str]:
    if match := _SCP.fullmatch(url):
        return match["host"].lower(), match["path"]
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return "", ""
    return ((parts.hostname or "").lower(), parts.path) if parts.scheme in ("https", "http", "ssh", "git") else ("", "")
