"""Stages: the parts of a recording in which something can raise, and the parts of the computation in which sides can differ."""

from __future__ import annotations

from enum import StrEnum
from functools import cache

from backendcheck.vocabulary.observations import ObservationName, Quantity


class RecordingStage(StrEnum):
    """A part of the recording of a case. Recordings note in which one a backend raised."""

    CASE = "case"
    COMPUTE = "compute"
    BUILD = "build"
    FORWARD = "forward"
    LOSS = "loss"
    GRADIENT = "gradient"
    METRICS = "metrics"
    TRAIN = "train"


# The stages of a model case, in their order.
MODEL_STAGES = tuple(RecordingStage)[2:]

_RECORDED_IN = {
    Quantity.VALUE: RecordingStage.COMPUTE,
    Quantity.OUTPUT_ORDER: RecordingStage.FORWARD,
    Quantity.LAYER_MASK: RecordingStage.LOSS,
    Quantity.MASK: RecordingStage.LOSS,
    Quantity.PREDICTIONS: RecordingStage.FORWARD,
    Quantity.PREDICTED_CLASS: RecordingStage.FORWARD,
    Quantity.PER_EXAMPLE_LOSS: RecordingStage.LOSS,
    Quantity.LOSS: RecordingStage.LOSS,
    Quantity.GRADIENT: RecordingStage.GRADIENT,
    Quantity.METRIC: RecordingStage.METRICS,
    Quantity.TRAIN_LOSS: RecordingStage.TRAIN,
    Quantity.TRAIN_METRIC: RecordingStage.TRAIN,
    Quantity.TRAIN_WEIGHT: RecordingStage.TRAIN,
    Quantity.TRAIN_OPTIMIZER: RecordingStage.TRAIN,
    Quantity.SAVED: RecordingStage.TRAIN,
}


def recorded_in(observation: str) -> RecordingStage:
    """The stage of the recording that an observation comes from."""
    return _RECORDED_IN[ObservationName.parse(observation).quantity]


class FlowStage(StrEnum):
    """A part of the computation, as reports show where a difference begins."""

    CASE = "case"
    LABELS = "labels"
    INPUTS = "inputs"
    VALUE = "value"
    FORWARD = "forward"
    LOSS = "loss"
    BY_PREDICTIONS = "gradient by predictions"
    BY_WEIGHTS = "weight gradients"
    METRICS = "metrics"
    UPDATE = "update"


# The stages of each type of case, in the order in which they run. Metrics are those of `evaluate`, which comes before training:
# a metric that raises there raises in training, too, and is not the fault of the update.
FLOW_STAGES = {
    "model": (
        FlowStage.LABELS, FlowStage.INPUTS, FlowStage.FORWARD, FlowStage.LOSS, FlowStage.BY_PREDICTIONS, FlowStage.BY_WEIGHTS,
        FlowStage.METRICS, FlowStage.UPDATE,
    ),
    "loss": (FlowStage.LABELS, FlowStage.INPUTS, FlowStage.LOSS, FlowStage.BY_PREDICTIONS),
    "value": (FlowStage.VALUE,),
}  # fmt: skip

_FLOW_OF = {
    RecordingStage.CASE: (FlowStage.CASE,),
    RecordingStage.COMPUTE: (FlowStage.VALUE,),
    RecordingStage.BUILD: (FlowStage.FORWARD,),
    RecordingStage.FORWARD: (FlowStage.FORWARD,),
    RecordingStage.LOSS: (FlowStage.LOSS,),
    RecordingStage.GRADIENT: (FlowStage.BY_PREDICTIONS, FlowStage.BY_WEIGHTS),
    RecordingStage.METRICS: (FlowStage.METRICS,),
    RecordingStage.TRAIN: (FlowStage.UPDATE,),
}


def raised_in(stage: str) -> tuple[FlowStage, ...]:
    """The stages of the computation that a recording stage covers; none for a stage that is not of the case itself."""
    return _FLOW_OF[RecordingStage(stage)] if stage in _FLOW_OF else ()


@cache
def flow_stage_of(observation: str) -> FlowStage:
    """The stage of the computation that an observation belongs to."""
    name = ObservationName.parse(observation)
    stages = _FLOW_OF[_RECORDED_IN[name.quantity]]
    return stages[0] if name.of_predictions else stages[-1]
