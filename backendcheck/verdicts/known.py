"""Known divergences: what has been looked at, with its reason, and is expected to be seen again, exactly.

`known_divergences.toml` holds ``[[divergence]]`` tables: `case` (a pattern), `backends` (who deviates), version ranges
(`keras`, `tensorflow`, `jax`, `torch`: PEP 440), packages that the deviating legs have beside their backend or have not
(`installed`, `missing`), `device`, `oracle`, `kind`, `reason`, `link`, `expires`. An entry turns the
FAILED that it describes into XFAILED; a finding of another kind or on other backends stays FAILED, and a divergence that is
gone is XPASSED, which fails. An ERROR is never excused.
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from backendcheck.case_files import BUILT_IN, builtin_cases, split_node_id
from backendcheck.compare.arrays import KINDS, ORACLES, Comparison
from backendcheck.errors import UsageError
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.recording import Environment
from backendcheck.vocabulary.backends import Backend

FILE_NAME = "known_divergences.toml"
_STRUCTURAL = ("raised", "missing", "shape")
_PACKAGES = ("keras", *(backend.value for backend in Backend))
_LISTS = ("backends", "kind", "oracle", "installed", "missing")
_KEYS = {"case", "backends", "installed", "missing", "device", "oracle", "kind", "reason", "link", "expires", *_PACKAGES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """One entry. `oracles` and `kinds` are those it excuses, all oracles if none is named."""

    case: str
    backends: frozenset[str]
    kinds: frozenset[str]
    reason: str
    oracles: frozenset[str] = frozenset(ORACLES)
    versions: Mapping[str, str]
    installed: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    device: str = ""
    link: str = ""
    expires: datetime.date | None = None
    source: str = ""
    number: int = 0

    @property
    def name(self) -> str:
        """How reports name the entry."""
        return f"{self.source}, entry {self.number} ({self.case})"

    def matches_case(self, case: str) -> bool:
        return case == self.case or fnmatchcase(case, self.case)

    def expired(self, today: datetime.date) -> bool:
        return self.expires is not None and today > self.expires

    def applies(self, legs: Mapping[str, Environment]) -> bool:
        """Whether the deviating backends ran, on the versions and the device that the entry is about."""
        if not self.backends & set(map(_backend, legs)):
            return False
        for package, specifier in self.versions.items():
            found = [v for env in legs.values() if (v := env.versions.get(package))]
            if not all(_within(specifier, version) for version in found):
                return False
        for leg in legs:
            if _backend(leg) not in self.backends:
                continue
            there = legs[leg].versions
            if not all(there.get(package) for package in self.installed) or any(there.get(package) for package in self.missing):
                return False
        return not self.device or all(env.device.startswith(self.device) for env in legs.values())


def _within(specifier: str, version: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(Version(version.partition("+")[0]), prereleases=True)
    except InvalidVersion:
        return False


def load(path: Path) -> list[Divergence]:
    """The entries of a file.

    Raises:
        UsageError: if it cannot be read, is no TOML, or an entry is not as documented, naming the entry.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error})."
        raise UsageError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path}: is not TOML ({error}). Correct it."
        raise UsageError(message) from error
    tables = content.get("divergence", [])
    if not isinstance(tables, list) or set(content) - {"divergence"}:
        message = f"{path}: expected [[divergence]] tables only, got {', '.join(sorted(content))}."
        raise UsageError(message)
    return [_parse(table, path, number) for number, table in enumerate(tables, 1)]


def find_known(legs: Sequence[Leg], configured: Sequence[Path]) -> list[Path]:
    """The files in force for `legs`: those configured, and those beside the case files that were recorded.

    Raises:
        UsageError: if a configured file does not exist.
    """
    for path in configured:
        if not path.is_file():
            message = f"{path}: no such file; expected the known divergences that pyproject.toml names."
            raise UsageError(message)
    beside = [folder / FILE_NAME for folder in _case_folders(legs) if (folder / FILE_NAME).is_file()]
    return list({path.resolve(): path for path in (*configured, *beside)}.values())


def known_place(legs: Sequence[Leg], configured: Sequence[Path] = ()) -> Path:
    """Where an entry about `legs` belongs: in the first file in force, or a new one beside their case files.

    Raises:
        UsageError: if a configured file does not exist.
    """
    folders = _case_folders(legs)
    return next(iter(find_known(legs, configured)), (folders[0] if folders else Path()) / FILE_NAME)


def _case_folders(legs: Sequence[Leg]) -> list[Path]:
    folders: dict[Path, None] = {}
    for leg in legs:
        for given in leg.environment.selection.get("paths", []):
            path = builtin_cases() if given == BUILT_IN else split_node_id(given)[0]
            folder = path if path.is_dir() else path.parent
            folders[builtin_cases() if folder.resolve().is_relative_to(builtin_cases().resolve()) else folder] = None
    return list(folders)


def _parse(table: Any, path: Path, number: int) -> Divergence:
    where = f"{path}: entry {number}"

    def refuse(what: str) -> UsageError:
        return UsageError(f"{where}: {what}. See 'Known divergences' in the documentation.")

    if not isinstance(table, dict):
        raise refuse("is not a table")
    if unknown := sorted(set(table) - _KEYS):
        raise refuse(f"has unknown keys {', '.join(unknown)}; expected some of {', '.join(sorted(_KEYS))}")
    for key, value in table.items():
        listed = key in _LISTS and isinstance(value, list) and all(isinstance(one, str) for one in value)
        if key != "expires" and not isinstance(value, str) and not listed:
            expected = "a string or a list of strings" if key in _LISTS else "a string"
            raise refuse(f"{key} = {value!r}; expected {expected}")
    for key in ("case", "backends", "kind", "reason"):
        if not table.get(key) or not str(table[key]).strip():
            raise refuse(f"has no {key}; expected case, backends, kind and reason")
    backends, kinds, oracles = _set(table["backends"]), _set(table["kind"]), _set(table.get("oracle", list(ORACLES)))
    for what, given, allowed in (
        ("backend", {one.partition("#")[0] for one in backends}, [backend.value for backend in Backend]),
        ("kind", kinds, KINDS),
        ("oracle", oracles, ORACLES),
    ):
        if wrong := sorted(given - set(allowed)):
            raise refuse(f"names the {what} {', '.join(wrong)}; expected some of {', '.join(allowed)}")
    if not oracles:
        raise refuse(f"names no oracle; expected some of {', '.join(ORACLES)}")
    versions = {package: table[package] for package in _PACKAGES if package in table}
    for package, specifier in versions.items():
        try:
            SpecifierSet(specifier)
        except InvalidSpecifier:
            raise refuse(f"{package} = {specifier!r} is no version range; expected one such as '>=3.5,<4' (PEP 440)") from None
    expires = table.get("expires")
    if isinstance(expires, str):
        try:
            expires = datetime.date.fromisoformat(expires)
        except ValueError:
            raise refuse(f"expires = {expires!r} is no date; expected one such as 2027-01-31") from None
    if isinstance(expires, datetime.datetime):
        expires = expires.date()
    if expires is not None and not isinstance(expires, datetime.date):
        raise refuse(f"expires = {expires} is no date; expected one such as 2027-01-31")
    return Divergence(
        case=table["case"], backends=backends, kinds=kinds, oracles=oracles, reason=table["reason"].strip(),
        versions=versions, installed=_set(table.get("installed", [])), missing=_set(table.get("missing", [])),
        device=table.get("device", ""), link=table.get("link", ""), expires=expires,
        source=path.name, number=number,
    )  # fmt: skip


def _set(value: str | list[str]) -> frozenset[str]:
    return frozenset([value] if isinstance(value, str) else value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """What the entries that apply to a case say about its findings: `covered` all of them, or what is not covered."""

    entries: tuple[Divergence, ...]
    covered: bool
    gone: bool
    changed: tuple[str, ...] = ()


def excuse(
    findings: Sequence[Comparison], legs: Sequence[str], entries: Sequence[Divergence], oracles: Collection[str] = ORACLES
) -> Excuse | None:
    """Hold the findings of a case against the entries that apply to it; None if there is no entry, or none that could show.

    `oracles` are those that were asked: what another one would see is neither missed nor gone.
    """
    asked = {*oracles, "expectation"}
    entries = [entry for entry in entries if entry.oracles & asked]
    strict = [entry for entry in entries if entry.oracles <= asked]
    if not findings:
        entries = [entry for entry in strict if _would_show(entry, legs)]
    if not entries:
        return None
    if not findings:
        return Excuse(entries=tuple(entries), covered=False, gone=True)
    changed = [
        f"{finding.kind} between {finding.left} and {finding.right} ({finding.observation}) is not the known one"
        for finding in findings
        if not any(_covers(entry, finding) for entry in entries)
    ]
    for entry in strict:
        changed += _no_longer(entry, findings, legs)
    return Excuse(entries=tuple(entries), covered=not changed, gone=False, changed=tuple(dict.fromkeys(changed)))


def _would_show(entry: Divergence, legs: Sequence[str]) -> bool:
    """Whether these legs suffice to see the divergence: backends that deviate alike agree among themselves."""
    everyone = entry.backends >= {backend.value for backend in Backend}
    return everyone or "agreement" not in entry.oracles or not entry.backends >= set(map(_backend, legs))


def _backend(side: str) -> str:
    """The backend of a side or a leg: ``jax:evaluate`` and ``jax#2`` are on ``jax``."""
    return side.partition(":")[0].partition("#")[0]


def _covers(entry: Divergence, finding: Comparison) -> bool:
    if finding.kind not in entry.kinds or finding.oracle not in entry.oracles:
        return False
    return any(_backend(side) in entry.backends for side in finding.sides)


def _no_longer(entry: Divergence, findings: Sequence[Comparison], legs: Sequence[str]) -> list[str]:
    """Pairs that the entry says differ and that do not any more, and kinds of finding that did not occur."""
    of_entry = [finding for finding in findings if _covers(entry, finding)]
    absent = sorted(entry.kinds - {finding.kind for finding in of_entry})
    gone = [f"the known finding of kind {kind} did not occur" for kind in absent]
    agreement = [finding for finding in of_entry if finding.oracle == "agreement"]
    if agreement:
        seen = {frozenset(finding.sides) for finding in agreement}
        # Where a pair differs in structure, as another entry may say, nothing below the structure is compared.
        structural = {frozenset(f.sides) for f in findings if f.oracle == "agreement" and f.kind in _STRUCTURAL}
        gone += [
            f"{left} and {right} are known to differ and agree"
            for left, right in combinations(legs, 2)
            if (_backend(left) in entry.backends) != (_backend(right) in entry.backends)
            and frozenset((left, right)) not in seen | structural
        ]
    for oracle in ("expectation", "reference", "paths", "order"):
        there = {_backend(finding.left) for finding in of_entry if finding.oracle == oracle}
        missing = (entry.backends & set(map(_backend, legs))) - there
        if there and missing:
            gone.append(f"{', '.join(sorted(missing))} no longer has the known finding ({oracle})")
    return gone
