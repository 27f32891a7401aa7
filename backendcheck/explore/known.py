"""Known or new: findings matched with the known divergences of the built-in cases, by situation, kind and legs.

The match is conservative. A finding is known only if a case about the same loss or metric differs in the same way, on the same
legs, and says in its name or claim what is special about the situation. A finding that is wrongly new costs a look. One that is
wrongly known is lost. A finding whose case the project has word for word, as `--accept` leaves it, is known as well.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backendcheck.case_files import builtin_cases, find_case_files
from backendcheck.config import load_configuration
from backendcheck.errors import UsageError
from backendcheck.explore.case_file import case_source
from backendcheck.explore.judging import Sighting
from backendcheck.explore.keras_targets import keras_targets
from backendcheck.explore.label_targets import keras_label_targets
from backendcheck.explore.situation import Situation
from backendcheck.recordings.environment import Environment
from backendcheck.reference import canonical_name
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.known_entries import load
from backendcheck.verdicts.known_files import find_known_of_paths
from backendcheck.verdicts.outcomes import changed_outcomes
from backendcheck.vocabulary.findings import Oracle
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
    ("sample_weight", "negative"): r"negative weight",
    ("sample_weight", "zero"): r"weights? (of )?(zero|0)|zero weight",
    ("mask", "ignore-class"): r"ignore",
    ("mask", "some"): r"mask",
    ("mask", "all"): r"mask",
}
_FLAT = r"\(n,\)|\bflat\b"
# Options that belong to the labels and the head, or that a target cannot do without. Any other one that is left is special.
_NEEDED = {
    target.name: frozenset({*target.required, *(name for form in target.forms for name in form.options)})
    for target in (*keras_targets(), *keras_label_targets())
}
_FOR_LABELS = frozenset(target.name for target in keras_label_targets())
_DTYPES = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "float16")
_USUAL = {
    "label_values": "valid", "predictions": "ordinary", "sample_weight": "none", "mask": "none", "batch": "whole",
    "outputs": "one", "policy": "float32", "optimizer": "none",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCase:
    """A function of a case file: what it is about.

    `code` is its claim and its body. `text` is its claim and the options that it names. `names` are those that it mentions, also
    by way of the functions of its file. A name that the file imports is there as ``package.module:Name``. `options` are those
    that it gives to what it calls, each as the name and the option. `listed` are names in lists of the file that it uses.
    """

    id: str
    text: str
    names: frozenset[str]
    code: str = ""
    options: frozenset[tuple[str, str]] = frozenset()
    listed: frozenset[str] = frozenset()


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
        return cls(entries, [case for path in paths for case in _cases_in(path)])

    def describing(self, sighting: Sighting, kind: str) -> str | None:
        """The cause, or the case, that describes a finding; None if nothing does for certain. `kind` is that of the target."""
        (function,) = ast.parse(case_source(sighting, "of_finding", kind)).body
        code = _code(function)
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
    names = _names_of(situation.target)
    pattern = entry.case.partition("[")[2].removeprefix("[]").rstrip("]")
    pieces = [piece for piece in pattern.split("*") if piece]
    selected = {name for name in case.listed & _NAMES if name in pattern or all(piece in name for piece in pieces)}
    return bool(names & (selected or case.names))


def _describes(entry: Divergence, case: KnownCase, sighting: Sighting) -> bool:
    """Whether the texts of an entry and its case name what is special about the situation."""
    situation = sighting.situation
    has_ignored = situation.target not in _FOR_LABELS and situation.labels == "integer"
    if situation.label_values == "minus-hundred" and not has_ignored:
        situation = replace(situation, label_values="negative")  # only losses of class numbers have an ignored label
    own = _plain(f"{entry.case} {entry.reason}")
    if situation.label_values == "negative" and has_ignored and re.search(_SIGNS["label_values", "minus-hundred"], own):
        return False  # a negative label of its own: the one that PyTorch ignores
    of_case = f"{own} {_plain(case.text)}"
    text = f"{of_case} {_plain(entry.cause.title if entry.cause is not None else '')}"
    if _special(situation) or situation.options or situation.label_dtype in _DTYPES:
        names = _names_of(situation.target)
        return _is_about(text, situation, frozenset(option for name, option in case.options if name in names))
    # A column is left only where classes (N,) do not show it.
    if (situation.labels, situation.label_shape) == ("integer", "(N,1)") and "(n, 1)" in of_case:
        return True
    if situation.label_shape == "(N,)" and re.search(_FLAT, text):
        return True
    claimed = _plain(f"{entry.case} {case.text}")  # a reason may say NaN, as the outcome
    return not any(re.search(sign, claimed) for sign in _SIGNS.values()) and _does_the_same(entry, sighting)


def _code(function: ast.stmt) -> str:
    """The claim of a case, which is the first line of its docstring, and its body."""
    if not isinstance(function, ast.FunctionDef):
        return ""
    claim = (ast.get_docstring(function) or "").partition("\n")[0]
    return "\n".join([claim, *map(ast.unparse, function.body[1:])])


def _plain(text: str) -> str:
    """A text in lower case, with the words of names apart as well."""
    return f"{text} {text.replace('_', ' ')}".lower()


def _concerns_legs(entry: Divergence, sighting: Sighting) -> bool:
    """Whether an entry is about the legs that differ. Of two groups that disagree an entry may name either."""
    legs, odd = set(sighting.recordings), set(sighting.signature.legs)
    deviating = {leg for leg in legs if entry.names_leg(leg)}
    if sighting.signature.oracle != Oracle.AGREEMENT:
        return deviating == odd
    return bool(deviating) and (deviating == odd or legs - deviating == odd or (odd == legs and deviating != legs))


def _does_the_same(entry: Divergence, sighting: Sighting) -> bool:
    """Whether each leg raises, or gives NaN or an infinity, as the entry says. Of a plain situation little else tells."""
    observation = "" if sighting.finding is None else sighting.finding.observation
    unusual = bool(entry.outcome) and not any(math.isfinite(outcome.number) for outcome in entry.outcome.values())
    return unusual and not changed_outcomes(entry.outcome, observation, sighting.recordings)


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


def _names_of(target: str) -> frozenset[str]:
    """The names by which a case can call a target: the class, and the function of a loss or metric."""
    if not target.startswith("keras."):
        return frozenset({target})
    name = target.rpartition(".")[2]
    return frozenset({name, canonical_name(name)})


def _case_files(place: str) -> list[Path]:
    try:
        return find_case_files([place])
    except UsageError:  # there is no such folder, or no case in it
        return []


_NAMES = frozenset().union(*map(_names_of, _NEEDED))


def _cases_in(path: Path) -> Iterator[KnownCase]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    imports = {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }  # fmt: skip
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    names = {**{name: name for name in functions}, **imports}
    mentioned = {name: _mentioned_in(function, names) for name, function in functions.items()}
    lists = {
        target.id: _mentioned_in(node, {})
        for node in tree.body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)
    }  # fmt: skip
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("case_"):
            calls = [(ast.unparse(call.func).rpartition(".")[2], call) for call in ast.walk(node) if isinstance(call, ast.Call)]
            options = {(imports.get(name, name), each.arg) for name, call in calls for each in call.keywords if each.arg}
            used = {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}
            claim = ast.get_docstring(node) or ""
            yield KnownCase(
                id=f"{path.stem}/{node.name.removeprefix('case_')}",
                names=_with_helpers(node.name, mentioned),
                text=" ".join([claim, *{option for _, option in options}]), code=_code(node), options=frozenset(options),
                listed=frozenset(name for each in used & lists.keys() for name in lists[each]),
            )  # fmt: skip


def _mentioned_in(node: ast.stmt, known: Mapping[str, str]) -> set[str]:
    """The attributes and texts in a statement, and those names that its file defines or imports, as `known` has them."""
    names = {child.attr for child in ast.walk(node) if isinstance(child, ast.Attribute)}
    names |= {known[child.id] for child in ast.walk(node) if isinstance(child, ast.Name) and child.id in known}
    return names | {child.value for child in ast.walk(node) if isinstance(child, ast.Constant) and isinstance(child.value, str)}


def _with_helpers(case: str, mentioned: Mapping[str, set[str]]) -> frozenset[str]:
    """What a case mentions, by itself and by way of the functions of its file.

    A function that mentions several losses or metrics uses the one that it is asked for, so it does not tell which.
    """
    names, asked = set(mentioned[case]), {case}
    while coming := (names & mentioned.keys()) - asked:
        asked |= coming
        for function in coming:
            of_targets = {canonical_name(name) for name in mentioned[function] & _NAMES}
            names |= mentioned[function] - (_NAMES if len(of_targets) > 1 else frozenset())
    return frozenset(names)
