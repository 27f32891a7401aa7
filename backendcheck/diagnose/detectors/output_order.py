"""`output-order`: the same outputs in another positional order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backendcheck.compare.findings import Pairing, odd_one_out, partition
from backendcheck.compare.numbers import compare_numbers
from backendcheck.compare.tolerances import Tolerances
from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.sides import Side

CODES = ("output-order",)
_BY_NAME = "Take outputs by name."


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses `predict` returning the same names in another order, and shows what unpacking by position would mix up."""
    findings, recordings = situation.findings, situation.recordings
    agreement = [finding for finding in findings if finding.oracle is Oracle.AGREEMENT]
    order = [f for f in agreement if f.observation == "output_order" and f.kind is FindingKind.ORDER]
    if not order:
        return []
    groups = partition("output_order", order, [leg for leg in recordings if "output_order" in recordings[leg].observations])
    orders = {leg: recordings[leg].observations["output_order"].value.tolist() for group in groups for leg in group[:1]}
    if len({tuple(sorted(names)) for names in orders.values()}) > 1:
        return []
    left, right = (group[0] for group in groups[:2])
    pairs = list(zip(orders[left], orders[right], strict=True))
    by_name = [_difference(recordings, left, name, right, name) for name in orders[left]]
    by_position = [_difference(recordings, left, a, right, b) for a, b in pairs if a != b]
    odd = odd_one_out(list(recordings), order)
    evidence: dict[str, Any] = {
        "by position max|d|": _largest(by_position),
        "by name max|d|": _largest(by_name),
    }
    if (excess := _excess(recordings, left, right, pairs)) is not None:
        evidence["excess"] = excess
    diagnosis = Diagnosis(
        code="output-order",
        backends=(odd,) if odd else tuple(groups[0]),
        message=(
            f"The outputs are the same, but their positions differ: {listed(groups[0])} "
            f"{'returns' if len(groups[0]) == 1 else 'return'} them in another order than {listed(groups[-1])}. "
            f"Code that unpacks the prediction by position swaps outputs when the backend changes. {_BY_NAME}"
        ),
        remedy=_BY_NAME,
        evidence=evidence,
    )
    return [diagnosis]


def _excess(recordings: Mapping[str, Recording], left: str, right: str, pairs: Sequence[tuple[str, str]]) -> float | None:
    """The excess between outputs in the same position; None if no two can be compared."""
    largest = None
    for a, b in pairs:
        outputs = recordings[left].observations.get(f"predictions/{a}"), recordings[right].observations.get(f"predictions/{b}")
        if a == b or outputs[0] is None or outputs[1] is None or outputs[0].value.shape != outputs[1].value.shape:
            continue
        allowance = Tolerances.of(recordings[left]).allowed(f"predictions/{a}", outputs[0].precision)
        pairing = Pairing(oracle=Oracle.AGREEMENT, observation=f"predictions/{a}", left=Side(left), right=Side(right))
        excess = compare_numbers(pairing, outputs[0].value, outputs[1].value, allowance).excess
        largest = excess if largest is None else max(largest, excess or 0.0)
    return largest


def _difference(recordings: Mapping[str, Recording], left: str, left_name: str, right: str, right_name: str) -> float | str:
    arrays = [recordings[leg].observations.get(f"predictions/{name}") for leg, name in ((left, left_name), (right, right_name))]
    if arrays[0] is None or arrays[1] is None:
        return "not recorded"
    if arrays[0].value.shape != arrays[1].value.shape:
        return "of other shapes"
    values = [array.value.astype(np.float64) for array in arrays if array is not None]
    finite = np.isfinite(values[0]) & np.isfinite(values[1])
    return float(np.max(np.abs(values[0][finite] - values[1][finite]), initial=0.0))


def _largest(differences: Sequence[float | str]) -> float | str:
    """The largest difference, or how many outputs cannot be subtracted, in words."""
    distances = [distance for distance in differences if isinstance(distance, float)]
    messages = [message for message in differences if isinstance(message, str)]
    if not messages:
        return max(distances, default=0.0)
    if not distances:
        return messages[0]
    return f"max|d| {max(distances):.3g}, {len(messages)} of {len(differences)} {messages[0]}"
