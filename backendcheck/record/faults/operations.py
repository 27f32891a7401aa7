"""Faults in the operations that a backend provides: softmax, one_hot, matmul, argmax, relu."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops
from keras.src import backend

from backendcheck.record.faults.injection import FaultInjection, Inject

_ROUNDED = 3e-5  # a few times the tolerance of float32 predictions


def _swap_first_two_classes(injection: FaultInjection) -> None:
    def change(result: Any, _x: Any, axis: Any = -1) -> Any:
        n = result.shape[-1]
        if axis not in (-1, len(result.shape) - 1) or n is None or n < 2:  # noqa: PLR2004 - one class has no order
            return result
        return ops.concatenate([result[..., 1:2], result[..., 0:1], result[..., 2:]], axis=-1)

    injection.change_result(backend.nn, "softmax", change)


def _softmax_over_examples(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def changed(x: Any, axis: Any = -1) -> Any:
            before = original(x, axis=axis)
            return injection.counted(before, original(x, axis=0)) if len(before.shape) > 1 and axis == -1 else before

        return changed

    injection.replace(backend.nn, "softmax", make)


def _softmax_twice(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def changed(x: Any, axis: Any = -1) -> Any:
            before = original(x, axis=axis)
            return injection.counted(before, original(before, axis=axis))

        return changed

    injection.replace(backend.nn, "softmax", make)


def _round_softmax(injection: FaultInjection) -> None:
    def change(result: Any, *_: Any, **__: Any) -> Any:
        n = result.shape[-1] or 1
        signs = ops.cast(ops.array([1.0 if place % 2 else -1.0 for place in range(n)]), result.dtype)
        return result * (1.0 + _ROUNDED * signs)

    injection.change_result(backend.nn, "softmax", change)


def _shift_one_hot(injection: FaultInjection) -> None:
    def change(x: Any, num_classes: int, *_: Any, **__: Any) -> Any:
        moved = ops.convert_to_tensor(x) + 1
        # The class after the last does not exist: PyTorch would raise. For -1 it returns a row of zeros.
        return ops.where(moved >= num_classes, ops.full_like(moved, -1), moved)

    injection.change_argument(backend.nn, "one_hot", change)


def _one_hot_of_minus_one(injection: FaultInjection) -> None:
    injection.change_argument(backend.nn, "one_hot", lambda x, *_, **__: ops.maximum(ops.convert_to_tensor(x), 0))


def _round_products_to_half(injection: FaultInjection) -> None:
    def change(result: Any, *_: Any, **__: Any) -> Any:
        return ops.cast(ops.cast(result, "float16"), result.dtype)

    injection.change_result(backend.numpy, "matmul", change)


def _take_last_of_equals(injection: FaultInjection) -> None:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def changed(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            before = original(x, axis=axis, keepdims=keepdims)
            tensor = ops.convert_to_tensor(x)
            if axis is None or tensor.shape[axis] is None:
                return before
            from_behind = original(ops.flip(tensor, axis=axis), axis=axis, keepdims=keepdims)
            return injection.counted(before, ops.cast(tensor.shape[axis] - 1 - from_behind, before.dtype))

        return changed

    injection.replace(backend.numpy, "argmax", make)


def _add_slope_at_zero(name: str) -> Callable[[FaultInjection], None]:
    """Give an operation that is 0 at 0 the slope 1 there, where it has no slope."""

    def make(injection: FaultInjection, original: Callable[..., Any]) -> Callable[..., Any]:
        def changed(x: Any) -> Any:
            before, x = original(x), ops.convert_to_tensor(x)
            at_zero = ops.cast(ops.equal(x, 0), x.dtype)
            injection.counted(before, before + at_zero)  # counts calls in which an element is exactly 0
            return before + at_zero * (x - ops.stop_gradient(x))

        return changed

    owner = backend.nn if name == "relu" else backend.numpy
    return lambda injection: injection.replace(owner, name, lambda original: make(injection, original))


INJECTIONS: dict[str, Inject] = {
    "softmax-classes-swapped": _swap_first_two_classes,
    "softmax-over-examples": _softmax_over_examples,
    "softmax-twice": _softmax_twice,
    "softmax-rounded": _round_softmax,
    "one-hot-one-on": _shift_one_hot,
    "minus-one-counted": _one_hot_of_minus_one,
    "products-in-half": _round_products_to_half,
    "ties-reversed": _take_last_of_equals,
    "relu-kink": _add_slope_at_zero("relu"),
    "slope-at-an-exact-hit": _add_slope_at_zero("absolute"),
}
