"""The update rules of optimizers that treat each element of a weight by itself.

Sources: the docstrings in ``keras.optimizers``, and the papers that they name. A rule takes a weight with its gradient, which was
clipped and averaged. It returns the new weight and the new state. The weight is None where its rule is not documented.

Where the documentation does not say on which side of a root epsilon stands, a rule has two readings. An element has a
reference only if both agree on it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backendcheck.reference.optimizers.spec import Rule, Weight, slot_of
from backendcheck.reference.spec import Array, NoReference

Stepped = tuple[Array | None, dict[str, Array]]
UpdateRule = Callable[[Weight, Rule], Stepped]


def sgd(weight: Weight, rule: Rule) -> Stepped:
    """``velocity = momentum * velocity - rate * g``; ``w + velocity``, or ``w + momentum * velocity - rate * g`` (Nesterov)."""
    momentum, step = rule.number("momentum"), rule.rate * weight.gradient
    if not momentum:
        return weight.value - step, {}
    velocity = momentum * slot_of(weight, "momentum", rule.where) - step
    moved = momentum * velocity - step if rule.options.get("nesterov") else velocity
    return weight.value + moved, {"momentum": velocity}


def rmsprop(weight: Weight, rule: Rule) -> Stepped:
    """The gradient, divided by the root of the moving average of its square (Hinton 2012).

    Centered: by the root of its estimated variance. The docstring places epsilon as in the Adam paper, outside of the root; its
    example and the lecture do not say where. So both readings have to agree.
    """
    rho, epsilon, gradient = rule.number("rho"), rule.number("epsilon"), weight.gradient
    slots = {"velocity": rho * slot_of(weight, "velocity", rule.where) + (1 - rho) * gradient**2}
    variance = slots["velocity"]
    if rule.options.get("centered"):
        slots["average_gradient"] = rho * slot_of(weight, "average_gradient", rule.where) + (1 - rho) * gradient
        variance = variance - slots["average_gradient"] ** 2
    step = rule.rate * gradient / _root(variance, epsilon, rule.reading)
    if momentum := rule.number("momentum"):
        step = slots["momentum"] = momentum * slot_of(weight, "momentum", rule.where) + step
    return weight.value - step, slots


def _root(square: Array, epsilon: float, reading: int) -> Array:
    root: Array = np.sqrt(square + epsilon) if reading == 0 else np.sqrt(square) + epsilon
    return root


def adam(weight: Weight, rule: Rule, beta_1: str = "beta_1", beta_2: str = "beta_2") -> Stepped:
    """Kingma and Ba 2014, in the form before section 2.1 with epsilon hat; AMSGrad takes the largest second moment so far."""
    decays = rule.number(beta_1), rule.number(beta_2)
    slots = _moments(weight, rule, *decays)
    velocity = slots["velocity"]
    if rule.options.get("amsgrad"):
        velocity = slots["velocity_hat"] = np.maximum(slot_of(weight, "velocity_hat", rule.where), velocity)
    rate = rule.rate * np.sqrt(1 - decays[1] ** rule.n) / (1 - decays[0] ** rule.n)
    return weight.value - rate * slots["momentum"] / (np.sqrt(velocity) + rule.number("epsilon")), slots


def _moments(weight: Weight, rule: Rule, beta_1: float, beta_2: float) -> dict[str, Array]:
    return {
        "momentum": beta_1 * slot_of(weight, "momentum", rule.where) + (1 - beta_1) * weight.gradient,
        "velocity": beta_2 * slot_of(weight, "velocity", rule.where) + (1 - beta_2) * weight.gradient**2,
    }


def adamax(weight: Weight, rule: Rule) -> Stepped:
    """The rule in the docstring, from section 7.1 of Kingma and Ba 2014. Its line for ``m`` stands there twice, and is one."""
    beta_1, beta_2 = rule.number("beta_1"), rule.number("beta_2")
    momentum = beta_1 * slot_of(weight, "momentum", rule.where) + (1 - beta_1) * weight.gradient
    norm = np.maximum(beta_2 * slot_of(weight, "norm", rule.where), np.abs(weight.gradient))
    step = rule.rate / (1 - beta_1**rule.n) * momentum / (norm + rule.number("epsilon"))
    return weight.value - step, {"momentum": momentum, "norm": norm}


def adagrad(weight: Weight, rule: Rule) -> Stepped:
    """The gradient, divided by the root of the sum of all its squares (Duchi et al. 2011). Epsilon has two readings."""
    accumulator = slot_of(weight, "accumulator", rule.where) + weight.gradient**2
    step = rule.rate * weight.gradient / _root(accumulator, rule.number("epsilon"), rule.reading)
    return weight.value - step, {"accumulator": accumulator}


def adadelta(weight: Weight, rule: Rule) -> Stepped:
    """Zeiler 2012, algorithm 1, with ``RMS[x] = sqrt(E[x**2] + epsilon)``, times the learning rate.

    Whether the learning rate is in the accumulated updates is not documented, so their state has a reference if it is 1.
    """
    rho, epsilon, gradient = rule.number("rho"), rule.number("epsilon"), weight.gradient
    accumulated = rho * slot_of(weight, "accumulated_grad", rule.where) + (1 - rho) * gradient**2
    before = slot_of(weight, "accumulated_delta_var", rule.where)
    step = np.sqrt(before + epsilon) / np.sqrt(accumulated + epsilon) * gradient
    slots = {"accumulated_grad": accumulated}
    if rule.rate == 1.0:
        slots["accumulated_delta_var"] = rho * before + (1 - rho) * step**2
    return weight.value - rule.rate * step, slots


def nadam(weight: Weight, rule: Rule) -> Stepped:
    """The two moments, as documented: decay rates ``beta_1`` and ``beta_2``.

    The weight has no reference. Dozat's report has a schedule for the momentum, ``beta_1 * (1 - 0.5 * 0.96**(t / 250))``, and
    uses it in the moment as well. The docstring names neither, and Keras uses ``0.96**t`` and ``beta_1``.
    """
    return None, _moments(weight, rule, rule.number("beta_1"), rule.number("beta_2"))


def ftrl(weight: Weight, rule: Rule) -> Stepped:
    """The rule in the docstring, which is that of McMahan et al. 2013.

    How strong the shrinkage is that replaces the gradient is not documented.

    Raises:
        NoReference: for a shrinkage other than 0.
    """
    if rule.number("l2_shrinkage_regularization_strength"):
        message = f"{rule.where}: l2_shrinkage_regularization_strength is not 0; expected 0, as its formula is not documented."
        raise NoReference(message)
    gradient, power = weight.gradient, -rule.number("learning_rate_power")
    before = slot_of(weight, "accumulator", rule.where)
    accumulator = before + gradient**2
    sigma = (accumulator**power - before**power) / rule.rate
    linear = slot_of(weight, "linear", rule.where) + gradient - sigma * weight.value
    l1 = rule.number("l1_regularization_strength")
    divisor = (rule.number("beta") + accumulator**power) / rule.rate + rule.number("l2_regularization_strength")
    updated = np.where(np.abs(linear) < l1, 0.0, (np.sign(linear) * l1 - linear) / divisor)
    return updated, {"accumulator": accumulator, "linear": linear}


def lion(weight: Weight, rule: Rule) -> Stepped:
    """Chen et al. 2023, algorithm 2: a step of the learning rate in the direction of the sign of the interpolated momentum."""
    beta_1, beta_2, before = rule.number("beta_1"), rule.number("beta_2"), slot_of(weight, "momentum", rule.where)
    direction = np.sign(beta_1 * before + (1 - beta_1) * weight.gradient)
    return weight.value - rule.rate * direction, {"momentum": beta_2 * before + (1 - beta_2) * weight.gradient}


def schedule_free_adamw(weight: Weight, rule: Rule) -> Stepped:
    """Defazio et al. 2024, algorithm 1, for the first update, where both sequences start at the weight.

    The weights of the average in later updates are not documented, nor on which side of the bias correction epsilon stands.
    """
    beta_2, epsilon = rule.number("beta_2"), rule.number("epsilon")
    velocity = beta_2 * slot_of(weight, "velocity", rule.where) + (1 - beta_2) * weight.gradient**2
    if rule.n > 1:
        return None, {"velocity": velocity}
    rate, correction = rule.rate, np.sqrt(1 - beta_2**rule.n)
    if warmup := rule.number("warmup_steps"):
        rate *= min(1.0, rule.n / warmup)
    divisor = np.sqrt(velocity) / correction + epsilon if rule.reading == 0 else (np.sqrt(velocity) + epsilon) / correction
    moved = slot_of(weight, "momentum", rule.where) - rate * weight.gradient / divisor
    return moved, {"velocity": velocity, "momentum": moved}  # the average of one is the one itself
