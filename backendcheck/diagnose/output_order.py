"""`output-order`: the same outputs in another positional order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from backendcheck.comparison import Comparison
from backendcheck.diagnose.diagnosis import Diagnosis
from backendcheck.headline import listed, partition
from backendcheck.recording import Recording
from backendcheck.verdict import odd_one_out


def detect(findings: Sequence[Comparison], recordings: Mapping[str, Recording]) -> Diagnosis | None:
    """Claims it where `predict` returns the same names in another order, and shows what unpacking by position would mix."""
    order = [finding for finding in findings if finding.observation == "output_order" and finding.kind == "order"]
    if not order:
        return None
    groups = partition("output_order", order, list(recordings))
    orders = {leg: recordings[leg].observations["output_order"].value.tolist() for group in groups for leg in group[:1]}
    if len({tuple(sorted(names)) for names in orders.values()}) > 1:
        return None
    left, right = (group[0] for group in groups[:2])
    by_name = [_difference(recordings, left, name, right, name) for name in orders[left]]
    by_position = [_difference(recordings, left, a, right, b) for a, b in zip(orders[left], orders[right], strict=True)]
    odd = odd_one_out(list(recordings), order)
    return Diagnosis(
        code="output-order",
        backends=(odd,) if odd else tuple(groups[0]),
        message=(
            f"The outputs are the same, their positions are not: {'; '.join(f'{listed(group)} differ from the rest' for group in groups[:1])}. "
            "Code that unpacks the prediction by position swaps outputs when the backend changes. Take outputs by name."
        ),
        evidence={"by position max|d|": _largest(by_position), "by name max|d|": _largest(by_name)},
    )


def _difference(recordings: Mapping[str, Recording], left: str, left_name: str, right: str, right_name: str) -> float | str:
    arrays = [recordings[leg].observations.get(f"predictions/{name}") for leg, name in ((left, left_name), (right, right_name))]
    if arrays[0] is None or arrays[1] is None:
        return "not recorded"
    if arrays[0].value.shape != arrays[1].value.shape:
        return "other shapes"
    if arrays[0].value.size == 0:
        return 0.0
    return float(np.nanmax(np.abs(arrays[0].value.astype(np.float64) - arrays[1].value.astype(np.float64))))


def _largest(differences: list[float | str]) -> float | str:
    """The worst of them: what cannot even be subtracted, or the largest figure."""
    words = [one for one in differences if isinstance(one, str)]
    return words[0] if words else max(one for one in differences if isinstance(one, float))
