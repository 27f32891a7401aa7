"""What became of weights, masks and single labels, from the per-example losses alone: holds for any loss, also a user's own.

`mask-ignored`, `missing-label-counted`, `sample-weight-ignored`, `sample-weight-misapplied`, `dropped-label`, and `reduction`
where the examples agree and their mean does not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.diagnose.evidence.counts import counts, factors, ignored_labels
from backendcheck.diagnose.evidence.diagnosis import Diagnosis, claim
from backendcheck.diagnose.evidence.difference import FAR, Difference
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.vocabulary.observations import Kind

_LONGEST_LIST = 12
# Where nobody knows which side is right, the same figures say that the other dropped a label, or left weights out.
_LESS_LIKELY = ("missing-label-counted", "sample-weight-misapplied")
_FEWEST = 2  # examples with weights of their own that have to show what was done with them


def detect(situation: Situation) -> list[Diagnosis]:
    """Claims for each output what its per-example losses (or, for reductions, its loss) show."""
    found: list[Diagnosis] = []
    for one in situation.differing(Kind.PER_EXAMPLE_LOSS):
        if not situation.differs_upstream(one):
            claims = [claim for side in one.orientations for claim in _of_examples(side, situation)]
            found += sorted(claims, key=lambda claim: claim.code in _LESS_LIKELY)[:1]
    for one in situation.differing(Kind.VALUE):
        found += list(_of_encodings(one))[:1]
    for one in situation.differing(Kind.METRIC, Kind.TRAIN_METRIC):
        found += list(_of_accuracy(one))[:1]
    for one in situation.differing(Kind.LOSS, Kind.TRAIN_LOSS):
        found += list(_of_mean(one, situation))[:1]
    joined: dict[tuple[str, tuple[str, ...]], Diagnosis] = {}
    for diagnosis in found:
        joined.setdefault((diagnosis.code, diagnosis.backends), diagnosis)
    return list(joined.values())


def _labels(one: Difference, name: str) -> np.ndarray | None:
    return one.recording.labels.get(f"{name}/{one.output}" if one.output else name)


def _of_examples(one: Difference, situation: Situation) -> Iterator[Diagnosis]:
    left, right = one.left.astype(np.float64), one.right.astype(np.float64)
    if left.ndim != 1 or one.excess() < FAR or not np.isfinite(right).all():
        return
    n = len(left)
    different = one.apart()
    mask, weight = _labels(one, "mask"), _labels(one, "sample_weight")
    if mask is not None and len(mask) == n:
        masked = ~mask.reshape(n, -1).astype(bool).any(axis=1)
        if different.any() and not (different & ~masked).any() and (right[different] == 0).all():
            text = f"on {one.side} masked examples take part ({_places(different)})"
            yield claim(one, "mask-ignored", text, "Hand the mask on as sample weights.", examples=_list(different))
            return
    if weight is not None and weight.size == n:
        yield from _of_weights(one, weight.reshape(n).astype(np.float64))
    labels = _labels(one, "y_true")
    dropped = different & (left == 0)
    if mask is not None and len(mask) == n and not (dropped & ~masked).any():
        return  # as asked: it is the other side that counts them
    if dropped.any() and not (different & ~dropped).any() and (right[dropped] != 0).all():
        gradient = situation.recordings[one.suspects[0]].observations.get(
            f"gradient/y_pred/{one.output}" if one.output else "gradient/y_pred"
        )
        rows = None if gradient is None or len(gradient.value) != n else gradient.value.reshape(n, -1)[dropped]
        if rows is None or not rows.any():
            named = "" if labels is None or len(labels) != n or labels.ndim > 1 else f" (labels {_some(labels[dropped])})"
            and_gradient = "" if rows is None else " and no gradient"
            text = f"on {one.side} {int(dropped.sum())} of {n} examples give no loss{and_gradient}{named}"
            remedy = "Check these labels before training: the model learns nothing from them there."
            yield claim(one, "dropped-label", text, remedy, examples=_list(dropped))
        return
    counted = different & (right == 0) & np.isfinite(left)
    if counted.any() and not (different & ~counted).any() and not (left == 0).all():
        named = "" if labels is None or labels.shape != (n,) else f" (labels {_some(labels[counted])})"
        text = f"on {one.side} {int(counted.sum())} of {n} examples that should give no loss are counted{named}"
        yield claim(one, "missing-label-counted", text, "Give unlabelled examples a sample weight of 0.", examples=_list(counted))


def _of_encodings(one: Difference) -> Iterator[Diagnosis]:
    """Rows of a one-hot or multi-hot encoding that are empty on one side."""
    left, right = one.left, one.right
    if left.ndim < 2 or left.shape[-1] < 2 or not (np.isin(left, (0, 1)).all() and np.isin(right, (0, 1)).all()):  # noqa: PLR2004
        return
    apart = (left != right).any(axis=-1)
    for side, here, there in ((one.side, left, right), (one.trusted, right, left)):
        if side != "reference" and apart.any() and not here[apart].any() and there[apart].any(axis=-1).all():
            places = np.argwhere(apart)
            first = places[0].tolist()
            text = f"{one.observation} has no class for {len(places)} of {apart.size} labels on {side}, first at {first}"
            if side != one.side:
                text += f"; {one.side} gives them one"
            remedy = "Check these labels before they are encoded: a row of zeros gives no loss and no gradient."
            yield claim(one, "dropped-label", text, remedy, places=places[:_LONGEST_LIST].tolist())
            return


def _of_weights(one: Difference, weight: np.ndarray) -> Iterator[Diagnosis]:
    """Per-example losses are the weight times something: which power of it is there, and in which order."""
    telling = (weight > 0) & (weight != 1.0)
    if telling.sum() < _FEWEST:
        return
    with np.errstate(all="ignore"):
        plain = np.where(weight > 0, one.right / weight, np.nan)
        usable = weight > 0
        left = np.where(usable, one.left, 0.0)
        suppositions = [
            ("sample-weight-ignored", "sample weights are not applied", plain),
            ("sample-weight-misapplied", "sample weights are applied twice", plain * weight**2),
            ("sample-weight-misapplied", "sample weights are divided by their mean", plain * weight / weight.mean()),
            ("sample-weight-misapplied", "sample weights are divided by their sum", plain * weight / weight.sum()),
            ("sample-weight-misapplied", "sample weights are in reverse order", plain * weight[::-1]),
            ("sample-weight-misapplied", "every example has the weight of its neighbour", plain * np.roll(weight, 1)),
            ("sample-weight-misapplied", "every example has the weight of its neighbour", plain * np.roll(weight, -1)),
        ]
        for code, text, supposed in suppositions:
            if one.explained(left=left, right=np.where(usable, supposed, 0.0)):
                remedy = "Check that this path takes sample_weight; multiply the unreduced loss by hand to be sure."
                yield claim(one, code, f"on {one.side} {text}", remedy, **{"excess as recorded": one.excess()})
                return


def _of_mean(one: Difference, situation: Situation) -> Iterator[Diagnosis]:
    """The examples agree, their reduction does not: the ratio counts something."""
    if one.left.size != 1 or not one.left.dtype.kind == one.right.dtype.kind == "f" or one.excess() < FAR:
        return
    recording = one.recording
    name = f"per_example_loss/{one.output}" if one.output else "per_example_loss"
    each = recording.observations.get(name)
    if each is None or situation.differs(name, *one.suspects) or each.value.ndim != 1:
        return
    left, right = float(one.left.ravel()[0]), float(one.right.ravel()[0])
    if not (np.isfinite(left) and np.isfinite(right) and left and right):
        return
    predictions = recording.labels.get("y_pred")
    if predictions is None and (seen := recording.observations.get(name.replace("per_example_loss", "predictions"))) is not None:
        predictions = seen.value
    numbers = counts(predictions, len(each.value), _labels(one, "sample_weight"), _labels(one, "mask"), ignored_labels(one))
    fitting = [words for words, factor in factors(numbers) if one.explained(right=np.full(one.right.shape, right * factor))]
    if fitting:
        more = {"or": "; ".join(fitting[1:])} if fitting[1:] else {}
        text = f"on {one.side} the loss is {fitting[0]}; the losses of the examples agree"
        yield claim(one, "reduction", text, "Say reduction= explicitly.", ratio=left / right, **more)


_ACCURACIES = ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy", "binary_accuracy")


def _of_accuracy(one: Difference) -> Iterator[Diagnosis]:
    """An accuracy that is right for all entries on one side, and for the unmasked (or by weight) on the other."""
    output = next((name for name in one.recording.losses if name and f"/{name}_" in f"/{one.observation.rpartition('/')[2]}"), "")
    if one.observation.rpartition("/")[2].removeprefix(f"{output}_") not in _ACCURACIES or one.left.size != 1:
        return
    suffix = f"/{output}" if output else ""
    predictions = one.recording.observations.get(f"predictions{suffix}")
    labels = one.recording.labels.get(f"y_true{suffix}")
    if predictions is None or labels is None or labels.dtype == object:
        return
    scores = predictions.value
    if scores.shape[-1] > 1 and labels.size == scores.size // scores.shape[-1]:
        right = scores.argmax(axis=-1) == labels.reshape(scores.shape[:-1])
    elif scores.shape[-1] > 1 and labels.shape == scores.shape:
        right = scores.argmax(axis=-1) == labels.argmax(axis=-1)
    else:
        return
    mask = one.recording.labels.get(f"mask{suffix}")
    weight = one.recording.labels.get(f"sample_weight{suffix}")
    counted = np.ones(right.shape) if mask is None or mask.shape != right.shape else mask.astype(np.float64)
    plain = np.array(right.mean(), np.float64)
    seen = {"left": one.left.astype(np.float64), "right": one.right.astype(np.float64)}
    if mask is not None and 0 < counted.sum() < counted.size:
        masked = np.array((right * counted).sum() / counted.sum())
        for side, (here, there) in ((one.side, ("left", "right")), (one.trusted, ("right", "left"))):
            if one.excess(seen[here], plain) <= 1 and one.excess(seen[there], masked) <= 1 and one.excess() >= FAR:
                text = f"on {one.side} the accuracy counts masked entries ({int((counted == 0).sum())} of {counted.size})"
                if side != one.side:
                    text = f"on {one.side} the accuracy is that of unmasked entries, where {side} counts masked ones"
                yield claim(one, "mask-ignored", text, "Read masked metrics with care; weigh them by the mask yourself.")
                return
    if weight is not None and weight.size == len(right) and right.ndim == 1:
        weight = weight.reshape(len(right)).astype(np.float64)
        weighed = np.array((right * weight).sum() / weight.sum()) if weight.sum() else plain
        if one.excess(seen["left"], plain) <= 1 and one.excess(seen["right"], weighed) <= 1 and one.excess() >= FAR:
            yield claim(
                one, "sample-weight-ignored", f"on {one.side} the accuracy takes no weights", "Name it in weighted_metrics."
            )


def _list(places: np.ndarray) -> list[int]:
    return [int(place) for place in np.flatnonzero(places)[:_LONGEST_LIST]]


def _places(places: np.ndarray) -> str:
    shown = ", ".join(map(str, np.flatnonzero(places)[:_LONGEST_LIST]))
    return f"{int(places.sum())} of {places.size}: {shown}{' …' if places.sum() > _LONGEST_LIST else ''}"


def _some(labels: np.ndarray) -> str:
    values = list(dict.fromkeys(labels.ravel().tolist()))
    return ", ".join(f"{value:g}" for value in values[:4]) + (" …" if len(values) > 4 else "")  # noqa: PLR2004
