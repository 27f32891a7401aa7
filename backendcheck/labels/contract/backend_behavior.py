"""What each backend does today with labels that break a rule of the label contract.

It is measured: backend_behavior.json holds what the built-in cases showed, for one version of Keras and of each
backend. ``docs/generate_today.py`` writes it from a run. Nothing here needs a backend.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from backendcheck.reference import canonical_name

DOES = "train on it"  # what a backend does that does not raise, unless the case says something else


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """What backends do with labels that break one rule.

    `keras` is the version it was seen on. `cases` are the ids of the cases that show it; `backends` and `says` are about the
    first, the others fit the same question. `backends` has a few words for each backend, `says` all of it in a sentence.
    """

    keras: str
    cases: tuple[str, ...]
    backends: dict[str, str]
    says: str


def today(code: str, loss: str | None = None, kind: str | None = None) -> Today | None:
    """What each backend does with labels that break rule `code`; None if no case shows it.

    `loss` is the name of a Keras loss (``"BinaryCrossentropy"``, ``"mse"``): then only cases of this loss count, and those that
    hold for any. `kind` says which, where a rule has several sorts: a label (``"-100"``), a type (``"uint64"``), the activation
    of a head (``"softmax"``); ``docs/today.toml`` has them. Cases of another kind then do not count. Without `loss` and `kind` it
    is the first case of the rule.
    """
    name = None if loss is None else canonical_name(loss)
    shown = [fact for fact in facts()["rules"].get(code, ()) if _is_of(fact, name, kind)]
    if not shown:
        return None
    # The very loss and kind before what holds for any. The sort is stable, the rest stays as it was written.
    shown.sort(key=lambda fact: (kind is not None and kind not in fact["kinds"], name is not None and not fact["losses"]))
    first = shown[0]
    return Today(
        keras=facts()["keras"],
        cases=tuple(dict.fromkeys(fact["case"] for fact in shown)),
        backends={backend: _in_short(did, first) for backend, did in first["backends"].items()},
        says=_sentence(first, facts()["keras"]),
    )


def _is_of(shown: Mapping[str, Any], loss: str | None, kind: str | None) -> bool:
    of_loss = loss is None or not shown["losses"] or loss in shown["losses"]
    return of_loss and (kind is None or not shown["kinds"] or kind in shown["kinds"] or "*" in shown["kinds"])


@cache
def facts() -> Mapping[str, Any]:
    """What backend_behavior.json holds: ``keras``, ``versions`` by backend, and ``rules`` (cases and outcomes by code)."""
    text = importlib.resources.files("backendcheck.labels.contract").joinpath("backend_behavior.json").read_text(encoding="utf-8")
    content: Mapping[str, Any] = json.loads(text)
    return content


# --- in words --------------------------------------------------------------------------------------------------


def _in_short(did: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    if "raised" in did:
        return f"raises {did['raised']}"
    return f"{_conjugated(shown['does'])}{_outcome(did, shown)}"


def _sentence(shown: Mapping[str, Any], keras: str) -> str:
    backends: Mapping[str, Mapping[str, Any]] = shown["backends"]
    raising = [backend for backend, did in backends.items() if "raised" in did]
    parts = [_raising(raising, backends)] if raising else []
    groups: dict[str, list[str]] = {}
    for backend, did in backends.items():
        if "raised" not in did:
            groups.setdefault(_outcome(did, shown), []).append(backend)
    for outcome, group in groups.items():
        does = shown["does"] if len(group) > 1 else _conjugated(shown["does"])
        parts.append(f"{_who(group, backends)} {does}{outcome}")
    under = f" under {' or '.join(shown['losses'])}" if shown["losses"] else ""
    return f"With Keras {keras}, given {shown['given']}{under}: {'; '.join(parts)} ({shown['case']})"


def _raising(raising: Sequence[str], backends: Mapping[str, Mapping[str, Any]]) -> str:
    types = dict.fromkeys(backends[backend]["raised"] for backend in raising)
    return f"{_who(raising, backends)} {'raise' if len(raising) > 1 else 'raises'} {' / '.join(types)}"


def _outcome(did: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    """What came out of a backend that did not raise, and whether that is right."""
    figure = "" if did["figure"] is None else f", {shown['figure']} {did['figure']}"
    if did.get("weights") == "NaN":
        figure += ", and every weight is NaN after it"
    if shown["right"] in (None, "raise"):
        return figure
    if not did["differs"]:
        if all("raised" not in outcome and not outcome["differs"] for outcome in shown["backends"].values()):
            return f"{figure}, right for the labels as they are" if figure else ""
        return f"{figure}, which is right"
    if shown["right"] not in ("other", did["figure"]):
        return f"{figure} where {shown['right']} is right"
    wrong = " and ".join(did["differs"])
    return f"{figure}, but the {wrong} {'is' if len(did['differs']) == 1 else 'are'} wrong"


def _who(group: Sequence[str], backends: Mapping[str, Any]) -> str:
    return "all backends" if len(group) == len(backends) else " and ".join(group)


def _conjugated(does: str) -> str:
    verb, _, rest = does.partition(" ")
    return f"{verb}s {rest}"
