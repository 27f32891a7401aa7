"""The order in which a case is observed: stage by stage, then the oracles that need the backend (paths, order, reference).

A ValueCase or a dict has the stage compute; a FunctionCase compute and gradient; a LossCase loss and gradient; a ModelCase build,
forward, loss, gradient, metrics and train.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from backendcheck.case import FunctionCase, LossCase, ModelCase, ValueCase
from backendcheck.record.observe.declarations import MaterializedCase
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.fixed_draws import fixed_draws
from backendcheck.record.observe.function import add_values, observe_function
from backendcheck.record.observe.losses import LossObserver
from backendcheck.record.observe.mask_paths import add_mask_paths, observe_masks_in_float32
from backendcheck.record.observe.model import (
    build_model,
    observe_losses_and_gradients,
    observe_metrics,
    observe_predictions,
    train,
)
from backendcheck.record.observe.model_draws import note_draws_of_losses, note_draws_of_metrics
from backendcheck.record.observe.operations import operations_noted
from backendcheck.record.observe.perturbation import Perturbation
from backendcheck.record.observe.precision import layers_noted, lowest_of_policy
from backendcheck.record.observe.trace import Trace
from backendcheck.record.oracles.order import observe_loss_order, observe_order, observe_prediction_order
from backendcheck.record.oracles.paths import observe_paths, observe_prediction_paths, skipped_paths
from backendcheck.record.oracles.paths_forms import observe_forms
from backendcheck.record.oracles.paths_saved import observe_saved_paths
from backendcheck.record.oracles.paths_training import trains_one_recorded_step
from backendcheck.record.oracles.update_reference import add_update_references
from backendcheck.record.oracles.weight_reference import add_weight_references
from backendcheck.vocabulary.backends import Ability
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.stages import MODEL_STAGES, RecordingStage

_EXPECTED = "expected a dict of arrays, a ValueCase, a FunctionCase, a LossCase or a ModelCase"


def observe(
    case: Any, trace: Trace, *, seed: int, oracles: frozenset[Oracle], noise: Perturbation, last: str = "train"
) -> None:
    """Fill `trace` with the observations of `case` and with the variants of `oracles`.

    `noise` perturbs the data that the case feeds to its loss or its model. For a model, `last` names the last stage to observe.

    Raises:
        InvalidCase: if `case` is not a case, or is not valid.
        NotRecordable: if one of its results cannot be recorded.
    """
    if isinstance(case, ModelCase):
        with fixed_draws(seed) if case.random == "fixed" else nullcontext():
            observe_model(case, trace, seed=seed, oracles=oracles, noise=noise, last=last)
    elif isinstance(case, LossCase):
        observe_loss(case, trace, seed=seed, oracles=oracles, noise=noise)
    elif isinstance(case, FunctionCase):
        observe_function(case, trace, seed=seed, oracles=oracles, noise=noise)
    elif isinstance(case, ValueCase):
        with trace.stage(RecordingStage.COMPUTE):
            with layers_noted() as dtypes, operations_noted(trace.operations):
                values = case.compute()
            trace.lower_precision(*dtypes, lowest_of_policy())
            add_values(values, trace, "ValueCase: compute")
    elif isinstance(case, Mapping):
        trace.lower_precision(lowest_of_policy())
        add_values(case, trace, "the case")
    else:
        hint = " Is a return statement missing?" if case is None else ""
        message = f"returned {type(case).__name__}; {_EXPECTED}.{hint}"
        raise InvalidCase(message)


def observe_loss(case: LossCase, trace: Trace, *, seed: int, oracles: frozenset[Oracle], noise: Perturbation) -> None:
    """Fill `trace` with the observations of a loss, and with the variants of the order oracle."""
    observer = LossObserver(case, trace, seed=seed, noise=noise)
    if observer.loss is None:
        return
    observer.observe_first(trace)
    if Oracle.ORDER in oracles and not trace.not_compared:
        observe_loss_order(case, observer, trace)


def observe_model(
    case: ModelCase, trace: Trace, *, seed: int, oracles: frozenset[Oracle], noise: Perturbation, last: str = "train"
) -> None:
    """Fill `trace` with the observations of a model, its labels and its training, and with the variants of `oracles`.

    `last` is the last of `MODEL_STAGES` to observe. Stages after it may be left out.
    """
    stages = MODEL_STAGES[: MODEL_STAGES.index(RecordingStage(last)) + 1]
    under_test = build_model(case, trace, seed, noise)
    if under_test is None:
        return
    trace.notes += skipped_paths(under_test)

    observe_predictions(under_test, trace)
    if under_test.changed_state:
        changed = ", ".join(under_test.changed_state)
        trace.notes.append(f"batches of other sizes are not compared: inference changes {changed}")
    if isinstance(under_test.case, MaterializedCase) and (reason := under_test.case.skip_reason):
        trace.notes.append(f"the {under_test.case.dataset_type} is not compared with its examples as arrays: {reason}")

    if not trace.raised:
        under_test.check_labels_have_loss()
    only_predicts = not trace.raised and under_test.only_predicts
    if only_predicts:
        trace.notes.append("predictions only: the case has no labels and no loss")
    elif under_test.trains_on_own_loss:
        trace.notes.append("losses and gradients are not compared before training: only the train_step of the model has a loss")
    elif "loss" in stages and trace.can(Ability.LOSS):
        observe_losses_and_gradients(under_test, under_test.arrays, trace)
        note_draws_of_losses(under_test, trace)
    variants = frozenset() if under_test.is_random else oracles
    if under_test.draws_in_inference:  # a permuted example gets the numbers of its new place
        variants -= {Oracle.ORDER}
    if only_predicts:
        if Oracle.ORDER in variants:
            observe_prediction_order(under_test, trace)
        if Oracle.PATHS in variants:
            observe_prediction_paths(under_test, trace)
            observe_saved_paths(under_test, trace)
            observe_forms(under_test, trace)
        return
    if "metrics" not in stages:
        return

    if not under_test.evaluates:
        trace.notes.append("evaluate is not compared: the model has no loss outside of its train_step")
    elif trace.can(Ability.METRICS):
        observe_metrics(under_test, trace)
        note_draws_of_metrics(under_test, trace)
    if Oracle.REFERENCE in variants:
        add_weight_references(under_test, trace, seed)
    if Oracle.ORDER in variants:
        (observe_prediction_order if under_test.trains_on_own_loss else observe_order)(under_test, trace)
    if Oracle.PATHS in variants:
        observe_masks_in_float32(under_test, trace)
        is_one_step = observe_paths(under_test, trace)  # trains as well, because some paths start from the trained model
        add_mask_paths(under_test, trace)
        if is_one_step and Oracle.REFERENCE in variants:
            add_update_references(under_test, trace)
    elif "train" in stages and trace.can(Ability.TRAIN):
        is_one_step = Oracle.REFERENCE in variants and trains_one_recorded_step(under_test)
        under_test.restore_initial()
        train(under_test, trace)
        if is_one_step and "train/loss" in trace.observations:
            add_update_references(under_test, trace)
