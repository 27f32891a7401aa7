"""Differences that sit at an edge and nowhere else: `edge-gradient`, `saturation`, `tie-order`, `nan`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.compare.tolerances import Tolerances
from backendcheck.diagnose.detectors.factors import constant_factor
from backendcheck.diagnose.evidence.diagnosis import Diagnosis, sentence
from backendcheck.diagnose.evidence.difference import FAR, Difference
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Quantity, flow_key

_SATURATED = 1e-6  # float32 probabilities this near 0 or 1 have met the clipping of a loss (epsilon 1e-7), or soon will
_EXTREME = 15.0  # a logit whose probability is so near: exp(-15) = 3e-7
_KINK = 1e-6  # relative distance of a prediction from a boundary that float32 cannot tell from none
_LONGEST_LIST = 12
_OFF_THE_EDGE = "The derivative has no single value there; move predictions off the edge, or do not rely on it."
_ON_LOGITS = "Backends clip in other places; train on logits (from_logits=True)."
_BREAK_TIES = "No decision with a margin is touched; break ties yourself."
_ONE_STEP_BEFORE = "Look at what is divided, or of which a logarithm is taken, one step before."
_OF_PROBABILITIES = ("crossentropy", "cross_entropy", "kl_divergence")


def detect(situation: Situation) -> list[Diagnosis]:
    """Claims each code once, for the earliest observation that shows it."""
    diagnoses: dict[tuple[str, tuple[str, ...]], Diagnosis] = {}
    for look in (_edge_gradient, _saturation, _tie_order, _nan):
        for diagnosis in look(situation):
            diagnoses.setdefault((diagnosis.code, diagnosis.backends), diagnosis)
    return list(diagnoses.values())


def _predictions(difference: Difference) -> np.ndarray | None:
    recording = difference.recording
    if (y_pred := recording.labels.get("y_pred")) is not None:
        return y_pred
    predictions = recording.observations.get(f"predictions/{difference.output}" if difference.output else "predictions")
    return None if predictions is None else predictions.value


def _values_agree(difference: Difference, situation: Situation) -> bool:
    """Whether the losses behind a gradient agree, so that it is the gradient alone that differs."""
    names = [f"{kind}/{difference.output}" if difference.output else kind for kind in ("predictions", "per_example_loss", "loss")]
    return not any(situation.differs(name, *difference.suspects) for name in names)


# --- gradients at kinks ----------------------------------------------------------------------------------------


def _edge_gradient(situation: Situation) -> Iterator[Diagnosis]:
    """A gradient by predictions that differs only where the loss has a kink, while the losses agree."""
    for difference in situation.differing(Quantity.GRADIENT):
        if (
            not difference.observation.startswith("gradient/y_pred")
            or not _values_agree(difference, situation)
            or difference.excess() < FAR
        ):
            continue
        predictions = _predictions(difference)
        if predictions is None or predictions.shape != difference.left.shape:
            continue
        apart, kinks = difference.apart(), _kinks(difference, predictions)
        if not apart.any() or (apart & ~kinks).any():
            continue
        places = np.argwhere(apart)
        index = tuple(places[0])
        where = ", ".join(str(place.tolist()) for place in places[:4])
        text = (
            f"the losses agree; their gradients differ at {len(places)} of {apart.size} entries, all of them kinks or limits: "
            f"at {where} it is {float(difference.left[index]):.5g} on {difference.side}, "
            f"{float(difference.right[index]):.5g} on {difference.reference_side}"
        )
        yield Diagnosis(
            code="edge-gradient", backends=difference.suspects, headline=f"EDGE GRADIENT: {text}",
            message=f"{sentence(text)}. {_OFF_THE_EDGE}", remedy=_OFF_THE_EDGE,
            evidence={"observation": difference.observation, "entries": [place.tolist() for place in places[:_LONGEST_LIST]],
                      "prediction there": float(predictions[index])},
        )  # fmt: skip


def _kinks(difference: Difference, predictions: np.ndarray) -> np.ndarray:
    """Entries where the loss has no single derivative: as the reference found, and at boundaries that every loss may have."""
    description = difference.recording.losses.get(difference.output, {})
    name = str(description.get("name", "")) if description.get("from_keras") else ""  # a user's own may have any kink
    p = predictions.astype(np.float64)
    kinks = ~np.isfinite(p)
    expected = difference.recording.reference_values.get(difference.observation)
    if expected is not None and expected.defined is not None and expected.defined.shape == p.shape:
        kinks |= ~expected.defined
    from_logits = bool(description.get("options", {}).get("from_logits"))
    if not name or (any(part in name for part in _OF_PROBABILITIES) and not from_logits):
        epsilon = _epsilon(difference.recording)
        kinks |= np.isin(p, (0.0, 1.0)) | np.isclose(p, epsilon, rtol=1e-3, atol=0)
        kinks |= np.isclose(p, 1.0 - epsilon, rtol=0, atol=epsilon / 2)
    if not name:
        kinks |= p == -1.0
    labels = difference.recording.labels.get(f"y_true/{difference.output}" if difference.output else "y_true")
    if labels is not None and labels.dtype != object and labels.size == p.size:
        y = labels.reshape(p.shape).astype(np.float64)
        if not name or "absolute" in name:
            kinks |= np.abs(p - y) <= _KINK * np.maximum(1.0, np.abs(y))
        if not name or "hinge" in name:
            kinks |= np.isin(p * y, (1.0, -1.0)) | np.isin(p, (1.0, -1.0))  # labels may be 0 and 1, too
        if not name or name == "huber":
            delta = description.get("options", {}).get("delta", 1.0)
            kinks |= np.isin(np.abs(p - y), (delta, 0.5) if not name else (delta,))
    if p.ndim > 1 and (not name or "hinge" in name):  # ties for the largest: a maximum over classes has a kink there
        best = p == np.max(p, axis=-1, keepdims=True)
        kinks |= best & (best.sum(axis=-1, keepdims=True) > 1)
    return kinks


def _epsilon(recording: Recording) -> float:
    try:
        return float(recording.settings.get("epsilon", 1e-7))
    except ValueError:
        return 1e-7


# --- saturation ------------------------------------------------------------------------------------------------


def _saturation(situation: Situation) -> Iterator[Diagnosis]:
    """Losses or gradients that differ only in examples with a probability at 0 or 1, or an extreme logit."""
    for difference in situation.differing(Quantity.PER_EXAMPLE_LOSS, Quantity.GRADIENT):
        if difference.quantity is Quantity.GRADIENT and not difference.observation.startswith("gradient/y_pred"):
            continue
        if difference.excess() < FAR or not _saturates(difference) or situation.differs_upstream(difference):
            continue
        if (difference.quantity is Quantity.GRADIENT and not _values_agree(difference, situation)) or constant_factor(
            difference
        ) is not None:
            continue
        if (np.isnan(difference.left) != np.isnan(difference.right)).any():
            continue  # what is clipped has a number, and log 0 is infinite
        predictions = _predictions(difference)
        if (
            predictions is None
            or not predictions.ndim
            or predictions.dtype.kind != "f"
            or len(predictions) != len(difference.left)
        ):
            continue
        saturated = _saturated(predictions.astype(np.float64), difference)
        apart = np.asarray(difference.apart().reshape(len(difference.left), -1).any(axis=1))
        if not apart.any() or (apart & ~saturated).any() or (saturated.all() and apart.all() and len(apart) > 4):  # noqa: PLR2004
            continue
        places = np.flatnonzero(apart)
        row = predictions[places[0]].ravel().astype(np.float64)
        extreme = float(row[np.argmax(np.abs(row - 0.5))])
        quantity = "per-example losses" if difference.quantity is Quantity.PER_EXAMPLE_LOSS else "gradients by predictions"
        text = (
            f"{quantity} differ in {len(places)} of {len(apart)} examples, all of them saturated: "
            f"example {places[0]}, with a prediction of {extreme:.6g}, has {_figures(difference, places[0])}"
        )
        yield Diagnosis(
            code="saturation", backends=difference.suspects, headline=f"SATURATION: {text}",
            message=f"{sentence(text)}. {_ON_LOGITS}", remedy=_ON_LOGITS,
            evidence={"observation": difference.observation, "examples": places[:_LONGEST_LIST].tolist(),
                      "prediction there": extreme},
        )  # fmt: skip


def _saturates(difference: Difference) -> bool:
    """Whether the loss is one of probabilities, or a user's own of which nobody knows."""
    description = difference.recording.losses.get(difference.output)
    return not description or not description.get("from_keras") or any(p in description["name"] for p in _OF_PROBABILITIES)


def _saturated(p: np.ndarray, difference: Difference) -> np.ndarray:
    """Examples that hold an extreme prediction."""
    with np.errstate(all="ignore"):
        rows = p.reshape(len(p), -1)
        options = difference.recording.losses.get(difference.output, {}).get("options", {})
        probabilities = not options.get("from_logits") and bool(((rows >= 0) & (rows <= 1) | ~np.isfinite(rows)).all())
        if probabilities:
            extreme = (rows <= _SATURATED) | (rows >= 1 - _SATURATED)
        else:
            spread = rows.max(axis=1, keepdims=True) - rows if rows.shape[1] > 1 else np.abs(rows)
            extreme = (np.abs(rows) >= _EXTREME) | (spread >= _EXTREME)
        return np.asarray((extreme | ~np.isfinite(rows)).any(axis=1))


def _figures(difference: Difference, example: int) -> str:
    """What both sides have where an example differs most."""
    left, right = (np.asarray(side[example], np.float64).ravel() for side in (difference.left, difference.right))
    with np.errstate(all="ignore"):
        at = int(np.argmax(np.nan_to_num(np.abs(left - right), nan=np.inf)))
    return f"{left[at]:.5g} on {difference.side}, {right[at]:.5g} on {difference.reference_side}"


# --- ties ------------------------------------------------------------------------------------------------------


def _tie_order(situation: Situation) -> Iterator[Diagnosis]:
    """Classes, indices or ranks that differ only where the scores behind them tie."""
    for difference in situation.differing(Quantity.PREDICTED_CLASS, Quantity.VALUE):
        if difference.left.dtype.kind not in "iu" or not difference.left.ndim or situation.differs_upstream(difference):
            continue
        if difference.quantity is Quantity.PREDICTED_CLASS and difference.oracle == Oracle.AGREEMENT:
            continue  # those that tie are no finding there
        apart = difference.left != difference.right
        scores = _scores(difference, situation)
        for name, tied in scores:
            if tied.shape == apart.shape and apart.any() and not (apart & ~tied).any():
                places = np.argwhere(apart)
                index = tuple(places[0])
                text = (
                    f"{difference.observation} differs in {len(places)} of {apart.size} places, and in all of them "
                    f"{name} ties: at "
                    f"{places[0].tolist()} it is {int(difference.left[index])} on {difference.side}, "
                    f"{int(difference.right[index])} on {difference.reference_side}"
                )
                yield Diagnosis(
                    code="tie-order", backends=difference.suspects, headline=f"TIE ORDER: {text}",
                    message=f"{sentence(text)}. {_BREAK_TIES}", remedy=_BREAK_TIES,
                    evidence={"observation": difference.observation, "ties in": name,
                              "places": [place.tolist() for place in places[:_LONGEST_LIST]]},
                )  # fmt: skip
                break


def _scores(difference: Difference, situation: Situation) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays beside the differing one, the same on both sides, with the places where they tie."""
    if difference.quantity is Quantity.PREDICTED_CLASS:
        predictions = difference.recording.observations.get(difference.observation.replace("predicted_class", "predictions", 1))
        if predictions is not None and predictions.value.shape[:-1] == difference.left.shape:
            yield "the best score", _ties_between(predictions.value, difference, predictions.precision)
        return
    for name, observation in difference.recording.observations.items():
        if name == difference.observation or observation.value.dtype.kind not in "fiu" or not observation.value.ndim:
            continue
        if situation.differs(name, *difference.suspects):
            continue
        values = observation.value.astype(np.float64)
        short = name.removeprefix("value/")
        if values.shape == difference.left.shape:
            # Sorted values beside their indices: a tie is a value that its row holds twice.
            twice = (values[..., :, None] == values[..., None, :]).sum(axis=-1) > 1
            yield short, twice
        if values.ndim == difference.left.ndim + 1 and values.shape[:-1] == difference.left.shape:
            yield short, _ties_between(values, difference, observation.precision)
        if (
            values.shape[:-1] == difference.left.shape[:-1]
            and difference.left.max(initial=0) < values.shape[-1]
            and difference.left.min(initial=0) >= 0
        ):
            first = np.take_along_axis(values, difference.left.astype(np.int64), axis=-1)
            second = np.take_along_axis(values, np.clip(difference.right.astype(np.int64), 0, values.shape[-1] - 1), axis=-1)
            yield short, first == second


def _ties_between(scores: np.ndarray, difference: Difference, precision: str) -> np.ndarray:
    """Where the scores of the two classes chosen are as near as scores may move."""
    n = scores.shape[-1]
    chosen = [np.clip(classes.astype(np.int64), 0, n - 1)[..., None] for classes in (difference.left, difference.right)]
    first, second = (np.take_along_axis(scores.astype(np.float64), classes, axis=-1)[..., 0] for classes in chosen)
    recording: Recording = difference.recording
    allowance = Tolerances.of(recording).allowed("predictions", precision)
    bound = allowance.tolerance.atol + allowance.tolerance.rtol * np.maximum(np.abs(first), np.abs(second))
    tied: np.ndarray = np.abs(first - second) <= 2 * bound
    return tied


# --- NaN and infinity ------------------------------------------------------------------------------------------


def _nan(situation: Situation) -> Iterator[Diagnosis]:
    """NaN or Inf on one side: the first observation in the order of the computation that has it."""
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
