"""Diagnoses of permuted classes and examples, shared by the detectors that find them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backendcheck.diagnose.evidence.diagnosis import Diagnosis, claim
from backendcheck.diagnose.evidence.difference import Difference

_FIX_THE_ORDER = "Fix the order of the classes once (sorted names, stored with the model) and check both backends against it."


def classes_exchanged(
    difference: Difference, moved_cycles: list[list[int]], name: Callable[[int], str], evidence: dict[str, Any], subject: str
) -> Diagnosis:
    text = evidence["permutation"]
    if "labels without" in evidence:
        text = f"classes are counted as others on {difference.side}: {text}"
    elif len(moved_cycles) == 1 and len(moved_cycles[0]) == 2:  # noqa: PLR2004 - one exchange
        first, second = sorted(moved_cycles[0])
        plain = name(first) == str(first)
        pair = f"classes {first} and {second}" if plain else f"{name(first)} and {name(second)} (classes {first} and {second})"
        text = f"{pair} are exchanged on {difference.side}"
    else:
        text = f"{sum(map(len, moved_cycles))} classes are permuted on {difference.side}: {text}"
    return Diagnosis(
        code="class-order",
        backends=difference.suspects,
        message=(
            f"{subject} those of {difference.reference_side} in another order: {text}. What is called one class there "
            f"is another class here. "
            f"{_FIX_THE_ORDER}"
        ),
        remedy=_FIX_THE_ORDER,
        evidence=evidence,
        headline=f"CLASS ORDER: {text}, against {difference.reference_side} ({difference.observation})",
    )


def off_by_one(difference: Difference, text: str, evidence: dict[str, Any]) -> Diagnosis:
    """Classes whose index is one too high or one too low."""
    remedy = "Check where labels start (0 or 1), and whether a slot for unknown or padding is put in front of the classes."
    return claim(difference, "off-by-one", f"{difference.subject}: {text}", remedy, **evidence)


def of_examples(difference: Difference, text: str, evidence: dict[str, Any]) -> Diagnosis:
    """Examples in another order."""
    remedy = "Labels no longer stand beside their predictions. Look at what batches, shuffles, sorts or gathers there."
    return claim(difference, "example-order", text, remedy, **evidence)


def direction(step: int) -> str:
    return "higher" if step == 1 else "lower"
