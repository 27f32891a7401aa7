"""Findings and recordings of a case in, diagnoses out: why it fails, never whether."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType

from backendcheck.compare.findings import Finding
from backendcheck.diagnose.detectors import (
    edges,
    factors,
    foreign_optimizer,
    hypotheses,
    implied_classes,
    non_finite,
    output_order,
    output_swap,
    permuted,
    precision,
    refused,
    rounding,
    sample_weights,
    silent_acceptance,
    sparse_gradient,
    ties,
    transformed,
    unexplained,
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
    "refused-everywhere",
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
    silent_acceptance,
    permuted,
    implied_classes,  # before hypotheses: it spells out a permutation that both find
    hypotheses,
    sample_weights,
    transformed,
    factors,
    edges,
    ties,
    non_finite,
    precision,
    rounding,
    refused,
)


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
    if all(diagnosis.code == "undiagnosed" for diagnosis in diagnoses.values()):
        for diagnosis in _guarded(unexplained, situation):
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
