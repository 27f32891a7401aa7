"""Where a service shows the source of a commit: an address to which the path of a file and a line can be added."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import PurePosixPath

_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?!//)(?P<path>[^:]+)")  # git@github.com:owner/name.git
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_PROJECT = re.compile(r"[\w.~-]+(?:/[\w.~-]+)+")
_BLOB = {"github": "blob", "gitlab": "-/blob"}  # by a part of the name of the host


def source_address(git_config: str, commit: str, below: PurePosixPath) -> str:
    """``https://github.com/owner/name/blob/COMMIT/below``, from the remote ``origin``; empty for a service that is not known.

    Nothing of the address of the remote is taken but host and path: a user, a password or a token in it stays there.
    """
    host, path = _host_and_path(_url_of_origin(git_config))
    project = path.strip("/").removesuffix(".git")
    blob = next((blob for service, blob in _BLOB.items() if any(part.startswith(service) for part in host.split("."))), "")
    if not (blob and commit and _HOST.fullmatch(host) and _PROJECT.fullmatch(project)) or ".." in project.split("/"):
        return ""
    folder = "".join(f"/{urllib.parse.quote(part)}" for part in below.parts)
    return f"https://{host}/{project}/{blob}/{commit}{folder}"


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
