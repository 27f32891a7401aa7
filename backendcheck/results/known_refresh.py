"""Bringing known divergences up to a run: prune what is gone, give the rest version ranges and outcomes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from backendcheck.results.known_edit import Entry, FileEdits, entries_of, toml_inline, toml_list, toml_string
from backendcheck.results.results import CaseResult, Results
from backendcheck.text.toml_tables import TableEdit, tables
from backendcheck.verdicts.known import Cause, Divergence, excuse
from backendcheck.verdicts.outcomes import backend_of, changed_outcomes, default_observation, observed_outcome
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.findings import FindingKind


def prune(divergences: Sequence[Divergence], causes: Mapping[str, Cause], results: Results) -> FileEdits:
    """Remove what matches no case of the run, does not diverge in it any more, or has expired; then the causes of nothing."""
    edits = FileEdits()
    reasons = {divergence.key: "matches no case" for divergence in results.unmatched}
    reasons |= {divergence.key: "has expired" for divergence in results.expired}
    cases = _cases(results)
    for divergence in divergences:
        gone = [result.verdict is Verdict.XPASSED for result in cases.get(divergence.key, [])]
        if gone and all(gone):
            reasons[divergence.key] = "does not diverge any more"
        elif any(gone):
            edits.messages.append(f"{divergence.name}: kept; some of its cases diverge. Narrow the pattern by hand.")
    left: list[Divergence] = []
    for entry in entries_of(divergences):
        kept = [pattern for pattern in entry.patterns if pattern.key not in reasons]
        left += kept
        why = "; ".join(f"{pattern.case} {reasons[pattern.key]}" for pattern in entry.patterns if pattern.key in reasons)
        if not kept:
            edits.add(entry.path, TableEdit(table=entry.table, removed=True), f"{entry.name}: removed; {why}")
        elif why:
            values = {"cases": toml_list([pattern.case for pattern in kept])}
            edits.add(entry.path, TableEdit(table=entry.table, values=values), f"{entry.name}: narrowed; {why}")
    _remove_unused(causes, divergences, left, edits)
    return edits


def _remove_unused(
    causes: Mapping[str, Cause], before: Iterable[Divergence], after: Iterable[Divergence], edits: FileEdits
) -> None:
    unused = {entry.cause.id for entry in before if entry.cause} - {entry.cause.id for entry in after if entry.cause}
    for name in sorted(unused):
        path = causes[name].path
        table = next(table for table in tables(path.read_text(encoding="utf-8")) if table.name == f"cause.{name}")
        edits.add(path, TableEdit(table=table, removed=True), f"{path.name}: cause {name} removed; no entry names it any more")


def refresh(
    divergences: Sequence[Divergence], results: Results, *, package: str = "keras", add_outcomes: bool = False
) -> FileEdits:
    """Give entries the version range and the outcomes that the run shows.

    What is gone ends before the run's version of `package`. What already occurs in an earlier version than an entry names begins
    there. An outcome becomes what the run shows. With `add_outcomes` cases without one get one, in the first of their entries,
    where a single number or exception says what each backend does.
    """
    edits = FileEdits()
    cases = _cases(results)
    versions = sorted({Version(version) for leg in results.legs if (version := leg.environment.versions.get(package))})
    earlier = _earlier(divergences, results, package, versions[0]) if versions else set()
    described = {result.case for divergence in divergences if divergence.outcome for result in cases.get(divergence.key, [])}
    for entry in entries_of(divergences):
        edit = TableEdit(table=entry.table)
        gone = [pattern for pattern in entry.patterns if _is_gone(cases.get(pattern.key, []))]
        if gone and versions:
            edit = _ended(entry, gone, package, versions[0], edits)
        elif all(pattern.key in earlier for pattern in entry.patterns):
            begun = _from(entry.patterns[0].versions.get(package, ""), versions[0])
            edit = replace(edit, values={package: toml_string(begun)})
        of_entry = {result.case for pattern in entry.patterns for result in cases.get(pattern.key, [])}
        if entry.patterns[0].outcome or (add_outcomes and not of_entry <= described):
            outcome = _outcome([pattern for pattern in entry.patterns if pattern not in gone], cases, entry.name, edits)
            edit = replace(edit, values={**edit.values, **outcome})
            described |= of_entry if outcome else set()
        edit = replace(edit, values=_changed_values(entry, edit.values))
        if edit.values:
            words = "; ".join(f"{key} = {value}" for key, value in edit.values.items())
            edits.add(entry.path, edit, f"{entry.name}: {words}")
    return edits


def _ended(entry: Entry, gone: Sequence[Divergence], package: str, version: Version, edits: FileEdits) -> TableEdit:
    """The end of an entry before `version`; an entry of which only some cases are gone becomes two."""
    bounded = _bounded(entry.patterns[0].versions.get(package, ""), version)
    if bounded is None:
        edits.messages.append(f"{entry.name}: gone in {package} {version}, the first version that it names. Prune it.")
        return TableEdit(table=entry.table)
    kept = [pattern.case for pattern in entry.patterns if pattern not in gone]
    if not kept:
        return TableEdit(table=entry.table, values={package: toml_string(bounded)})
    ended = {"cases": toml_list([pattern.case for pattern in gone]), package: toml_string(bounded)}
    return TableEdit(table=entry.table, values={"cases": toml_list(kept)}, followed_by=_copied(entry, ended))


def _cases(results: Results) -> dict[tuple[Path, int, str], list[CaseResult]]:
    """The cases that each entry applies to."""
    cases: dict[tuple[Path, int, str], list[CaseResult]] = {}
    for result in results.cases:
        for entry in result.known:
            cases.setdefault(entry.key, []).append(result)
    return cases


def _is_gone(results: Sequence[CaseResult]) -> bool:
    return bool(results) and all(result.verdict is Verdict.XPASSED for result in results)


def _text(version: Version) -> str:
    """``3.12`` for 3.12.0 and ``3.12.1`` for 3.12.1."""
    return f"{version.major}.{version.minor}" + (f".{version.micro}" if version.micro else "")


def _bounded(specifier: str, version: Version) -> str | None:
    """The range up to below `version`; None if nothing is left of it."""
    parts = [str(part) for part in SpecifierSet(specifier) if part.operator not in ("<", "<=")]
    lowest = [Version(part.version) for part in SpecifierSet(specifier) if part.operator in (">=", ">", "==", "~=")]
    if any(bound >= version for bound in lowest):
        return None
    return ",".join([*sorted(parts, reverse=True), f"<{_text(version)}"])


def _from(specifier: str, version: Version) -> str:
    """The range from `version` on."""
    parts = [str(part) for part in SpecifierSet(specifier) if part.operator not in (">=", ">")]
    return ",".join([f">={_text(version)}", *parts])


def _earlier(divergences: Sequence[Divergence], results: Results, package: str, version: Version) -> set[tuple[Path, int, str]]:
    """Entries for later versions only, which nevertheless describe what failed in the run."""
    environments = {leg.label: leg.environment for leg in results.legs}
    later = []
    for entry in divergences:
        bounds = [Version(part.version) for part in SpecifierSet(entry.versions.get(package, "")) if part.operator in (">=", ">")]
        begun = replace(entry, versions={**entry.versions, package: _from(entry.versions.get(package, ""), version)})
        if bounds and max(bounds) > version and begun.applies(environments):
            later.append(entry)
    described: set[tuple[Path, int, str]] = set()
    for result in results.cases:
        fitting = [entry for entry in later if entry.matches_case(result.case)]
        if result.verdict is not Verdict.FAILED or not fitting:
            continue
        excused = excuse(result.findings, result.recordings, [*result.known, *fitting])
        if excused is not None and excused.covered:
            described |= {entry.key for entry in fitting}
    return described


def _outcome(
    patterns: Sequence[Divergence], cases: Mapping[tuple[Path, int, str], list[CaseResult]], name: str, edits: FileEdits
) -> dict[str, str | None]:
    """The values of `outcome` and `observation`; none if the cases of the entry do not agree on them."""
    alternatives = [_outcome_of(pattern, result) for pattern in patterns for result in cases.get(pattern.key, [])]
    if alternatives and alternatives[0] and all(values == alternatives[0] for values in alternatives):
        return dict(alternatives[0])
    if alternatives and patterns[0].outcome:
        edits.messages.append(f"{name}: outcome kept; its cases differ in theirs, or do not diverge as described. Look by hand.")
    return {}


def _outcome_of(pattern: Divergence, result: CaseResult) -> dict[str, str] | None:
    observation = pattern.observation or ("" if pattern.outcome else _observation(pattern, result))
    if observation is None or not _diverges_as_described(result):
        return None
    outcome = {backend: str(known) for backend, known in pattern.outcome.items()}
    for leg, recording in result.recordings.items():
        backend = backend_of(leg)
        if pattern.outcome and not changed_outcomes(pattern.outcome, observation, {leg: recording}):
            continue  # left out by the entry, or the same within its tolerance
        outcome[backend] = observed_outcome(recording, observation)
    if not all(outcome.values()):
        return None
    return {"outcome": toml_inline(outcome)} | ({"observation": toml_string(observation)} if observation else {})


def _diverges_as_described(result: CaseResult) -> bool:
    """Whether the findings are the known ones, whatever the outcomes."""
    entries = [replace(entry, outcome={}) for entry in result.known]
    excused = excuse(result.findings, result.recordings, entries)
    return excused is not None and excused.covered


def _observation(entry: Divergence, result: CaseResult) -> str | None:
    """The observation that shows the divergence: empty for the one that outcomes speak of anyway, None without one."""
    recordings = [recording for recording in result.recordings.values() if not recording.raised]
    defaults = {default_observation(recording) for recording in recordings}
    findings = [finding for finding in result.findings if finding.kind in entry.kinds and finding.oracle in entry.oracles]
    if any(finding.kind == FindingKind.RAISED for finding in findings):
        return None if defaults == {""} else ""
    for finding in sorted(findings, key=lambda finding: finding.observation not in defaults):
        observed = [recording.observations.get(finding.observation) for recording in recordings]
        if finding.worst_index is None or None in observed:
            continue
        if all(np.size(observation.value) == 1 for observation in observed if observation is not None):
            return "" if defaults == {finding.observation} else finding.observation
        return f"{finding.observation}[{', '.join(map(str, finding.worst_index))}]"
    return None


def _copied(entry: Entry, values: Mapping[str, str]) -> str:
    """The entry once more, as TOML, with other values."""
    lines = entry.path.read_text(encoding="utf-8").splitlines(keepends=True)
    table = entry.table
    text = [lines[table.header].rstrip("\n") + "\n"]
    for key, (start, end) in table.values.items():
        if key in values:
            text.append(f"{key} = {values[key]}\n")
        else:
            text += [line.rstrip("\n") + "\n" for line in lines[start:end]]
    text += [f"{key} = {value}\n" for key, value in values.items() if key not in table.values]
    return "".join(text)


def _changed_values(entry: Entry, values: Mapping[str, str | None]) -> dict[str, str | None]:
    """The values that are not in the file already."""
    lines = entry.path.read_text(encoding="utf-8").splitlines(keepends=True)
    current = {key: tomllib.loads("".join(lines[start:end])) for key, (start, end) in entry.table.values.items()}
    return {key: value for key, value in values.items() if value is None or current.get(key) != tomllib.loads(f"{key} = {value}")}
