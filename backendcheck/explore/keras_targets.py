"""Keras's losses and metrics, each with the labels and heads that it takes and its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backendcheck.explore.targets import N_CLASSES, REDUCTION, Form, Target

_LOGITS = {"from_logits": True}
_INDEX = (Form(labels="integer", head="softmax"), Form(labels="integer", head="logits", options=_LOGITS))
_ROWS = tuple(
    Form(labels=labels, head=head, options=options)
    for labels in ("one-hot", "soft")
    for head, options in (("softmax", {}), ("logits", _LOGITS))
)
_YES_NO = tuple(
    Form(labels=labels, head=head, options=options)
    for labels in ("binary", "multi-hot")
    for head, options in (("sigmoid", {}), ("logits", _LOGITS))
)
_NUMBERS = (Form(labels="real", head="linear"), Form(labels="real", head="relu"))
_SIGNS = (Form(labels="signed", head="tanh"), Form(labels="signed", head="linear"), Form(labels="binary", head="linear"))
_OVERLAP = tuple(
    Form(labels=labels, head=head) for labels, head in (("one-hot", "softmax"), ("multi-hot", "sigmoid"), ("binary", "sigmoid"))
)
_SCORED_ROWS = tuple(
    Form(labels=labels, head=head) for labels, head in (("one-hot", "softmax"), ("one-hot", "logits"), ("soft", "softmax"))
)
_SCORED_INDEX = (Form(labels="integer", head="softmax"), Form(labels="integer", head="logits"))
_SCORED_YES_NO = (Form(labels="binary", head="sigmoid"), Form(labels="multi-hot", head="sigmoid"))
_DISTRIBUTIONS = (Form(labels="soft", head="softmax"), Form(labels="one-hot", head="softmax"))
_SMOOTHING = {"label_smoothing": (..., 0.1)}
_IGNORED = {"ignore_class": (..., -1)}
_CLASS_AXIS = {"axis": (..., 1)}  # the numbers follow it: the classes are there
_AVERAGE = {"average": (..., "micro", "macro", "weighted"), "threshold": (..., 0.5)}
_RATE = {"thresholds": (..., 0.3, (0.2, 0.7)), "class_id": (..., 0)}
_CURVE = {"num_thresholds": (..., 5), "class_id": (..., 0)}
_IOU = {"num_classes": N_CLASSES, "target_class_ids": (0, 1)}
_SPARSE_SCORES = tuple(Form(labels="integer", head=head, options={"sparse_y_pred": False}) for head in ("softmax", "logits"))
_CLASSES = Form(labels="integer", head="class")

_LOSSES: Mapping[str, tuple[Sequence[Form], Mapping[str, tuple[Any, ...]]]] = {
    "BinaryCrossentropy": (_YES_NO, _SMOOTHING),
    "BinaryFocalCrossentropy": (_YES_NO, {**_SMOOTHING, "apply_class_balancing": (..., True), "gamma": (..., 0.5)}),
    "CTC": ((Form(labels="sequence", head="logits"),), {}),
    "CategoricalCrossentropy": (_ROWS, {**_SMOOTHING, **_CLASS_AXIS}),
    "CategoricalFocalCrossentropy": (_ROWS, {**_SMOOTHING, **_CLASS_AXIS, "gamma": (..., 0.5)}),
    "CategoricalGeneralizedCrossEntropy": ((Form(labels="integer", head="softmax"),), {"q": (..., 0.9)}),
    "CategoricalHinge": ((Form(labels="one-hot", head="linear"), Form(labels="one-hot", head="softmax")), {}),
    "Circle": ((Form(labels="integer", head="unit", shapes=("(N,)",)),), {"remove_diagonal": (..., False)}),
    "CosineSimilarity": (_NUMBERS, {"axis": (..., 0)}),
    "Dice": (_OVERLAP, {"axis": (..., -1)}),
    "Hinge": (_SIGNS, {}),
    "Huber": (_NUMBERS, {"delta": (..., 0.1)}),
    "KLDivergence": (_DISTRIBUTIONS, {}),
    "LogCosh": (_NUMBERS, {}),
    "MeanAbsoluteError": (_NUMBERS, {}),
    "MeanAbsolutePercentageError": (_NUMBERS, {}),
    "MeanSquaredError": (_NUMBERS, {}),
    "MeanSquaredLogarithmicError": (_NUMBERS, {}),
    "Poisson": ((Form(labels="real", head="relu"),), {}),
    "SparseCategoricalCrossentropy": (_INDEX, {**_IGNORED, **_CLASS_AXIS}),
    "SquaredHinge": (_SIGNS, {}),
    "Tversky": (_OVERLAP, {"axis": (..., -1), "alpha": (..., 0.9)}),
}
_METRICS: Mapping[str, tuple[Sequence[Form], Mapping[str, tuple[Any, ...]], Mapping[str, Any]]] = {
    "AUC": (
        (*_YES_NO[:2], *(replace(form, options={**form.options, "multi_label": True}) for form in _YES_NO[2:])),
        {
            "curve": (..., "PR"), "summation_method": (..., "majoring", "minoring"), "num_thresholds": (..., 5),
        },
        {},
    ),
    "Accuracy": ((_CLASSES,), {}, {}),
    "BinaryAccuracy": (_SCORED_YES_NO, {"threshold": (..., 0.3)}, {}),
    "BinaryCrossentropy": (_YES_NO, _SMOOTHING, {}),
    "BinaryIoU": (_SCORED_YES_NO, {"threshold": (..., 0.3), "target_class_ids": (..., (1,))}, {}),
    "CategoricalAccuracy": (_SCORED_ROWS, {}, {}),
    "CategoricalCrossentropy": (_ROWS, {**_SMOOTHING, **_CLASS_AXIS}, {}),
    "CategoricalHinge": ((Form(labels="one-hot", head="linear"),), {}, {}),
    "ConcordanceCorrelation": (_NUMBERS, {"axis": (..., 0)}, {}),
    "CosineSimilarity": (_NUMBERS, {"axis": (..., 0)}, {}),
    "F1Score": (_OVERLAP, _AVERAGE, {}),
    "FBetaScore": (_OVERLAP, {**_AVERAGE, "beta": (..., 0.5)}, {}),
    "FalseNegatives": (_SCORED_YES_NO, {"thresholds": _RATE["thresholds"]}, {}),
    "FalsePositives": (_SCORED_YES_NO, {"thresholds": _RATE["thresholds"]}, {}),
    "Hinge": (_SIGNS, {}, {}),
    "IoU": ((_CLASSES, *_SPARSE_SCORES), _IGNORED, _IOU),
    "KLDivergence": (_DISTRIBUTIONS, {}, {}),
    "LogCoshError": (_NUMBERS, {}, {}),
    "Mean": ((Form(labels="real", head="linear"),), {}, {}),
    "MeanAbsoluteError": (_NUMBERS, {}, {}),
    "MeanAbsolutePercentageError": (_NUMBERS, {}, {}),
    "MeanIoU": ((_CLASSES, *_SPARSE_SCORES), _IGNORED, {"num_classes": N_CLASSES}),
    "MeanSquaredError": (_NUMBERS, {}, {}),
    "MeanSquaredLogarithmicError": (_NUMBERS, {}, {}),
    "OneHotIoU": ((Form(labels="one-hot", head="softmax"),), {}, _IOU),
    "OneHotMeanIoU": ((Form(labels="one-hot", head="softmax"),), {}, {"num_classes": N_CLASSES}),
    "PearsonCorrelation": (_NUMBERS, {"axis": (..., 0)}, {}),
    "Poisson": ((Form(labels="real", head="relu"),), {}, {}),
    "Precision": (_OVERLAP, {**_RATE, "top_k": (..., 1)}, {}),
    "PrecisionAtRecall": (_SCORED_YES_NO, _CURVE, {"recall": 0.5}),
    "R2Score": (
        (Form(labels="real", head="linear", shapes=("(N,1)", "(N,C)")),),
        {"class_aggregation": (..., "variance_weighted_average", None), "num_regressors": (..., 1)},
        {},
    ),
    "Recall": (_OVERLAP, {**_RATE, "top_k": (..., 1)}, {}),
    "RecallAtPrecision": (_SCORED_YES_NO, _CURVE, {"precision": 0.5}),
    "RootMeanSquaredError": (_NUMBERS, {}, {}),
    "SensitivityAtSpecificity": (_SCORED_YES_NO, _CURVE, {"specificity": 0.5}),
    "SparseCategoricalAccuracy": (_SCORED_INDEX, {}, {}),
    "SparseCategoricalCrossentropy": (_INDEX, {**_IGNORED, **_CLASS_AXIS}, {}),
    "SparseTopKCategoricalAccuracy": (_SCORED_INDEX, {"k": (1, 2)}, {}),
    "SpecificityAtSensitivity": (_SCORED_YES_NO, _CURVE, {"sensitivity": 0.5}),
    "SquaredHinge": (_SIGNS, {}, {}),
    "Sum": ((Form(labels="real", head="linear"),), {}, {}),
    "TopKCategoricalAccuracy": (_SCORED_ROWS, {"k": (1, 2)}, {}),
    "TrueNegatives": (_SCORED_YES_NO, {"thresholds": _RATE["thresholds"]}, {}),
    "TruePositives": (_SCORED_YES_NO, {"thresholds": _RATE["thresholds"]}, {}),
}  # fmt: skip

_OF_ELEMENTS = frozenset({
    "BinaryAccuracy", "BinaryIoU", "F1Score", "FBetaScore", "FalseNegatives", "FalsePositives", "Precision", "Recall",
    "TrueNegatives", "TruePositives",
})  # fmt: skip


def keras_targets() -> tuple[Target, ...]:
    """Keras's losses and metrics. `MeanMetricWrapper` is left out: what it takes depends on the function inside."""
    losses = (
        Target(name=f"keras.losses.{name}", kind="loss", forms=tuple(forms), options={**REDUCTION, **options})
        for name, (forms, options) in _LOSSES.items()
    )
    metrics = (
        Target(
            name=f"keras.metrics.{name}", kind="metric", forms=tuple(forms), options=options, required=required,
            of_elements=name in _OF_ELEMENTS,
            arguments=("y_true", "sample_weight") if name in ("Mean", "Sum") else ("y_true", "y_pred", "sample_weight"),
        )
        for name, (forms, options, required) in _METRICS.items()
    )
    return (*losses, *metrics)
