"""The order oracle: permute examples, classes or the declared order of outputs inside one backend, then undo the permutation.

Each permutation gives a variant of the recording. With the permutation undone, its observations must equal the recorded ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from backendcheck.case import LossCase, ModelCase
from backendcheck.record.observe import losses, outputs
from backendcheck.record.observe.arrays import as_fed, as_observation, leaves, map_nest
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.losses import LossObserver
from backendcheck.record.observe.model import add_metrics, add_predictions, observe_losses_and_gradients
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.trace import Trace
from backendcheck.record.oracles.relations import observe_relations
from backendcheck.record.oracles.relations_of_metrics import observe_metric_relations
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import ObservationName, Quantity, of_output, quantity_of
from backendcheck.vocabulary.relations import Relation

# Losses of one-hot rows or of one score for each class, which do not depend on the order of the classes.
_BY_COLUMN = (
    "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_generalized_cross_entropy", "categorical_hinge",
    "binary_crossentropy", "binary_focal_crossentropy", "kl_divergence", "mean_squared_error", "mean_absolute_error",
)  # fmt: skip
_BY_INTEGER = ("sparse_categorical_crossentropy",)
_PERMUTED = ("examples", "classes", "outputs")


def opted_out(case: LossCase | ModelCase, relation: str, trace: Trace) -> bool:
    """Whether the case opts out of a relation. The reason becomes a note.

    Raises:
        InvalidCase: if the case opts out of an unknown relation.
    """
    for opt_out in case.order:
        if getattr(opt_out, "relation", None) not in (*_PERMUTED, *Relation):
            names = ", ".join(map(repr, (*_PERMUTED, *map(str, Relation))))
            message = f"order={opt_out!r}; expected OptOut(relation=…, reason=…) with one of {names}."
            raise InvalidCase(message)
        if opt_out.relation == relation:
            note = f"order of {relation}: not checked, because the case opts out: {opt_out.reason}"
            if note not in trace.notes:
                trace.notes.append(note)
            return True
    return False


def permutation(n: int) -> np.ndarray:
    """A permutation of n, (n,), the same every time: reversed, then rotated by one."""
    return np.roll(np.arange(n)[::-1], 1) if n > 2 else np.arange(n)[::-1]  # noqa: PLR2004 - for two there is only the swap


# --- a loss by itself ------------------------------------------------------------------------------------------


def observe_loss_order(case: LossCase, observer: LossObserver, trace: Trace) -> None:
    """Permute the examples and the classes of a LossCase."""
    y_true, y_pred, sample_weight = observer.arrays
    if np.ndim(y_pred) == 0 or "loss" not in trace.observations:
        return
    n = len(y_pred)
    if n > 1 and np.ndim(y_true) and len(y_true) == n and not opted_out(case, "examples", trace):
        order = permutation(n)
        with trace.variant(Oracle.ORDER, "examples permuted") as variant:
            observer.observe((_take(y_true, order, n), _take(y_pred, order, n), _take(sample_weight, order, n)), variant)
            _undo(variant, order, (Quantity.PER_EXAMPLE_LOSS, Quantity.GRADIENT), axis=0)
    if np.ndim(y_pred) > 1 and y_pred.shape[-1] > 1 and not opted_out(case, "classes", trace):
        order = permutation(y_pred.shape[-1])
        labels = _permuted_labels(y_true, y_pred, order, observer.loss, named=case.class_names is not None)
        if labels is not None:
            with trace.variant(Oracle.ORDER, "classes permuted") as variant:
                observer.observe((labels, y_pred[..., order], _permuted_weights(sample_weight, y_pred, order)), variant)
                _undo(variant, order, (Quantity.GRADIENT,), axis=-1)
    observe_relations(case, observer.loss, "", trace)


def _permuted_weights(sample_weight: Any, y_pred: np.ndarray, order: np.ndarray) -> Any:
    """The weights. Those with one value for each label move with their label."""
    by_label = sample_weight is not None and np.shape(sample_weight) == np.shape(y_pred)
    return sample_weight[..., order] if by_label else sample_weight


def _take(array: Any, order: np.ndarray, n: int) -> Any:
    return array if array is None or np.ndim(array) == 0 or len(array) != n else array[order]


def _undo(
    trace: Trace, order: np.ndarray, quantities: Sequence[Quantity], axis: int, variables: Sequence[str] = ()
) -> None:  # fmt: skip
    """Undo the permutation of the observations of `quantities`: of gradients, those by predictions and by `variables`."""
    inverse = np.argsort(order)
    for name, observation in list(trace.observations.items()):
        value, parsed = observation.value, ObservationName.parse(name)
        permuted = parsed.quantity is not Quantity.GRADIENT or parsed.of_predictions or parsed.part in variables
        if permuted and parsed.quantity in quantities and value.ndim and value.shape[axis] == len(order):
            trace.add(name, np.take(value, inverse, axis=axis), like=observation)


def _permuted_labels(
    y_true: np.ndarray, y_pred: np.ndarray, order: np.ndarray, loss: keras.losses.Loss, *, named: bool
) -> np.ndarray | None:
    """The labels for predictions (…, C) whose column k was column order[k]; None where classes cannot be permuted.

    Under a custom loss, classes are permuted only if the case names them (`named`): then the last axis is that of classes.
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
            return None  # the ignored class would have to move as well
        valid |= y_true == ignored
    if not np.all(valid):
        return None  # a label outside the classes cannot be moved
    new_classes = np.argsort(order)[np.clip(y_true, 0, len(order) - 1).astype(int)]
    moved = np.where((y_true >= 0) & (y_true < len(order)), new_classes, y_true)
    return moved.astype(y_true.dtype)


# --- a model ---------------------------------------------------------------------------------------------------


def observe_order(under_test: ModelUnderTest, trace: Trace) -> None:
    """Permute the examples, the classes of a single head, and the declared order of the outputs of a model."""
    if "loss" not in trace.observations:
        return
    if under_test.n > 1 and not opted_out(under_test.case, "examples", trace):
        _permute_examples(under_test, trace)
    if not opted_out(under_test.case, "classes", trace):
        _permute_classes(under_test, trace)
    if not opted_out(under_test.case, "outputs", trace):
        _reverse_outputs(under_test, trace)
    _observe_loss_relations(under_test, trace)
    observe_metric_relations(trace)


def _observe_loss_relations(under_test: ModelUnderTest, trace: Trace) -> None:
    """Other forms of each declared loss, on the labels and predictions that it was called with."""
    names = [name.output for name in map(ObservationName.parse, trace.observations) if name.quantity is Quantity.PREDICTIONS]
    if trace.losses:
        declared = outputs.declared_names(under_test.model, names)
        specs = outputs.matched(under_test.case.loss, declared, what="loss", repeat=True)
        for name in (name for name in trace.losses if name in names and name in specs):
            predictions = trace.observations[of_output("predictions", name)].value
            loss = losses.resolve(specs[name], trace.labels[of_output("y_true", name)], predictions)
            observe_relations(under_test.case, loss, name, trace)


def _permute_examples(under_test: ModelUnderTest, trace: Trace) -> None:
    order = permutation(under_test.n)

    def permuted(nest: Any) -> Any:
        return None if nest is None else map_nest(lambda array: _take(array, order, under_test.n), nest)

    with under_test.variant(trace, Oracle.ORDER, "examples permuted") as variant:
        arrays = (permuted(under_test.x), permuted(under_test.y), permuted(under_test.sample_weight))
        observe_losses_and_gradients(under_test, arrays, variant, predictions=not under_test.predict_differs)
        if under_test.overrides("predict_step"):
            add_predictions(outputs.by_output(under_test.model.predict_on_batch(as_fed(arrays[0])), under_test.model), variant)
        by_example = (Quantity.LAYER_MASK, Quantity.MASK, Quantity.PREDICTIONS, Quantity.PER_EXAMPLE_LOSS, Quantity.GRADIENT)
        _undo(variant, order, by_example, axis=0)


def observe_prediction_order(under_test: ModelUnderTest, trace: Trace) -> None:
    """Permute the examples of a model that only predicts."""
    predicts = Quantity.PREDICTIONS in map(quantity_of, trace.observations)
    if under_test.n > 1 and predicts and not opted_out(under_test.case, "examples", trace):
        order = permutation(under_test.n)
        with under_test.variant(trace, Oracle.ORDER, "examples permuted") as variant:
            x = map_nest(lambda array: _take(array, order, under_test.n), under_test.x)
            predictions = under_test.model.predict(as_fed(x), batch_size=under_test.batch_size, verbose=0)
            add_predictions(outputs.by_output(predictions, under_test.model), variant)
            _undo(variant, order, (Quantity.PREDICTIONS,), axis=0)


def _permute_classes(under_test: ModelUnderTest, trace: Trace) -> None:
    """Permute the columns of a Dense head and its labels, if the model has one output and its loss treats all classes alike."""
    head, case = _dense_head(under_test), under_test.case
    predictions = trace.observations.get("predictions")
    loss = None
    if predictions is not None and case.loss is not None and not isinstance(case.loss, Mapping | list | tuple):
        loss = losses.resolve(case.loss, under_test.y if isinstance(under_test.y, np.ndarray) else None, predictions.value)
    if head is None or loss is None or predictions is None or predictions.value.ndim < 2:  # noqa: PLR2004 - (N, C)
        return
    n_classes = predictions.value.shape[-1]
    if n_classes < 2 or not isinstance(under_test.y, np.ndarray):  # noqa: PLR2004 - a single column has no order
        return
    order = permutation(n_classes)
    labels = _permuted_labels(under_test.y, predictions.value, order, loss, named=case.class_names is not None)
    if labels is None:
        return
    variables = [variable for variable in (head.kernel, head.bias) if variable is not None]
    before = [as_observation(variable, where="head").value for variable in variables]
    try:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value[..., order])
        with under_test.variant(trace, Oracle.ORDER, "classes permuted") as variant:
            weights = _permuted_weights(under_test.sample_weight, predictions.value, order)
            arrays = (under_test.x, labels, weights)
            observe_losses_and_gradients(under_test, arrays, variant, predictions=not under_test.predict_differs)
            paths = [variable.path for variable in variables]
            _undo(variant, order, (Quantity.PREDICTIONS, Quantity.GRADIENT), axis=-1, variables=paths)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _dense_head(under_test: ModelUnderTest) -> Any:
    """The Dense layer of the single output, if its units are the classes and its activation treats them alike; else None."""
    layers = getattr(under_test.model, "layers", None) or []
    head: Any = layers[-1] if layers else None
    symmetric = (keras.activations.softmax, keras.activations.sigmoid, keras.activations.linear)
    single = len(getattr(under_test.model, "outputs", None) or ()) == 1
    plain = type(head) is keras.layers.Dense and getattr(head, "activation", None) in symmetric
    # A quantized head also has scales, and a head with LoRA has factors, which would have to be permuted as well.
    adapted = plain and (head.lora_enabled or getattr(head, "quantization_mode", None) is not None)
    return head if single and plain and not head.kernel_regularizer and not adapted else None


def _reverse_outputs(under_test: ModelUnderTest, trace: Trace) -> None:
    """The same layers as a model with its outputs declared in reverse: the results by name must not change."""
    structure = getattr(under_test.model, "_outputs_struct", None)
    case = under_test.case
    if not isinstance(structure, Mapping) or len(structure) < 2 or _is_nested(structure):  # noqa: PLR2004 - a single output has no order
        return
    by_output = (case.metrics, case.weighted_metrics, case.loss_weights)
    by_name = all(isinstance(spec, Mapping) for spec in (case.loss, case.y, *filter(None, by_output)))
    if not by_name or not type(under_test.model).__module__.startswith("keras."):
        return  # the reversed model would not have the steps of the user's own class

    def reversed_dict(nest: Any) -> Any:
        return dict(reversed(list(nest.items()))) if isinstance(nest, Mapping) else nest

    with under_test.variant(trace, Oracle.ORDER, "outputs declared in reverse") as variant:
        model = keras.Model(under_test.model.input, reversed_dict(structure))
        under_test.reset_metrics()  # the same metric objects are compiled here
        model.compile(
            optimizer="sgd", loss=reversed_dict(case.loss), loss_weights=reversed_dict(case.loss_weights),
            metrics=reversed_dict(case.metrics), weighted_metrics=reversed_dict(case.weighted_metrics),
        )  # fmt: skip
        add_predictions(outputs.by_output(model.predict_on_batch(under_test.fed[0]), model), variant)
        options = {"sample_weight": reversed_dict(under_test.sample_weight), "batch_size": under_test.n}
        values = model.evaluate(under_test.fed[0], reversed_dict(under_test.fed[1]), verbose=0, return_dict=True, **options)
        add_metrics(values, variant, loss="loss", only=under_test.metrics_of_any_batch)
        if not under_test.is_one_batch:
            for name in [name for name in variant.observations if ObservationName.parse(name).quantity is Quantity.METRIC]:
                del variant.observations[name]


def _is_nested(structure: Mapping[str, Any]) -> bool:
    return any("/" in path and path not in structure for path, _ in leaves(structure))
