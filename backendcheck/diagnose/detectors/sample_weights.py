"""Errors with weights, masks and single labels that per-example losses show, for every loss, custom ones too.

`mask-ignored`, `missing-label-counted`, `sample-weight-ignored`, `sample-weight-misapplied`, `dropped-label`; and `reduction`, if
the losses of the examples agree and their mean does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from backendcheck.diagnose.evidence.counts import counts, factors, ignored_labels
from backendcheck.diagnose.evidence.diagnosis import Diagnosis, claim, sentence, title
from backendcheck.diagnose.evidence.difference import FAR, NEAR, Difference
from backendcheck.diagnose.evidence.situation import Situation, declared_value
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Quantity, of_output

CODES = (
    "mask-ignored", "missing-label-counted", "dropped-label", "sample-weight-ignored", "sample-weight-misapplied", "reduction",
)  # fmt: skip
_LONGEST_LIST = 12
# If either side may be wrong, these explanations are less likely than that the other side dropped a label or a weight.
_LESS_LIKELY = ("missing-label-counted", "sample-weight-misapplied")
_CHECK_WEIGHTS = "Check that this path takes sample_weight; multiply the unreduced loss by hand to be sure."
_FEWEST = 2  # so many weighted examples must show it


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses, for each output, what its per-example losses, its encodings and its loss show."""
    diagnoses: list[Diagnosis] = []
    for difference in situation.differing(Quantity.PER_EXAMPLE_LOSS):
        if not situation.differs_upstream(difference):
            claims = [claim for side in difference.orientations for claim in _of_examples(side, situation)]
            diagnoses += sorted(claims, key=lambda claim: claim.code in _LESS_LIKELY)[:1]
    diagnoses += _along_steps(situation)
    for difference in situation.differing(Quantity.VALUE):
        diagnoses += list(_of_encodings(difference))[:1]
    for difference in situation.differing(Quantity.LOSS, Quantity.TRAIN_LOSS):
        diagnoses += list(_of_mean(difference, situation))[:1]
    joined: dict[tuple[str, tuple[str, ...]], Diagnosis] = {}
    for diagnosis in diagnoses:
        joined.setdefault((diagnosis.code, diagnosis.backends), diagnosis)
    return list(joined.values())


def _along_steps(situation: Situation) -> Iterator[Diagnosis]:
    """Weights of examples that meet the steps, where there are as many steps as examples. So losses depend on the order."""
    by_order = [d for d in situation.differing(Quantity.PER_EXAMPLE_LOSS) if d.oracle is Oracle.ORDER]
    legs = tuple(dict.fromkeys(d.suspects[0] for d in by_order if _goes_along_steps(d, situation)))
    if legs:
        n, output = len(by_order[0].left), by_order[0].output
        text = f"on {listed(legs)} the weights ({n},) of the examples{f' of {output}' if output else ''} go along the {n} steps"
        remedy = "Give weights (N, 1), or one for each step."
        yield Diagnosis(
            code="sample-weight-misapplied", backends=legs, remedy=remedy,
            headline=f"{title('sample-weight-misapplied')}: {text}",
            message=f"{sentence(text)}, so the losses depend on the order of the examples. {remedy}",
            evidence={"observation": by_order[0].observation, "excess": by_order[0].excess()},
        )  # fmt: skip


def _goes_along_steps(difference: Difference, situation: Situation) -> bool:
    declared = situation.declared.get((difference.suspects[0], difference.output))
    weight = _labels(difference, "sample_weight")
    if declared is None or weight is None or weight.ndim != 1 or declared.y_pred.ndim < 3:  # noqa: PLR2004 - (N, T, C)
        return False
    n = len(weight)
    if declared.y_pred.shape[1] != n or not np.ptp(weight.astype(np.float64)):
        return False
    along, by_example = (
        declared_value(replace(declared, sample_weight=np.broadcast_to(shaped, (n, n)).astype(np.float64)), difference.quantity)
        for shaped in (weight[None, :], weight[:, None])
    )
    if along is None or by_example is None or along.shape != difference.right.shape:
        return False
    return difference.excess(left=along) <= NEAR and difference.excess(left=by_example) >= FAR


def _labels(difference: Difference, name: str) -> np.ndarray | None:
    return difference.recording.labels.get(of_output(name, difference.output))


def _of_examples(difference: Difference, situation: Situation) -> Iterator[Diagnosis]:
    left, right = difference.left.astype(np.float64), difference.right.astype(np.float64)
    if left.ndim != 1 or difference.excess() < FAR or not np.isfinite(right).all():
        return
    n = len(left)
    different = difference.apart()
    mask, weight = _labels(difference, "mask"), _labels(difference, "sample_weight")
    if mask is not None and len(mask) == n:
        masked = ~mask.reshape(n, -1).astype(bool).any(axis=1)
        if different.any() and not (different & ~masked).any() and (right[different] == 0).all():
            text = f"on {difference.side} masked examples take part ({_places(different)})"
            yield claim(difference, "mask-ignored", text, "Pass the mask on as sample weights.", examples=_list(different))
            return
    if weight is not None and weight.size == n:
        yield from _of_weights(difference, weight.reshape(n).astype(np.float64))
    labels = _labels(difference, "y_true")
    dropped = different & (left == 0)
    if mask is not None and len(mask) == n and not (dropped & ~masked).any():
        return  # this side follows the mask; the other side counts masked examples
    if dropped.any() and not (different & ~dropped).any() and (right[dropped] != 0).all():
        gradient = situation.recordings[difference.suspects[0]].observations.get(
            of_output("gradient/y_pred", difference.output)
        )
        rows = None if gradient is None or len(gradient.value) != n else gradient.value.reshape(n, -1)[dropped]
        if rows is None or not rows.any():
            named = "" if labels is None or len(labels) != n or labels.ndim > 1 else f" (labels {_some(labels[dropped])})"
            and_gradient = "" if rows is None else " and no gradient"
            text = f"on {difference.side} {int(dropped.sum())} of {n} examples give no loss{and_gradient}{named}"
            remedy = "Check these labels before training: the model learns nothing from them there."
            yield claim(difference, "dropped-label", text, remedy, examples=_list(dropped))
        return
    counted = different & (right == 0) & np.isfinite(left)
    if counted.any() and not (different & ~counted).any() and not (left == 0).all():
        if weight is not None and weight.size == n and not weight.reshape(n)[counted].any():
            text = f"on {difference.side} {int(counted.sum())} of {n} examples are counted, although their weight is 0"
            yield claim(difference, "sample-weight-ignored", text, _CHECK_WEIGHTS, examples=_list(counted))
            return
        named = "" if labels is None or labels.shape != (n,) else f" (labels {_some(labels[counted])})"
        text = f"on {difference.side} {int(counted.sum())} of {n} examples that should give no loss are counted{named}"
        yield claim(
            difference, "missing-label-counted", text, "Give unlabeled examples a sample weight of 0.", examples=_list(counted)
        )


def _of_encodings(difference: Difference) -> Iterator[Diagnosis]:
    """Rows of a one-hot or multi-hot encoding that are empty on one side."""
    left, right = difference.left, difference.right
    if left.ndim < 2 or left.shape[-1] < 2 or not (np.isin(left, (0, 1)).all() and np.isin(right, (0, 1)).all()):  # noqa: PLR2004
        return
    apart = (left != right).any(axis=-1)
    for side, rows, other_rows in ((difference.side, left, right), (difference.reference_side, right, left)):
        if side != "reference" and apart.any() and not rows[apart].any() and other_rows[apart].any(axis=-1).all():
            places = np.argwhere(apart)
            first = places[0].tolist()
            text = f"{difference.observation} has no class for {len(places)} of {apart.size} labels on {side}, first at {first}"
            if side != difference.side:
                text += f"; {difference.side} gives them one"
            remedy = "Check these labels before they are encoded: a row of zeros gives no loss and no gradient."
            yield claim(difference, "dropped-label", text, remedy, places=places[:_LONGEST_LIST].tolist())
            return


def _of_weights(difference: Difference, weight: np.ndarray) -> Iterator[Diagnosis]:
    """Per-example losses that show how sample weights were applied: not at all, twice, normalized, or in another order."""
    telling = (weight > 0) & (weight != 1.0)
    if telling.sum() < _FEWEST:
        return
    with np.errstate(all="ignore"):
        plain = np.where(weight > 0, difference.right / weight, np.nan)
        usable = weight > 0
        left = np.where(usable, difference.left, 0.0)
        hypotheses = [
            ("sample-weight-ignored", "sample weights are not applied", plain),
            ("sample-weight-misapplied", "sample weights are applied twice", plain * weight**2),
            ("sample-weight-misapplied", "sample weights are divided by their mean", plain * weight / weight.mean()),
            ("sample-weight-misapplied", "sample weights are divided by their sum", plain * weight / weight.sum()),
            ("sample-weight-misapplied", "sample weights are in reverse order", plain * weight[::-1]),
            ("sample-weight-misapplied", "every example has the weight of its neighbor", plain * np.roll(weight, 1)),
            ("sample-weight-misapplied", "every example has the weight of its neighbor", plain * np.roll(weight, -1)),
        ]
        for code, text, losses in hypotheses:
            if difference.explained(left=left, right=np.where(usable, losses, 0.0)):
                evidence = {"excess as recorded": difference.excess()}
                yield claim(difference, code, f"on {difference.side} {text}", _CHECK_WEIGHTS, **evidence)
                return


def _of_mean(difference: Difference, situation: Situation) -> Iterator[Diagnosis]:
    """The losses of the examples agree, but not their reduction, and the ratio is a count."""
    if (
        difference.left.size != 1
        or not difference.left.dtype.kind == difference.right.dtype.kind == "f"
        or difference.excess() < FAR
    ):
        return
    recording = difference.recording
    name = of_output("per_example_loss", difference.output)
    each = recording.observations.get(name)
    if each is None or situation.differs(name, *difference.suspects) or each.value.ndim != 1:
        return
    left, right = float(difference.left.ravel()[0]), float(difference.right.ravel()[0])
    if not (np.isfinite(left) and np.isfinite(right) and left and right):
        return
    predictions = recording.labels.get("y_pred")
    if (
        predictions is None
        and (observation := recording.observations.get(name.replace("per_example_loss", "predictions"))) is not None
    ):
        predictions = observation.value
    numbers = counts(
        predictions,
        len(each.value),
        _labels(difference, "sample_weight"),
        _labels(difference, "mask"),
        ignored_labels(difference),
    )
    fitting = [
        words for words, factor in factors(numbers) if difference.explained(right=np.full(difference.right.shape, right * factor))
    ]
    if fitting:
        more = {"or": "; ".join(fitting[1:])} if fitting[1:] else {}
        text = f"on {difference.side} the loss is {fitting[0]}; the losses of the examples agree"
        yield claim(difference, "reduction", text, "Set reduction= explicitly.", ratio=left / right, **more)


def _list(places: np.ndarray) -> list[int]:
    return [int(place) for place in np.flatnonzero(places)[:_LONGEST_LIST]]


def _places(places: np.ndarray) -> str:
    shown = ", ".join(map(str, np.flatnonzero(places)[:_LONGEST_LIST]))
    return f"{int(places.sum())} of {places.size}: {shown}{' …' if places.sum() > _LONGEST_LIST else ''}"


def _some(labels: np.ndarray) -> str:
    values = list(dict.fromkeys(labels.ravel().tolist()))
    return ", ".join(f"{value:g}" for value in values[:4]) + (" …" if len(values) > 4 else "")  # noqa: PLR2004
