"""Known or new: findings matched with the known divergences of the built-in cases, by situation, kind and legs.

The match is conservative. A finding is known only if a case about the same loss or metric differs in the same way, on the same
legs, and says in its name or claim what is special about the situation. A finding that is wrongly new costs a look. One that is
wrongly known is lost.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backendcheck.case_files import builtin_cases, find_case_files
from backendcheck.explore.judging import Sighting
from backendcheck.explore.situation import Situation
from backendcheck.reference import canonical_name
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.known_entries import load
from backendcheck.vocabulary.findings import Oracle

_FOLDER = "known_divergences"
# What a case says that is about a choice. The text is its id and its claim, in lower case.
_SIGNS: Mapping[tuple[str, str], str] = {
    ("label_values", "above-range"): r"past the last|above|out of range|outside|no class|unknown|beyond the",
    ("label_values", "negative"): r"negative|minus one|-1\b",
    ("label_values", "minus-hundred"): r"minus hundred|-100",
    ("label_values", "fractional"): r"whole number|fraction|between two|half",
    ("label_values", "nan"): r"\bnan\b|\[nan",
    ("label_values", "inf"): r"\binf|infinit",
    ("label_values", "zero-row"): r"zeros|no class|all zero|empty row",
    ("label_values", "row-sum"): r"\bsum\b|mass",
    ("label_values", "wide"): r"\bwide|beyond 32|2\*\*|int64|64 bits",
    ("label_values", "one-class"): r"one class|single class|only class",
    ("label_values", "empty"): r"no examples|empty batch|empty",
    ("predictions", "zero"): r"\bzero",
    ("predictions", "tied"): r"\btie|tied|equal scores",
    ("predictions", "exact-hit"): r"exact|hit\b|equals? (its|the) label|kink",
    ("predictions", "saturated"): r"saturat|certain|probability 0|\bsure\b",
    ("predictions", "nan"): r"\bnan\b",
    ("predictions", "inf"): r"\binf|infinit",
    ("sample_weight", "negative"): r"negative weight",
    ("sample_weight", "zero"): r"weights? (of )?(zero|0)|zero weight",
    ("mask", "ignore-class"): r"ignore",
    ("mask", "some"): r"mask",
    ("mask", "all"): r"mask",
}
_DTYPES = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "float16")
_USUAL = {
    "label_values": "valid", "predictions": "ordinary", "sample_weight": "none", "mask": "none", "batch": "whole",
    "outputs": "one", "policy": "float32", "optimizer": "none",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCase:
    """A function of a built-in case file: what it is about."""

    id: str
    text: str
    names: frozenset[str]


class KnownDivergences:
    """The known divergences of a folder of cases, by case."""

    def __init__(self, entries: Sequence[Divergence], cases: Sequence[KnownCase]) -> None:
        self._cases = {case.id: case for case in cases}
        self._entries = entries

    @classmethod
    def of_builtin_cases(cls) -> KnownDivergences:
        folder = builtin_cases()
        entries = load(folder / _FOLDER) if (folder / _FOLDER).is_dir() else []
        return cls(entries, [case for path in find_case_files([str(folder)]) for case in _cases_in(path)])

    def describing(self, sighting: Sighting) -> str | None:
        """The cause, or the case, that describes a finding; None if nothing does for certain."""
        for entry in self._entries:
            case = self._cases.get(entry.case.partition("[")[0].rstrip("*"))
            if case is not None and _describes(entry, case, sighting):
                return entry.cause.id if entry.cause is not None else entry.case
        return None


def _describes(entry: Divergence, case: KnownCase, sighting: Sighting) -> bool:
    signature, situation = sighting.signature, sighting.situation
    text = f"{entry.case} {case.text} {entry.reason}".lower()
    text = f"{text} {text.replace('_', ' ')}"
    return (
        _concerns_legs(entry, sighting)
        and signature.kind in entry.kinds
        and signature.oracle in entry.oracles
        and bool(_names_of(situation.target) & case.names)
        and _is_about(text, situation)
    )


def _concerns_legs(entry: Divergence, sighting: Sighting) -> bool:
    """Whether an entry is about the legs that differ. Of two groups that disagree an entry may name either."""
    legs, odd = set(sighting.recordings), set(sighting.signature.legs)
    deviating = set(entry.backends) & legs
    if sighting.signature.oracle != Oracle.AGREEMENT:
        return deviating == odd
    return bool(deviating) and (deviating == odd or legs - deviating == odd or (odd == legs and deviating != legs))


def _is_about(text: str, situation: Situation) -> bool:
    """Whether a text names all that is special about a situation, and something is."""
    special = [(name, getattr(situation, name)) for name, usual in _USUAL.items() if getattr(situation, name) != usual]
    if not special and situation.label_dtype in _DTYPES:
        return situation.label_dtype in text
    return bool(special) and all(key in _SIGNS and re.search(_SIGNS[key], text) for key in special)


def _names_of(target: str) -> frozenset[str]:
    """The names by which a case can call a target: the class, and the function of a loss or metric."""
    if not target.startswith("keras."):
        return frozenset({target})
    name = target.rpartition(".")[2]
    return frozenset({name, canonical_name(name)})


def _cases_in(path: Path) -> Iterator[KnownCase]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("case_"):
            names = {child.attr for child in ast.walk(node) if isinstance(child, ast.Attribute)}
            names |= {child.value for child in ast.walk(node) if isinstance(child, ast.Constant) and isinstance(child.value, str)}
            yield KnownCase(
                id=f"{path.stem}/{node.name.removeprefix('case_')}", names=frozenset(names),
                text=ast.get_docstring(node) or "",
            )  # fmt: skip
