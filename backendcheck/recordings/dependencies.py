"""What a recording depends on outside of its process: files, folders and environment variables, each by a key and a value.

    file:PATH        "absent", "folder", "other", or the SHA-256 of the content
    folder:PATH      "absent", or the SHA-256 of the names in the folder with the kind of each
    variable:NAME    "absent", or the SHA-256 of the value, which may be a secret

A dependency is unchanged if its key has the same value now.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping

ABSENT = "absent"
_FOLDER, _OTHER = "folder", "other"
FILE, LISTING, VARIABLE = "file:", "folder:", "variable:"
_MOST_BYTES = 2**22  # of an installed file that counts by content
_IGNORED_NAMES = frozenset({"__pycache__", ".pytest_cache"})  # folders that Python and pytest make while they read others


def identity(path: str) -> str:
    """What changes with every change of a regular file: size, times and number; empty if it is not a regular file.

    The time of the last change of the entry cannot be set by a program, as that of the content can.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - thousands of files in a fraction of a second
    except (OSError, ValueError):
        return ""
    if not stat.S_ISREG(status.st_mode):
        return ""
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}-{status.st_dev}"


def installed_identity(path: str) -> str:
    """The size and the times of a file of an installed package; empty if it is not there. Its content is not read here."""
    return "-".join(identity(path).split("-")[:3])


def installed_value(path: str, noted: str) -> str:
    """The value of an installed file, of which `noted` is the identity: with the digest of its content, unless it is large.

    The digest is compared only where the time of the last change of the entry is another one, as in a copy of an environment.
    """
    if not noted or int(noted.partition("-")[0]) > _MOST_BYTES:
        return noted
    value = file_value(path)
    return f"{noted} {value if installed_identity(path) == noted else 'changed meanwhile'}"


def is_installed_unchanged(path: str, value: str) -> bool:
    """Whether an installed file still has the value that `installed_value` gave it."""
    noted, _, digest = value.partition(" ")
    now = installed_identity(path)
    if now == noted:
        return True
    return now.split("-")[:2] == noted.split("-")[:2] and digest in ("", file_value(path))


def file_value(path: str) -> str:
    """The value of the key ``file:PATH`` now."""
    try:
        status = os.stat(path)  # noqa: PTH116
        if stat.S_ISDIR(status.st_mode):
            return _FOLDER
        if not stat.S_ISREG(status.st_mode):
            return _OTHER
        with open(path, "rb") as file:  # noqa: PTH123
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except (OSError, ValueError):
        return _OTHER


def listing_value(path: str) -> str:
    """The value of the key ``folder:PATH`` now."""
    try:
        with os.scandir(path) as entries:
            rows = sorted(f"{entry.name}\0{_kind(entry)}" for entry in entries if entry.name not in _IGNORED_NAMES)
    except (OSError, ValueError):
        return ABSENT
    return _digest("\0\0".join(rows))


def _kind(entry: os.DirEntry[str]) -> str:
    return f"{entry.is_symlink():d}{_FOLDER if entry.is_dir() else 'file' if entry.is_file() else _OTHER}"


def variable_value(name: str, variables: Mapping[str, str]) -> str:
    """The value of the key ``variable:NAME`` in `variables`."""
    return _digest(variables[name]) if name in variables else ABSENT


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def value_now(key: str, variables: Mapping[str, str]) -> str:
    """The value of a key now; `variables` are those that a recording process gets."""
    for prefix, value in ((FILE, file_value), (LISTING, listing_value)):
        if key.startswith(prefix):
            return value(key.removeprefix(prefix))
    return variable_value(key.removeprefix(VARIABLE), variables)


class Now:
    """The values of keys at this moment, each read once."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._values: dict[str, str] = {}
        self._identities: dict[str, str] = {}

    def is_unchanged(self, key: str, value: str, noted: str) -> bool:
        """Whether `key` still has `value`; `noted` is the identity that its file had, if it was a file."""
        if noted and key not in self._values:
            if key not in self._identities:
                self._identities[key] = identity(key.removeprefix(FILE))
            if self._identities[key] == noted:
                return True
        if key not in self._values:
            self._values[key] = value_now(key, self._variables)
        return self._values[key] == value


def digest_of(texts: Iterable[str]) -> str:
    """One digest of several texts."""
    return _digest("\0".join(texts))
