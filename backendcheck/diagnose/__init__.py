"""Findings and recordings of a case in, diagnoses out: why it fails, never whether."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType

from backendcheck.compare.findings import Finding
from backendcheck.diagnose.detectors import (
    accuracy,
    batch_means,
    chosen_function,
    dropped_mask,
    edges,
    factors,
    foreign_optimizer,
    hypotheses,
    implied_classes,
    label_mass,
    label_weights,
    non_finite,
    operations,
    output_order,
    output_swap,
    permuted,
    precision,
    refusals,
    refused,
    rounding,
    sample_weights,
    shared,
    silent_acceptance,
    sparse_gradient,
    stale_metrics,
    ties,
    transformed,
    unexplained,
    wrong_update,
)
from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.recording import Recording

__all__ = ["CODES", "DETECTORS", "Diagnosis", "diagnose"]

# Most specific first: the headline of a case is that of the first diagnosis.
CODES = (
    "output-order",
    "output-swap",
    "foreign-optimizer",
    "sparse-gradient",
    "wrong-update",
    "chosen-function",
    "stale-optimizer",
    "stale-metrics",
    "batch-means",
    "unsupported-type",
    "unsupported-shape",
    "unsupported-argument",
    "memory-layout",
    "no-gradient",
    "not-traceable",
    "numpy-inside",
    "no-text",
    "empty-input",
    "undefined-integer",
    "internal-error",
    "silent-acceptance",
    "never-rejected",
    "cast-out-of-range",
    "index-out-of-range",
    "nan-order",
    "infinite-scores",
    "denormal",
    "half-way",
    "label-wrapped",
    "label-rounded",
    "label-truncated",
    "missing-label-counted",
    "dropped-label",
    "mask-ignored",
    "dropped-mask",
    "off-by-one",
    "class-order",
    "example-order",
    "sample-weight-ignored",
    "sample-weight-misapplied",
    "label-smoothing",
    "label-mass",
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
    "refused-everywhere",
    "wrong-everywhere",
    "nan-everywhere",
    "unexplained",
    "undiagnosed",
)

# Modules with their CODES and a function detect(situation), in the order in which they are asked.
# If two detectors give the same code for the same legs, the diagnosis of the first stays.
DETECTORS: tuple[ModuleType, ...] = (
    output_order,
    output_swap,
    foreign_optimizer,
    sparse_gradient,
    stale_metrics,
    batch_means,
    wrong_update,
    chosen_function,
    silent_acceptance,
    operations,  # before the detectors that guess from the results alone
    permuted,
    implied_classes,  # before hypotheses: it spells out a permutation that both find
    hypotheses,
    sample_weights,
    accuracy,
    label_weights,
    dropped_mask,
    transformed,
    factors,
    edges,
    ties,
    non_finite,
    precision,
    rounding,
    refused,
    refusals,
    label_mass,
)
# Asked in turn if no detector names a cause: the first that says something ends it.
_LAST: tuple[ModuleType, ...] = (shared, unexplained)


def diagnose(findings: Sequence[Finding], recordings: Mapping[str, Recording]) -> list[Diagnosis]:
    """What explains the findings of one case, most specific diagnosis first.

    If no detector fits, the one diagnosis is `unexplained`, which describes the difference. A detector that fails gives
    `undiagnosed` and a warning; the others still run.
    """
    if not findings:
        return []
    situation = Situation(findings=findings, recordings=recordings)
    diagnoses: dict[tuple[str, frozenset[str]], Diagnosis] = {}
    for detector in DETECTORS:
        for diagnosis in _guarded(detector, situation):
            diagnoses.setdefault((diagnosis.code, frozenset(diagnosis.backends)), diagnosis)
    for detector in _LAST:
        if all(diagnosis.code == "undiagnosed" for diagnosis in diagnoses.values()):
            for diagnosis in _guarded(detector, situation):
                diagnoses.setdefault((diagnosis.code, frozenset(diagnosis.backends)), diagnosis)
    return sorted(diagnoses.values(), key=lambda diagnosis: CODES.index(diagnosis.code))


def _guarded(detector: ModuleType, situation: Situation) -> list[Diagnosis]:
    try:
        diagnoses: list[Diagnosis] = detector.detect(situation)
    except Exception as error:  # noqa: BLE001 - recordings may hold anything, and a diagnosis must not cost the verdict
        name = detector.__name__.rpartition(".")[2]
        problem = f"The detector {name} failed with {type(error).__name__}: {error}"
        warnings.warn(problem, RuntimeWarning, stacklevel=2)
        remedy = "Please report this, with the recordings."
        message = f"{problem}. The verdict does not depend on it. {remedy}"
        legs = tuple(situation.recordings)
        return [Diagnosis(code="undiagnosed", backends=legs, message=message, evidence={"detector": name}, remedy=remedy)]
    return diagnoses
