"""Known or new: findings matched with the known divergences of the built-in cases, by situation, kind and legs.

The match is conservative. A finding is known only if a case about the same loss or metric differs in the same way, on the same
legs, and says in its name or claim what is special about the situation. A finding that is wrongly new costs a look. One that is
wrongly known is lost. A finding whose case the project has word for word, as `--accept` leaves it, is known as well.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backendcheck.case_files import builtin_cases, find_case_files
from backendcheck.config import load_configuration
from backendcheck.errors import UsageError
from backendcheck.explore.case_file import case_source
from backendcheck.explore.judging import Sighting
from backendcheck.explore.keras_targets import keras_targets
from backendcheck.explore.known_cases import NAMES, OF_ARITHMETIC, KnownCase, cases_in, code_of, names_of
from backendcheck.explore.label_targets import keras_label_targets
from backendcheck.explore.paths import CALL
from backendcheck.explore.situation import Situation
from backendcheck.recordings.environment import Environment
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.known_entries import load
from backendcheck.verdicts.known_files import find_known_of_paths
from backendcheck.verdicts.outcomes import changed_outcomes
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.states import ExitState

_USUAL_PLACES = ("cases", "tests/cases")  # of the cases of a project that names none
# What a case says that is about a choice. The text is its id and its claim, in lower case.
_SIGNS: Mapping[tuple[str, str], str] = {
    ("label_values", "above-range"): r"past the last|above|out of range|outside|no class|unknown|beyond the",
    ("label_values", "negative"): r"negative|minus one|-1\b|names no class",
    ("label_values", "minus-hundred"): r"minus hundred|-100",
    ("label_values", "fractional"): r"whole number|fraction|between two|half",
    ("label_values", "nan"): r"\bnan\b|\[nan",
    ("label_values", "inf"): r"\binf|infinit|names no class|outside 0",  # an integer has another value there
    ("label_values", "zero-row"): r"zeros|no class|all zero|empty row",
    ("label_values", "row-sum"): r"\bsum\b|mass",
    ("label_values", "wide"): r"\bwide|beyond 32|2\*\*|int64|64 bits",
    ("label_values", "one-class"): r"one class|single class|only class",
    ("label_values", "empty"): r"no examples|without examples|empty",
    ("predictions", "zero"): r"\bzero",
    ("predictions", "tied"): r"\btie|tied|equal scores",
    ("predictions", "exact-hit"): r"exact|hit\b|equals? (its|the) label|kink",
    ("predictions", "saturated"): r"saturat|certain|probability 0|\bsure\b",
    ("predictions", "nan"): r"\bnan\b",
    ("predictions", "inf"): r"\binf|infinit",
    **{("sample_weight", choice): r"weight" for choice in ("per-example", "per-element", "one-zero", "class-weight")},
    ("sample_weight", "negative"): r"negative weight",
    ("sample_weight", "zero"): r"weights? (of )?(zero|0)|zero weight",
    ("outputs", "dict-unsorted"): r"sorted by name",
    ("mask", "ignore-class"): r"ignore",
    ("mask", "some"): r"mask",
    ("mask", "all"): r"mask",
}
_OUTPUTS = r"\boutputs\b"
_FLAT = r"\(n,\)|\bflat\b"
# Options that belong to the labels and the head, or that a target cannot do without. Any other one that is left is special.
_NEEDED = {
    target.name: frozenset({*target.required, *(name for form in target.forms for name in form.options)})
    for target in (*keras_targets(), *keras_label_targets())
}
_FOR_LABELS = frozenset(target.name for target in keras_label_targets())
_POSITIVE = ("per-example", "per-element")  # sample weights
_DTYPES = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "float16")
_USUAL = {
    "label_values": "valid", "predictions": "ordinary", "sample_weight": "none", "mask": "none", "batch": "whole",
    "outputs": "one", "policy": "float32", "optimizer": "none",
}  # fmt: skip


class KnownDivergences:
    """The known divergences of a folder of cases, by case."""

    def __init__(self, entries: Sequence[Divergence], cases: Sequence[KnownCase]) -> None:
        self._cases = {case.id: case for case in cases}
        self._entries = entries

    @classmethod
    def in_force(cls, folder: Path, environments: Mapping[str, Mapping[str, Any]]) -> KnownDivergences:
        """Those of the built-in cases, and of the cases of the project around `folder`, that hold for these legs.

        `environments` are the versions and the device of each leg.
        """
        configuration = load_configuration(folder)
        files = {place: _case_files(place) for place in (str(builtin_cases()), *(configuration.paths or _USUAL_PLACES))}
        places = [place for place, found in files.items() if found]
        legs = {
            leg: Environment(
                backend=leg, run="explore", exit_state=ExitState.COMPLETE, versions=of_leg["versions"], device=of_leg["device"]
            )
            for leg, of_leg in environments.items()
        }  # fmt: skip
        of_files = [entry for path in find_known_of_paths(places, configuration.known) for entry in load(path)]
        entries = [entry for entry in of_files if entry.applies(legs)]
        paths = dict.fromkeys(path.resolve() for found in files.values() for path in found)
        return cls(entries, [case for path in paths for case in cases_in(path)])

    def describing(self, sighting: Sighting, kind: str) -> str | None:
        """The cause, or the case, that describes a finding; None if nothing does for certain. `kind` is that of the target."""
        (function,) = ast.parse(case_source(sighting, "of_finding", kind)).body
        code = code_of(function)
        for entry in self._entries:
            case = self._cases.get(entry.case.partition("[")[0].rstrip("*"))
            if case is not None and _concerns(entry, case, sighting) and (case.code == code or _describes(entry, case, sighting)):
                return entry.cause.id if entry.cause is not None else entry.case
        return None


def _concerns(entry: Divergence, case: KnownCase, sighting: Sighting) -> bool:
    """Whether an entry is about the same loss or metric, and the same kind of difference on the same legs."""
    signature = sighting.signature
    return (
        _concerns_legs(entry, sighting)
        and signature.kind in entry.kinds
        and signature.oracle in entry.oracles
        and _names_target(entry, case, sighting.situation)
    )


def _names_target(entry: Divergence, case: KnownCase, situation: Situation) -> bool:
    """Whether a case is about the target. Of the names in a list, those count that the pattern of the entry selects."""
    names = names_of(situation.target)
    pattern = entry.case.partition("[")[2].removeprefix("[]").rstrip("]")
    pieces = [piece for piece in pattern.split("*") if piece]
    selected = {name for name in case.listed & NAMES if name in pattern or all(piece in name for piece in pieces)}
    chosen = re.split(r"[-*\[\]]", pattern)  # the parameters
    selected |= {name for name in case.listed & OF_ARITHMETIC if name.removeprefix("ops.") in chosen}
    return bool(names & (selected | case.names - NAMES if selected else case.names))


def _describes(entry: Divergence, case: KnownCase, sighting: Sighting) -> bool:
    """Whether the texts of an entry and its case name what is special about the situation."""
    situation = sighting.situation
    has_ignored = situation.target not in _FOR_LABELS and situation.labels == "integer"
    if situation.label_values == "minus-hundred" and not has_ignored:
        situation = replace(situation, label_values="negative")  # only losses of class numbers have an ignored label
    if sighting.signature.diagnosis == "label-mass" and situation.label_values != "valid":
        situation = replace(situation, label_values="row-sum")  # a negative label in a row, or a fraction, changes its sum
    own = _plain(f"{entry.case} {entry.reason}")
    if situation.path == CALL and re.search(_OUTPUTS, _plain(entry.case)):
        return False  # a plain call has no outputs that could be exchanged
    if situation.label_values == "negative" and has_ignored and re.search(_SIGNS["label_values", "minus-hundred"], own):
        return False  # a negative label of its own: the one that PyTorch ignores
    of_case = f"{own} {_plain(case.text)}"
    text = f"{of_case} {_plain(entry.cause.title if entry.cause is not None else '')}"
    dtype = situation.label_dtype
    if sighting.signature.diagnosis == "unsupported-type" and dtype in _DTYPES and dtype not in text:
        return False
    is_flat = situation.label_shape == "(N,)" and re.search(_FLAT, text) is not None
    plain = (situation.label_values, situation.mask, situation.options) == ("valid", "none", ())
    if is_flat and plain and sighting.signature.oracle == Oracle.REFERENCE:
        return True  # labels that meet all predictions give a wrong number with any predictions and weights
    situation = _plainer(situation, sighting.signature.kind)
    if _special(situation) or situation.options or situation.label_dtype in _DTYPES:
        names = names_of(situation.target)
        return _is_about(text, situation, frozenset(option for name, option in case.options if name in names))
    # A column is left only where classes (N,) do not show it.
    if (situation.labels, situation.label_shape) == ("integer", "(N,1)") and "(n, 1)" in of_case:
        return True
    if is_flat:
        return True
    claimed = _plain(f"{entry.case} {case.text}")  # a reason may say NaN, as the outcome
    return not any(re.search(sign, claimed) for sign in _SIGNS.values()) and _does_the_same(entry, sighting)


def _plain(text: str) -> str:
    """A text in lower case, with the words of names apart as well."""
    return f"{text} {text.replace('_', ' ')}".lower()


def _concerns_legs(entry: Divergence, sighting: Sighting) -> bool:
    """Whether an entry is about the legs that differ. Of two groups that disagree an entry may name either."""
    legs, odd = set(sighting.recordings), set(sighting.signature.legs)
    deviating = {leg for leg in legs if entry.names_leg(leg)}
    if sighting.signature.oracle != Oracle.AGREEMENT:
        return deviating == odd
    if sighting.signature.kind == FindingKind.DTYPE and odd < deviating:
        return bool(odd)  # the others have another type in place of one that they lack, which a search leaves out
    return bool(deviating) and (deviating == odd or legs - deviating == odd or (odd == legs and deviating != legs))


def _does_the_same(entry: Divergence, sighting: Sighting) -> bool:
    """Whether each leg raises, or gives NaN or an infinity, as the entry says. Of a plain situation little else tells."""
    observation = "" if sighting.finding is None else sighting.finding.observation
    unusual = bool(entry.outcome) and not any(math.isfinite(outcome.number) for outcome in entry.outcome.values())
    return unusual and not changed_outcomes(entry.outcome, observation, sighting.recordings)


def _plainer(situation: Situation, kind: str) -> Situation:
    """A situation without what does not matter beside a choice that is special.

    What refuses a label refuses it in every model and with any weights, and a function for labels is wrong about a label whatever
    the scores are. What outputs, their precision, the size of a batch and positive weights add to special labels, predictions or
    a mask is left in by a search that ends before it has made a finding small.
    """
    special = dict(_special(situation))
    if "label_values" in special and (kind == FindingKind.RAISED or situation.target in _FOR_LABELS):
        plain: dict[str, Any] = {name: usual for name, usual in _USUAL.items() if name != "label_values"}
        return replace(situation, **plain, options=())
    if special.keys() & {"label_values", "predictions", "mask"}:
        situation = replace(situation, outputs="one", policy="float32", batch="whole")
        return replace(situation, sample_weight="none") if situation.sample_weight in _POSITIVE else situation
    return situation


def _special(situation: Situation) -> list[tuple[str, str]]:
    """The choices that are not the usual ones."""
    return [(name, getattr(situation, name)) for name, usual in _USUAL.items() if getattr(situation, name) != usual]


def _is_about(text: str, situation: Situation, given: frozenset[str]) -> bool:
    """Whether a text names all that is special about a situation, and something is. `given` are options of the target there."""
    special = _special(situation)
    needed = {*_NEEDED.get(situation.target, ()), "ignore_class"}  # which is the mask
    options = [name for name, _ in situation.options if name not in needed]
    # A single word, such as axis, is in many texts and tells nothing, unless the case gives it to the target.
    telling = [name for name in options if "_" in name or name in given]
    if not special and not options and situation.label_dtype in _DTYPES:
        return situation.label_dtype in text
    if not special and situation.target in _FOR_LABELS and situation.label_dtype not in _DTYPES:
        # A function that is wrong about valid labels is known by a case that is about valid labels as well.
        signs = [sign for (name, _), sign in _SIGNS.items() if name == "label_values"]
        telling = [] if any(re.search(sign, text) for sign in (*signs, *_DTYPES)) else [situation.target]
    return (
        bool(special or telling)
        and all(key in _SIGNS and re.search(_SIGNS[key], text) for key in special)
        and all(name in given or name.replace("_", " ") in text for name in options)
    )


def _case_files(place: str) -> list[Path]:
    try:
        return find_case_files([place])
    except UsageError:  # there is no such folder, or no case in it
        return []
