"""The conditions under which a leg was recorded: what has to be the same for two recordings to be parts of one leg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from backendcheck.recordings.environment import Environment, Selection

# The number of threads depends on the machine and on -n, a cache of compiled code on the machine: noted, but not compared.
OF_THE_MACHINE = frozenset({
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "intra_op_threads", "threads",
    "compilation_cache", "changed by imports",
})  # fmt: skip
# What a selection has besides options. Parts of a leg may differ there, or the caller compares it.
_NO_CONDITIONS = frozenset({"paths", "shard", "noise_of", "injections", "selected_by", "is_subset", "extra"})
_SHORT_OPTIONS = {"keyword": "-k", "marks": "-m", "plugins": "-p"}  # all others are named after their field
_NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One condition that differs: its name, and its value on each side."""

    what: str
    left: str
    right: str


def condition_mismatches(left: Environment, right: Environment) -> list[Mismatch]:
    """The conditions that differ between two legs of a backend: versions, settings, device, options, source files.

    A condition that one leg does not know, because it ended too early, is not a mismatch. A package that only one leg has is a
    mismatch.
    """
    mismatches = [*_options(left.selection, right.selection)]
    if left.versions and right.versions:
        mismatches += _mismatches("", left.versions, right.versions)
        mismatches += _mismatches("", {"device": left.device}, {"device": right.device})
        mismatches += _mismatches("setting ", left.settings, right.settings)
        mismatches += _mismatches("", _without_machine(left.determinism), _without_machine(right.determinism))
    mismatches += changed_sources(left.sources, right.sources)
    return mismatches


def changed_sources(left: Mapping[str, str], right: Mapping[str, str]) -> list[Mismatch]:
    """The source files that both know and that do not have the same content."""
    return [
        Mismatch(what=name, left=f"SHA-256 {left[name][:8]}", right=f"SHA-256 {right[name][:8]}")
        for name in left
        if name in right and left[name] != right[name]
    ]


def _options(left: Selection, right: Selection) -> Iterator[Mismatch]:
    mine, theirs = _values(left), _values(right)
    for name in dict.fromkeys([*mine, *theirs]):
        values = mine.get(name) or "", theirs.get(name) or ""
        if values[0] != values[1]:
            option = _SHORT_OPTIONS.get(name, f"--{name.replace('_', '-')}")
            yield Mismatch(what=option, left=_in_words(values[0]), right=_in_words(values[1]))


def _values(selection: Selection) -> dict[str, Any]:
    """The options of a selection by name, and what a later version has beside them."""
    declared = {field.name: getattr(selection, field.name) for field in fields(selection) if field.name not in _NO_CONDITIONS}
    return {**declared, **selection.extra}


def _in_words(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text or _NONE


def _mismatches(prefix: str, left: Mapping[str, str], right: Mapping[str, str]) -> Iterator[Mismatch]:
    for name in dict.fromkeys([*left, *right]):
        values = left.get(name, _NONE), right.get(name, _NONE)
        if values[0] != values[1]:
            yield Mismatch(what=f"{prefix}{name}", left=values[0], right=values[1])


def _without_machine(determinism: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in determinism.items() if name not in OF_THE_MACHINE}
