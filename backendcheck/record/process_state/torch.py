"""State of PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch._tensor_str import PRINT_OPTS  # no public function returns them
from torch.nn.modules import module as modules
from torch.optim import optimizer as optimizers

from backendcheck.record.process_state.interpreter import functions_of
from backendcheck.record.process_state.item import Item, attribute

_PRINTED = ("precision", "threshold", "edgeitems", "linewidth", "sci_mode")
# The dicts of hooks that apply to every module and every optimizer; their names depend on the version.
_HOOKS = [
    hooks for owner in (modules, optimizers) for name, hooks in vars(owner).items()
    if name.startswith("_global_") and isinstance(hooks, dict)
]  # fmt: skip


def items() -> list[Item]:
    backends = torch.backends
    return [
        Item("torch grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
        Item("torch inference mode", torch.is_inference_mode_enabled, lambda _: torch._C._set_grad_enabled(True)),  # noqa: SLF001
        Item("torch default dtype", torch.get_default_dtype, torch.set_default_dtype),
        Item("torch default device", lambda: str(torch.get_default_device()), _restore_device),
        Item("torch deterministic algorithms", _deterministic, _restore_deterministic),
        Item("torch filling of new memory", lambda: torch.utils.deterministic.fill_uninitialized_memory, _restore_filling),
        Item("torch float32 matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        Item("torch TensorFloat-32 of matmul", *attribute(backends.cuda.matmul, "allow_tf32")),
        Item("torch TensorFloat-32 of cuDNN", *attribute(backends.cudnn, "allow_tf32")),
        Item("torch benchmarks of cuDNN", *attribute(backends.cudnn, "benchmark")),
        Item("torch deterministic cuDNN", *attribute(backends.cudnn, "deterministic")),
        Item("torch use of cuDNN", *attribute(backends.cudnn, "enabled")),
        Item("torch threads", torch.get_num_threads, torch.set_num_threads),
        Item("torch threads between operations", torch.get_num_interop_threads),
        Item("torch anomaly mode", _anomaly, lambda value: torch.autograd.set_detect_anomaly(*value)),
        *(_autocast(device) for device in ("cpu", "cuda")),
        Item("torch autocast cache", torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
        Item("torch print options", lambda: [getattr(PRINT_OPTS, name) for name in _PRINTED], _restore_printing),
        Item("torch repeated warnings", torch.is_warn_always_enabled, torch.set_warn_always),
        Item("torch hooks of all modules and optimizers", lambda: [dict(hooks) for hooks in _HOOKS], _restore_hooks),
        Item("torch hooks of saved tensors", lambda: torch._C._autograd._top_saved_tensors_default_hooks(True),  # noqa: SLF001
             lambda _: torch._C._autograd._pop_saved_tensors_default_hooks()),  # noqa: SLF001
        Item("torch modes of dispatch", _modes),
        *(functions_of(owner) for owner in (torch, torch.nn.functional, torch.Tensor, torch.nn.Module, torch.autograd)),
    ]


def _restore_device(device: str) -> None:
    torch.set_default_device(None)
    if str(torch.get_default_device()) != device:
        torch.set_default_device(device)


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _restore_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _restore_filling(value: bool) -> None:
    torch.utils.deterministic.fill_uninitialized_memory = value


def _anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _autocast(device: str) -> Item:
    def restore(value: tuple[bool, Any]) -> None:
        torch.set_autocast_enabled(device, value[0])
        torch.set_autocast_dtype(device, value[1])

    read = lambda: (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))  # noqa: E731
    return Item(f"torch autocast on {device}", read, restore)


def _restore_printing(values: list[Any]) -> None:
    for name, value in zip(_PRINTED, values, strict=True):
        setattr(PRINT_OPTS, name, value)


def _restore_hooks(values: list[dict[int, Any]]) -> None:
    for hooks, value in zip(_HOOKS, values, strict=True):
        hooks.clear()
        hooks.update(value)


def _modes() -> tuple[int, int]:
    return torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()  # noqa: SLF001 - no public count
