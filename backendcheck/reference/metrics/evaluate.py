"""The metrics that have a reference, and the value of one over batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from backendcheck.reference.evaluate import unreduced
from backendcheck.reference.metrics import accuracy, overlap, scores, thresholds
from backendcheck.reference.metrics.batches import Batch, weighted_mean, weighted_sum
from backendcheck.reference.shapes import as_float64
from backendcheck.reference.spec import Array, LossSpec, NoReference, Options, canonical_name, with_defaults

_OverBatches = Callable[[str, Sequence[Batch], Options], Array]
_PerExample = Callable[[str, Batch, Options], Array]
# In the config of every metric, and without effect on its value in float64. `dtype` has one for IoU, which reads it.
_WITHOUT_EFFECT = {"name", "dtype", "fn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """A Keras metric: the name of its class, such as ``"Precision"``, and its options, as `get_config` gives them.

    ``epsilon`` may be added: the fuzz factor of the run.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Definition:
    compute: _OverBatches
    options: Mapping[str, Any] = field(default_factory=dict)


def covered_metrics() -> tuple[str, ...]:
    """The names of all metrics that have a reference, sorted."""
    return tuple(sorted(_DEFINITIONS))


def accuracy_for(y_true: Any, y_pred: Any) -> str:
    """The metric that ``"accuracy"`` stands for: by the shapes of labels and predictions, as `compile` documents."""
    labels, predictions = np.shape(y_true), np.shape(y_pred)
    if predictions[-1] == 1:
        return "BinaryAccuracy"
    is_sparse = len(labels) < len(predictions) or labels[-1] == 1
    return "SparseCategoricalAccuracy" if is_sparse else "CategoricalAccuracy"


def metric(spec: MetricSpec, batches: Sequence[Batch]) -> Array:
    """The value of a metric after all batches: (), or (T,) for several thresholds, or (C,) for each class.

    Raises:
        NoReference: if the metric, an option, a label or a prediction has no documented value. The message says which.
    """
    definition = _DEFINITIONS.get(spec.name)
    if definition is None:
        message = (
            f"{spec.name}: no reference for this metric; expected one of {', '.join(covered_metrics())}. "
            "Give the case a `reference` of its own."
        )
        raise NoReference(message)
    options = with_defaults(spec.name, spec.options, definition.options, _WITHOUT_EFFECT)
    if not batches:
        message = f"{spec.name}: no batches; expected at least one, because an empty metric has no documented value."
        raise NoReference(message)
    if missing := [name for name, value in options.items() if value is ...]:
        message = f"{spec.name}: an option is missing; expected {', '.join(missing)}. Give the config of the metric."
        raise NoReference(message)
    return np.asarray(definition.compute(spec.name, batches, options), dtype=np.float64)


def _mean_of(values: _PerExample) -> _OverBatches:
    def compute(where: str, batches: Sequence[Batch], options: Options) -> Array:
        return np.asarray(weighted_mean(where, batches, lambda batch: values(where, batch, options)))

    return compute


def _mean_of_loss(loss: str, *names: str) -> _OverBatches:
    """The mean of a loss function over the examples, with the options that it shares with the metric."""

    def compute(where: str, batches: Sequence[Batch], options: Options) -> Array:
        ignored = options.get("ignore_class")
        spec = LossSpec(name=loss, options={name: options[name] for name in (*names, "epsilon")})

        def values(batch: Batch) -> Array:
            if ignored is not None and (as_float64(batch.y_true, where) == ignored).any():
                message = f"{where}: labels of the ignored class; whether a metric counts them in its mean is not documented."
                raise NoReference(message)
            return unreduced(spec, batch.y_true, batch.y_pred)

        return np.asarray(weighted_mean(where, batches, values))

    return compute


def _root_of_mean_square(where: str, batches: Sequence[Batch], options: Options) -> Array:
    del options
    spec = LossSpec(name="mean_squared_error")
    return np.asarray(np.sqrt(weighted_mean(where, batches, lambda batch: unreduced(spec, batch.y_true, batch.y_pred))))


def _mean_metric_wrapper(where: str, batches: Sequence[Batch], options: Options) -> Array:
    """`MeanMetricWrapper`, which the strings of `compile` become: the mean of a function that has a reference."""
    function = canonical_name(str(options["function"]))
    metric_of_function = _FUNCTIONS.get(function)
    if metric_of_function is None:
        message = f"{where}: the function {function} has no reference; expected one of {', '.join(sorted(_FUNCTIONS))}."
        raise NoReference(message)
    definition = _DEFINITIONS[metric_of_function]
    of_function = {**definition.options, "epsilon": options["epsilon"], **options["function_options"]}
    return definition.compute(where, batches, of_function)


def _values(where: str, batch: Batch, options: Options) -> Array:
    """The values of `Mean` and `Sum`, which take them in place of labels."""
    del options
    return as_float64(batch.y_true, f"{where}: values")


_COUNT: dict[str, Any] = {"thresholds": None}
_RATE: dict[str, Any] = {"thresholds": None, "top_k": None, "class_id": None}
_BEST: dict[str, Any] = {"num_thresholds": 200, "class_id": None}
_OVERLAP: dict[str, Any] = {"num_classes": ..., "ignore_class": None, "axis": -1, "dtype": None}
_IOU: dict[str, Any] = {**_OVERLAP, "sparse_y_true": True, "sparse_y_pred": True}
_ONE_HOT: dict[str, Any] = {**_OVERLAP, "sparse_y_pred": False}

_DEFINITIONS: Mapping[str, _Definition] = MappingProxyType(
    {
        "Accuracy": _Definition(compute=_mean_of(accuracy.equal)),
        "BinaryAccuracy": _Definition(compute=_mean_of(accuracy.binary), options={"threshold": 0.5}),
        "CategoricalAccuracy": _Definition(compute=_mean_of(accuracy.categorical)),
        "SparseCategoricalAccuracy": _Definition(compute=_mean_of(accuracy.sparse_categorical)),
        "TopKCategoricalAccuracy": _Definition(compute=_mean_of(accuracy.top_k), options={"k": 5}),
        "SparseTopKCategoricalAccuracy": _Definition(
            compute=_mean_of(accuracy.sparse_top_k), options={"k": 5, "from_sorted_ids": False}
        ),
        "TruePositives": _Definition(compute=thresholds.count_of("tp"), options=_COUNT),
        "FalsePositives": _Definition(compute=thresholds.count_of("fp"), options=_COUNT),
        "TrueNegatives": _Definition(compute=thresholds.count_of("tn"), options=_COUNT),
        "FalseNegatives": _Definition(compute=thresholds.count_of("fn"), options=_COUNT),
        "Precision": _Definition(compute=thresholds.precision, options=_RATE),
        "Recall": _Definition(compute=thresholds.recall, options=_RATE),
        "SensitivityAtSpecificity": _Definition(
            compute=thresholds.best_at("sensitivity", "specificity"), options={**_BEST, "specificity": ...}
        ),
        "SpecificityAtSensitivity": _Definition(
            compute=thresholds.best_at("specificity", "sensitivity"), options={**_BEST, "sensitivity": ...}
        ),
        "PrecisionAtRecall": _Definition(compute=thresholds.best_at("precision", "recall"), options={**_BEST, "recall": ...}),
        "RecallAtPrecision": _Definition(compute=thresholds.best_at("recall", "precision"), options={**_BEST, "precision": ...}),
        "AUC": _Definition(
            compute=thresholds.auc,
            options={
                "num_thresholds": 200, "curve": "ROC", "summation_method": "interpolation", "thresholds": None,
                "multi_label": False, "num_labels": None, "label_weights": None, "from_logits": False,
            },
        ),
        "IoU": _Definition(compute=overlap.iou(), options={**_IOU, "target_class_ids": ...}),
        "MeanIoU": _Definition(compute=overlap.iou(mean=True), options=_IOU),
        "OneHotIoU": _Definition(compute=overlap.iou(one_hot_labels=True), options={**_ONE_HOT, "target_class_ids": ...}),
        "OneHotMeanIoU": _Definition(compute=overlap.iou(one_hot_labels=True, mean=True), options=_ONE_HOT),
        "BinaryIoU": _Definition(
            compute=overlap.binary_iou, options={"target_class_ids": (0, 1), "threshold": 0.5, "dtype": None}
        ),
        "FBetaScore": _Definition(compute=scores.f_beta, options={"average": None, "beta": 1.0, "threshold": None}),
        "F1Score": _Definition(compute=scores.f_beta, options={"average": None, "threshold": None}),
        "R2Score": _Definition(compute=scores.r2, options={"class_aggregation": "uniform_average", "num_regressors": 0}),
        "PearsonCorrelation": _Definition(compute=_mean_of(scores.pearson), options={"axis": -1}),
        "ConcordanceCorrelation": _Definition(compute=_mean_of(scores.concordance), options={"axis": -1}),
        "CosineSimilarity": _Definition(compute=_mean_of(scores.cosine), options={"axis": -1}),
        "MeanSquaredError": _Definition(compute=_mean_of_loss("mean_squared_error")),
        "RootMeanSquaredError": _Definition(compute=_root_of_mean_square),
        "MeanAbsoluteError": _Definition(compute=_mean_of_loss("mean_absolute_error")),
        "MeanAbsolutePercentageError": _Definition(compute=_mean_of_loss("mean_absolute_percentage_error")),
        "MeanSquaredLogarithmicError": _Definition(compute=_mean_of_loss("mean_squared_logarithmic_error")),
        "LogCoshError": _Definition(compute=_mean_of_loss("log_cosh")),
        "Hinge": _Definition(compute=_mean_of_loss("hinge")),
        "SquaredHinge": _Definition(compute=_mean_of_loss("squared_hinge")),
        "CategoricalHinge": _Definition(compute=_mean_of_loss("categorical_hinge")),
        "KLDivergence": _Definition(compute=_mean_of_loss("kl_divergence")),
        "Poisson": _Definition(compute=_mean_of_loss("poisson")),
        "BinaryCrossentropy": _Definition(
            compute=_mean_of_loss("binary_crossentropy", "from_logits", "label_smoothing"),
            options={"from_logits": False, "label_smoothing": 0.0},
        ),
        "CategoricalCrossentropy": _Definition(
            compute=_mean_of_loss("categorical_crossentropy", "from_logits", "label_smoothing", "axis"),
            options={"from_logits": False, "label_smoothing": 0.0, "axis": -1},
        ),
        "SparseCategoricalCrossentropy": _Definition(
            compute=_mean_of_loss("sparse_categorical_crossentropy", "from_logits", "axis"),
            options={"from_logits": False, "ignore_class": None, "axis": -1},
        ),
        "Mean": _Definition(
            compute=lambda where, batches, options: np.asarray(
                weighted_mean(where, batches, lambda batch: _values(where, batch, options))
            ),
        ),
        "Sum": _Definition(
            compute=lambda where, batches, options: np.asarray(
                weighted_sum(where, batches, lambda batch: _values(where, batch, options))
            ),
        ),
        "MeanMetricWrapper": _Definition(compute=_mean_metric_wrapper, options={"function": ..., "function_options": {}}),
    }
)  # fmt: skip

# The function of a metric string or `MeanMetricWrapper`, and the metric that is its mean.
_FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "Accuracy",
        "binary_accuracy": "BinaryAccuracy",
        "categorical_accuracy": "CategoricalAccuracy",
        "sparse_categorical_accuracy": "SparseCategoricalAccuracy",
        "top_k_categorical_accuracy": "TopKCategoricalAccuracy",
        "sparse_top_k_categorical_accuracy": "SparseTopKCategoricalAccuracy",
        "pearson_correlation": "PearsonCorrelation",
        "concordance_correlation": "ConcordanceCorrelation",
        "mean_squared_error": "MeanSquaredError",
        "mean_absolute_error": "MeanAbsoluteError",
        "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
        "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
        "log_cosh": "LogCoshError",
        "hinge": "Hinge",
        "squared_hinge": "SquaredHinge",
        "categorical_hinge": "CategoricalHinge",
        "kl_divergence": "KLDivergence",
        "poisson": "Poisson",
        "binary_crossentropy": "BinaryCrossentropy",
        "categorical_crossentropy": "CategoricalCrossentropy",
        "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    }
)
