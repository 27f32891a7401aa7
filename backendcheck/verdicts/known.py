"""Known divergences: differences with a known reason, which are expected to occur again exactly as described.

An entry turns the FAILED that it describes into XFAILED. A finding of another kind, on other backends or with another outcome
stays FAILED. A divergence that is gone is XPASSED, which fails. An ERROR is never excused. `known_files` reads the entries.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from itertools import combinations, product
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from backendcheck.case_files import builtin_cases
from backendcheck.compare.findings import Finding
from backendcheck.compare.tolerances import Override
from backendcheck.recordings.environment import Environment
from backendcheck.recordings.recording import Recording
from backendcheck.text import documentation
from backendcheck.verdicts.outcomes import Outcome, backend_of, changed_outcomes
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS
from backendcheck.vocabulary.findings import ORACLES, FindingKind, Oracle
from backendcheck.vocabulary.leg_names import backend_in

_DEFAULT = tuple(backend.value for backend in DEFAULT_BACKENDS)
_STRUCTURAL = ("raised", "missing", "shape")
_DEVICE_TYPES = {"cpu": "cpu", "gpu": "gpu", "cuda": "gpu", "tpu": "tpu", "mps": "mps"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why entries diverge. `since` and `until` say in which versions, such as ``3.12`` (of Keras) or ``torch 2.14``.

    `until` is the first version without it. Both are for readers; the version ranges of the entries decide.
    """

    id: str
    title: str
    explanation: str = ""
    link: str = ""
    since: str = ""
    until: str = ""
    path: Path = Path()

    @property
    def versions(self) -> str:
        """``since Keras 3.12, until torch 2.14``; empty where nothing is known."""
        bounds = (("since", self.since), ("until", self.until))
        return ", ".join(f"{word} {'Keras ' if bound[0].isdigit() else ''}{bound}" for word, bound in bounds if bound)

    @property
    def page(self) -> str:
        """Where *What differs today* explains a cause of the built-in cases; empty for others, and without a public address."""
        return documentation.page("what-differs.md", self.id) if _is_built_in(self.path.absolute()) else ""


@cache
def _is_built_in(path: Path) -> bool:
    return path.resolve().is_relative_to(builtin_cases().resolve())


def _is_on(device: str, recorded: str) -> bool:
    """Whether a leg ran on `device`: a type of device such as ``gpu``, or what its environment says, or the start of it.

    Backends name the same device in their own ways: ``/physical_device:GPU:0``, ``gpu: NVIDIA H200`` and ``cuda: NVIDIA H200``.
    """
    return recorded.startswith(device) or _device_type(recorded) == _device_type(device) == device.lower()


def _device_type(device: str) -> str:
    words = re.split(r"[^a-z]+", device.lower())
    return next((_DEVICE_TYPES[word] for word in words if word in _DEVICE_TYPES), "")


@cache
def _literal_start(pattern: str) -> str:
    """What a pattern begins with before its first special character; most entries are distinguished by it, without a match."""
    return pattern[: next((index for index, character in enumerate(pattern) if character in "*?["), len(pattern))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """One entry for one pattern of cases. `oracles` and `kinds` are those it excuses, all oracles if it names none.

    An entry with several `cases` is read as a Divergence for each, with the same `number`. `outcome` is what each backend does,
    in `observation` (empty: the loss, or the only value). `found_above`: its file lies above the cases that were asked for.
    """

    case: str
    backends: frozenset[str]
    kinds: frozenset[FindingKind]
    reason: str
    oracles: frozenset[Oracle] = frozenset(Oracle)
    versions: Mapping[str, str]
    installed: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    device: str = ""
    link: str = ""
    expires: datetime.date | None = None
    cause: Cause | None = None
    outcome: Mapping[str, Outcome] = field(default_factory=dict)
    observation: str = ""
    source: str = ""
    number: int = 0
    path: Path = Path()
    found_above: bool = False

    @property
    def name(self) -> str:
        """How reports name the entry."""
        return f"{self.source}, entry {self.number} ({self.case})"

    @property
    def key(self) -> tuple[Path, int, str]:
        """What tells it apart from every other one."""
        return self.path, self.number, self.case

    @property
    def in_folder(self) -> bool:
        """Whether it stands in a folder with a file for each case file."""
        return "/" in self.source

    def names_leg(self, side: str) -> bool:
        """Whether the entry says that this leg deviates: by its name, or by a pattern such as ``openvino*``."""
        return self._names(backend_of(side)) or backend_in(backend_of(side)) in self.backends

    def speaks_of(self, side: str) -> bool:
        """Whether the entry says on which side a leg is. Of a leg that it does not name it says so for default backends only.

        The name of a backend covers its legs with qualifiers as well, without saying that they have to deviate.
        """
        leg = backend_of(side)
        return self._names(leg) or leg in _DEFAULT

    def _names(self, leg: str) -> bool:
        return leg in self.backends or any(fnmatchcase(leg, pattern) for pattern in self.backends)

    def matches_case(self, case: str) -> bool:
        return case == self.case or (case.startswith(_literal_start(self.case)) and fnmatchcase(case, self.case))

    def expired(self, today: datetime.date) -> bool:
        return self.expires is not None and today > self.expires

    def applies(self, legs: Mapping[str, Environment]) -> bool:
        """Whether the deviating backends ran, on the versions and the device that the entry is about."""
        if not any(map(self.names_leg, legs)):
            return False
        for package, specifier in self.versions.items():
            installed = [version for environment in legs.values() if (version := environment.versions.get(package))]
            if not all(_within(specifier, version) for version in installed):
                return False
        for leg in legs:
            if not self.names_leg(leg):
                continue
            versions = legs[leg].versions
            if not all(map(versions.get, self.installed)) or any(map(versions.get, self.missing)):
                return False
        return not self.device or all(_is_on(self.device, env.device) for env in legs.values())


class EntriesByCase:
    """The entries that match a case, in their order. Most name one case, and are looked up by it."""

    def __init__(self, entries: Sequence[Divergence]) -> None:
        self._by_case: dict[str, list[tuple[int, Divergence]]] = {}
        self._by_stem: dict[str | None, list[tuple[int, Divergence]]] = {}
        for place, entry in enumerate(entries):
            start = _literal_start(entry.case)
            if start == entry.case:
                self._by_case.setdefault(start, []).append((place, entry))
            else:
                self._by_stem.setdefault(start.partition("/")[0] if "/" in start else None, []).append((place, entry))

    def __call__(self, case: str) -> list[Divergence]:
        patterns = [*self._by_stem.get(case.partition("/")[0], ()), *self._by_stem.get(None, ())]
        matching = [*self._by_case.get(case, ()), *(item for item in patterns if item[1].matches_case(case))]
        return [entry for _, entry in sorted(matching, key=lambda item: item[0])]


def _within(specifier: str, version: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(Version(version.partition("+")[0]), prereleases=True)
    except InvalidVersion:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """What the entries that apply to a case say about its findings: `covered` all of them, or what is not covered."""

    entries: tuple[Divergence, ...]
    covered: bool
    gone: bool
    changed: tuple[str, ...] = ()


def excuse(
    findings: Sequence[Finding],
    recordings: Mapping[str, Recording],
    entries: Sequence[Divergence],
    oracles: Collection[Oracle] = ORACLES,
    overrides: Sequence[Override] = (),
) -> Excuse | None:
    """Compare the findings of a case with the entries that apply to it; None without an entry that could show.

    `oracles` are those of the run: what another oracle would find is neither missing nor gone.
    """
    legs = list(recordings)
    asked = {*oracles, "expectation"}
    entries = [entry for entry in entries if entry.oracles & asked]
    strict = [entry for entry in entries if entry.oracles <= asked]
    if not findings:
        entries = [entry for entry in strict if _would_show(entry, legs, entries)]
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
        changed += _no_longer(entry, findings, legs, entries)
    for entry in entries:
        changed += changed_outcomes(entry.outcome, entry.observation, recordings, overrides)
    return Excuse(entries=tuple(entries), covered=not changed, gone=False, changed=tuple(dict.fromkeys(changed)))


def _would_show(entry: Divergence, legs: Sequence[str], entries: Sequence[Divergence]) -> bool:
    """Whether these legs suffice to see the divergence: backends that deviate alike agree among themselves."""
    if all(map(entry.names_leg, _DEFAULT)) or Oracle.AGREEMENT not in entry.oracles:
        return True
    deviating = [leg for leg in legs if entry.names_leg(leg)]
    others = [leg for leg in legs if entry.speaks_of(leg) and leg not in deviating]
    return any(not _deviate_alike(pair, entries) for pair in product(deviating, others))


def _covers(entry: Divergence, finding: Finding) -> bool:
    if finding.kind not in entry.kinds or finding.oracle not in entry.oracles:
        return False
    if any(map(entry.names_leg, finding.sides)):
        return True
    # What all default backends do comes from Keras itself. That another backend shares it is the same divergence.
    of_keras = all(map(entry.names_leg, _DEFAULT))
    return of_keras and (finding.oracle != Oracle.AGREEMENT or finding.kind is FindingKind.NON_FINITE)


def _deviate_alike(pair: Sequence[str], entries: Sequence[Divergence]) -> bool:
    """Whether two legs may agree although an entry names one of them: another entry names the other.

    Between default backends an entry has to say it itself, by naming both.
    """
    return not all(leg in _DEFAULT for leg in pair) and all(any(entry.names_leg(leg) for entry in entries) for leg in pair)


def _no_longer(entry: Divergence, findings: Sequence[Finding], legs: Sequence[str], entries: Sequence[Divergence]) -> list[str]:
    """Pairs that the entry says differ and that do not any more, and kinds of finding that did not occur."""
    of_entry = [finding for finding in findings if _covers(entry, finding)]
    # A kind may have shown between two legs of which one is not in this run.
    are_all = {*_DEFAULT} <= {*map(backend_of, legs)}
    asked = entry.kinds if are_all or Oracle.AGREEMENT not in entry.oracles else frozenset[FindingKind]()
    absent = sorted(asked - {finding.kind for finding in of_entry})
    gone = [f"the known finding of kind {kind} did not occur" for kind in absent]
    agreement = [finding for finding in of_entry if finding.oracle == Oracle.AGREEMENT]
    if agreement:
        differing = {frozenset(finding.sides) for finding in agreement}
        # Where a pair differs in structure, as another entry may say, nothing below the structure is compared.
        structural = {frozenset(f.sides) for f in findings if f.oracle == Oracle.AGREEMENT and f.kind in _STRUCTURAL}
        gone += [
            f"{left} and {right} are known to differ and agree"
            for left, right in combinations(filter(entry.speaks_of, legs), 2)
            if entry.names_leg(left) != entry.names_leg(right)
            and frozenset((left, right)) not in differing | structural
            and not _deviate_alike((left, right), entries)
        ]
    for oracle in (Oracle.EXPECTATION, Oracle.REFERENCE, Oracle.PATHS, Oracle.ORDER):
        diverging = {backend_of(finding.left) for finding in of_entry if finding.oracle == oracle}
        missing = {backend_of(leg) for leg in legs if entry.names_leg(leg) and entry.speaks_of(leg)} - diverging
        if diverging and missing:
            gone.append(f"{', '.join(sorted(missing))} no longer has the known finding ({oracle})")
    return gone
