"""Gradients under PyTorch, and its numerics settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import torch
from torch.utils._python_dispatch import TorchDispatchMode  # where its documentation has it


def configure(device: str) -> dict[str, str]:  # noqa: ARG001 - keras reads the device from the environment
    """Set what makes PyTorch repeatable; returns the settings for the record."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    # Only warn: an op without a deterministic kernel must not raise where a user's program would not.
    torch.use_deterministic_algorithms(True, warn_only=True)
    if threads := os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(int(threads))
    return {
        "tf32": "False",
        "deterministic_algorithms": "warn only",
        "matmul_precision": torch.get_float32_matmul_precision(),
        "threads": str(torch.get_num_threads()),
    }


def device_name() -> str:
    """The device that computes."""
    device = torch.empty(0, device=keras.ops.zeros(()).device).device
    return "cpu" if device.type == "cpu" else f"{device.type}: {torch.cuda.get_device_name(device)}"


def gradient_function(
    predict: Callable[[Any], Any],
    loss: Callable[[Any, Any], Any],
    variables: Sequence[Any],
    *,
    compiled: bool = True,  # noqa: ARG001 - JAX alone compiles
) -> Callable[[Any], tuple[Any, list[Any], list[Any]]]:
    """A function of `data`: ``loss(predict(data), data)`` and its gradients by each leaf of the prediction and by each variable.

    A gradient is None where the loss does not depend on it.
    """

    def gradients(data: Any) -> tuple[Any, list[Any], list[Any]]:
        y_pred = predict(data)
        flat = keras.tree.flatten(y_pred)
        for leaf in flat:
            if not leaf.requires_grad and leaf.is_floating_point():
                leaf.requires_grad_(True)
        total = loss(y_pred, data)
        sources = [*flat, *(variable.value for variable in variables)]
        wanted = [index for index, source in enumerate(sources) if source.requires_grad]
        by_source: list[Any] = [None] * len(sources)
        if total.requires_grad:
            found = torch.autograd.grad(total, [sources[index] for index in wanted], allow_unused=True)
            for index, gradient in zip(wanted, found, strict=True):
                by_source[index] = gradient
        return total, by_source[: len(flat)], by_source[len(flat) :]

    return gradients


@contextmanager
def float64_enabled() -> Iterator[None]:
    """PyTorch always has float64. What is computed in it here is small: threads would only wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def compiled(function: Callable[[list[Any]], Any], values: list[Any]) -> tuple[Callable[[list[Any]], Any], list[str]]:
    """`function` without gradients, and the names of the float types that it takes float64 down to on `values`.

    It is not compiled, which takes minutes.
    """
    without_gradients = torch.no_grad()(function)
    watch = _Lowered()
    with watch:
        without_gradients(values)
    return without_gradients, sorted(watch.seen)


class _Lowered(TorchDispatchMode):  # type: ignore[misc]
    """Sees every operation; notes the lower float types that come out of one which float64 goes into."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = function(*args, **(kwargs or {}))
        if torch.float64 in _float_types(args):
            self.seen |= {str(dtype).removeprefix("torch.") for dtype in _float_types(given) - {torch.float64}}
        return given


def _float_types(nest: Any) -> set[torch.dtype]:
    tensors = (one for one in keras.tree.flatten(nest) if isinstance(one, torch.Tensor))
    return {one.dtype for one in tensors if one.is_floating_point()}
