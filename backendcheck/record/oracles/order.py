"""The order oracle: permute examples, classes or the declared order of outputs inside one backend, and put the result back.

Every relation is a variant of the recording: with the permutation undone, its observations are to equal the recorded ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from backendcheck.case import LossCase, ModelCase
from backendcheck.record.observe import losses, outputs
from backendcheck.record.observe.arrays import leaves, map_nest, observed
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.model import see_losses_and_gradients, see_metrics, see_named_predictions
from backendcheck.record.observe.model_under_test import Subject
from backendcheck.record.observe.overridden_steps import has_own
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.findings import Oracle

# Losses of one-hot rows or of scores per class, under which the classes have no order of their own.
_BY_COLUMN = (
    "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_generalized_cross_entropy", "categorical_hinge",
    "binary_crossentropy", "binary_focal_crossentropy", "kl_divergence", "mean_squared_error", "mean_absolute_error",
)  # fmt: skip
_BY_INTEGER = ("sparse_categorical_crossentropy",)


def opted_out(case: LossCase | ModelCase, relation: str, trace: Trace) -> bool:
    """Whether the case says that a relation does not hold for it; the reason goes into the record.

    Raises:
        InvalidCase: if it opts out of something that is no relation.
    """
    for one in case.order:
        if getattr(one, "relation", None) not in ("examples", "classes", "outputs"):
            message = f"order={one!r}; expected OptOut(relation='examples', 'classes' or 'outputs', reason=…)."
            raise InvalidCase(message)
        if one.relation == relation:
            note = f"order of {relation}: does not hold here by its nature: {one.reason}"
            if note not in trace.notes:
                trace.notes.append(note)
            return True
    return False


def permutation(n: int) -> np.ndarray:
    """A permutation of n that moves every place, the same every time: by an odd number of places, and back to front."""
    return np.roll(np.arange(n)[::-1], 1) if n > 2 else np.arange(n)[::-1]  # noqa: PLR2004 - of two, there is only the swap


# --- a loss by itself ------------------------------------------------------------------------------------------

Arrays = tuple[Any, Any, Any]


def see_loss_relations(
    case: LossCase, loss: keras.losses.Loss, arrays: Arrays, see: Callable[[Arrays, Trace], None], trace: Trace
) -> None:
    """Permute the examples and the classes of a LossCase; `see` observes the loss of (y_true, y_pred, sample_weight)."""
    y_true, y_pred, _ = arrays
    if np.ndim(y_pred) == 0 or "loss" not in trace.observations:
        return
    n = len(y_pred)
    if n > 1 and np.ndim(y_true) and len(y_true) == n and not opted_out(case, "examples", trace):
        order = permutation(n)
        with trace.variant(Oracle.ORDER, "examples permuted") as door:
            see((_take(y_true, order, n), _take(y_pred, order, n), _take(arrays[2], order, n)), door)
            _put_back(door, order, ("per_example_loss", "gradient/y_pred"), axis=0)
    if np.ndim(y_pred) > 1 and y_pred.shape[-1] > 1 and not opted_out(case, "classes", trace):
        order = permutation(y_pred.shape[-1])
        labels = _permuted_labels(y_true, y_pred, order, loss, named=case.class_names is not None)
        if labels is not None:
            with trace.variant(Oracle.ORDER, "classes permuted") as door:
                see((labels, y_pred[..., order], _weights_of_classes(arrays[2], y_pred, order)), door)
                _put_back(door, order, ("gradient/y_pred",), axis=-1)


def _weights_of_classes(sample_weight: Any, y_pred: np.ndarray, order: np.ndarray) -> Any:
    """Weights, of which those by example and label move with their label."""
    by_label = sample_weight is not None and np.shape(sample_weight) == np.shape(y_pred)
    return sample_weight[..., order] if by_label else sample_weight


def _take(array: Any, order: np.ndarray, n: int) -> Any:
    return array if array is None or np.ndim(array) == 0 or len(array) != n else array[order]


def _put_back(trace: Trace, order: np.ndarray, prefixes: Sequence[str], axis: int) -> None:
    """Undo the permutation of every observation whose name begins so."""
    back = np.argsort(order)
    for name, seen in list(trace.observations.items()):
        if name.startswith(tuple(prefixes)) and seen.value.ndim and seen.value.shape[axis] == len(order):
            trace.see(name, np.take(seen.value, back, axis=axis), like=seen)


def _permuted_labels(
    y_true: np.ndarray, y_pred: np.ndarray, order: np.ndarray, loss: keras.losses.Loss, *, named: bool
) -> np.ndarray | None:
    """The labels after column k of the predictions has become column order[k]; None where classes cannot be permuted.

    Of a custom loss it is only asked where the case names its classes: then there is a class axis.
    """
    name, options = losses.name_of(loss), {**getattr(loss, "_fn_kwargs", {})}
    standard = losses.description(loss)["from_keras"]
    if options.get("axis", -1) not in (-1, np.ndim(y_pred) - 1) or (standard and name not in (*_BY_COLUMN, *_BY_INTEGER)):
        return None
    if not standard and not named:
        return None
    if np.shape(y_true) == np.shape(y_pred) and name not in _BY_INTEGER:
        return y_true[..., order]
    integral = np.ndim(y_true) and y_true.dtype.kind in "iufb" and np.all(y_true == np.floor(y_true))
    by_integer = name in _BY_INTEGER or (not standard and y_true.dtype.kind in "iu")
    if not (integral and by_integer):
        return None
    ignored = options.get("ignore_class")
    valid = (y_true >= 0) & (y_true < len(order))
    if ignored is not None:
        if 0 <= ignored < len(order):
            return None  # the class that is ignored would have to move along
        valid |= y_true == ignored
    if not np.all(valid):
        return None  # a label that names no class has no place to be moved to
    places = np.argsort(order)[np.clip(y_true, 0, len(order) - 1).astype(int)]
    moved = np.where((y_true >= 0) & (y_true < len(order)), places, y_true)
    return moved.astype(y_true.dtype)


# --- a model ---------------------------------------------------------------------------------------------------


def see_relations(subject: Subject, trace: Trace) -> None:
    """Permute the examples, the classes of a single head, and the declared order of the outputs of a ModelCase."""
    if "loss" not in trace.observations:
        return
    if subject.n > 1 and not opted_out(subject.case, "examples", trace):
        _permute_examples(subject, trace)
    if not opted_out(subject.case, "classes", trace):
        _permute_classes(subject, trace)
    if not opted_out(subject.case, "outputs", trace):
        _declare_otherwise(subject, trace)


def _permute_examples(subject: Subject, trace: Trace) -> None:
    order = permutation(subject.n)

    def moved(nest: Any) -> Any:
        return None if nest is None else map_nest(lambda array: _take(array, order, subject.n), nest)

    with subject.variant(trace, Oracle.ORDER, "examples permuted") as door:
        arrays = (moved(subject.x), moved(subject.y), moved(subject.sample_weight))
        see_losses_and_gradients(subject, arrays, door, predictions=not subject.predicts_apart)
        if has_own(subject.model, "predict_step"):
            see_named_predictions(outputs.by_output(subject.model.predict_on_batch(arrays[0]), subject.model), door)
        _put_back(door, order, ("predictions", "per_example_loss", "gradient/y_pred"), axis=0)


def permute_predictions(subject: Subject, trace: Trace) -> None:
    """Permute the examples of a model that only predicts."""
    if subject.n > 1 and "predictions" in " ".join(trace.observations) and not opted_out(subject.case, "examples", trace):
        order = permutation(subject.n)
        with subject.variant(trace, Oracle.ORDER, "examples permuted") as door:
            x = map_nest(lambda array: _take(array, order, subject.n), subject.x)
            predictions = subject.model.predict(x, batch_size=subject.batch_size, verbose=0)
            see_named_predictions(outputs.by_output(predictions, subject.model), door)
            _put_back(door, order, ("predictions",), axis=0)


def _permute_classes(subject: Subject, trace: Trace) -> None:
    """Permute the columns of a Dense head with its labels, where the model has one output and the loss takes classes alike."""
    head, case = _dense_head(subject), subject.case
    loss = None if isinstance(case.loss, Mapping | list | tuple) or case.loss is None else losses.resolve(case.loss)
    predictions = trace.observations.get("predictions")
    if head is None or loss is None or predictions is None or predictions.value.ndim < 2:  # noqa: PLR2004 - (N, C)
        return
    n_classes = predictions.value.shape[-1]
    if n_classes < 2 or not isinstance(subject.y, np.ndarray):  # noqa: PLR2004 - one column has no order
        return
    order = permutation(n_classes)
    labels = _permuted_labels(subject.y, predictions.value, order, loss, named=case.class_names is not None)
    if labels is None:
        return
    variables = [variable for variable in (head.kernel, head.bias) if variable is not None]
    before = [observed(variable, where="head").value for variable in variables]
    try:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value[..., order])
        with subject.variant(trace, Oracle.ORDER, "classes permuted") as door:
            weights = _weights_of_classes(subject.sample_weight, predictions.value, order)
            see_losses_and_gradients(subject, (subject.x, labels, weights), door, predictions=not subject.predicts_apart)
            paths = tuple(f"gradient/{variable.path}" for variable in variables)
            _put_back(door, order, ("predictions", "gradient/y_pred", *paths), axis=-1)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _dense_head(subject: Subject) -> Any:
    """The Dense layer that makes the single output, if its units are the classes and its activation treats them alike."""
    layers = getattr(subject.model, "layers", None) or []
    head: Any = layers[-1] if layers else None
    alike = (keras.activations.softmax, keras.activations.sigmoid, keras.activations.linear)
    single = len(getattr(subject.model, "outputs", None) or ()) == 1
    plain = type(head) is keras.layers.Dense and getattr(head, "activation", None) in alike
    # Beside its kernel a quantized head has scales, and one with LoRA other factors, which would have to move along.
    adapted = plain and (head.lora_enabled or getattr(head, "quantization_mode", None) is not None)
    return head if single and plain and not head.kernel_regularizer and not adapted else None


def _declare_otherwise(subject: Subject, trace: Trace) -> None:
    """The same layers as a model whose outputs are declared in the opposite order: everything by name stays."""
    structure = getattr(subject.model, "_outputs_struct", None)
    case = subject.case
    if not isinstance(structure, Mapping) or len(structure) < 2 or _nested(structure):  # noqa: PLR2004 - one has no order
        return
    by_output = (case.metrics, case.weighted_metrics, case.loss_weights)
    by_name = all(isinstance(one, Mapping) for one in (case.loss, case.y, *filter(None, by_output)))
    if not by_name or has_own(subject.model, "compute_loss"):
        return

    def reversed_dict(nest: Any) -> Any:
        return dict(reversed(list(nest.items()))) if isinstance(nest, Mapping) else nest

    with subject.variant(trace, Oracle.ORDER, "outputs declared in reverse") as door:
        model = keras.Model(subject.model.input, reversed_dict(structure))
        model.compile(
            optimizer="sgd", loss=reversed_dict(case.loss), loss_weights=reversed_dict(case.loss_weights),
            metrics=reversed_dict(case.metrics), weighted_metrics=reversed_dict(case.weighted_metrics),
        )  # fmt: skip
        see_named_predictions(outputs.by_output(model.predict_on_batch(subject.x), model), door)
        options = {"sample_weight": reversed_dict(subject.sample_weight), "batch_size": subject.n}
        figures = model.evaluate(subject.x, reversed_dict(subject.y), verbose=0, return_dict=True, **options)
        see_metrics(figures, door, loss="loss")
        if not subject.whole:
            for name in [name for name in door.observations if name.startswith("metric/")]:
                del door.observations[name]


def _nested(structure: Mapping[str, Any]) -> list[str]:
    return [path for path, _ in leaves(structure) if "/" in path and path not in structure]
