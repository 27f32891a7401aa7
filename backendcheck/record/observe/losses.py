"""Losses as users write them (a string, an object, a function), made callable; and the observation of a LossCase."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras

# No public class wraps a function as model.compile does. This one exists since Keras 3.0.
from keras.src.losses.losses import LossFunctionWrapper

# What chooses the function behind "crossentropy" in fit and evaluate. It exists since Keras 3.0, too.
from keras.src.trainers.compile_utils import get_loss

from backendcheck.case import LossCase
from backendcheck.record.observe.arrays import as_arrays, as_observation, check_lengths, digests, scalar, to_tensor
from backendcheck.record.observe.draws import depends_on_draws, sentence, watched
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.gradients import GradientFunction, add_gradient
from backendcheck.record.observe.perturbation import Perturbation
from backendcheck.record.observe.state import State, variables_within
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.backends import Ability
from backendcheck.vocabulary.observations import Observation, Quantity
from backendcheck.vocabulary.stages import RecordingStage

_BY_SHAPE = ("crossentropy", "ce")
# Losses for exclusive classes; the predicted class is then an observation as well.
_EXCLUSIVE = (
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
)


def resolve(loss: Any, y_true: Any = None, y_pred: Any = None) -> keras.losses.Loss:
    """The `keras.losses.Loss` that `model.compile` would make of `loss` for labels and predictions of these shapes.

    Without labels, those of ``"crossentropy"`` are taken for one-hot rows, or for yes and no where there is one column.

    Raises:
        InvalidCase: unless it is a string, a `Loss` or a function.
    """
    if is_chosen_by_shape(loss):
        like = y_pred if y_true is None else y_true
        if like is None:
            message = f"invalid loss {loss!r}: expected labels and predictions with it, as Keras chooses it by their shapes."
            raise InvalidCase(message)
        chosen: keras.losses.Loss = get_loss(loss, like, y_pred)
        return chosen
    if inspect.isclass(loss) and issubclass(loss, keras.losses.Loss):
        return loss()
    if isinstance(loss, str | Mapping):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        return loss
    if not callable(loss):
        message = f"invalid loss {loss!r}; expected a string, a keras.losses.Loss, or a function of (y_true, y_pred)."
        raise InvalidCase(message)
    return LossFunctionWrapper(loss, name=getattr(loss, "__name__", type(loss).__name__))


def is_chosen_by_shape(loss: Any) -> bool:
    """Whether Keras chooses the function by the shapes of labels and predictions."""
    return isinstance(loss, str) and loss.lower() in _BY_SHAPE


@contextmanager
def unreduced(loss: keras.losses.Loss) -> Iterator[keras.losses.Loss]:
    """A context in which the loss has no reduction."""
    reduction = loss.reduction
    loss.reduction = "none"
    try:
        yield loss
    finally:
        loss.reduction = reduction


def per_example(loss: keras.losses.Loss, y_true: Any, y_pred: Any, sample_weight: Any, n: int) -> Observation | None:
    """The loss of each example after sample weights and masks, (N,); None if the unreduced loss is a scalar.

    For a loss with more axes, such as (N, T), it is the mean over them.
    """
    with unreduced(loss):
        observation = as_observation(loss(y_true, y_pred, sample_weight=sample_weight), where="per_example_loss")
    values = observation.value
    if values.ndim == 0 or values.shape[0] != n:
        return None
    return observation if values.ndim == 1 else replace(observation, value=values.reshape(n, -1).mean(axis=1, dtype=values.dtype))


def copied(weight: Any) -> Any:
    """A copy of the weights for one call, because some losses write into them."""
    return None if weight is None else keras.ops.copy(weight)


def name_of(loss: keras.losses.Loss) -> str:
    """The name of the function behind a loss (``categorical_crossentropy``), or of its class."""
    fn = getattr(loss, "fn", None)
    return getattr(fn, "__name__", "") or loss.name


def is_exclusive(loss: keras.losses.Loss | None) -> bool:
    """Whether this loss assigns exactly one class to an example."""
    return loss is not None and name_of(loss) in _EXCLUSIVE


def description(loss: keras.losses.Loss) -> dict[str, Any]:
    """The loss as a dict that JSON can hold: ``name``, ``from_keras``, ``options`` and ``reduction``."""
    fn: Callable[..., Any] | None = getattr(loss, "fn", None)
    options = {}
    for key, value in {**_config(loss), **getattr(loss, "_fn_kwargs", {})}.items():
        if key in ("name", "fn", "reduction"):
            continue
        try:
            options[key] = json.loads(json.dumps(value))
        except (TypeError, ValueError):
            options[key] = repr(value)
    return {
        "name": name_of(loss),
        "from_keras": str(getattr(fn or type(loss), "__module__", "")).startswith("keras."),
        "options": options,
        "reduction": None if loss.reduction in (None, "none") else loss.reduction,
    }


def described(declared: Any, loss: keras.losses.Loss, output: str, trace: Trace) -> dict[str, Any]:
    """The description of a loss. If Keras has chosen its function by shapes, it has the string as ``declared``, and a note."""
    if not is_chosen_by_shape(declared):
        return description(loss)
    trace.notes.append(f"the loss {declared!r}{f' of {output}' if output else ''} is {name_of(loss)}: Keras chose it by shapes")
    return description(loss) | {"declared": declared}


def _config(loss: keras.losses.Loss) -> dict[str, Any]:
    try:
        return dict(loss.get_config())
    except Exception:  # noqa: BLE001 - the get_config of a user may raise anything; options are not essential
        return {}


# --- a LossCase ------------------------------------------------------------------------------------------------

Arrays = tuple[Any, Any, Any]  # y_true, y_pred and sample_weight as NumPy arrays; None for no weights


def loss_arrays(case: LossCase, trace: Trace) -> Arrays:
    """Labels, predictions and sample weights of a LossCase as NumPy arrays. Adds their digests and the labels to `trace`.

    Raises:
        InvalidCase: if one of them is a dict, or they do not hold the same number of examples.
    """
    y_true, y_pred, sample_weight = as_arrays(case.y_true, 1), as_arrays(case.y_pred, 1), as_arrays(case.sample_weight, 1)
    for name, array in (("y_true", y_true), ("y_pred", y_pred), ("sample_weight", sample_weight)):
        if isinstance(array, Mapping):
            message = f"LossCase: {name} is a dict; expected one array, because a LossCase has one output. Use a ModelCase."
            raise InvalidCase(message)
        if array is not None:
            trace.digests |= digests(name, array)
            trace.labels[name] = as_observation(array, where=name).value
    if case.expect is None:
        check_lengths("LossCase", {"y_true": y_true, "y_pred": y_pred, "sample_weight": sample_weight})
    return y_true, y_pred, sample_weight


class LossObserver:
    """The loss of a LossCase, and how it is observed on any arrays: those of the case, or the same ones permuted.

    loss: the resolved loss; None if resolving it raised.
    arrays: y_true (N, …), y_pred (N, …, C) and sample_weight as this recording feeds them.
    """

    def __init__(self, case: LossCase, trace: Trace, *, seed: int, noise: Perturbation, compiled: bool = True) -> None:
        """`compiled` as in `BackendModule.gradient_function`."""
        y_true, y_pred, sample_weight = loss_arrays(case, trace)
        self.arrays: Arrays = (
            noise.rounded(y_true), noise.inputs("y_pred", y_pred, trace, seed=seed), noise.rounded(sample_weight),
        )  # fmt: skip
        self.loss: Any = None
        with trace.stage(RecordingStage.LOSS):
            self.loss = resolve(case.loss, *self.arrays[:2])
            trace.losses[""] = described(case.loss, self.loss, "", trace)
        self._gradients = GradientFunction(
            lambda data: data["y_pred"],
            lambda tensor, data: scalar(self.loss(data["y_true"], tensor, sample_weight=data["sample_weight"])),
            (),
            compiled=compiled,
        )

    def observe_first(self, trace: Trace) -> None:
        """Observe the arrays of the case. If the loss draws random numbers and differs when it is looked at again, note that."""
        state = State(variables_within(self.loss))
        with watched(self.loss) as draws:
            self.observe_values(self.arrays, trace)

        def look() -> Mapping[str, Observation]:
            state.restore()
            again = Trace()
            self.observe_values(self.arrays, again)
            if again.raised:
                raise RuntimeError(again.raised[0].message)
            return again.observations

        if not trace.raised and depends_on_draws(draws, trace.observations, look):
            trace.not_compared["*"] = sentence(f"the loss {name_of(self.loss)}")
        self._add_gradient(self.arrays, trace)

    def observe(self, arrays: Arrays, trace: Trace) -> None:
        """Add the loss of each example, the loss, and its gradient by y_pred."""
        self.observe_values(arrays, trace)
        self._add_gradient(arrays, trace)

    def _add_gradient(self, arrays: Arrays, trace: Trace) -> None:
        if "loss" in trace.observations and not trace.not_compared and trace.can(Ability.GRADIENT):  # none of random numbers
            with trace.stage(RecordingStage.GRADIENT):
                data = dict(zip(("y_true", "y_pred", "sample_weight"), map(to_tensor, arrays), strict=True))
                by_pred, _ = self._gradients(data)
                add_gradient("gradient/y_pred", by_pred[0], trace)

    def observe_values(self, arrays: Arrays, trace: Trace) -> None:
        """Add the loss of each example, and the loss."""
        with trace.stage(RecordingStage.LOSS):
            labels, predictions, weight = (to_tensor(array) for array in arrays)
            n = len(arrays[1]) if arrays[1].ndim else 1
            if (values := per_example(self.loss, labels, predictions, weight, n)) is not None:
                trace.add("per_example_loss", values.value, like=values)
            trace.add("loss", scalar(self.loss(labels, predictions, sample_weight=weight)))
            trace.lower_precision_by(Quantity.PER_EXAMPLE_LOSS, Quantity.LOSS)
