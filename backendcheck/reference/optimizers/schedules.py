"""Learning rates by the number of finished steps, from the formulas in the docstrings of ``keras.optimizers.schedules``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from backendcheck.reference.spec import NoReference, Options


def learning_rate(where: str, declared: Any, iteration: int) -> float:
    """The rate of the step after `iteration` steps, for a number or the config of a schedule.

    Raises:
        NoReference: if it is neither, or its formula is not documented.
    """
    if isinstance(declared, int | float) and not isinstance(declared, bool):
        return float(declared)
    if isinstance(declared, Mapping) and declared.get("class_name") in _SCHEDULES:
        return _SCHEDULES[declared["class_name"]](iteration, declared["config"])
    message = f"{where}: learning_rate is neither a number nor a schedule of Keras; expected one of these. Give one of them."
    raise NoReference(message)


def _passed(step: int, options: Options) -> float:
    passed = step / float(options["decay_steps"])
    return math.floor(passed) if options.get("staircase") else passed


def _exponential(step: int, options: Options) -> float:
    return float(options["initial_learning_rate"] * options["decay_rate"] ** _passed(step, options))


def _inverse_time(step: int, options: Options) -> float:
    return float(options["initial_learning_rate"] / (1 + options["decay_rate"] * _passed(step, options)))


def _piecewise_constant(step: int, options: Options) -> float:
    return float(options["values"][sum(step > boundary for boundary in options["boundaries"])])


def _polynomial(step: int, options: Options) -> float:
    length = options["decay_steps"]
    if options.get("cycle"):
        length *= max(1, math.ceil(step / length))  # the first multiple that is not passed yet
    start, end = options["initial_learning_rate"], options["end_learning_rate"]
    return float((start - end) * (1 - min(step, length) / length) ** options["power"] + end)


def _cosine(step: int, options: Options) -> float:
    start, target, warmup = options["initial_learning_rate"], options.get("warmup_target"), options.get("warmup_steps") or 0
    if target is not None:
        if step < warmup:
            # The formula for the warmup leaves out the start, which the text has: "from initial_learning_rate to warmup_target".
            return float(start + step / warmup * (target - start))
        start, step = target, step - warmup
    share = 0.5 * (1 + math.cos(math.pi * min(step, options["decay_steps"]) / options["decay_steps"]))
    return float(start * ((1 - options["alpha"]) * share + options["alpha"]))


def _cosine_restarts(step: int, options: Options) -> float:
    length, factor = float(options["first_decay_steps"]), 1.0
    began = 0.0
    while step >= began + length:
        began += length
        length *= options["t_mul"]
        factor *= options["m_mul"]
    share = 0.5 * factor * (1 + math.cos(math.pi * (step - began) / length))
    return float(options["initial_learning_rate"] * ((1 - options["alpha"]) * share + options["alpha"]))


_SCHEDULES: Mapping[str, Callable[[int, Options], float]] = MappingProxyType({
    "ExponentialDecay": _exponential,
    "InverseTimeDecay": _inverse_time,
    "PiecewiseConstantDecay": _piecewise_constant,
    "PolynomialDecay": _polynomial,
    "CosineDecay": _cosine,
    "CosineDecayRestarts": _cosine_restarts,
})  # fmt: skip
