"""The paths oracle on grouped steps: one update for two passes of each batch, and two steps in one execution.

Both give the recorded weights by definition, where the optimizer and the model meet what `_can_accumulate` states.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from backendcheck.record.observe.fits import add_history
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import named_weights
from backendcheck.record.oracles.paths_batches import batches_of, is_far, is_not_repeatable, py_dataset
from backendcheck.vocabulary.findings import Oracle


def observe_grouped_steps(under_test: ModelUnderTest, trace: Trace) -> None:
    """Train with one update for two passes of each batch, and with two steps in one execution.

    Both in one call, because each compiles anew. If the result is another one, each is tried by itself. TensorFlow runs op by op
    here, because that costs less than tracing. The model is compiled as before, afterwards.
    """
    if is_not_repeatable(under_test, trace) or not under_test.can_recompile or not _starts_from_zero(under_test):
        return
    options = {"gradient_accumulation_steps": 2} if _can_accumulate(under_test, trace) else {}
    n_steps = len(batches_of(under_test)) * (2 if options else 1)
    # An execution of more steps than an epoch has would run into the next one; torch has one step in each.
    if n_steps % 2 == 0 and keras.backend.backend() != "torch":
        options["steps_per_execution"] = 2
    if options and _fit_grouped(under_test, trace, options) and len(options) > 1:
        for name, value in options.items():
            if name != "steps_per_execution" or len(batches_of(under_test)) % 2 == 0:
                _fit_grouped(under_test, trace, {name: value})
    under_test.restore_initial()
    under_test.compile()


def _starts_from_zero(under_test: ModelUnderTest) -> bool:
    """Whether the optimizer has no state yet, as a new one of its configuration has none. That of a loaded model has."""
    if not under_test.restore_initial():
        return False
    iterations = getattr(under_test.optimizer, "iterations", None)
    return iterations is not None and int(keras.ops.convert_to_numpy(iterations)) == 0


def _fit_grouped(under_test: ModelUnderTest, trace: Trace, options: dict[str, int]) -> bool:
    """Train with these options. Returns whether the result is far from the recorded one."""
    if not under_test.restore_initial():
        return False
    passes = options.get("gradient_accumulation_steps", 1)
    config = under_test.optimizer.get_config()
    if passes > 1:
        config["gradient_accumulation_steps"] = passes
    optimizer = type(under_test.optimizer).from_config(config)
    words = ", ".join(f"{name}={value}" for name, value in options.items())
    with under_test.variant(trace, Oracle.PATHS, f"fit(PyDataset) with {words}") as variant:
        eagerly = keras.backend.backend() == "tensorflow"
        under_test.compile(
            optimizer=optimizer, run_eagerly=eagerly, steps_per_execution=options.get("steps_per_execution", 1)
        )
        history = under_test.model.fit(
            py_dataset(batches_of(under_test, times=passes)), epochs=int(under_test.case.epochs),
            class_weight=under_test.case.class_weight, shuffle=False, verbose=0,
        ).history  # fmt: skip
        add_history({"loss": history["loss"]} if passes > 1 else history, variant)
        for path, weight in named_weights(under_test.model):  # the state of the optimizer counts passes
            variant.add(f"train/weight/{path}", weight)
    return is_far(variant, trace)


def _can_accumulate(under_test: ModelUnderTest, trace: Trace) -> bool:
    """Whether two passes of one batch with one update are one step by definition.

    The optimizer is one of Keras's, with a fixed rate and without averages; training changes no other state of the model, and
    draws no random numbers. No weight has a constraint: Keras applies it after each pass, so the second one starts from other
    weights if the initial weights do not meet it.
    """
    optimizer = under_test.optimizer
    if under_test.has_fixed_draws or not has_whole_config(optimizer):
        return False
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return False
    if any(getattr(variable, "constraint", None) is not None for variable in under_test.model.trainable_variables):
        return False
    config = optimizer.get_config()
    if config.get("gradient_accumulation_steps") or config.get("use_ema") or not isinstance(config.get("learning_rate"), float):
        return False
    trained = {id(variable) for variable in under_test.model.trainable_variables}
    return all(_is_unchanged(variable, under_test, trace) for variable in under_test.model.weights if id(variable) not in trained)


def has_whole_config(optimizer: Any) -> bool:
    """Whether an optimizer made from the configuration of this one follows the same rule.

    That is not known of a user's class. Weights that are excluded from weight decay are not in the configuration.
    """
    exclusions = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")
    return type(optimizer).__module__.startswith("keras.") and not any(getattr(optimizer, name, None) for name in exclusions)


def _is_unchanged(variable: Any, under_test: ModelUnderTest, trace: Trace) -> bool:
    """Whether training has left the variable as it was. That is not known of whole numbers, such as counters."""
    observation = trace.observations.get(f"train/weight/{variable.path}")
    return observation is not None and np.array_equal(observation.value, under_test.initial.value(variable))
