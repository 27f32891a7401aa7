"""The conditions under which a leg was recorded: what has to be the same for two recordings to be parts of one leg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backendcheck.recordings.recording import Environment

# How many threads there are goes by the machine and by -n, a cache of compiled code by the machine: noted, not held against it.
_OF_THE_MACHINE = frozenset({
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "intra_op_threads", "threads",
    "compilation_cache",
})  # fmt: skip
_OPTIONS = {"keyword": "-k", "marks": "-m", "device": "--device", "oracles": "--oracles", "plugins": "-p", "noise": "--noise"}
_NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlike:
    """One condition that is not the same: what it is, and what it was on each side."""

    what: str
    left: str
    right: str


def unlike(left: Environment, right: Environment) -> list[Unlike]:
    """What was not the same when two legs of a backend were recorded: versions, settings, device, options, source files.

    What one of them does not know, because it ended before that could be seen, is no difference; a package that one of them
    has and the other has not is one.
    """
    found = [*_options(left.selection, right.selection)]
    if left.versions and right.versions:
        found += _unlike("", left.versions, right.versions)
        found += _unlike("", {"device": left.device}, {"device": right.device})
        found += _unlike("setting ", left.settings, right.settings)
        found += _unlike("", _without_machine(left.determinism), _without_machine(right.determinism))
    found += changed_sources(left.sources, right.sources)
    return found


def changed_sources(left: Mapping[str, str], right: Mapping[str, str]) -> list[Unlike]:
    """The source files that both know and that do not have the same content."""
    return [
        Unlike(what=name, left=f"SHA-256 {left[name][:8]}", right=f"SHA-256 {right[name][:8]}")
        for name in left
        if name in right and left[name] != right[name]
    ]


def _options(left: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[Unlike]:
    for key, option in _OPTIONS.items():
        if (one := left.get(key) or "") != (other := right.get(key) or ""):
            yield Unlike(what=option, left=_in_words(one), right=_in_words(other))


def _in_words(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text or _NONE


def _unlike(prefix: str, left: Mapping[str, str], right: Mapping[str, str]) -> Iterator[Unlike]:
    for name in dict.fromkeys([*left, *right]):
        one, other = left.get(name, _NONE), right.get(name, _NONE)
        if one != other:
            yield Unlike(what=f"{prefix}{name}", left=one, right=other)


def _without_machine(determinism: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in determinism.items() if name not in _OF_THE_MACHINE}
