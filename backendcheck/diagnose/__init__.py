"""Why: small pure detectors, most specific first. A diagnosis never changes a verdict."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

from backendcheck.compare.findings import Finding
from backendcheck.diagnose.detectors import (
    edges,
    factors,
    foreign_optimizer,
    output_order,
    output_swap,
    silent_acceptance,
    sparse_gradient,
    transformed,
)
from backendcheck.diagnose.detectors import (
    hypotheses as replayed,
)
from backendcheck.diagnose.detectors import (
    implied_classes as relabelled,
)
from backendcheck.diagnose.detectors import (
    permuted as reordered,
)
from backendcheck.diagnose.detectors import (
    rounding as noise,
)
from backendcheck.diagnose.detectors import (
    sample_weights as weighted,
)
from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.recording import Recording

__all__ = ["CODES", "Diagnosis", "diagnose"]

# Most specific first: the headline takes the first that holds.
CODES = (
    "output-order",
    "output-swap",
    "foreign-optimizer",
    "sparse-gradient",
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
    "undiagnosed",
)

_DETECTORS: tuple[Callable[[Situation], list[Diagnosis]], ...] = (
    output_order.detect,
    output_swap.detect,
    foreign_optimizer.detect,
    sparse_gradient.detect,
    silent_acceptance.detect,
    reordered.detect,
    relabelled.detect,  # before the replay: where both find an order this spells out the permutation
    replayed.detect,
    weighted.detect,
    transformed.detect,
    factors.detect,
    edges.detect,
    noise.detect_precision,
    noise.detect_rounding,
)


def diagnose(findings: Sequence[Finding], recordings: Mapping[str, Recording]) -> list[Diagnosis]:
    """What explains `findings`, most specific first; where nothing does, the shape of the difference (`unexplained`).

    A detector that fails costs its own diagnosis, never the report: it is told of as `undiagnosed`, and warned of.
    """
    if not findings:
        return []
    situation = Situation(findings=findings, recordings=recordings)
    diagnoses: dict[tuple[str, frozenset[str]], Diagnosis] = {}
    for detect in _DETECTORS:
        for diagnosis in _guarded(detect, situation):
            diagnoses.setdefault((diagnosis.code, frozenset(diagnosis.backends)), diagnosis)
    if all(diagnosis.code == "undiagnosed" for diagnosis in diagnoses.values()):
        for diagnosis in _guarded(noise.unexplained, situation):
            diagnoses.setdefault((diagnosis.code, frozenset(diagnosis.backends)), diagnosis)
    return sorted(diagnoses.values(), key=lambda diagnosis: CODES.index(diagnosis.code))


def _guarded(detect: Callable[[Situation], list[Diagnosis]], situation: Situation) -> list[Diagnosis]:
    try:
        return detect(situation)
    except Exception as error:  # noqa: BLE001 - recordings may hold anything, and the verdict does not depend on a diagnosis
        who = detect.__module__.rpartition(".")[2]
        text = f"The detector {who} failed with {type(error).__name__}: {error}"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        remedy = "Please report this, with the recordings."
        message = f"{text}. The verdict stands without it. {remedy}"
        legs = tuple(situation.recordings)
        return [Diagnosis(code="undiagnosed", backends=legs, message=message, evidence={"detector": who}, remedy=remedy)]
