"""`rounding`: the difference is a few rounding steps, just outside the tolerance."""

from __future__ import annotations

import numpy as np

from backendcheck.compare.tolerances import default_tolerance
from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.difference import FAR, Difference
from backendcheck.diagnose.evidence.float_formats import SIGNIFICAND_BITS
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.vocabulary.observations import Quantity

CODES = ("rounding",)
_MEASURE = (
    "If every run shows it, set a tolerance for this case and state the reason; measure with 'backendcheck run --noise-floor'."
)
# What another order of summation may change, relative to the largest element and with a margin, by float format.
_NOISE = {"float64": 1e-10, "float32": 3e-4, "float16": 5e-2, "bfloat16": 4e-1}


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses findings that are all just outside their tolerance, and small relative to their tensor."""
    worst: Difference | None = None
    for difference in situation.differences:
        if not difference.is_float or difference.kinds - {"value"} or difference.quantity is Quantity.OUTPUT_ORDER:
            return []
        excess = difference.excess()
        scale = float(np.max(np.abs(difference.right.astype(np.float64)), initial=0.0))
        distance = float(np.max(np.abs(difference.left.astype(np.float64) - difference.right), initial=0.0))
        if excess >= FAR or not np.isfinite(excess) or distance > _NOISE[_precision_of(difference)] * scale + _least(difference):
            return []
        worst = difference if worst is None or excess > worst.excess() else worst
    if worst is None or any(finding.kind not in (None, "value") for finding in situation.findings):
        return []
    n_bits = SIGNIFICAND_BITS[_precision_of(worst)]
    step = 2.0**-n_bits * float(np.max(np.abs(worst.right.astype(np.float64)), initial=0.0))
    distance = float(np.max(np.abs(worst.left.astype(np.float64) - worst.right), initial=0.0))
    n_steps, excess = distance / step if step else float("inf"), worst.excess()
    text = (
        f"noise just above its tolerance: {worst.observation} is {excess:.2g} times what is allowed, {n_steps:.2g} rounding steps"
    )
    return [
        Diagnosis(
            code="rounding",
            backends=worst.suspects,
            message=f"Nothing but {text} of its largest element. {_MEASURE}",
            remedy=_MEASURE,
            evidence={"observation": worst.observation, "excess": excess, "rounding steps": n_steps},
        )
    ]


def _precision_of(difference: Difference) -> str:
    observation = difference.recording.observations.get(difference.observation)
    return observation.precision if observation is not None and observation.precision in _NOISE else "float32"


def _least(difference: Difference) -> float:
    """How far apart two values near 0 may be and still be noise."""
    return FAR * default_tolerance(difference.quantity, _precision_of(difference)).atol
