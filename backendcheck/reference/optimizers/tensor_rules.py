"""The update rules of optimizers that treat a weight as a whole: by its norm, its rows and columns, or as a matrix.

Sources: the docstrings in ``keras.optimizers``, and the papers that they name.
"""

from __future__ import annotations

import re

import numpy as np

from backendcheck.reference.optimizers.rules import Stepped, adam
from backendcheck.reference.optimizers.spec import Rule, Weight, slot_of
from backendcheck.reference.spec import Array, NoReference

_MATRIX = 2  # the number of its axes


def lamb(weight: Weight, rule: Rule) -> Stepped:
    """You et al. 2019, algorithm 2, without weight decay: the step of Adam, scaled to the norm of the weight.

    Raises:
        NoReference: if the weight or its step is 0. How these are scaled is not documented.
    """
    decays = rule.number("beta_1"), rule.number("beta_2")
    momentum, velocity = (
        decay * slot_of(weight, name, rule.where) + (1 - decay) * weight.gradient**power
        for name, decay, power in (("momentum", decays[0], 1), ("velocity", decays[1], 2))
    )
    unbiased = momentum / (1 - decays[0] ** rule.n), velocity / (1 - decays[1] ** rule.n)
    step = unbiased[0] / (np.sqrt(unbiased[1]) + rule.number("epsilon"))
    norms = np.linalg.norm(weight.value), np.linalg.norm(step)
    if not all(norms):
        message = f"{rule.where}: {weight.path} or its step has the norm 0; expected more, because no scale is documented for 0."
        raise NoReference(message)
    return weight.value - rule.rate * norms[0] / norms[1] * step, {"momentum": momentum, "velocity": velocity}


def adafactor(weight: Weight, rule: Rule) -> Stepped:
    """Shazeer and Stern 2018, algorithms 4 to 6. The second moment of a matrix is the product of those of rows and columns.

    Whether the state has sums or means of rows and columns is not documented. Their product is the same, so the reference takes
    the recorded state for means, and gives a value to the product alone.
    """
    gradient, n = weight.gradient, rule.n
    beta_2 = 1.0 - n ** rule.number("beta_2_decay")
    square = gradient**2 + rule.number("epsilon_1")
    if gradient.ndim >= _MATRIX:
        rows, columns = square.mean(axis=-1), square.mean(axis=-2)
        if beta_2:
            rows = beta_2 * slot_of(weight, "r", rule.where) + (1 - beta_2) * rows
            columns = beta_2 * slot_of(weight, "c", rule.where) + (1 - beta_2) * columns
        velocity = (rows / rows.mean(axis=-1, keepdims=True))[..., None] * columns[..., None, :]
    else:
        velocity = beta_2 * slot_of(weight, "velocity", rule.where) + (1 - beta_2) * square
    rate = min(rule.rate, 1 / np.sqrt(n)) if rule.options.get("relative_step") else rule.rate
    rate *= max(rule.number("epsilon_2"), _root_mean_square(weight.value))
    step = gradient / np.sqrt(velocity)
    step /= max(1.0, _root_mean_square(step) / rule.number("clip_threshold"))
    return weight.value - rate * step, {"velocity": velocity}


def _root_mean_square(array: Array) -> float:
    return float(np.sqrt(np.mean(array**2)))


def uses_adam(path: str, shape: tuple[int, ...], rule: Rule) -> bool:
    """Whether `Muon` updates a weight as AdamW does: all but matrices, embeddings, and what is excluded by name."""
    if len(shape) != _MATRIX or (rule.options.get("exclude_embeddings") and "embedding" in path.lower()):
        return True
    return any(re.search(keyword, path) for keyword in rule.options.get("exclude_layers") or ())


def muon(weight: Weight, rule: Rule) -> Stepped:
    """Liu et al. 2025, section 2: the momentum of a matrix, made nearly orthogonal by Newton-Schulz iterations.

    The docstrings of the methods have the iteration and the scale, ``sqrt(max(n, m)) * rms_rate``. Other weights are updated as
    by AdamW, with the learning rate times ``adam_lr_ratio``.

    Raises:
        NoReference: for a version of Keras in which `rms_rate` does not exist, because its rule is another one.
    """
    if "rms_rate" not in rule.options:
        message = f"{rule.where}: there is no option rms_rate; expected that of Keras 3.12 and later, whose rule is documented."
        raise NoReference(message)
    if uses_adam(rule.path, weight.value.shape, rule):
        rate = rule.rate * rule.number("adam_lr_ratio")
        of_adam = Rule(where=rule.where, options={**rule.options, "amsgrad": False}, rate=rate, n=rule.n, path=rule.path)
        return adam(weight, of_adam, "adam_beta_1", "adam_beta_2")
    decay = rule.number("momentum")
    momentum = decay * slot_of(weight, "momentum", rule.where) + weight.gradient
    direction = weight.gradient + decay * momentum if rule.options.get("nesterov") else momentum
    step = rule.rate * _nearly_orthogonal(direction, rule)
    if rule.options["rms_rate"] is not None:
        step *= np.sqrt(max(step.shape)) * rule.number("rms_rate")
    return weight.value - step, {"momentum": momentum}


def _nearly_orthogonal(matrix: Array, rule: Rule) -> Array:
    a, b, c = (rule.number(f"muon_{name}") for name in "abc")
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (np.linalg.norm(x) + 1e-7)
    for _ in range(int(rule.number("ns_steps"))):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x
