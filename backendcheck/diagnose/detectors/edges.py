"""`edge-gradient` and `saturation`: differences only where a loss has no derivative, or where predictions are extreme."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.diagnose.detectors.factors import constant_factor
from backendcheck.diagnose.evidence.diagnosis import Diagnosis, sentence
from backendcheck.diagnose.evidence.difference import FAR, Difference
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.observations import ObservationName, Quantity, of_output

CODES = ("edge-gradient", "saturation")
_SATURATED = 1e-6  # float32 probabilities as near to 0 or 1 are clipped by a loss (epsilon 1e-7), or nearly so
_EXTREME = 15.0  # a logit whose probability is as near to 0: exp(-15) = 3e-7
_KINK = 1e-6  # relative distance of a prediction from a kink that float32 cannot resolve
_LONGEST_LIST = 12
_FEWEST_UNITS = 2  # so many hidden units must show a kink
_OFF_THE_EDGE = "The derivative has no single value there; move predictions away from the kink, or do not rely on it."
_ON_LOGITS = "Backends clip in different places; train on logits (from_logits=True)."
_OF_PROBABILITIES = ("crossentropy", "cross_entropy", "kl_divergence")


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses the earliest observation that shows it, once for each code and set of legs."""
    diagnoses: dict[tuple[str, tuple[str, ...]], Diagnosis] = {}
    for look in (_edge_gradient, _hidden_kink, _saturation):
        for diagnosis in look(situation):
            diagnoses.setdefault((diagnosis.code, diagnosis.backends), diagnosis)
    return list(diagnoses.values())


def _predictions(difference: Difference) -> np.ndarray | None:
    recording = difference.recording
    if (y_pred := recording.labels.get("y_pred")) is not None:
        return y_pred
    predictions = recording.observations.get(of_output("predictions", difference.output))
    return None if predictions is None else predictions.value


def _values_agree(difference: Difference, situation: Situation) -> bool:
    """Whether the losses behind a gradient agree, so that only the gradient differs."""
    names = [of_output(quantity, difference.output) for quantity in ("predictions", "per_example_loss", "loss")]
    return not any(situation.differs(name, *difference.suspects) for name in names)


# --- gradients at kinks ----------------------------------------------------------------------------------------


def _edge_gradient(situation: Situation) -> Iterator[Diagnosis]:
    """Gradients by predictions that differ only where the loss has a kink, while the losses agree."""
    for difference in situation.differing(Quantity.GRADIENT):
        if (
            not difference.name.of_predictions
            or not _values_agree(difference, situation)
            or difference.excess() < FAR
        ):
            continue
        predictions = _predictions(difference)
        if predictions is None or predictions.shape != difference.left.shape or predictions.dtype == object:
            continue
        apart, kinks = difference.apart(), _kinks(difference, predictions)
        known = "all of them kinks or limits"
        if not apart.all() and not difference.recording.losses.get(difference.output, {}).get("from_keras"):
            halves = _half_slopes(difference)
            known = known if not (apart & ~kinks & halves).any() else "half as steep on one side, as at a limit or in a tie"
            kinks |= halves
        if not apart.any() or (apart & ~kinks).any():
            continue
        places = np.argwhere(apart)
        index = tuple(places[0])
        where = ", ".join(str(place.tolist()) for place in places[:4])
        text = (
            f"the losses agree; their gradients differ at {len(places)} of {apart.size} entries, {known}: "
            f"at {where} it is {float(difference.left[index]):.5g} on {difference.side}, "
            f"{float(difference.right[index]):.5g} on {difference.reference_side}"
        )
        yield Diagnosis(
            code="edge-gradient", backends=difference.suspects, headline=f"EDGE GRADIENT: {text}",
            message=f"{sentence(text)}. {_OFF_THE_EDGE}", remedy=_OFF_THE_EDGE,
            evidence={"observation": difference.observation, "entries": [place.tolist() for place in places[:_LONGEST_LIST]],
                      "prediction there": float(predictions[index])},
        )  # fmt: skip


def _hidden_kink(situation: Situation) -> Iterator[Diagnosis]:
    """Gradients by the biases of hidden units whose output is exactly 0 in every example: none on one side, some on the other.

    The gradient of the next kernel is the sum of these outputs times the gradients behind them. A row of it that is exactly 0,
    although there are gradients behind it, is that of a unit at 0.
    """
    for difference in situation.differing(Quantity.GRADIENT):
        left, right = difference.left, difference.right
        if difference.name.of_predictions or left.ndim != 1 or difference.excess() < FAR:
            continue
        units = _silent_units(difference, situation) if _values_agree(difference, situation) else None
        if units is None:
            continue
        apart = difference.apart() & units
        if apart.sum() < _FEWEST_UNITS or sum(not side[apart].any() for side in (left, right)) != 1:
            continue
        text = (
            f"the losses agree; {difference.observation} differs at {int(apart.sum())} hidden units whose output is 0 for every "
            f"example: unit {int(np.flatnonzero(apart)[0])} has {float(left[apart][0]):.5g} on {difference.side}, "
            f"{float(right[apart][0]):.5g} on {difference.reference_side}"
        )
        yield Diagnosis(
            code="edge-gradient", backends=difference.suspects, headline=f"EDGE GRADIENT: {text}",
            message=f"{sentence(text)}. {_OFF_THE_EDGE}", remedy=_OFF_THE_EDGE,
            evidence={"observation": difference.observation, "units": np.flatnonzero(apart)[:_LONGEST_LIST].tolist()},
        )  # fmt: skip


def _silent_units(difference: Difference, situation: Situation) -> np.ndarray | None:
    """The units with this bias whose output is 0 in every example, by the gradient of the next kernel on both sides."""
    observations = [
        situation.recordings[leg].observations
        for leg in (*difference.suspects, difference.reference_side) if leg in situation.recordings
    ]  # fmt: skip
    for name in observations[0]:
        parsed = ObservationName.parse(name)
        if parsed.quantity is not Quantity.GRADIENT or parsed.of_predictions or any(name not in each for each in observations):
            continue
        kernels = [each[name].value for each in observations]
        behind = observations[0].get(name.replace("kernel", "bias"))  # it has a gradient, so zeros are those of the units
        if "kernel" not in name or behind is None or kernels[0].shape != (difference.left.size, behind.value.size):
            continue
        if behind.value.all():
            silent: np.ndarray = ~np.any([kernel.any(axis=1) for kernel in kernels], axis=0)
            return silent
    return None


def _kinks(difference: Difference, predictions: np.ndarray) -> np.ndarray:
    """Entries where the loss has no single derivative, as the reference found, or as this loss or a custom loss may have."""
    description = difference.recording.losses.get(difference.output, {})
    name = str(description.get("name", "")) if description.get("from_keras") else ""  # a custom loss may have any kink
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
    labels = difference.recording.labels.get(of_output("y_true", difference.output))
    if labels is not None and labels.dtype != object and labels.size == p.size:
        y = labels.reshape(p.shape).astype(np.float64)
        if not name or "absolute" in name:
            kinks |= np.abs(p - y) <= _KINK * np.maximum(1.0, np.abs(y))
        if not name or "hinge" in name:
            kinks |= np.isin(p * y, (1.0, -1.0)) | np.isin(p, (1.0, -1.0))  # labels may also be 0 and 1
        if not name or name == "huber":
            delta = description.get("options", {}).get("delta", 1.0)
            kinks |= np.isin(np.abs(p - y), (delta, 0.5) if not name else (delta,))
    if p.ndim > 1 and (not name or "hinge" in name):  # a maximum over classes has a kink where the largest ties
        best = p == np.max(p, axis=-1, keepdims=True)
        kinks |= best & (best.sum(axis=-1, keepdims=True) > 1)
    return kinks


def _half_slopes(difference: Difference) -> np.ndarray:
    """Entries at which one side has half of the slope of the other: the mean of the slopes on both sides of a limit."""
    left, right = difference.left.astype(np.float64), difference.right.astype(np.float64)
    with np.errstate(all="ignore"):
        larger, smaller = np.maximum(np.abs(left), np.abs(right)), np.minimum(np.abs(left), np.abs(right))
        half: np.ndarray = (left * right > 0) & np.isclose(2.0 * smaller, larger, rtol=1e-5, atol=0)
    return half


def _epsilon(recording: Recording) -> float:
    try:
        return float(recording.settings.get("epsilon", 1e-7))
    except ValueError:
        return 1e-7


# --- saturation ------------------------------------------------------------------------------------------------


def _saturation(situation: Situation) -> Iterator[Diagnosis]:
    """Losses or gradients that differ only in examples with a probability near 0 or 1, or with an extreme logit."""
    for difference in situation.differing(Quantity.PER_EXAMPLE_LOSS, Quantity.GRADIENT):
        if difference.quantity is Quantity.GRADIENT and not difference.name.of_predictions:
            continue
        if difference.excess() < FAR or not _saturates(difference) or situation.differs_upstream(difference):
            continue
        if (difference.quantity is Quantity.GRADIENT and not _values_agree(difference, situation)) or constant_factor(
            difference
        ) is not None:
            continue
        if (np.isnan(difference.left) != np.isnan(difference.right)).any():
            continue  # clipping gives numbers; NaN has another cause
        predictions = _predictions(difference)
        if (
            predictions is None
            or not (predictions.ndim and difference.left.ndim)
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
            f"example {places[0]}, with a prediction of {extreme:.6g}, has {_values_text(difference, places[0])}"
        )
        yield Diagnosis(
            code="saturation", backends=difference.suspects, headline=f"SATURATION: {text}",
            message=f"{sentence(text)}. {_ON_LOGITS}", remedy=_ON_LOGITS,
            evidence={"observation": difference.observation, "examples": places[:_LONGEST_LIST].tolist(),
                      "prediction there": extreme},
        )  # fmt: skip


def _saturates(difference: Difference) -> bool:
    """Whether the loss takes probabilities, or is a custom loss, which may."""
    description = difference.recording.losses.get(difference.output)
    return not description or not description.get("from_keras") or any(p in description["name"] for p in _OF_PROBABILITIES)


def _saturated(p: np.ndarray, difference: Difference) -> np.ndarray:
    """Examples with an extreme prediction, (N,) bools."""
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


def _values_text(difference: Difference, example: int) -> str:
    """The values of both sides at the element of an example that differs most."""
    left, right = (np.asarray(side[example], np.float64).ravel() for side in (difference.left, difference.right))
    with np.errstate(all="ignore"):
        at = int(np.argmax(np.nan_to_num(np.abs(left - right), nan=np.inf)))
    return f"{left[at]:.5g} on {difference.side}, {right[at]:.5g} on {difference.reference_side}"
