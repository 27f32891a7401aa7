"""What each backend does today with labels that break a rule, as cases have recorded it.

``backend_behavior.json`` holds what the built-in cases showed, for one version of Keras and of each backend.
``docs/generate_today.py`` writes it from a run. Nothing here needs a backend.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

from backendcheck.reference import canonical_name
from backendcheck.vocabulary.backends import Backend

DOES = "train on it"  # what a backend does that does not raise, unless the case says something else


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendBehavior:
    """What the backends do with labels that break a rule.

    Attributes:
        keras: the version of Keras that was recorded.
        cases: the ids of the cases that show it. The other attributes are about the first case.
        backends: a few words for each backend.
        says: the same in one sentence.
    """

    keras: str
    cases: tuple[str, ...]
    backends: dict[str, str]
    says: str

    def to_dict(self) -> dict[str, Any]:
        """The behavior as JSON."""
        return {"keras": self.keras, "cases": list(self.cases), "backends": dict(self.backends), "says": self.says}


_spoken_of: ContextVar[tuple[str, ...]] = ContextVar("spoken_of", default=())


def speak_of(backends: Collection[str]) -> None:
    """Say of these backends alone what they do, from now on. Default: those that are installed, or all if none is."""
    _spoken_of.set(tuple(backends))


def _backends_to_speak_of(known: Collection[str]) -> list[str]:
    asked = [name for name in known if name in _spoken_of.get()]
    return asked or [name for name in known if not Backend(name).missing_modules()] or list(known)


def backend_behavior(code: str, loss: str | None = None, variant: str | None = None) -> BackendBehavior | None:
    """What each backend does with labels that break a rule; None if no case shows it.

    Args:
        code: the code of the rule.
        loss: the name of a Keras loss (``"BinaryCrossentropy"``, ``"mse"``). Only cases with this loss count, and cases that hold
            for every loss. Default: any loss.
        variant: the variant of the rule: a label (``"-100"``), a dtype (``"uint64"``) or an activation (``"softmax"``), as listed
            in ``docs/today.toml``. Only cases of this variant count. Default: any variant.
    """
    name = None if loss is None else canonical_name(loss)
    facts_of_rule = [fact for fact in facts()["rules"].get(code, ()) if _fits(fact, name, variant)]
    if not facts_of_rule:
        return None
    # Facts of this very loss and variant come before facts that hold for every loss or variant. The sort is stable.
    facts_of_rule.sort(
        key=lambda fact: (variant is not None and variant not in fact["kinds"], name is not None and not fact["losses"])
    )
    spoken_of = _backends_to_speak_of(facts_of_rule[0]["backends"])
    first = {**facts_of_rule[0], "backends": {name: facts_of_rule[0]["backends"][name] for name in spoken_of}}
    return BackendBehavior(
        keras=facts()["keras"],
        cases=tuple(dict.fromkeys(fact["case"] for fact in facts_of_rule)),
        backends={backend: _in_short(outcome, first) for backend, outcome in first["backends"].items()},
        says=_sentence(first, facts()["keras"]),
    )


def _fits(fact: Mapping[str, Any], loss: str | None, variant: str | None) -> bool:
    fits_loss = loss is None or not fact["losses"] or loss in fact["losses"]
    return fits_loss and (variant is None or not fact["kinds"] or variant in fact["kinds"] or "*" in fact["kinds"])


@cache
def facts() -> Mapping[str, Any]:
    """The content of backend_behavior.json: ``keras``, ``versions`` by backend, and ``rules`` (cases and outcomes by code)."""
    text = importlib.resources.files("backendcheck.labels.contract").joinpath("backend_behavior.json").read_text(encoding="utf-8")
    content: Mapping[str, Any] = json.loads(text)
    return content


def cases_of_rules() -> dict[str, tuple[str, ...]]:
    """The ids of the cases that show what backends do with labels that break a rule, by its code."""
    return {code: tuple(dict.fromkeys(fact["case"] for fact in of_rule)) for code, of_rule in facts()["rules"].items()}


# --- in words --------------------------------------------------------------------------------------------------


def _in_short(outcome: Mapping[str, Any], fact: Mapping[str, Any]) -> str:
    if "raised" in outcome:
        return f"raises {outcome['raised']}"
    return f"{_conjugated(fact['does'])}{_result(outcome, fact)}"


def _sentence(fact: Mapping[str, Any], keras: str) -> str:
    backends: Mapping[str, Mapping[str, Any]] = fact["backends"]
    raising = [backend for backend, outcome in backends.items() if "raised" in outcome]
    parts = [_raising(raising, backends)] if raising else []
    groups: dict[str, list[str]] = {}
    for backend, outcome in backends.items():
        if "raised" not in outcome:
            groups.setdefault(_result(outcome, fact), []).append(backend)
    for result, group in groups.items():
        does = fact["does"] if len(group) > 1 else _conjugated(fact["does"])
        parts.append(f"{_who(group, backends)} {does}{result}")
    under = f" under {' or '.join(fact['losses'])}" if fact["losses"] else ""
    return f"With Keras {keras}, given {fact['given']}{under}: {'; '.join(parts)} ({fact['case']})"


def _raising(raising: Sequence[str], backends: Mapping[str, Mapping[str, Any]]) -> str:
    types = dict.fromkeys(backends[backend]["raised"] for backend in raising)
    return f"{_who(raising, backends)} {'raise' if len(raising) > 1 else 'raises'} {' / '.join(types)}"


def _result(outcome: Mapping[str, Any], fact: Mapping[str, Any]) -> str:
    """What came out of a backend that outcome not raise, and whether that is right."""
    result = "" if outcome["figure"] is None else f", {fact['figure']} {outcome['figure']}"
    if outcome.get("weights") == "NaN":
        result += ", and every weight is NaN after it"
    if fact["right"] in (None, "raise"):
        return result
    if not outcome["differs"]:
        if all("raised" not in outcome and not outcome["differs"] for outcome in fact["backends"].values()):
            return f"{result}, right for the labels as they are" if result else ""
        return f"{result}, which is right"
    if fact["right"] not in ("other", outcome["figure"]):
        return f"{result} where {fact['right']} is right"
    wrong = " and ".join(outcome["differs"])
    return f"{result}, but the {wrong} {'is' if len(outcome['differs']) == 1 else 'are'} wrong"


def _who(group: Sequence[str], backends: Mapping[str, Any]) -> str:
    return "all backends" if len(group) == len(backends) > 1 else " and ".join(group)


def _conjugated(does: str) -> str:
    verb, _, rest = does.partition(" ")
    return f"{verb}s {rest}"
