"""The mode of a leg: how every model is compiled, whatever the case says."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from keras.src.trainers.trainer import Trainer

_OPTIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    "eager": {"run_eagerly": True, "jit_compile": False}, "jit": {"jit_compile": True, "run_eagerly": False},
})  # fmt: skip
_is_in_case = False


def start_mode(mode: str) -> None:
    """Compile all models of this process in a mode from now on. The harness itself may ask for another one by name."""
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


@contextlib.contextmanager
def case_compiles() -> Iterator[None]:
    """A context in which the case itself runs, so that its own options give way to the mode."""
    global _is_in_case  # noqa: PLW0603 - a case has no other way to tell
    before, _is_in_case = _is_in_case, True
    try:
        yield
    finally:
        _is_in_case = before
