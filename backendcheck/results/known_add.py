"""Write entries for known_divergences.toml from what was just seen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from backendcheck.compare.findings import Finding, odd_one_out
from backendcheck.errors import UsageError
from backendcheck.files import write_atomically
from backendcheck.results.known_edit import FileEdits, toml_string
from backendcheck.results.results import CaseResult
from backendcheck.text.toml_tables import TableEdit, tables
from backendcheck.verdicts.known import Cause, Divergence, excuse
from backendcheck.verdicts.known_entries import load
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.findings import FindingKind, Oracle


def entries_for(
    result: CaseResult, *, reason: str, cause: str = "", since: Mapping[str, str] | None = None, link: str = "", expires: str = ""
) -> list[str]:
    """The ``[[divergence]]`` tables, as TOML, that excuse exactly the findings of `result`: one for each oracle and group.

    `since` has the first version of packages with which it was seen; the entries hold from there on.

    Raises:
        UsageError: if the case has no finding, is an ERROR, or is known already.
    """
    if result.verdict is Verdict.ERROR:
        message = f"{result.case}: is an ERROR ({result.headline}); that is never excused. Mend the run first."
        raise UsageError(message)
    if result.verdict is not Verdict.FAILED:
        message = f"{result.case}: is {result.verdict}; expected a FAILED case, there is nothing to add."
        raise UsageError(message)
    if result.known:
        entry = result.known[0].name
        message = f"{result.case}: has an entry already ({entry}) and is not as that says. Change or remove that one."
        raise UsageError(message)
    legs = list(result.recordings)
    kinds: dict[tuple[Oracle, tuple[str, ...]], set[FindingKind]] = {}
    for oracle in dict.fromkeys(finding.oracle for finding in result.findings):
        of_oracle = [finding for finding in result.findings if finding.oracle == oracle]
        for kind in dict.fromkeys(finding.kind for finding in of_oracle if finding.kind):
            deviating = _deviating(oracle, [finding for finding in of_oracle if finding.kind == kind], legs)
            kinds.setdefault((oracle, deviating), set()).add(kind)
    entries = [
        Divergence(
            case=result.case, backends=frozenset(backends), kinds=frozenset(of_kind), oracles=frozenset({oracle}), reason=reason,
            versions={},
        )
        for (oracle, backends), of_kind in kinds.items()
    ]  # fmt: skip
    excused = excuse(result.findings, result.recordings, entries)
    if excused is None or not excused.covered:
        why = excused.changed[0] if excused else "no finding"
        message = f"{result.case}: its findings cannot be described by entries ({why}). Write them by hand, or split the case."
        raise UsageError(message)
    return [_toml(entry, order=legs, cause=cause, link=link, expires=expires, since=since or {}) for entry in entries]


def _deviating(oracle: Oracle, findings: Sequence[Finding], legs: Sequence[str]) -> tuple[str, ...]:
    if oracle != Oracle.AGREEMENT:
        return tuple(leg for leg in legs if leg in {finding.left.leg for finding in findings})
    if odd := odd_one_out(legs, findings):
        return (odd,)
    return tuple(leg for leg in legs if any(leg in finding.sides for finding in findings))


def _toml(entry: Divergence, *, order: Sequence[str], cause: str, link: str, expires: str, since: Mapping[str, str]) -> str:
    backends = [leg for leg in order if leg in entry.backends]
    lines = ["[[divergence]]", *([f"cause = {_string(cause)}"] if cause else [])]
    lines += [f"case = {_string(entry.case)}", f"backends = [{', '.join(map(_string, backends))}]"]
    lines += [f"{package} = {_string(f'>={version}')}" for package, version in since.items()]
    lines.append(f"oracle = {_string(next(iter(entry.oracles)))}")
    kinds = sorted(entry.kinds)
    lines.append(f"kind = {_string(kinds[0]) if len(kinds) == 1 else '[' + ', '.join(map(_string, kinds)) + ']'}")
    lines += [f"reason = {_string(entry.reason)}"] if entry.reason else []
    lines += [f"link = {_string(link)}"] if link else []
    lines += [f"expires = {expires}"] if expires else []
    return "\n".join(lines) + "\n"


def _string(text: str) -> str:
    return json.dumps(text)  # a JSON string is a TOML basic string


def add(path: Path, entries: Sequence[str], place: Path | None = None) -> None:
    """Append `entries` to the file; everything that is in it, comments too, stays as it is.

    `place` is the folder that the file belongs to, if it belongs to one: causes may be defined in other files of it.

    Raises:
        UsageError: if the file is there and cannot be read, or would not be read with the entries.
        OutputInTheWay: if it cannot be written.
    """
    whole = place or path
    before = None
    if whole.exists():
        load(whole)
    if path.exists():
        before = path.read_text(encoding="utf-8")
    text = before or ""
    text += "" if text.endswith("\n") or not text else "\n"
    write_atomically(path, "\n".join(filter(None, [text, *entries])).encode())
    try:
        load(whole)
    except UsageError:
        path.unlink() if before is None else write_atomically(path, before.encode())
        raise


def date_cause(cause: Cause, since: str, link: str) -> FileEdits:
    """Give a cause the first version with it, and a link, unless it has them."""
    edits = FileEdits()
    table = next(table for table in tables(cause.path.read_text(encoding="utf-8")) if table.name == f"cause.{cause.id}")
    now = {"link": cause.link, "since": cause.since}
    values = {key: toml_string(value) for key, value in (("link", link), ("since", since)) if value and not now[key]}
    if values:
        written = ", ".join(f"{key} = {value}" for key, value in values.items())
        edits.add(cause.path, TableEdit(table=table, values=values), f"{cause.path}: cause {cause.id} has {written}.")
    return edits
