"""Which loss is meant: its name, its options and its reduction, as values that JSON can hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Options = Mapping[str, Any]

#: ``keras.config.epsilon()`` unless a user changed it.
DEFAULT_EPSILON = 1e-7

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", None)

_CLASS_NAMES = {
    "BinaryCrossentropy": "binary_crossentropy",
    "BinaryFocalCrossentropy": "binary_focal_crossentropy",
    "CTC": "ctc",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "CategoricalFocalCrossentropy": "categorical_focal_crossentropy",
    "CategoricalGeneralizedCrossEntropy": "categorical_generalized_cross_entropy",
    "CategoricalHinge": "categorical_hinge",
    "Circle": "circle",
    "CosineSimilarity": "cosine_similarity",
    "Dice": "dice",
    "Hinge": "hinge",
    "Huber": "huber",
    "KLDivergence": "kl_divergence",
    "LogCosh": "log_cosh",
    "MeanAbsoluteError": "mean_absolute_error",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error",
    "MeanSquaredError": "mean_squared_error",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error",
    "Poisson": "poisson",
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "SquaredHinge": "squared_hinge",
    "Tversky": "tversky",
}

_ALIASES = {
    "bce": "binary_crossentropy",
    "huber_loss": "huber",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}


class NoReference(Exception):  # an answer, not a malfunction
    """There is no documented right value for this loss on these inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSpec:
    """A declared Keras loss.

    Attributes:
        name: the canonical function name in snake case, such as ``"categorical_crossentropy"`` (see `canonical_name`).
        options: the arguments of the loss function (``from_logits``, ``label_smoothing``, ``axis``, …). Missing options have the
            defaults of Keras. ``epsilon`` may be added: the fuzz factor of the run, ``keras.config.epsilon()``. ``name``, ``fn``,
            ``reduction`` and ``dtype`` may be present and have no effect. `get_config` does not give all options: Keras 3.15
            leaves out the ``axis`` of `SparseCategoricalCrossentropy`.
        reduction: ``"sum_over_batch_size"``, ``"mean"`` (the same), ``"sum"``, ``"mean_with_sample_weight"`` or None. ``"none"``
            is read as None.

    Raises:
        ValueError: if the reduction is unknown.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    reduction: str | None = "sum_over_batch_size"

    def __post_init__(self) -> None:
        if self.reduction == "none":
            object.__setattr__(self, "reduction", None)
        if self.reduction not in REDUCTIONS:
            message = (
                f"LossSpec {self.name}: unknown reduction; expected one of {', '.join(map(str, REDUCTIONS))}, "
                f"got {self.reduction!r}. Give the `reduction` of the Keras loss."
            )
            raise ValueError(message)

    def to_json(self) -> dict[str, Any]:
        """A dict that `json.dumps` takes. Tuples become lists."""
        options = {key: list(value) if isinstance(value, tuple) else value for key, value in self.options.items()}
        return {"name": self.name, "options": options, "reduction": self.reduction}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LossSpec:
        """The spec from a dict that `to_json` returned.

        Raises:
            ValueError: if a key is missing, unknown or of the wrong type.
        """
        if set(data) != {"name", "options", "reduction"}:
            message = (
                f"LossSpec.from_json: wrong keys; expected name, options, reduction, got {', '.join(sorted(data))}. "
                "Record the loss again with this version."
            )
            raise ValueError(message)
        name, options = data["name"], data["options"]
        if not isinstance(name, str) or not isinstance(options, Mapping):
            message = (
                "LossSpec.from_json: wrong types; expected name to be a string and options a mapping, "
                f"got {type(name).__name__} and {type(options).__name__}. Record the loss again with this version."
            )
            raise ValueError(message)  # noqa: TRY004 - bad data, not a programming error
        return cls(name=name, options=dict(options), reduction=data["reduction"])


def with_defaults(where: str, given: Options, defaults: Options, without_effect: Collection[str]) -> dict[str, Any]:
    """The options of a loss or metric, and ``epsilon``, with the defaults where none are given.

    Raises:
        NoReference: if an option is unknown and not among those without effect.
    """
    known = {**defaults, "epsilon": DEFAULT_EPSILON}
    if unknown := sorted(set(given) - set(known) - set(without_effect)):
        message = (
            f"{where}: unknown option; expected {', '.join(sorted(known))}, got {', '.join(unknown)}. "
            "Its effect is not in the reference, so there is no value."
        )
        raise NoReference(message)
    return {key: given.get(key, default) for key, default in known.items()}


def canonical_name(name: str) -> str:
    """The snake-case function name of a Keras loss, from a class name, function name or alias.

    ``"CategoricalCrossentropy"``, ``"MSE"`` and ``"huber_loss"`` become ``"categorical_crossentropy"``, ``"mean_squared_error"``
    and ``"huber"``. Any other name is returned unchanged.
    """
    return _CLASS_NAMES.get(name, _ALIASES.get(name.lower(), name))
