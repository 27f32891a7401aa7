"""The built-in float64 reference of a situation: of a loss, of a metric, of a model, of a layer or function for labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from backendcheck import reference
from backendcheck.explore.label_reference import label_reference
from backendcheck.explore.model_reference import model_reference
from backendcheck.explore.numbers import arrays_of, batches_of
from backendcheck.explore.paths import CALL, PREDICT
from backendcheck.explore.predict_program import predict_reference
from backendcheck.explore.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.reference.of_recording import built_in_reference_values, saturates
from backendcheck.vocabulary.observations import ReferenceValue

_CIRCLE = "keras.losses.Circle"


def with_reference(situation: Situation, recordings: Mapping[str, Recording]) -> dict[str, Recording]:
    """The recordings with the built-in float64 reference. It is computed once: all legs had the same labels and predictions."""
    recorded = next(recording for recording in recordings.values() if not recording.raised)
    if (right := label_reference(situation)) is not None:
        values = {"value/result": ReferenceValue(value=right)}
    elif situation.path == PREDICT:
        values = predict_reference(situation)
    elif situation.path != CALL and not recorded.metrics:
        values = model_reference(situation, recorded)
    else:
        values = _metric_reference(situation, recorded) if recorded.metrics else built_in_reference_values(recorded)
    if situation.target == _CIRCLE and situation.option("reduction", "mean") not in ("sum", "none"):
        # Keras leaves examples without any loss out of the mean. Its documentation does not say whether it should.
        values = {name: value for name, value in values.items() if name == "per_example_loss"}
    return {leg: replace(recording, reference_values=values) for leg, recording in recordings.items()}


def _metric_reference(situation: Situation, recording: Recording) -> dict[str, ReferenceValue]:
    described = recording.metrics["result"]
    arrays = arrays_of(situation)
    predictions = arrays.get("y_pred", arrays["y_true"])  # `Mean` and `Sum` take values alone
    if not situation.target.startswith("keras.") or saturates(described["class"], described["options"], predictions):
        return {}
    epsilon = float(recording.settings.get("epsilon", reference.DEFAULT_EPSILON))
    spec = reference.MetricSpec(name=described["class"], options={**described["options"], "epsilon": epsilon})
    labels = {"y_pred": predictions, **recording.labels} if situation.path != CALL else recording.labels
    try:
        batches = [
            reference.Batch(
                y_true=labels["y_true"][first:end],
                y_pred=labels.get("y_pred", predictions)[first:end],
                sample_weight=labels["sample_weight"][first:end] if "sample_weight" in labels else None,
            )
            for first, end in batches_of(situation)
        ]
        with np.errstate(all="ignore"):
            value = np.asarray(reference.metric(spec, batches))
    except (reference.NoReference, ArithmeticError, IndexError, TypeError, ValueError):
        return {}  # labels and predictions that do not fit together have no right value
    return {"metric/result": ReferenceValue(value=value)}
