"""The backend PyTorch: see `BackendModule` for the interface."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import torch
from keras.src.backend.torch.core import get_device as _device_of_keras
from torch.utils._python_dispatch import TorchDispatchMode  # where its documentation has it

from backendcheck.record.backends.masks import copy_mask
from backendcheck.vocabulary.backends import Ability

ABILITIES = frozenset(Ability)
HAS_TEXT = False
COMPILES = False


def configure(device: str) -> dict[str, str]:  # noqa: ARG001 - keras reads the device from the environment
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    # Only a warning, because an op without a deterministic kernel must not raise where the program of a user would not.
    torch.use_deterministic_algorithms(True, warn_only=True)
    if threads := os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(int(threads))
    return {
        "tf32": "False",
        "deterministic_algorithms": "warn only",
        "matmul_precision": torch.get_float32_matmul_precision(),
        "threads": str(torch.get_num_threads()),
    }


def _device() -> torch.device:
    return keras.ops.zeros(()).device


def device_type() -> str:
    kind = str(_device().type)
    return "gpu" if kind in ("cuda", "xpu") else kind


def device_name() -> str:
    kind, device = device_type(), _device()
    if device.type == "cuda":
        return f"{kind}: {torch.cuda.get_device_name(device)}"
    return kind if kind == device.type else f"{kind}: {device.type}"


def check_device() -> None:
    (torch.zeros(1, device=_device()) + 1.0).item()


def reduce_precision() -> dict[str, str]:
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    return {"tf32": "True", "matmul_precision": torch.get_float32_matmul_precision()}


def start() -> None:
    """Nothing to start: what `configure` and `device_name` ask for has found the devices."""


def forget_programs() -> None:
    """Nothing to forget: Keras resets the compiler before each case."""


def random_state() -> Any:
    on_devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [state.numpy() for state in (torch.random.get_rng_state(), *on_devices)]


def set_random_state(state: Any) -> None:
    torch.random.set_rng_state(torch.from_numpy(state[0]))
    if state[1:]:
        torch.cuda.set_rng_state_all([torch.from_numpy(on_device) for on_device in state[1:]])


def seed_random_state(seed: int) -> None:
    torch.manual_seed(seed)


def is_symbolic() -> bool:
    return bool(_device_of_keras() == "meta")


def shift_right(x: Any, distance: int) -> Any:
    return x >> distance


def gradient_function(
    predict: Callable[[Any], Any],
    loss: Callable[[Any, Any], Any],
    variables: Sequence[Any],
    *,
    compiled: bool = True,  # noqa: ARG001 - JAX alone compiles
) -> Callable[[Any], tuple[Any, list[Any], list[Any]]]:
    def gradients(data: Any) -> tuple[Any, list[Any], list[Any]]:
        # Whatever a case, or a package that it imports, has set: a gradient that is not taken would look like zero.
        with torch.inference_mode(False), torch.enable_grad():
            y_pred = predict(data)
            leaves = keras.tree.flatten(y_pred)
            # Copies without a history, so that the gradient by one output does not go through another that is computed from it.
            copies = [leaf.data.clone() for leaf in leaves]
            values = [variable.value for variable in variables]
            by_value = _gradients(loss(y_pred, data), values) if values else []
            for copy in copies:
                copy.requires_grad_(copy.is_floating_point())
            # The loss gets copies of the copies, because it may write into them, and may not into what it is differentiated by.
            flat = [copy_mask(leaf, copy.clone()) for leaf, copy in zip(leaves, copies, strict=True)]
            total = loss(keras.tree.pack_sequence_as(y_pred, flat), data)
            return total, _gradients(total, copies), by_value

    return gradients


def _gradients(total: Any, sources: Sequence[Any]) -> list[Any]:
    differentiable = [index for index, source in enumerate(sources) if source.requires_grad]
    gradients: list[Any] = [None] * len(sources)
    if total.requires_grad and differentiable:
        computed = torch.autograd.grad(total, [sources[index] for index in differentiable], allow_unused=True)
        for index, gradient in zip(differentiable, computed, strict=True):
            gradients[index] = gradient
    return gradients


def cutting_functions() -> list[tuple[Any, str, str]]:
    return [(torch.Tensor, "detach", "stop"), (torch.Tensor, "numpy", "numpy"), (torch.Tensor, "__array__", "numpy")]


@contextmanager
def float64_enabled() -> Iterator[None]:
    """A context with one thread. PyTorch always has float64, and for these small computations several threads are slower."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def compiled(function: Callable[[list[Any]], Any], values: list[Any]) -> tuple[Callable[[list[Any]], Any], list[str]]:
    """See `BackendModule`. The function is not compiled, because that takes minutes; it runs without gradients."""
    without_gradients = torch.no_grad()(function)
    observer = _LoweredTypes()
    with observer:
        without_gradients(values)
    return without_gradients, sorted(observer.names)


class _LoweredTypes(TorchDispatchMode):  # type: ignore[misc]
    """Observes every operation, and collects the lower float types of results of operations on float64."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if torch.float64 in _float_types(args):
            self.names |= {str(dtype).removeprefix("torch.") for dtype in _float_types(result) - {torch.float64}}
        return result


def _float_types(nest: Any) -> set[torch.dtype]:
    tensors = (leaf for leaf in keras.tree.flatten(nest) if isinstance(leaf, torch.Tensor))
    return {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
