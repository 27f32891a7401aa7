"""A situation: one choice for each dimension, and enough to replay it anywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from backendcheck.errors import UnreadableInput

# The choices of each dimension, the simplest first. Shrinking moves toward the first.
DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "labels": ("integer", "binary", "one-hot", "multi-hot", "signed", "real", "soft", "sequence", "text"),
    "label_values": (
        "valid", "above-range", "negative", "minus-hundred", "one-class", "fractional", "nan", "inf", "zero-row", "row-sum",
        "wide", "empty",
    ),
    "label_dtype": (
        "float32", "int32", "int64", "uint8", "float64", "int8", "int16", "uint16", "uint32", "uint64", "float16", "bool",
        "text",
    ),
    "label_shape": ("(N,)", "(N,1)", "(N,C)", "(N,T)", "(N,T,C)", "(N,H,W)"),
    "sample_weight": ("none", "per-example", "per-element", "zero", "one-zero", "negative", "class-weight"),
    "mask": ("none", "ignore-class", "some", "all"),
    "head": ("linear", "softmax", "sigmoid", "logits", "tanh", "relu", "class", "unit"),
    "predictions": ("ordinary", "bool", "zero", "tied", "exact-hit", "saturated", "nan", "inf"),
    "outputs": ("one", "one-loss", "list", "named", "dict", "dict-unsorted", "nested"),
    "path": ("call", "compute_loss", "evaluate", "fit", "train_on_batch", "dataset", "save-load", "jit", "predict"),
    "policy": ("float32", "float64", "mixed_float16", "mixed_bfloat16"),
    "batch": ("whole", "ragged-last", "single"),
}  # fmt: skip
_COUNTS = ("n_examples", "n_classes", "numbers")
_JSON = (bool, int, float, str, type(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One choice for each dimension.

    options: the options of the target, by name. They are plain values of JSON.
    n_examples, n_classes: the shape.
    numbers: which numbers are drawn. Situations with the same shapes and `numbers` have the same predictions.
    """

    target: str
    labels: str
    head: str
    label_values: str = "valid"
    label_dtype: str = "float32"
    label_shape: str = "(N,)"
    sample_weight: str = "none"
    mask: str = "none"
    predictions: str = "ordinary"
    outputs: str = "one"
    path: str = "call"
    policy: str = "float32"
    optimizer: str = "none"
    batch: str = "whole"
    options: tuple[tuple[str, Any], ...] = ()
    n_examples: int = 4
    n_classes: int = 3
    numbers: int = 0

    def __post_init__(self) -> None:
        for name, choices in DIMENSIONS.items():
            if getattr(self, name) not in choices:
                message = f"situation: {name} is {getattr(self, name)!r}; expected one of {', '.join(choices)}."
                raise UnreadableInput(message)
        for name in _COUNTS:
            count = getattr(self, name)
            if type(count) is not int or count < (0 if name == "numbers" else 1):
                message = f"situation: {name} is {count!r}; expected a whole number, {int(name != 'numbers')} or more."
                raise UnreadableInput(message)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of examples and classes. With `empty` labels the first is 0, whatever `n_examples` says."""
        return 0 if self.label_values == "empty" else self.n_examples, self.n_classes

    def option(self, name: str, default: Any = None) -> Any:
        return dict(self.options).get(name, default)

    def to_json(self) -> dict[str, Any]:
        """The situation as JSON, in the order of its fields."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "options": {name: _listed(value) for name, value in self.options}}

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """The situation that `to_json` wrote.

        Raises:
            UnreadableInput: naming the field that is wrong.
        """
        if not isinstance(content, dict):
            message = f"situation: expected an object, got {type(content).__name__}."
            raise UnreadableInput(message)
        names = {field.name for field in fields(cls)}
        if unknown := sorted(map(str, set(content) - names)):
            message = f"situation: unknown fields {', '.join(unknown)}; expected some of {', '.join(sorted(names))}."
            raise UnreadableInput(message)
        options = content.get("options", {})
        if not isinstance(options, dict) or not {"target", "labels", "head"} <= set(content):
            message = "situation: expected target, labels and head, and options as an object."
            raise UnreadableInput(message)
        texts = [name for name in content if name not in (*_COUNTS, "options") and not isinstance(content[name], str)]
        if texts:
            message = f"situation: {', '.join(texts)} is not text."
            raise UnreadableInput(message)
        frozen = tuple((name, _frozen(value)) for name, value in sorted(options.items()))
        return cls(**{**content, "options": frozen})

    def with_option(self, name: str, value: Any) -> Self:
        """The same with one option set. ``...`` leaves the option out, so that the target has its default."""
        options = {**dict(self.options), name: _frozen(value)}
        return replace(self, options=tuple(sorted((key, item) for key, item in options.items() if item is not ...)))

    @property
    def key(self) -> str:
        """A short text that is the same for equal situations, in every process and version of Python."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:12]

    def choices(self) -> tuple[tuple[str, Any], ...]:
        """The choices by dimension, options included: what pairs are counted of."""
        values = asdict(self)
        dimensions = [(name, values[name]) for name in DIMENSIONS]
        return (*dimensions, *((f"options.{name}", value) for name, value in self.options))


def _frozen(value: Any) -> Any:
    """A value of JSON that can be compared and hashed.

    Raises:
        UnreadableInput: if it is something else.
    """
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    if value is not ... and not isinstance(value, _JSON):
        message = f"situation: option {value!r} is not a plain value of JSON."
        raise UnreadableInput(message)
    return value


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value
