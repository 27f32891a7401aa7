"""Gradients as they were taken. What a backend leaves out is proved to be zero, or it is missing and a note says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import keras
import numpy as np

from backendcheck.record.backends import backend_module
from backendcheck.record.backends.masks import copy_mask
from backendcheck.record.observe.arrays import as_observation
from backendcheck.record.observe.trace import Trace

_N_DIRECTIONS = 4
_STEPS = (2.0**-6, 2.0**-10)  # of the size of each element, and at least of 1; both are far above the rounding of float32
# By how much a smooth loss moves more with the longer step: 16 times, and 256 times at a minimum. A jump moves it as much.
_SMOOTH = (4.0, 1000.0)


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Stands for a gradient that the backend did not take."""

    reason: str


class GradientFunction:
    """`BackendModule.gradient_function`, with zeros or `NotTaken` in place of each None.

    A backend returns None where its graph does not connect the loss with a tensor. That is zero if the loss does not depend on
    the tensor, or if the case stops the gradient on purpose. Otherwise, the graph was cut, and the gradient was not taken.
    """

    def __init__(
        self,
        predict: Callable[[Any], Any],
        loss: Callable[[Any, Any], Any],
        variables: Sequence[Any],
        *,
        compiled: bool = True,
    ) -> None:
        self._predict, self._variables = predict, variables

        def on_copies(y_pred: Any, data: Any) -> Any:
            return loss(y_pred, _copied(data))

        self._loss = on_copies
        self._function = backend_module().gradient_function(predict, on_copies, variables, compiled=compiled)

    def __call__(self, data: Any) -> tuple[list[Any], list[Any]]:
        """The gradients by each leaf of the predictions, and by each variable."""
        with _calls_noted() as calls:
            _, by_prediction, by_variable = self._function(data)
        if any(gradient is None for gradient in by_prediction):
            y_pred = self._predict(data)
            for place, leaf in enumerate(keras.tree.flatten(y_pred)):
                if by_prediction[place] is None:
                    by_prediction[place] = _in_place_of_none(leaf, calls, partial(self._moved, y_pred, place, data))
        for place, variable in enumerate(self._variables):
            if by_variable[place] is None:
                by_variable[place] = _in_place_of_none(variable, calls, partial(self._assigned, variable, data))
        return by_prediction, by_variable

    @property
    def in_slices(self) -> bool:
        """Whether a gradient came as slices (some rows), as TensorFlow does for an embedding."""
        return getattr(self._function, "in_slices", False)

    def _moved(self, y_pred: Any, place: int, data: Any, leaf: np.ndarray) -> float:
        """The loss with one leaf of the predictions replaced."""
        flat = list(keras.tree.flatten(y_pred))
        flat[place] = copy_mask(flat[place], keras.ops.convert_to_tensor(leaf, dtype=flat[place].dtype))
        return _number(self._loss(keras.tree.pack_sequence_as(y_pred, flat), data))

    def _assigned(self, variable: Any, data: Any, value: np.ndarray) -> float:
        """The loss with one variable replaced."""
        before = as_observation(variable, where="variable").value
        variable.assign(value)
        try:
            return _number(self._loss(self._predict(data), data))
        finally:
            variable.assign(before)


def add_gradient(name: str, gradient: Any, trace: Trace) -> None:
    """Record a gradient, or that it is missing."""
    if isinstance(gradient, NotTaken):
        trace.notes.append(f"{name} is missing: {gradient.reason}")
    else:
        trace.add(name, gradient)


def _copied(data: Any) -> Any:
    """The data with tensors of its own where they can be written into.

    The loss is computed several times. On PyTorch, Keras multiplies the sample weights with a mask in place.
    """
    return keras.tree.map_structure(lambda leaf: copy_mask(leaf, leaf.clone()) if hasattr(leaf, "clone") else leaf, data)


def _number(loss: Any) -> float:
    return float(as_observation(loss, where="loss").value)


def _in_place_of_none(source: Any, calls: set[str], loss_of: Callable[[np.ndarray], float]) -> Any:
    observation = as_observation(source, where="gradient")
    if not observation.is_float:
        return NotTaken(f"{observation.dtype} has no gradient")
    if "stop" in calls and "numpy" not in calls:
        return np.zeros(observation.value.shape, keras.config.floatx())
    if not _depends_smoothly(loss_of, observation.value.astype(np.float64)):
        return np.zeros(observation.value.shape, keras.config.floatx())
    why = ", because a tensor becomes a NumPy array on the way" if "numpy" in calls else ""
    return NotTaken(f"{keras.backend.backend()} took no gradient, although the loss depends on it{why}")


def _depends_smoothly(loss_of: Callable[[np.ndarray], float], value: np.ndarray) -> bool:
    """Whether the loss moves with `value`, and the more, the farther it is moved. Steps of argmax or round do not."""
    generator = np.random.default_rng(0)
    start = loss_of(value)
    if start != loss_of(value) and start == start:  # noqa: PLR0124 - it draws random numbers, and is not NaN
        return True
    ratios = []
    for _ in range(_N_DIRECTIONS):
        direction = generator.choice((-1.0, 1.0), value.shape) * np.maximum(np.abs(value), 1.0)
        far, near = (abs(loss_of(value + step * direction) - start) for step in _STEPS)
        if near == 0.0:
            return False
        ratios.append(far / near)
    return any(_SMOOTH[0] <= ratio <= _SMOOTH[1] for ratio in ratios)


# --- calls that cut a graph ------------------------------------------------------------------------------------


@contextmanager
def _calls_noted() -> Iterator[set[str]]:
    """A context that notes ``stop`` when a gradient is stopped on purpose, and ``numpy`` when a tensor becomes an array."""
    calls: set[str] = set()
    with ExitStack() as stack:
        for owner, name, kind in _cutting_functions():
            original = getattr(owner, name)

            def noted(*args: Any, _original: Any = original, _kind: str = kind, **kwargs: Any) -> Any:
                calls.add(_kind)
                return _original(*args, **kwargs)

            stack.enter_context(mock.patch.object(owner, name, noted))
        yield calls


def _cutting_functions() -> list[tuple[Any, str, str]]:
    functions: list[tuple[Any, str, str]] = [
        (keras.src.backend.core, "stop_gradient", "stop"), (keras.src.backend, "convert_to_numpy", "numpy"),
    ]  # fmt: skip
    return [*functions, *backend_module().cutting_functions()]
