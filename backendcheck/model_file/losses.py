"""Losses as users declare them: by name, serialized in a model file, or as objects in this process."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backendcheck.errors import UsageError

_OWN = ("keras", "keras_core", "builtins")  # the top-level modules of Keras itself
_ALIASES = {
    "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error", "bce": "binary_crossentropy", "kld": "kl_divergence",
    "kldivergence": "kl_divergence", "kullback_leibler_divergence": "kl_divergence", "logcosh": "log_cosh", "ctc": "ctc",
}  # fmt: skip
# The losses of Keras by the names of their functions (keras.losses, 3.4 to 3.15).
LOSSES = frozenset({
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy", "categorical_hinge", "circle", "cosine_similarity", "ctc", "dice", "hinge", "huber",
    "kl_divergence", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error",
    "mean_squared_logarithmic_error", "poisson", "sparse_categorical_crossentropy", "squared_hinge", "tversky",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredLoss:
    """A loss by the name of its function (``sparse_categorical_crossentropy``), with its options.

    Attributes:
        name: the name of the function; for a custom loss the name of its class or function.
        options: the options that were set, such as ``from_logits``.
        reduction: the reduction, or None for a loss per example.
        custom: whether it is not a loss of Keras, so that nothing is known about it.
        subclass: whether it is a custom class. Such a loss gets labels and predictions in the shapes that they have; for a
            function Keras makes the shapes equal first.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    reduction: str | None = "sum_over_batch_size"
    custom: bool = False
    subclass: bool = False


def declared_loss(spec: Any) -> DeclaredLoss:
    """A loss as Keras writes it to a file, or as a user passes it to `compile`.

    It may be a name (``"mse"``, ``"BinaryCrossentropy"``), a serialized object, a `keras.losses.Loss`, or a function, with
    options by `functools.partial`.

    Raises:
        UsageError: if it is something else.
    """
    if isinstance(spec, DeclaredLoss):
        return spec
    if not isinstance(spec, str | Mapping):
        return _of_object(spec)
    if isinstance(spec, str):
        name = _canonical(spec)
        return DeclaredLoss(name=name, custom=name not in LOSSES)
    if "class_name" not in spec:
        raise _invalid_loss(spec)
    config = spec.get("config")
    if spec["class_name"] == "function":
        name = _canonical(str(config))
        return DeclaredLoss(name=name, custom=name not in LOSSES)
    options = dict(config) if isinstance(config, Mapping) else {}
    reduction = options.pop("reduction", "sum_over_batch_size")
    options.pop("name", None)
    wrapped = options.get("fn")
    if isinstance(wrapped, Mapping):
        inside = declared_loss(wrapped)
        return DeclaredLoss(name=inside.name, options=inside.options, reduction=reduction, custom=inside.custom)
    name = _canonical(str(spec["class_name"]))
    custom = is_custom(spec) or name not in LOSSES
    if custom:
        name = str(spec["class_name"])
    return DeclaredLoss(
        name=name, options=options, reduction=None if reduction == "none" else reduction, custom=custom, subclass=custom
    )


def is_single_loss(spec: Any) -> bool:
    """Whether `spec` is one loss or metric, a serialized one too, and not a dict of them by output."""
    return not isinstance(spec, Mapping) or "class_name" in spec


def _of_object(spec: Any) -> DeclaredLoss:
    """A loss object: its class or function by name, with its configuration as options."""
    if isinstance(spec, functools.partial):
        inside = _of_object(spec.func)
        return DeclaredLoss(name=inside.name, options={**inside.options, **spec.keywords}, custom=inside.custom)
    if inspect.isclass(spec):
        return declared_loss({"module": spec.__module__, "class_name": spec.__name__, "config": {}})
    if callable(getattr(spec, "get_config", None)):
        loss_class = type(spec)
        wrapped = getattr(spec, "fn", None)
        if loss_class.__name__ == "LossFunctionWrapper" and callable(wrapped):
            inside = _of_object(wrapped)
            options = {**inside.options, **getattr(spec, "_fn_kwargs", {})}
            return DeclaredLoss(name=inside.name, options=options, reduction=spec.reduction, custom=inside.custom)
        try:
            config = dict(spec.get_config())
        except Exception:  # noqa: BLE001 - a custom class that cannot be serialized is still a loss
            config = {}
        return declared_loss({"module": loss_class.__module__, "class_name": loss_class.__name__, "config": config})
    if callable(spec):
        name = _canonical(getattr(spec, "__name__", type(spec).__name__))
        is_from_keras = is_from_keras_module(getattr(spec, "__module__", "")) and name in LOSSES
        return DeclaredLoss(name=name, custom=not is_from_keras)
    raise _invalid_loss(spec)


def _invalid_loss(spec: Any) -> UsageError:
    return UsageError(f"loss={spec!r}: invalid loss; expected a name such as sparse_categorical_crossentropy.")


def _canonical(name: str) -> str:
    plain = snake(name)
    return _ALIASES.get(plain, _ALIASES.get(name.lower(), plain))


def snake(name: str) -> str:
    """``BinaryCrossentropy`` as ``binary_crossentropy``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def is_custom(entry: Mapping[str, Any]) -> bool:
    """Whether a serialized object has a class or function that is not part of Keras."""
    module = entry.get("module")
    if module is None:
        return bool(entry.get("registered_name"))  # registered by the user: package>name
    return not is_from_keras_module(module)


def is_from_keras_module(module: Any) -> bool:
    """Whether a module is part of Keras or of Python."""
    return str(module).partition(".")[0] in _OWN
