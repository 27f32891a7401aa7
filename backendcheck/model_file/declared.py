"""A loss as it is declared: by name, or serialized in the file of a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backendcheck.errors import UsageError

_OWN = ("keras", "keras_core", "builtins")  # roots of modules that every Keras has
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

    `custom` says that it is none of Keras's, so that nothing is known of it.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    reduction: str | None = "sum_over_batch_size"
    custom: bool = False


def declared_loss(spec: Any) -> DeclaredLoss:
    """A loss as Keras writes it into a file or as a user names it: ``"mse"``, ``"BinaryCrossentropy"``, a serialized object.

    Raises:
        UsageError: if it is neither.
    """
    if isinstance(spec, str):
        name = _canonical(spec)
        return DeclaredLoss(name=name, custom=name not in LOSSES)
    if not isinstance(spec, Mapping) or "class_name" not in spec:
        message = f"loss={spec!r}: is no loss; expected a name such as sparse_categorical_crossentropy."
        raise UsageError(message)
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
    return DeclaredLoss(name=name, options=options, reduction=None if reduction == "none" else reduction, custom=custom)


def _canonical(name: str) -> str:
    plain = snake(name)
    return _ALIASES.get(plain, _ALIASES.get(name.lower(), plain))


def snake(name: str) -> str:
    """``BinaryCrossentropy`` as ``binary_crossentropy``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def is_custom(entry: Mapping[str, Any]) -> bool:
    """Whether a serialized object is of a class or a function that is not Keras's."""
    module = entry.get("module")
    if module is None:
        return bool(entry.get("registered_name"))  # registered by the user: package>name
    return not is_own_module(module)


def is_own_module(module: Any) -> bool:
    """Whether a module is Keras's, or Python's."""
    return str(module).partition(".")[0] in _OWN
