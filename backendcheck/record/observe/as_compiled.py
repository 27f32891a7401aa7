"""What a case says ``"as compiled"`` of, taken from the model's own `compile`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras

from backendcheck.case import AS_COMPILED, ModelCase
from backendcheck.record.observe.errors import InvalidCase

_DECLARED = ("loss", "loss_weights", "metrics", "weighted_metrics", "optimizer")


def declared(case: ModelCase) -> ModelCase:
    """The case with the compiled loss, metrics and optimizer of its model in place of ``"as compiled"``.

    A loss as compiled brings the rest along, as far as the case does not say otherwise.

    Raises:
        InvalidCase: if the loss is to be as compiled, and the model is not compiled, or without a loss.
    """
    asked = says_as_compiled(case)
    if not asked:
        return case
    found = _compiled_with(case.model, needed="loss" in asked)
    if "loss" in asked:
        if found.get("loss") is None:
            message = "ModelCase: loss='as compiled', but the model is compiled without a loss. Give a loss."
            raise InvalidCase(message)
        asked += [name for name in _DECLARED if getattr(case, name) is None]
    taken: dict[str, Any] = {name: found.get(name) for name in asked}
    return replace(case, **taken)


def says_as_compiled(case: ModelCase) -> list[str]:
    """The options of which the case says ``"as compiled"``."""
    given = {name: getattr(case, name) for name in _DECLARED}
    return [name for name, value in given.items() if isinstance(value, str) and value == AS_COMPILED]


def _compiled_with(model: Any, *, needed: bool) -> Mapping[str, Any]:
    """The arguments of the `model.compile` in force; the optimizer is the one object, with the state that it has."""
    if not isinstance(model, keras.Model) or not getattr(model, "compiled", False):
        if not needed:
            return {}
        message = (
            "ModelCase: 'as compiled', but the model is not compiled; expected one that is. Give a loss. "
            "A file is without when the model was saved uncompiled, or its class has a compile() of its own."
        )
        raise InvalidCase(message)
    # No public way gives the objects back: get_compile_config() serializes them. It is here since Keras 3.0.
    config: Mapping[str, Any] = model._compile_config.config  # noqa: SLF001
    return {**config, "optimizer": model.optimizer}
