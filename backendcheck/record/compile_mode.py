"""The mode of a leg: how every model is compiled, whatever the case says."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import keras
from keras.src.trainers.trainer import Trainer

_OPTIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    "eager": {"run_eagerly": True, "jit_compile": False}, "jit": {"jit_compile": True, "run_eagerly": False},
})  # fmt: skip
_is_in_case = False


def start_mode(mode: str) -> None:
    """Compile all models of this process in a mode from now on. The harness itself may ask for another one by name."""
    if mode == "compile":
        _compile_around_models()
    if mode not in _OPTIONS:
        return
    original, options = Trainer.compile, _OPTIONS[mode]
    signature = inspect.signature(original)

    @functools.wraps(original)
    def compile_in_mode(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = signature.bind(self, *args, **kwargs).arguments
        chosen = {name: given[name] for name in options if name in given and not _is_in_case}
        if not chosen:
            given |= options
        return original(**given)

    Trainer.compile = compile_in_mode


def _compile_around_models() -> None:
    """Put `torch.compile` around what each model computes, as ``model.call = torch.compile(model.call)`` does.

    The loss, the metrics and the step of the optimizer stay outside. `jit` is the mode that compiles the whole step.
    """
    import torch

    original = Trainer.compile

    @functools.wraps(original)
    def compile_with_model(self: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self, keras.Model) and not hasattr(self.call, "_torchdynamo_orig_callable"):
            self.call = torch.compile(self.call)
        return original(self, *args, **kwargs)

    Trainer.compile = compile_with_model


@contextlib.contextmanager
def case_compiles() -> Iterator[None]:
    """A context in which the case itself runs, so that its own options give way to the mode."""
    global _is_in_case  # noqa: PLW0603 - a case has no other way to tell
    before, _is_in_case = _is_in_case, True
    try:
        yield
    finally:
        _is_in_case = before
