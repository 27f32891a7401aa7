"""`nan`: one side has NaN or Inf where the other has a number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.vocabulary.observations import flow_key

CODES = ("nan",)
_LONGEST_LIST = 12
_ONE_STEP_BEFORE = "Check divisions and logarithms one step before."


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses the first observation, in the order of the computation, that has NaN or Inf on one side only."""
    return list(_nan(situation))


def _nan(situation: Situation) -> Iterator[Diagnosis]:
    """The first observation, in the order of the computation, with NaN or Inf on one side."""
    with_nan = [difference for difference in situation.differences if "non-finite" in difference.kinds and difference.is_float]
    for difference in sorted(with_nan, key=lambda difference: flow_key(difference.observation)):
        bad_left, bad_right = ~np.isfinite(difference.left), ~np.isfinite(difference.right)
        if np.array_equal(bad_left, bad_right):
            continue
        side, other_side, values, bad = (
            (difference.side, difference.reference_side, difference.left, bad_left)
            if bad_left.sum() >= bad_right.sum()
            else (difference.reference_side, difference.side, difference.right, bad_right)
        )
        only = bad & ~(bad_left & bad_right)
        value_name = "NaN" if np.isnan(values[only]).any() else "Inf"
        places = np.argwhere(only)
        at = f", first at {places[0].tolist()}" if only.ndim else ""
        text = (
            f"{value_name} first appears in {difference.observation} on {side} ({len(places)} of {only.size}{at}), "
            f"where {other_side} has a number"
        )
        yield Diagnosis(
            code="nan", backends=difference.suspects if side == difference.side or side not in situation.recordings else (side,),
            headline=f"NAN: {text}",
            message=f"{text}. {_ONE_STEP_BEFORE}", remedy=_ONE_STEP_BEFORE,
            evidence={"observation": difference.observation, "places": [place.tolist() for place in places[:_LONGEST_LIST]]},
        )  # fmt: skip
        return
