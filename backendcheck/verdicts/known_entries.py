"""What stands in the files of known divergences: `[[divergence]]` entries, and the `[cause.ID]` tables that they name.

A cause is defined once, in the single file or in any file of the folder, and every entry of that file or folder may name it.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from backendcheck.errors import UsageError
from backendcheck.files import files_below, read_text
from backendcheck.verdicts.known import Cause, Divergence
from backendcheck.verdicts.outcomes import Outcome, parse_outcome
from backendcheck.vocabulary.backends import BUILT_IN, backends_by_name
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.named_legs import named_legs
from backendcheck.vocabulary.sides import Side

PACKAGES = ("keras", *(backend.value for backend in BUILT_IN))
_QUALIFIER = re.compile(r"[@+/]")  # begins what a leg has behind its backend
_LISTS = ("cases", "backends", "kind", "oracle", "installed", "missing")
_KEYS = {
    "case", "cases", "cause", "backends", "installed", "missing", "device", "oracle", "kind", "observation", "outcome", "reason",
    "link", "expires", *PACKAGES,
}  # fmt: skip
_CAUSE_KEYS = ("title", "explanation", "link", "since", "until")
Refuse = Callable[[str], UsageError]
_Member = TypeVar("_Member", bound=StrEnum)


def files_of(path: Path) -> list[Path]:
    """The file itself, or the files of a folder.

    Raises:
        UsageError: if two of them differ only in upper and lower case. Another system would have only one of them.
    """
    files = files_below(path, ".toml") if path.is_dir() else [path]
    alike: dict[str, Path] = {}
    for file in files:
        first = alike.setdefault(str(file).lower(), file)
        if first != file:
            message = (
                f"{file}: its name differs from {first.name} only in upper and lower case. "
                "macOS and Windows hold only one of them. Move all entries into one of them."
            )
            raise UsageError(message)
    return files


def load(path: Path) -> list[Divergence]:
    """The entries of a file, or of all files of a folder.

    Raises:
        UsageError: if it cannot be read, is not TOML, or an entry is not as documented, naming file and entry.
    """
    contents = {file: _read(file) for file in files_of(path)}
    causes = _causes(contents)
    return [
        entry
        for file, content in contents.items()
        for number, table in enumerate(content.get("divergence", []), 1)
        for entry in _parse(table, file, number, causes, file.relative_to(path.parent).as_posix())
    ]


def load_causes(path: Path) -> dict[str, Cause]:
    """The causes that a file or a folder defines, by id.

    Raises:
        UsageError: as `load`, or if an id is defined twice.
    """
    return _causes({file: _read(file) for file in files_of(path)})


def _causes(contents: Mapping[Path, Mapping[str, Any]]) -> dict[str, Cause]:
    causes: dict[str, Cause] = {}
    for file, content in contents.items():
        for name, table in content.get("cause", {}).items():
            if name in causes:
                message = f"{file}: [cause.{name}] is defined in {causes[name].path} too. Keep one of them."
                raise UsageError(message)
            causes[name] = _parse_cause(name, table, file)
    return causes


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = tomllib.loads(read_text(path))
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error})."
        raise UsageError(message) from error
    except (ValueError, RecursionError) as error:
        message = f"{path}: is not TOML ({error}). Correct it."
        raise UsageError(message) from error
    shapes = {"divergence": list, "cause": dict}
    if any(not isinstance(value, shapes.get(key, ())) for key, value in content.items()):
        message = f"{path}: expected [[divergence]] tables and [cause.ID] tables only, got {', '.join(sorted(content))}."
        raise UsageError(message)
    return content


def _parse_cause(name: str, table: Any, path: Path) -> Cause:
    def refuse(what: str) -> UsageError:
        return UsageError(f"{path}: [cause.{name}] {what}. See 'Known divergences' in the documentation.")

    if not isinstance(table, dict):
        raise refuse("is not a table")
    if unknown := sorted(set(table) - set(_CAUSE_KEYS)):
        raise refuse(f"has unknown keys {', '.join(unknown)}; expected some of {', '.join(_CAUSE_KEYS)}")
    for key, value in table.items():
        if not isinstance(value, str):
            raise refuse(f"{key} = {value!r}; expected a string")
    if not table.get("title", "").strip():
        raise refuse("has no title; expected a sentence that says what happens")
    for key in ("since", "until"):
        if key in table and not _is_version(table[key]):
            raise refuse(f"{key} = {table[key]!r}; expected a version such as '3.12' (of Keras) or 'torch 2.14'")
    texts = {key: " ".join(table[key].split()) for key in _CAUSE_KEYS if key in table}
    return Cause(id=name, path=path, **texts)


def _is_version(text: str) -> bool:
    package, _, version = text.rpartition(" ")
    try:
        Version(version)
    except InvalidVersion:
        return False
    return package in ("", *PACKAGES)


def _parse(table: Any, path: Path, number: int, causes: Mapping[str, Cause], source: str) -> list[Divergence]:
    """The entry, once for each of its patterns."""

    def refuse(what: str) -> UsageError:
        return UsageError(f"{path}: entry {number}: {what}. See 'Known divergences' in the documentation.")

    _check_form(table, refuse)
    cause = causes.get(table["cause"]) if "cause" in table else None
    if "cause" in table and cause is None:
        defined = ", ".join(sorted(causes)) or "one defined as [cause.ID]"
        raise refuse(f"names the cause {table['cause']}; expected {defined}")
    versions = {package: table[package] for package in PACKAGES if package in table}
    for package, specifier in versions.items():
        try:
            SpecifierSet(specifier)
        except InvalidSpecifier:
            raise refuse(f"{package} = {specifier!r}: invalid version range; expected one such as '>=3.5,<4' (PEP 440)") from None
    entry = Divergence(
        case="", backends=_set(table["backends"]), kinds=_members(FindingKind, "kind", table["kind"], refuse),
        oracles=_members(Oracle, "oracle", table.get("oracle", list(Oracle)), refuse),
        reason=table.get("reason", "").strip() or (cause.title if cause else ""),
        versions=versions, installed=_set(table.get("installed", [])), missing=_set(table.get("missing", [])),
        device=table.get("device", ""), link=table.get("link", "") or (cause.link if cause else ""), expires=_date(table, refuse),
        cause=cause, outcome=_outcomes(table, refuse), observation=table.get("observation", ""),
        source=source, number=number, path=path,
    )  # fmt: skip
    _check_names(entry, refuse)
    cases = [table["case"]] if "case" in table else table["cases"]
    return [replace(entry, case=case) for case in ([cases] if isinstance(cases, str) else cases)]


def _check_form(table: Any, refuse: Refuse) -> None:
    if not isinstance(table, dict):
        raise refuse("is not a table")
    if unknown := sorted(set(table) - _KEYS):
        raise refuse(f"has unknown keys {', '.join(unknown)}; expected some of {', '.join(sorted(_KEYS))}")
    for key, value in table.items():
        listed = key in _LISTS and isinstance(value, list) and all(isinstance(element, str) for element in value)
        if key not in ("expires", "outcome") and not isinstance(value, str) and not listed:
            expected = "a string or a list of strings" if key in _LISTS else "a string"
            raise refuse(f"{key} = {value!r}; expected {expected}")
    if "case" in table and "cases" in table:
        raise refuse("has case and cases; expected one of them")
    for key in ("case", "backends", "kind", "reason"):
        value = table.get("cases", "") if key == "case" and "case" not in table else table.get(key, "")
        if (not value or not str(value).strip()) and not (key == "reason" and "cause" in table):
            raise refuse(f"has no {key}; expected case (or cases), backends, kind, and reason or cause")
    if "cases" in table and "" in (cases := table["cases"]) and not isinstance(cases, str):
        raise refuse("has an empty pattern in cases; expected patterns of case ids")


def _check_names(entry: Divergence, refuse: Refuse) -> None:
    if wrong := sorted({Side(name).backend for name in entry.backends if not _may_be_leg(Side(name).backend)}):
        raise refuse(f"names the backend {', '.join(wrong)}; expected some of {', '.join(backends_by_name())}")
    if not entry.oracles:
        raise refuse(f"names no oracle; expected some of {', '.join(Oracle)}")


def _may_be_leg(pattern: str) -> bool:
    """Whether a leg can have this name, or a name that matches this pattern."""
    of_backend = _QUALIFIER.split(pattern)[0]
    return any(fnmatchcase(name, of_backend) for name in (*backends_by_name(), *named_legs()))


def _members(enum: type[_Member], what: str, value: str | list[str], refuse: Refuse) -> frozenset[_Member]:
    """The members of `enum` that a key of an entry names."""
    names = _set(value)
    if wrong := sorted(names - {*enum}):
        raise refuse(f"names the {what} {', '.join(wrong)}; expected some of {', '.join(enum)}")
    return frozenset(map(enum, names))


def _outcomes(table: Mapping[str, Any], refuse: Refuse) -> dict[str, Outcome]:
    outcomes = table.get("outcome", {})
    expected = 'expected {jax = "0.0", torch = "raises IndexError"}: raises TYPE, nan, inf or a number for a backend'
    if not isinstance(outcomes, dict) or ("outcome" in table and not outcomes):
        raise refuse(f"outcome = {outcomes!r}; {expected}")
    parsed = {leg: parse_outcome(text) if isinstance(text, str) else None for leg, text in outcomes.items()}
    for leg, outcome in parsed.items():
        if not _may_be_leg(leg) or outcome is None:
            raise refuse(f"outcome.{leg} = {outcomes[leg]!r}; {expected}")
    if "observation" in table and not outcomes:
        raise refuse("names an observation without an outcome; expected both or neither")
    return {leg: outcome for leg, outcome in parsed.items() if outcome is not None}


def _date(table: Mapping[str, Any], refuse: Refuse) -> datetime.date | None:
    expires = table.get("expires")
    if isinstance(expires, str):
        try:
            expires = datetime.date.fromisoformat(expires)
        except ValueError:
            raise refuse(f"expires = {expires!r}: invalid date; expected one such as 2027-01-31") from None
    if isinstance(expires, datetime.datetime):
        expires = expires.date()
    if expires is not None and not isinstance(expires, datetime.date):
        raise refuse(f"expires = {expires}: invalid date; expected one such as 2027-01-31")
    return expires


def _set(value: str | list[str]) -> frozenset[str]:
    return frozenset([value] if isinstance(value, str) else value)
