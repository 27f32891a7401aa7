"""Stages: each recording stage and each quantity has its place in the computation."""

from __future__ import annotations

import pytest

from backendcheck.vocabulary.observations import Quantity
from backendcheck.vocabulary.stages import (
    FLOW_STAGES,
    MODEL_STAGES,
    FlowStage,
    RecordingStage,
    flow_stage_of,
    raised_in,
    recorded_in,
)


def test_the_stages_of_a_model_case_are_in_the_order_of_its_recording():
    assert MODEL_STAGES == ("build", "forward", "loss", "gradient", "metrics", "train")


@pytest.mark.parametrize("quantity", Quantity)
def test_every_quantity_is_recorded_in_a_stage_and_belongs_to_the_computation(quantity):
    name = f"{quantity}/x"
    assert flow_stage_of(name) in raised_in(recorded_in(name))
    assert flow_stage_of(name) in {stage for stages in FLOW_STAGES.values() for stage in stages}


def test_gradients_by_predictions_come_before_those_by_weights():
    assert flow_stage_of("gradient/y_pred/age") is FlowStage.BY_PREDICTIONS
    assert flow_stage_of("gradient/y_pred_head/kernel") is FlowStage.BY_WEIGHTS
    assert raised_in("gradient") == (FlowStage.BY_PREDICTIONS, FlowStage.BY_WEIGHTS)


def test_a_stage_that_is_not_of_the_case_covers_nothing():
    assert raised_in("paths") == ()
    assert all(raised_in(stage) for stage in RecordingStage)
