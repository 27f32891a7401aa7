"""Why: small pure detectors, most specific first. A diagnosis never changes a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from backendcheck.comparison import Comparison
from backendcheck.diagnose import (
    edges,
    noise,
    output_order,
    output_swap,
    reordered,
    replayed,
    silent_acceptance,
    transformed,
    weighted,
)
from backendcheck.diagnose.diagnosis import Diagnosis
from backendcheck.diagnose.situation import Situation
from backendcheck.recording import Recording

__all__ = ["CODES", "Diagnosis", "diagnose"]

# Most specific first: the headline takes the first that holds.
CODES = (
    "output-order",
    "output-swap",
    "silent-acceptance",
    "never-rejected",
    "label-wrapped",
    "label-truncated",
    "missing-label-counted",
    "dropped-label",
    "mask-ignored",
    "off-by-one",
    "class-order",
    "example-order",
    "sample-weight-ignored",
    "sample-weight-misapplied",
    "label-smoothing",
    "broadcast",
    "axis",
    "logits-as-probabilities",
    "reduction",
    "sign",
    "edge-gradient",
    "saturation",
    "tie-order",
    "nan",
    "precision",
    "scale",
    "label-dtype",
    "rounding",
    "unexplained",
)

_DETECTORS: tuple[Callable[[Situation], list[Diagnosis]], ...] = (
    output_order.detect,
    output_swap.detect,
    silent_acceptance.detect,
    reordered.detect,  # before the replay: where both find an order it is the one to spell out the permutation
    replayed.detect,
    weighted.detect,
    transformed.detect,
    edges.detect,
    noise.detect_precision,
    noise.detect_rounding,
)


def diagnose(findings: Sequence[Comparison], recordings: Mapping[str, Recording]) -> list[Diagnosis]:
    """What explains `findings`, most specific first; where nothing does, the shape of the difference (`unexplained`)."""
    if not findings:
        return []
    situation = Situation(findings=findings, recordings=recordings)
    found: dict[tuple[str, frozenset[str]], Diagnosis] = {}
    for detect in _DETECTORS:
        for one in detect(situation):
            found.setdefault((one.code, frozenset(one.backends)), one)
    return sorted(found.values(), key=lambda one: CODES.index(one.code)) or noise.unexplained(situation)
