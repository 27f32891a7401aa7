"""`output-swap`: the values of two named outputs are exchanged, or their losses, labels or metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations, permutations
from typing import Any

import numpy as np

from backendcheck import reference
from backendcheck.diagnose.evidence.diagnosis import Diagnosis, claim, sentence
from backendcheck.diagnose.evidence.difference import NEAR, Difference, is_margin
from backendcheck.diagnose.evidence.situation import Situation, declared_value
from backendcheck.recordings.recording import Recording
from backendcheck.reference.of_recording import DeclaredLoss, declared_loss, metric_value
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import METRICS_BY_NAME, ObservationName, Quantity

CODES = ("output-swap",)
_EXCHANGEABLE = (
    Quantity.PREDICTIONS, Quantity.GRADIENT, Quantity.PER_EXAMPLE_LOSS, Quantity.LOSS, Quantity.PREDICTED_CLASS, Quantity.METRIC,
    Quantity.TRAIN_METRIC, Quantity.VALUE,
)  # fmt: skip
_BY_NAME = "Give losses, labels and weights as dicts by output name, and take outputs by name."
_APPLIED_BY_NAME = (
    "Give losses, labels and weights as dicts by output name, and check that this version of Keras applies them by name."
)
_PARTS = {"output": ("labels_of", "predictions_of"), "predictions": ("predictions_of",), "labels": ("labels_of",)}
_MOST_OUTPUTS = 5  # all their orders are tried, 120 for five outputs


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses outputs with each other's values, and losses that result from exchanged losses, labels or weights."""
    for look in (_exchanged_values, _exchanged_parts, _parts_of_another, _metrics_of_another):
        diagnoses = list(look(situation))
        if diagnoses:
            return diagnoses[:1]
    return []


def _exchanged_values(situation: Situation) -> Iterator[Diagnosis]:
    for quantity in _EXCHANGEABLE:
        by_side: dict[tuple[str, str], list[Difference]] = {}
        for difference in situation.differences:
            concerned = difference.quantity is quantity and _owner(difference) and difference.path != METRICS_BY_NAME
            if concerned and object not in (difference.left.dtype, difference.right.dtype):
                by_side.setdefault((difference.suspects[0], difference.path), []).append(difference)
        for group in by_side.values():
            for first, second in combinations(group, 2):
                if _exchanged(first, second):
                    yield _of_values(first, second)


def _owner(difference: Difference) -> str:
    """The output, metric or value that an observation is of; empty for the only one, and for gradients by a variable."""
    name = difference.name
    return name.output if name.quantity is Quantity.GRADIENT else name.output or name.part


def _exchanged(first: Difference, second: Difference) -> bool:
    if first.left.shape != second.right.shape or first.right.shape != second.left.shape or first.left.size == 0:
        return False
    if first.quantity.value in ("value", "predicted_class") and first.left.size < 2:  # noqa: PLR2004 - two single integers prove little
        return False
    return is_margin(first.excess(), first.excess(first.left, second.right)) and is_margin(
        second.excess(), second.excess(second.left, first.right)
    )


def _of_values(first: Difference, second: Difference) -> Diagnosis:
    names = [_owner(difference) for difference in (first, second)]
    quantity = "gradients by predictions" if first.quantity is Quantity.GRADIENT else first.quantity.words
    text = f"the {quantity} of {names[0]} and {names[1]} are exchanged on {first.side}"
    return Diagnosis(
        code="output-swap",
        backends=first.suspects,
        message=f"{sentence(text)}, against {first.reference_side}. {_BY_NAME}",
        remedy=_BY_NAME,
        evidence={
            "exchanged": names,
            "excess as recorded": max(first.excess(), second.excess()),
            "excess exchanged": max(first.excess(first.left, second.right), second.excess(second.left, first.right)),
        },
        headline=f"OUTPUT SWAP: {text}, against {first.reference_side}",
    )


# --- the total of several outputs ------------------------------------------------------------------------------


def _exchanged_parts(situation: Situation) -> Iterator[Diagnosis]:
    """The total loss is what results if outputs exchange their losses, labels or weights."""
    for total in [
        d for d in situation.differences if d.observation in ("loss", "train/loss") and d.is_numeric and d.left.size == 1
    ]:
        recording = total.recording
        declared = {output: loss for output in recording.losses if (loss := declared_loss(recording, output)) is not None}
        if not 2 <= len(declared) <= _MOST_OUTPUTS or len(declared) != len(recording.losses):  # noqa: PLR2004
            continue
        weights = {output: float(recording.losses[output].get("weight", 1.0)) for output in declared}
        for value, other_value, words in ((total.left, total.right, total.side), (total.right, total.left, total.reference_side)):
            if other_value is total.left and total.reference_side == "reference":
                continue
            claimed = _claim(total, declared, weights, (value, other_value), words)
            if claimed is not None:
                yield claimed
                break


def _parts_of_another(situation: Situation) -> Iterator[Diagnosis]:
    """The losses of one output are what results with the labels or the loss of another."""
    for difference in situation.differing(Quantity.PER_EXAMPLE_LOSS, Quantity.LOSS):
        for side in difference.orientations:
            own_loss = situation.declared.get((side.suspects[0], difference.output)) if difference.output else None
            if own_loss is None or situation.as_declared(difference.observation, side.suspects[0]) is not False:
                continue
            for output in side.recording.losses:
                other_loss = situation.declared.get((side.suspects[0], output))
                if other_loss is None or output == difference.output:
                    continue
                for part, changed in (
                    ("labels", replace(own_loss, y_true=other_loss.y_true)),
                    ("loss", replace(own_loss, spec=other_loss.spec)),
                ):
                    value = declared_value(changed, difference.quantity)
                    if value is None or not side.explained(right=value):
                        continue
                    text = f"{side.subject} is what it would be with the {part} of {output}"
                    remedy = "Give losses, labels and weights as dicts by output name."
                    excesses = {"excess as recorded": side.excess(), "excess exchanged": side.excess(right=value)}
                    yield claim(
                        side, "output-swap", text, remedy, supposed=f"{difference.output} has the {part} of {output}", **excesses
                    )
                    return


def _metrics_of_another(situation: Situation) -> Iterator[Diagnosis]:
    """A metric is what it is with the labels or the predictions of another output."""
    legs: dict[tuple[str, str], list[str]] = {}
    for difference in situation.differing(Quantity.METRIC):
        by_hand = difference.path == METRICS_BY_NAME
        if difference.oracle is not Oracle.REFERENCE and not by_hand:
            continue
        metric = difference.name.part
        for leg in difference.suspects:
            recording = situation.recordings[leg]
            supposed = _by_hand_of_another(recording, metric) if by_hand else _reference_of_another(difference, recording, metric)
            if supposed and leg not in legs.setdefault((difference.observation, supposed), []):
                legs[difference.observation, supposed].append(leg)
    for (observation, supposed), concerned in legs.items():
        text = f"{observation} on {listed(concerned)} is what it would be with {supposed}"
        yield Diagnosis(
            code="output-swap", backends=tuple(concerned), remedy=_APPLIED_BY_NAME, headline=f"OUTPUT SWAP: {text}",
            message=f"{sentence(text)}. {_APPLIED_BY_NAME}", evidence={"observation": observation, "supposed": supposed},
        )  # fmt: skip


def _by_hand_of_another(recording: Recording, metric: str) -> str:
    """What a call by hand has shown `evaluate` to use: ``the labels of age``; empty if nothing."""
    for variant in recording.variants:
        words = variant.path.removeprefix(f"{METRICS_BY_NAME}, {metric} with ")
        if words != variant.path and f"metric/{metric}" in variant.observations:
            return words
    return ""


def _reference_of_another(difference: Difference, recording: Recording, metric: str) -> str:
    """What gives the recorded value in place of the metric's own, if there is exactly one such thing; else empty."""
    description = recording.metrics.get(metric)
    outputs = [parsed.output for parsed in map(ObservationName.parse, recording.observations)
               if parsed.quantity is Quantity.PREDICTIONS and parsed.output]  # fmt: skip
    if description is None or difference.left.size != difference.right.size:
        return ""
    explained = []
    for output in outputs:
        if output == description["output"]:
            continue
        for part, sources in _PARTS.items():
            try:
                value = metric_value(recording, description, **dict.fromkeys(sources, output))
            except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError):
                continue
            if value is not None and value.shape == difference.left.shape and difference.explained(right=value):
                explained.append(f"the {part} of {output}")
    return explained[0] if len(explained) == 1 else ""


def _claim(
    difference: Difference, declared: Mapping[str, DeclaredLoss], weights: Mapping[str, float],
    values: tuple[np.ndarray, np.ndarray], words: str,
) -> Diagnosis | None:  # fmt: skip
    outputs = list(declared)
    as_declared = next(total for part, total in _totals(declared, weights, {name: name for name in outputs}) if part == "loss")
    if as_declared is not None and difference.excess(values[0], np.full(values[0].shape, as_declared)) <= NEAR:
        return None  # this side has the declared loss
    for order in permutations(outputs):
        if list(order) == outputs:
            continue
        assignment = dict(zip(outputs, order, strict=True))
        for part, total in _totals(declared, weights, assignment):
            if total is None or not is_margin(
                difference.excess(*values), difference.excess(values[0], np.full(values[0].shape, total))
            ):
                continue
            pairs = ", ".join(f"{output} has the {part} of {source}" for output, source in assignment.items() if output != source)
            suspects = difference.suspects if values[0] is difference.left else (difference.reference_side,)
            return Diagnosis(
                code="output-swap",
                backends=suspects,
                message=f"The loss on {words} is what it would be if {pairs}. {_APPLIED_BY_NAME}", remedy=_APPLIED_BY_NAME,
                evidence={"observation": difference.observation, "supposed": pairs,
                          "excess as recorded": difference.excess(*values),
                          "excess exchanged": difference.excess(values[0], np.full(values[0].shape, total))},
                headline=f"OUTPUT SWAP: the loss on {words} is as if {pairs}",
            )  # fmt: skip
    return None


def _totals(
    declared: Mapping[str, DeclaredLoss], weights: Mapping[str, float], assignment: Mapping[str, str]
) -> Iterator[tuple[str, float | None]]:
    def total(part: Any) -> float | None:
        try:
            with np.errstate(all="ignore"):
                return float(sum(part(output, source) for output, source in assignment.items()))
        except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError):
            return None

    yield "loss", total(lambda output, source: weights[output] * replace(declared[output], spec=declared[source].spec).loss())
    yield (
        "label",
        total(lambda output, source: weights[output] * replace(declared[output], y_true=declared[source].y_true).loss()),
    )
    if len({*weights.values()}) > 1:
        yield "loss weight", total(lambda output, source: weights[source] * declared[output].loss())
