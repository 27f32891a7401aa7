"""One update of a Keras optimizer: the options that all of them share, around the rule of each.

Source: the arguments that the docstrings of all optimizers share. The gradients of several steps are averaged, and then clipped.
The weights decay, the rule is applied, and the moving average of the weights follows. Weight decay is decoupled (Loshchilov and
Hutter 2019), with the learning rate as its schedule: ``w - rate * weight_decay * w``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from backendcheck.reference.optimizers import rules, tensor_rules
from backendcheck.reference.optimizers.rules import UpdateRule
from backendcheck.reference.optimizers.schedules import learning_rate
from backendcheck.reference.optimizers.spec import OptimizerSpec, Rule, Update, Weight, slot_of
from backendcheck.reference.spec import Array, NoReference

_RULES: Mapping[str, UpdateRule] = MappingProxyType({
    "SGD": rules.sgd,
    "RMSprop": rules.rmsprop,
    "Adam": rules.adam,
    "AdamW": rules.adam,
    "Adamax": rules.adamax,
    "Adagrad": rules.adagrad,
    "Adadelta": rules.adadelta,
    "Nadam": rules.nadam,
    "Ftrl": rules.ftrl,
    "Lion": rules.lion,
    "Lamb": tensor_rules.lamb,
    "Adafactor": tensor_rules.adafactor,
    "Muon": tensor_rules.muon,
    "ScheduleFreeAdamW": rules.schedule_free_adamw,
})  # fmt: skip
_WRAPPERS = ("LossScaleOptimizer", "MultiOptimizer")
# Optimizers whose rule reads the weight. Whether it reads the decayed one is not documented, and the papers have other formulas.
_READ_THE_WEIGHT = ("Ftrl", "Lamb", "Adafactor", "ScheduleFreeAdamW")
_AVERAGE, _ACCUMULATOR = "average", "gradient_accumulator"


def covered_optimizers() -> tuple[str, ...]:
    """The names of all optimizers that have a reference, sorted."""
    return tuple(sorted((*_RULES, *_WRAPPERS)))


def update(spec: OptimizerSpec, weights: Sequence[Weight], scalars: Mapping[str, float], reading: int = 0) -> Update:
    """The weights and the state of the optimizer after one update.

    Args:
        spec: the optimizer. Options of a `LossScaleOptimizer` are those of its `get_config`. A `MultiOptimizer` has one option,
            ``optimizers``: a list with ``class_name``, ``config`` and ``paths``, the weights that each of them trains.
        weights: all weights that it trains, with gradients of the loss that was not scaled.
        scalars: the state that belongs to no weight; ``iteration`` at least.
        reading: which reading to take, 0 or 1, where the documentation leaves a choice.

    Raises:
        NoReference: if the optimizer or one of its options has no documented rule.
    """
    if spec.name == "LossScaleOptimizer":
        return _loss_scale(spec, weights, scalars, reading)
    if spec.name == "MultiOptimizer":
        return _each_of_several(spec, weights, scalars, reading)
    rule = _RULES.get(spec.name)
    if rule is None:
        message = f"{spec.name}: no reference for this optimizer; expected one of {', '.join(covered_optimizers())}."
        raise NoReference(message)
    for weight in weights:
        if not np.isfinite(weight.gradient).all() or weight.gradient.shape != weight.value.shape:
            message = f"{spec.name}: the gradient by {weight.path} does not fit; expected finite numbers in its shape."
            raise NoReference(message)
    iteration, steps = int(scalars["iteration"]), int(spec.options.get("gradient_accumulation_steps") or 1)
    kept = {name: value for name, value in scalars.items() if name == "learning_rate"}
    updated = Update(scalars={**kept, "iteration": iteration + 1})
    with np.errstate(all="ignore"):
        if (iteration + 1) % steps:
            _accumulate(spec.name, weights, updated)
        else:
            _apply(spec, rule, weights, updated, iteration=iteration, steps=steps, reading=reading)
        if spec.options.get("use_ema"):
            _average(spec, weights, updated, n_before=iteration // steps)
    return updated


def _accumulate(where: str, weights: Sequence[Weight], updated: Update) -> None:
    """A step between updates: weights and state stay as they are, but for the sum of the gradients."""
    for weight in weights:
        summed = slot_of(weight, _ACCUMULATOR, where) + weight.gradient
        updated.weights[weight.path] = weight.value
        updated.slots[weight.path] = {**weight.slots, _ACCUMULATOR: summed}


def _apply(
    spec: OptimizerSpec, rule: UpdateRule, weights: Sequence[Weight], updated: Update, *, iteration: int, steps: int, reading: int
) -> None:
    rate = learning_rate(spec.name, spec.options.get("learning_rate"), iteration)
    gradients = [weight.gradient for weight in weights]
    if steps > 1:
        gradients = [(weight.gradient + slot_of(weight, _ACCUMULATOR, spec.name)) / steps for weight in weights]
    for weight, gradient in zip(weights, _clipped(gradients, spec.options), strict=True):
        kept = {_ACCUMULATOR: np.zeros(gradient.shape)} if steps > 1 else {}
        circumstances = Rule(
            where=spec.name, options=spec.options, rate=rate, n=iteration // steps + 1, path=weight.path, reading=reading
        )
        try:
            value = _decayed(weight, circumstances)
            moved = Weight(path=weight.path, value=value, gradient=gradient, slots=weight.slots)
            new_value, slots = rule(moved, circumstances)
        except NoReference as error:
            updated.doubt(str(error))
            updated.slots[weight.path] = dict(kept)
            continue
        if new_value is None:
            updated.doubt(f"{spec.name}: the rule for the weight is not documented")
        else:
            updated.weights[weight.path] = new_value
        updated.slots[weight.path] = {**slots, **kept}


def _clipped(gradients: Sequence[Array], options: Mapping[str, Any]) -> list[Array]:
    if norm := options.get("clipnorm"):
        return [gradient * _shrunk(norm, float(np.linalg.norm(gradient))) for gradient in gradients]
    if norm := options.get("global_clipnorm"):
        of_all = float(np.sqrt(sum(float((gradient**2).sum()) for gradient in gradients)))
        return [gradient * _shrunk(norm, of_all) for gradient in gradients]
    if highest := options.get("clipvalue"):
        return [np.clip(gradient, -highest, highest) for gradient in gradients]
    return list(gradients)


def _shrunk(highest: float, norm: float) -> float:
    return highest / norm if norm > highest else 1.0


def _decayed(weight: Weight, rule: Rule) -> Array:
    name = "weight_decay"
    if rule.where == "Muon" and tensor_rules.uses_adam(weight.path, weight.value.shape, rule):
        name = "adam_weight_decay"
    if not rule.options.get(name) or not weight.decays:
        return weight.value
    if rule.where in _READ_THE_WEIGHT:
        message = f"{rule.where}: weight_decay is set; expected none, because its place in this rule is not documented."
        raise NoReference(message)
    if name == "adam_weight_decay" and rule.options.get("adam_lr_ratio") != 1:
        message = f"{rule.where}: adam_lr_ratio is not 1; expected 1, because its effect on weight decay is not documented."
        raise NoReference(message)
    return weight.value - rule.rate * rule.number(name) * weight.value


def _average(spec: OptimizerSpec, weights: Sequence[Weight], updated: Update, *, n_before: int) -> None:
    """The moving average of the weights, and the weights where they are replaced by it.

    What the average starts from is not documented. So it has no value after the first update.
    """
    momentum, frequency = spec.options["ema_momentum"], spec.options.get("ema_overwrite_frequency")
    for weight in weights:
        value = updated.weights.get(weight.path)
        if n_before == 0 or value is None:
            updated.doubt(f"{spec.name}: what the moving average of the weights starts from is not documented")
            if frequency and (n_before + 1) % frequency == 0:
                updated.weights.pop(weight.path, None)
            updated.slots[weight.path].pop(_AVERAGE, None)
            continue
        average = momentum * slot_of(weight, _AVERAGE, spec.name) + (1 - momentum) * value
        updated.slots[weight.path][_AVERAGE] = average
        if frequency and (n_before + 1) % frequency == 0:
            updated.weights[weight.path] = average


# --- an optimizer around another one ---------------------------------------------------------------------------

INNER = "inner_optimizer/"


def _loss_scale(spec: OptimizerSpec, weights: Sequence[Weight], scalars: Mapping[str, float], reading: int) -> Update:
    """The update of the inner optimizer. The scale doubles after ``dynamic_growth_steps`` steps with finite gradients."""
    updated = _of_inner(spec.options["inner_optimizer"], INNER, weights, scalars, reading)
    n_finite = scalars["step_counter"] + 1
    grows = n_finite >= spec.options["dynamic_growth_steps"]
    updated.scalars["step_counter"] = 0.0 if grows else n_finite
    updated.scalars["dynamic_scale"] = scalars["dynamic_scale"] * (2.0 if grows else 1.0)
    return updated


def _each_of_several(spec: OptimizerSpec, weights: Sequence[Weight], scalars: Mapping[str, float], reading: int) -> Update:
    """Each optimizer updates its own weights, and clips the gradients of these."""
    updated = Update(scalars={"iteration": scalars["iteration"] + 1})
    for number, inner in enumerate(spec.options["optimizers"]):
        own = [weight for weight in weights if weight.path in inner["paths"]]
        if own:
            part = _of_inner(inner, f"optimizers/{number}/", own, scalars, reading)
            updated.weights |= part.weights
            updated.slots |= part.slots
            updated.scalars |= part.scalars
            for text in part.doubts:
                updated.doubt(text)
    return updated


def _of_inner(
    inner: Mapping[str, Any], prefix: str, weights: Sequence[Weight], scalars: Mapping[str, float], reading: int
) -> Update:  # fmt: skip
    own = {name.removeprefix(prefix): value for name, value in scalars.items() if name.startswith(prefix)}
    updated = update(OptimizerSpec(name=inner["class_name"], options=inner["config"]), weights, own, reading)
    updated.scalars = {f"{prefix}{name}": value for name, value in updated.scalars.items()}
    return updated
