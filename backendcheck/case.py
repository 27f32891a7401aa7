"""The return values of cases: plain values, no keras.

A case is a function named ``case_*`` that returns a dict of arrays, a `ValueCase`, a `FunctionCase`, a `LossCase` or a
`ModelCase`. These classes only hold what the author wrote. Everything that needs a backend happens in `backendcheck.record`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from backendcheck.argument_types import (
    ArrayLike,
    AsCompiled,
    ClassNames,
    DataSet,
    Loss,
    Losses,
    LossWeights,
    Metrics,
    Model,
    Nest,
    Optimizer,
    Reference,
)

ExceptionType = type[BaseException] | str

_LENGTHS = (2, 3)  # of validation data: with sample weights or without
AS_COMPILED = "as compiled"  # in a ModelCase: the argument that the model was compiled with


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two backends may differ: ``allowed = atol + rtol * max(|left|, |right|)``.

    The magnitude is that of the whole tensor for gradients, and that of the element otherwise.

    Args:
        rtol: a share of the magnitude, 0 or more.
        atol: 0 or more, in the unit of what is compared.

    Raises:
        ValueError: if one of them is negative or not finite.
    """

    rtol: float = 0.0
    atol: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rtol", "atol"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < float("inf"):
                message = f"Tolerance: {name} is out of range; expected a finite number, 0 or more, got {number!r}."
                raise ValueError(message)


@dataclass(frozen=True, slots=True, init=False)
class Raises:
    """The expectation that every backend rejects the case.

    Args:
        type: an exception class, its name, or a tuple of them, with their subclasses. Backends raise different classes for one
            cause, so leave it out unless the class itself is the claim.
        match: a regular expression to be found in the message.

    Raises:
        ValueError: if `match` is not a regular expression.
        TypeError: if `type` is not an exception class or a name.
    """

    type_names: tuple[str, ...] | None
    match: str | None

    def __init__(
        self, type: ExceptionType | Sequence[ExceptionType] | None = None, match: str | None = None,  # noqa: A002 - as pytest.raises
    ) -> None:  # fmt: skip
        object.__setattr__(self, "type_names", None if type is None else _exception_names(type))
        if match is not None:
            try:
                re.compile(match)
            except re.error as error:
                message = f"Raises: match={match!r} is not a regular expression ({error}). Escape it with re.escape."
                raise ValueError(message) from error
        object.__setattr__(self, "match", match)


def _exception_names(types: object) -> tuple[str, ...]:
    names = []
    for exception in types if isinstance(types, tuple | list) else (types,):
        if isinstance(exception, str):
            names.append(exception)
        elif isinstance(exception, type) and issubclass(exception, BaseException):
            names.append(exception.__name__)
        else:
            message = f"Raises: type holds {exception!r}; expected an exception class or its name."
            raise TypeError(message)
    return tuple(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """A relation of the order oracle that cannot hold for a case, with the reason.

    For permutations, `relation` is ``"examples"``, ``"classes"`` or ``"outputs"``. For a loss in another form, it is
    ``"batch twice"``, ``"weight 0"``, ``"weight 2"``, ``"label form"``, ``"from_logits"``, ``"new class"`` or ``"masked step"``.
    """

    relation: Literal[
        "examples", "classes", "outputs",
        "batch twice", "weight 0", "weight 2", "label form", "from_logits", "new class", "masked step",
    ]  # fmt: skip
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class ValueCase:
    """Any computation: an encoder, a lookup, a metric. It adds a reference, an expectation and a tolerance to a plain dict.

    Args:
        compute: returns a dict of name to array, or a nest of them. Each is recorded as ``value/<name>``, as it is.
        reference: the right values, as ``{"value/<name>": array}``, or a function without arguments that returns such a dict.
        expect: `Raises()`, if every backend must reject this.
        tolerance: a `Tolerance` for all observations, or a dict of them by observation or pattern (``"value/*"``).
    """

    compute: Callable[[], Mapping[str, Nest]]
    reference: Reference | None = field(default=None, kw_only=True)
    expect: Raises | None = field(default=None, kw_only=True)
    tolerance: Tolerance | Mapping[str, Tolerance] | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True, eq=False)
class FunctionCase:
    """A function of tensors: its result, and the gradients of the result by its inputs.

    The result, an array or a nest of them, is recorded as ``value/result`` or ``value/<name>``. ``gradient/<parameter>`` has the
    shape of that input: the gradient of the sum of all float results, each element weighted by a fixed random number. The weights
    make an exchange of two results visible. With parameters `y_true` and `y_pred` it is a loss or a metric, which runs in `fit`.
    It is a finding if it cannot compile.

    Args:
        function: takes tensors of the backend and returns one, or a nest of them.
        inputs: its arguments, by position as a list or by parameter as a dict. float64 is converted to the float type of the
            session, as `model.fit` does; text stays a NumPy array.
        gradients: False for a function that leaves the backend, such as for NumPy.
        reference: ``{"value/result": array}``, or a NumPy function of the same parameters that returns such a dict.
        expect: as in `ValueCase`.
        tolerance: as in `ValueCase`.

    Raises:
        TypeError: if `function` is not callable, or `inputs` is neither a list nor a dict.
    """

    function: Callable[..., Any]
    inputs: Sequence[Nest] | Mapping[str, Nest]
    gradients: bool = field(default=True, kw_only=True)
    reference: Reference | None = field(default=None, kw_only=True)
    expect: Raises | None = field(default=None, kw_only=True)
    tolerance: Tolerance | Mapping[str, Tolerance] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not callable(self.function):
            message = f"FunctionCase: function is {type(self.function).__name__}; expected a function of tensors."
            raise TypeError(message)
        if isinstance(self.inputs, str | bytes) or not isinstance(self.inputs, Sequence | Mapping):
            got = type(self.inputs).__name__
            message = f"FunctionCase: inputs is {got}; expected a list of arrays, or a dict by parameter. Write [array] for one."
            raise TypeError(message)

    @property
    def named_inputs(self) -> dict[str, Any]:
        """The inputs by parameter; by position (``0``, ``1``, …) where the parameters are unknown."""
        if isinstance(self.inputs, Mapping):
            return {str(name): value for name, value in self.inputs.items()}
        try:
            parameters = list(inspect.signature(self.function).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        names += [str(number) for number in range(len(names), len(self.inputs))]
        return dict(zip(names, self.inputs, strict=False))


@dataclass(frozen=True, slots=True, eq=False)
class LossCase:
    """A loss: `loss` applied to labels `y_true` and predictions `y_pred`.

    Args:
        loss: a loss for one output, as ``model.compile(loss=…)`` takes it: a string, a `keras.losses.Loss`, a function.
        y_true: the labels of N examples, (N,), (N, 1) or (N, C).
        y_pred: the predictions, usually (N, C): logits or probabilities, as the loss takes them.
        sample_weight: (N,), or the shape of the unreduced loss.
        class_names: the names of the C classes in order.
        reference: ``{"loss": 0.7, "gradient/y_pred": array}``, or a NumPy function of ``y_true``, ``y_pred``, ``sample_weight``
            (those that it names) that returns such a dict. The losses of Keras have a built-in one.
        expect: as in `ValueCase`.
        tolerance: as in `ValueCase`.
        order: relations of the order oracle that do not hold (see `OptOut`).
    """

    loss: Loss
    y_true: ArrayLike
    y_pred: ArrayLike
    sample_weight: ArrayLike | None = field(default=None, kw_only=True)
    class_names: ClassNames | None = field(default=None, kw_only=True)
    reference: Reference | None = field(default=None, kw_only=True)
    expect: Raises | None = field(default=None, kw_only=True)
    tolerance: Tolerance | Mapping[str, Tolerance] | None = field(default=None, kw_only=True)
    order: Sequence[OptOut] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """One of several calls of `fit` in a `ModelCase`. All of them train with the data of the case.

    Args:
        epochs: the number of epochs, as in `model.fit`.
        batch_size: by default that of the case.
        class_weight: by default that of the case.
        trainable: whether a layer is trainable from this call on, by the name of the layer.
        compile: whether the model is compiled again before this call, with a new optimizer. Keras documents that a change of
            `trainable` takes effect then.

    Raises:
        ValueError: if `epochs` or `batch_size` is not a whole number, 1 or more.
        TypeError: if `trainable` is not a dict of layer name to bool.
    """

    epochs: int = 1
    batch_size: int | None = None
    class_weight: Mapping[int, float] | None = None
    trainable: Mapping[str, bool] = field(default_factory=dict)
    compile: bool = False

    def __post_init__(self) -> None:
        _check_counts("Fit", self)
        trainable: Any = self.trainable  # the annotation is a wish
        if not isinstance(trainable, Mapping) or not all(isinstance(value, bool) for value in trainable.values()):
            message = f"Fit: trainable={self.trainable!r}; expected a dict of layer name to bool."
            raise TypeError(message)


@dataclass(frozen=True, slots=True, eq=False)
class ModelCase:
    """A model, its labels and its training.

    `loss`, `y`, `metrics`, `weighted_metrics`, `loss_weights`, `sample_weight` and `class_weight` are as in ``model.compile`` and
    ``model.fit``. `x` and `y` are arrays of N examples, or lists and dicts of them. `x` may also be a finite data set that
    includes labels and weights: a `keras.utils.PyDataset`, a `tf.data` pipeline, a torch `DataLoader`. Without `y` and with None
    for `loss`, only predictions are compared, unless the model has a loss of its own.

    - ``"as compiled"`` for `loss`, `loss_weights`, `metrics`, `weighted_metrics` or `optimizer` means the argument that the model
      was compiled with; a saved model includes it. For `loss`, it also covers those of the others that are left out.
    - `optimizer` defaults to SGD with learning rate 0.1, `epochs` to 1 (one epoch is always trained, in order),
      `batch_size` to N, or to that of the data set.
    - `weights` is ``"seeded"`` (drawn by NumPy from the seed and the variable's path, the same on every backend) or
      ``"as built"`` (the weights that the case gave the model).
    - `random` is ``"backend"`` (each backend draws its own random numbers, and what depends on them is not compared) or
      ``"fixed"`` (the ops of `keras.random`, and with them dropout and noise, draw the same numbers on every backend).
    - `validation` is the validation data of `fit`: ``(x, y)`` or ``(x, y, sample_weight)``. What `fit` reports of it is recorded.
    - `fits` are several calls of `fit`, one after another, instead of a single one (see `Fit`). Give `epochs` there.
    - `class_names` is a list, or a dict of lists by output name.
    - `reference` is a dict such as ``{"predictions": array, "loss": 0.7}``, or a NumPy function of ``x``, ``y`` and
      ``sample_weight`` (those that it names) that returns one. `expect` and `tolerance` are as in `ValueCase`.
    - `order` lists relations of the order oracle that do not hold (see `OptOut`).

    Raises:
        ValueError: if `weights`, `random`, `epochs`, `batch_size`, `validation` or `fits` is not one of the values above.
    """

    model: Model
    loss: Losses | None
    x: Nest | DataSet
    y: Nest | None = None
    sample_weight: Nest | None = field(default=None, kw_only=True)
    class_weight: Mapping[int, float] | None = field(default=None, kw_only=True)
    loss_weights: LossWeights | AsCompiled | None = field(default=None, kw_only=True)
    metrics: Metrics | AsCompiled | None = field(default=None, kw_only=True)
    weighted_metrics: Metrics | AsCompiled | None = field(default=None, kw_only=True)
    optimizer: Optimizer | None = field(default=None, kw_only=True)
    epochs: int = field(default=1, kw_only=True)
    batch_size: int | None = field(default=None, kw_only=True)
    validation: tuple[Nest, ...] | None = field(default=None, kw_only=True)
    fits: Sequence[Fit] = field(default=(), kw_only=True)
    weights: Literal["seeded", "as built"] = field(default="seeded", kw_only=True)
    random: Literal["backend", "fixed"] = field(default="backend", kw_only=True)
    class_names: ClassNames | None = field(default=None, kw_only=True)
    reference: Reference | None = field(default=None, kw_only=True)
    expect: Raises | None = field(default=None, kw_only=True)
    tolerance: Tolerance | Mapping[str, Tolerance] | None = field(default=None, kw_only=True)
    order: Sequence[OptOut] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        if self.weights not in ("seeded", "as built"):
            message = f"ModelCase: weights={self.weights!r}; expected 'seeded' or 'as built'."
            raise ValueError(message)
        if self.random not in ("backend", "fixed"):
            message = f"ModelCase: random={self.random!r}; expected 'backend' or 'fixed'."
            raise ValueError(message)
        _check_counts("ModelCase", self)
        validation: Any = self.validation  # the annotations are wishes
        fits: Any = self.fits
        if validation is not None and (not isinstance(validation, tuple) or len(validation) not in _LENGTHS):
            got = type(validation).__name__
            message = f"ModelCase: validation is invalid; expected a tuple (x, y) or (x, y, sample_weight), got {got}."
            raise ValueError(message)
        if not isinstance(fits, list | tuple) or not all(isinstance(fit, Fit) for fit in fits):
            message = f"ModelCase: fits={fits!r}; expected a list of Fit."
            raise ValueError(message)
        if fits and self.epochs != 1:
            message = f"ModelCase: epochs={self.epochs} beside fits; expected the epochs of each call in Fit(epochs=…)."
            raise ValueError(message)


def _check_counts(where: str, case: ModelCase | Fit) -> None:
    for name in ("epochs", "batch_size"):
        count = getattr(case, name)
        by_default = name == "batch_size" and count is None
        if not by_default and (isinstance(count, bool) or not hasattr(count, "__index__") or int(count) < 1):
            message = f"{where}: {name}={count!r}; expected a whole number, 1 or more."
            raise ValueError(message)


Case = ValueCase | FunctionCase | LossCase | ModelCase
