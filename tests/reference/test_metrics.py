"""The references of metrics: examples of the documentation, scikit-learn and SciPy, batches, and what has no value."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import make
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from backendcheck.reference import Batch, MetricSpec, NoReference, accuracy_for, covered_metrics, metric
from backendcheck.reference.of_recording import built_in_reference_values

RNG = np.random.default_rng(5)
N = 40
WEIGHTS = RNG.integers(1, 5, N) / 2
CLASSES = RNG.integers(4, size=N)
SCORES = RNG.dirichlet(np.ones(4), size=N)
ONE_HOT = np.eye(4)[CLASSES]
BINARY = RNG.integers(2, size=N)
PROBABILITIES = RNG.random(N)
MULTI_HOT = RNG.integers(2, size=(N, 3))
MULTI_SCORES = RNG.random((N, 3))
NUMBERS, ESTIMATES = RNG.normal(size=(2, N, 3))


def value(name: str, y_true: Any, y_pred: Any, weights: Any = None, n_batches: int = 1, **options: Any) -> Any:
    """The metric over `n_batches` of unequal size, as a number or a list."""
    edges = np.linspace(0, len(y_true), n_batches + 1).astype(int)
    batches = [
        Batch(y_true=y_true[a:b], y_pred=y_pred[a:b], sample_weight=None if weights is None else weights[a:b])
        for a, b in itertools.pairwise(edges)
    ]
    return metric(MetricSpec(name=name, options=options), batches).tolist()


def test_every_metric_of_keras_has_a_reference() -> None:
    classes = [name for name in covered_metrics() if name != "MeanMetricWrapper"]
    assert len(classes) == 44


# The examples in the docstrings of Keras 3.15, with the results that stand there.
DOCUMENTED = [
    ("Accuracy", [[1], [2], [3], [4]], [[0], [2], [3], [4]], None, {}, 0.75),
    ("Accuracy", [[1], [2], [3], [4]], [[0], [2], [3], [4]], [1, 1, 0, 0], {}, 0.5),
    ("BinaryAccuracy", [[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]], None, {}, 0.75),
    ("CategoricalAccuracy", [[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], [0.7, 0.3], {}, 0.3),
    ("SparseCategoricalAccuracy", [[2], [1]], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]], [0.7, 0.3], {}, 0.3),
    ("TopKCategoricalAccuracy", [[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]], [0.7, 0.3], {"k": 1}, 0.3),
    ("SparseTopKCategoricalAccuracy", [2, 1], [[1, 0, 3], [1, 2, 3]], None, {"k": 1, "from_sorted_ids": True}, 0.5),
    ("FalsePositives", [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 0], {}, 1.0),
    ("FalseNegatives", [0, 1, 1, 1], [0, 1, 0, 0], [0, 0, 1, 0], {}, 1.0),
    ("TrueNegatives", [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], {}, 1.0),
    ("TruePositives", [0, 1, 1, 1], [1, 0, 1, 1], [0, 0, 1, 0], {}, 1.0),
    ("Precision", [0, 1, 1, 1], [1, 0, 1, 1], None, {}, 2 / 3),
    ("Precision", [0, 0, 1, 1], [1, 1, 1, 1], None, {"top_k": 4}, 0.5),
    ("Recall", [0, 1, 1, 1], [1, 0, 1, 1], [0, 0, 1, 0], {}, 1.0),
    ("SensitivityAtSpecificity", [0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8], None, {"specificity": 0.5}, 0.5),
    ("SpecificityAtSensitivity", [0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8], [1, 1, 2, 2, 2], {"sensitivity": 0.5}, 0.5),
    ("PrecisionAtRecall", [0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8], [2, 2, 2, 1, 1], {"recall": 0.5}, 1 / 3),
    ("RecallAtPrecision", [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], [1, 0, 0, 1], {"precision": 0.8}, 1.0),
    ("AUC", [0, 0, 1, 1], [0, 0.5, 0.3, 0.9], None, {"thresholds": [0.501]}, 0.75),
    ("IoU", [0, 0, 1, 1], [0, 1, 0, 1], None, {"num_classes": 2, "target_class_ids": [0]}, 1 / 3),
    ("MeanIoU", [0, 0, 1, 1], [0, 1, 0, 1], [0.3, 0.3, 0.3, 0.1], {"num_classes": 2, "dtype": "float32"}, 0.23809525),
    ("BinaryIoU", [0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7], [0.2, 0.3, 0.4, 0.1], {"threshold": 0.3, "dtype": "float32"}, 0.17361112),
    ("OneHotIoU", np.eye(3)[[2, 0, 1, 0]], [[0.2, 0.3, 0.5], [0.1, 0.2, 0.7], [0.5, 0.3, 0.1], [0.1, 0.4, 0.5]],
     [0.1, 0.2, 0.3, 0.4], {"num_classes": 3, "target_class_ids": [0, 2], "dtype": "float32"}, 0.071),
    ("FBetaScore", [[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]], None,
     {"beta": 2.0, "threshold": 0.5}, [0.3846154, 0.90909094, 0.8333334]),
    ("F1Score", [[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]], None,
     {"threshold": 0.5}, [0.5, 0.8, 0.6666667]),
    ("R2Score", [[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]], None, {}, 0.57142854),
    ("PearsonCorrelation", [[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]], None, {}, 0.9966996338993913),
    ("ConcordanceCorrelation", [[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]], None, {}, 0.9816320385426076),
    ("CosineSimilarity", [[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]], [0.3, 0.7], {"axis": 1}, 0.7),
    ("MeanSquaredError", [[0, 1], [0, 0]], [[1, 1], [0, 0]], None, {}, 0.25),
    ("RootMeanSquaredError", [[0, 1], [0, 0]], [[1, 1], [0, 0]], [1, 0], {}, 0.70710677),
    ("MeanAbsoluteError", [[0, 1], [0, 0]], [[1, 1], [0, 0]], [1, 0], {}, 0.5),
    ("MeanAbsolutePercentageError", [[0, 1], [0, 0]], [[1, 1], [0, 0]], None, {}, 250000000.0),
    ("MeanSquaredLogarithmicError", [[0, 1], [0, 0]], [[1, 1], [0, 0]], [1, 0], {}, 0.24022643),
    ("LogCoshError", [[0, 1], [0, 0]], [[1, 1], [0, 0]], [1, 0], {}, 0.21689045),
    ("Hinge", [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]], [1, 0], {}, 1.1),
    ("SquaredHinge", [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]], [1, 0], {}, 1.46),
    ("CategoricalHinge", [[0, 1], [1, 0]], [[0.6, 0.4], [0.4, 0.6]], [1, 0], {}, 1.2),
    ("KLDivergence", [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]], [1, 0], {}, 0.9162892),
    ("Poisson", [[0, 1], [0, 0]], [[1, 1], [0, 0]], [1, 0], {}, 0.99999994),
    ("BinaryCrossentropy", [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]], [1, 0], {}, 0.9162905),
    ("CategoricalCrossentropy", [[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]], [0.3, 0.7], {}, 1.6271976),
    ("SparseCategoricalCrossentropy", [1, 2], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]], [0.3, 0.7], {}, 1.6271976),
]  # fmt: skip


@pytest.mark.parametrize(("name", "y_true", "y_pred", "weights", "options", "documented"), DOCUMENTED)
def test_examples_of_the_documentation(name: str, y_true: Any, y_pred: Any, weights: Any, options: Any, documented: Any) -> None:
    arrays = (np.array(y_true), np.array(y_pred), None if weights is None else np.array(weights))
    assert value(name, *arrays, **options) == pytest.approx(documented, rel=2e-6, abs=5e-4 if name == "OneHotIoU" else 1e-7)


def test_mean_and_sum() -> None:
    assert metric(MetricSpec(name="Mean"), [Batch(y_true=[1, 3, 5, 7], y_pred=None, sample_weight=[1, 1, 0, 0])]) == 2
    assert metric(MetricSpec(name="Sum"), [Batch(y_true=[1, 3], y_pred=None), Batch(y_true=[5], y_pred=None)]) == 9


@pytest.mark.parametrize("n_batches", [1, 3])
@pytest.mark.parametrize("weights", [None, WEIGHTS, WEIGHTS[:, None]], ids=["none", "n", "n1"])
def test_scikit_learn_and_scipy(n_batches: int, weights: Any) -> None:
    flat = None if weights is None else weights.ravel()

    def of(name: str, y_true: Any, y_pred: Any, **options: Any) -> Any:
        return pytest.approx(value(name, y_true, y_pred, weights, n_batches, **options), rel=1e-9, abs=1e-12)

    predicted, positive, multi = SCORES.argmax(axis=1), PROBABILITIES > 0.5, MULTI_SCORES > 0.5
    w = {"sample_weight": flat}
    assert sk.accuracy_score(CLASSES, predicted, **w) == of("SparseCategoricalAccuracy", CLASSES, SCORES)
    assert sk.accuracy_score(CLASSES, predicted, **w) == of("CategoricalAccuracy", ONE_HOT, SCORES)
    assert sk.accuracy_score(CLASSES, predicted, **w) == of("Accuracy", CLASSES, predicted)
    assert sk.accuracy_score(BINARY, positive, **w) == of("BinaryAccuracy", BINARY, PROBABILITIES)
    assert sk.top_k_accuracy_score(CLASSES, SCORES, k=2, **w) == of("SparseTopKCategoricalAccuracy", CLASSES, SCORES, k=2)
    assert sk.top_k_accuracy_score(CLASSES, SCORES, k=2, **w) == of("TopKCategoricalAccuracy", ONE_HOT, SCORES, k=2)
    tn, fp, fn, tp = sk.confusion_matrix(BINARY, positive, **w).ravel()
    for name, count in {"TrueNegatives": tn, "FalsePositives": fp, "FalseNegatives": fn, "TruePositives": tp}.items():
        assert count == of(name, BINARY, PROBABILITIES)
    assert sk.precision_score(BINARY, positive, **w) == of("Precision", BINARY, PROBABILITIES)
    assert sk.recall_score(BINARY, positive, **w) == of("Recall", BINARY, PROBABILITIES)
    assert sk.precision_score(MULTI_HOT[:, 1], multi[:, 1], **w) == of("Precision", MULTI_HOT, MULTI_SCORES, class_id=1)
    fpr, tpr, _ = sk.roc_curve(BINARY, PROBABILITIES, drop_intermediate=False, **w)
    between = np.convolve(np.sort(PROBABILITIES), [0.5, 0.5], "valid").tolist()
    assert sk.auc(fpr, tpr) == of("AUC", BINARY, PROBABILITIES, thresholds=between)
    assert sk.roc_auc_score(BINARY, PROBABILITIES, **w) == of("AUC", BINARY, PROBABILITIES, thresholds=between)
    for average in (None, "micro", "macro", "weighted"):
        expected = sk.f1_score(MULTI_HOT, multi, average=average, **w)
        assert np.asarray(expected).tolist() == of("F1Score", MULTI_HOT, MULTI_SCORES, average=average, threshold=0.5)
        expected = sk.fbeta_score(ONE_HOT, np.eye(4)[predicted], beta=2.0, average=average, **w)
        assert np.asarray(expected).tolist() == of("FBetaScore", ONE_HOT, SCORES, average=average, beta=2.0)
    aggregations = {None: "raw_values", "uniform_average": "uniform_average", "variance_weighted_average": "variance_weighted"}
    for ours, theirs in aggregations.items():
        expected = sk.r2_score(NUMBERS, ESTIMATES, multioutput=theirs, **w)
        assert np.asarray(expected).tolist() == of("R2Score", NUMBERS, ESTIMATES, class_aggregation=ours)
    assert sk.mean_squared_error(NUMBERS, ESTIMATES, **w) == of("MeanSquaredError", NUMBERS, ESTIMATES)
    assert np.sqrt(sk.mean_squared_error(NUMBERS, ESTIMATES, **w)) == of("RootMeanSquaredError", NUMBERS, ESTIMATES)
    assert sk.mean_absolute_error(NUMBERS, ESTIMATES, **w) == of("MeanAbsoluteError", NUMBERS, ESTIMATES)
    assert sk.log_loss(CLASSES, SCORES, **w) == of("SparseCategoricalCrossentropy", CLASSES, SCORES)
    assert sk.log_loss(CLASSES, SCORES, **w) == of("CategoricalCrossentropy", ONE_HOT, SCORES)
    assert sk.log_loss(BINARY, PROBABILITIES, **w) == of("BinaryCrossentropy", BINARY[:, None], PROBABILITIES[:, None])
    correlations = [stats.pearsonr(y, p).statistic for y, p in zip(NUMBERS, ESTIMATES, strict=True)]
    assert np.average(correlations, weights=flat) == of("PearsonCorrelation", NUMBERS, ESTIMATES)
    cosines = np.diag(sk.pairwise.cosine_similarity(NUMBERS, ESTIMATES))
    assert np.average(cosines, weights=flat) == of("CosineSimilarity", NUMBERS, ESTIMATES)


@pytest.mark.parametrize("n_batches", [1, 3])
def test_overlap_and_rates_by_scikit_learn(n_batches: int) -> None:
    predicted, whole = SCORES.argmax(axis=1), (2 * WEIGHTS).astype(int)
    jaccard = sk.jaccard_score(CLASSES, predicted, average=None, sample_weight=whole)
    assert value("MeanIoU", CLASSES, predicted, whole, n_batches, num_classes=4) == pytest.approx(jaccard.mean())
    chosen = value("OneHotIoU", ONE_HOT, SCORES, whole, n_batches, num_classes=4, target_class_ids=[1, 3])
    assert chosen == pytest.approx(jaccard[[1, 3]].mean())
    kept = CLASSES != 2
    without = sk.jaccard_score(CLASSES[kept], predicted[kept], average=None, labels=range(4))
    assert value("MeanIoU", CLASSES, predicted, None, n_batches, num_classes=4, ignore_class=2) == pytest.approx(without.mean())
    scores = (RNG.permutation(1000)[:N] + 0.5) / 1000  # between the thresholds
    fpr, tpr, _ = sk.roc_curve(BINARY, scores, drop_intermediate=False)
    best = value("SensitivityAtSpecificity", BINARY, scores, None, n_batches, specificity=0.713, num_thresholds=1001)
    assert best == pytest.approx(tpr[1 - fpr >= 0.713].max())
    best = value("SpecificityAtSensitivity", BINARY, scores, None, n_batches, sensitivity=0.713, num_thresholds=1001)
    assert best == pytest.approx((1 - fpr)[tpr >= 0.713].max())
    precision, recall, _ = sk.precision_recall_curve(BINARY, scores)
    best = value("RecallAtPrecision", BINARY, scores, None, n_batches, precision=0.613, num_thresholds=1001)
    assert best == pytest.approx(recall[:-1][precision[:-1] >= 0.613].max(initial=0))


def test_adjusted_r2_counts_examples_and_not_their_outputs() -> None:
    plain = sk.r2_score(NUMBERS, ESTIMATES)
    assert value("R2Score", NUMBERS, ESTIMATES, num_regressors=2) == pytest.approx(1 - (1 - plain) * (N - 1) / (N - 3))


def test_label_weights_and_several_labels_of_an_area() -> None:
    def of_labels(**options: Any) -> Any:
        return value("AUC", MULTI_HOT, MULTI_SCORES, multi_label=True, **options)

    each = [value("AUC", MULTI_HOT[:, label], MULTI_SCORES[:, label]) for label in range(3)]
    assert of_labels() == pytest.approx(np.mean(each))
    assert of_labels(label_weights=[1, 2, 5]) == pytest.approx(np.average(each, weights=[1, 2, 5]))
    flat = value("AUC", MULTI_HOT, MULTI_SCORES, label_weights=[1, 2, 5])
    of_entries = value("AUC", MULTI_HOT.ravel(), MULTI_SCORES.ravel(), np.tile([1.0, 2.0, 5.0], N))
    assert flat == pytest.approx(of_entries)


def test_minoring_and_majoring_enclose_the_area() -> None:
    for curve in ("ROC", "PR"):
        low, between, high = (
            value("AUC", BINARY, PROBABILITIES, curve=curve, summation_method=method)
            for method in ("minoring", "interpolation", "majoring")
        )
        assert low < between < high


def test_area_under_precision_and_recall_by_fine_steps() -> None:
    """The closed formula equals the sum over true and false positives that change in small linear steps."""
    thresholds = [0.2, 0.45, 0.7]
    area, positives = 0.0, BINARY.sum()
    points = [(BINARY[t < PROBABILITIES].sum(), (1 - BINARY)[t < PROBABILITIES].sum()) for t in [-1, *thresholds, 1]]
    for (tp_a, fp_a), (tp_b, fp_b) in itertools.pairwise(points):
        steps = np.linspace(1e-12 if tp_b + fp_b == 0 else 0, 1, 200_001)
        tp, fp = tp_b + steps * (tp_a - tp_b), fp_b + steps * (fp_a - fp_b)
        area += np.trapezoid(tp / (tp + fp), tp) / positives
    assert value("AUC", BINARY, PROBABILITIES, curve="PR", thresholds=thresholds) == pytest.approx(area, rel=1e-6)


def test_masked_steps_do_not_count_in_a_mean() -> None:
    labels, scores = CLASSES.reshape(10, 4), SCORES.reshape(10, 4, 4)
    mask = RNG.random((10, 4)) < 0.6
    spec = MetricSpec(name="SparseCategoricalAccuracy")
    expected = sk.accuracy_score(labels[mask], scores[mask].argmax(axis=-1))
    assert metric(spec, [Batch(y_true=labels, y_pred=scores, mask=mask)]) == pytest.approx(expected)
    weights = RNG.integers(1, 4, 10).astype(float)
    of_steps = np.broadcast_to(weights[:, None], mask.shape)[mask]
    expected = sk.accuracy_score(labels[mask], scores[mask].argmax(axis=-1), sample_weight=of_steps)
    assert metric(spec, [Batch(y_true=labels, y_pred=scores, sample_weight=weights, mask=mask)]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "predictions", "name"),
    [((6,), (6, 1), "BinaryAccuracy"), ((6, 1), (6, 1), "BinaryAccuracy"), ((6,), (6, 3), "SparseCategoricalAccuracy"),
     ((6, 1), (6, 3), "SparseCategoricalAccuracy"), ((6, 3), (6, 3), "CategoricalAccuracy")],
)  # fmt: skip
def test_accuracy_stands_for_one_of_three(labels: tuple[int, ...], predictions: tuple[int, ...], name: str) -> None:
    assert accuracy_for(np.zeros(labels), np.zeros(predictions)) == name


@pytest.mark.parametrize("label", [-100, -1, 2, 2**32 + 1])
def test_a_label_that_names_no_class_is_never_predicted(label: int) -> None:
    scores = np.array([[0.4, 0.6], [0.1, 0.9]])
    assert value("SparseCategoricalAccuracy", np.array([1, label]), scores) == 0.5
    assert value("SparseTopKCategoricalAccuracy", np.array([0, label]), scores, k=2) == 0.5


WITHOUT_REFERENCE = [
    ("BinaryAccuracy", [1, 0], [0.5, 0.2], {}, "lies on the threshold"),
    ("Precision", [1, 0], [0.5 + 1e-7, 0.2], {}, "lies on the threshold"),
    ("AUC", [1, 0], [0.25, 0.2], {"thresholds": [0.25]}, "lies on the threshold"),
    ("AUC", [1, 0], [1.5, 0.2], {}, "out of range"),
    ("BinaryAccuracy", [1, 0], [np.nan, 0.2], {}, "lies on the threshold"),
    ("SparseCategoricalAccuracy", [1, 0], [[0.4, 0.4], [0.1, 0.9]], {}, "tie"),
    ("SparseTopKCategoricalAccuracy", [1], [[0.5, 0.2, 0.2, 0.1]], {"k": 2}, "tie at place 2"),
    ("Recall", [[1, 0, 1]], [[0.5, 0.2, 0.2]], {"top_k": 2}, "tie at place 2"),
    ("Accuracy", [0.5], [0.5 + 1e-8], {}, "up to rounding"),
    ("F1Score", [[0.5, 0.5]], [[0.1, 0.9]], {}, "not 0 or 1"),
    ("F1Score", [[0, 1]], [[0.5, 0.5]], {}, "tie"),
    ("R2Score", [[1.0], [1.0]], [[0.1], [0.9]], {}, "do not vary"),
    ("PearsonCorrelation", [[1.0, 1.0]], [[0.1, 0.9]], {}, "do not vary"),
    ("MeanIoU", [0, 3], [0, 1], {"num_classes": 2}, "not a class"),
    ("SparseCategoricalCrossentropy", [0, 1], [[0.4, 0.6], [0.1, 0.9]], {"ignore_class": 1}, "ignored class"),
    ("SensitivityAtSpecificity", [0, 0, 0, 1], [0.1, 0.5, 0.9, 0.7], {"specificity": 1 / 3}, "up to rounding"),
    ("AUC", [0, 1], [0.1, 0.9], {"curve": "PRGAIN"}, "PRGAIN has no reference"),
    ("Precision", [0, 1], [0.1, 0.9], {"unheard_of": 1}, "unknown option"),
    ("MeanIoU", [0, 1], [0, 1], {}, "option is missing"),
    ("Unheard", [0, 1], [0, 1], {}, "no reference for this metric"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "y_true", "y_pred", "options", "message"), WITHOUT_REFERENCE)
def test_no_reference_where_nothing_is_documented(name: str, y_true: Any, y_pred: Any, options: Any, message: str) -> None:
    with pytest.raises(NoReference, match=message):
        value(name, np.array(y_true), np.array(y_pred), **options)


@pytest.mark.parametrize(
    ("name", "batch", "message"),
    [
        ("MeanSquaredError", Batch(y_true=[[0.0], [1.0]], y_pred=[[1.0], [1.0]], sample_weight=2.0), "is one number"),
        ("MeanSquaredError", Batch(y_true=[[0.0], [1.0]], y_pred=[[1.0], [1.0]], sample_weight=[1, 2, 3]), "does not fit"),
        ("MeanSquaredError", Batch(y_true=[[0.0], [1.0]], y_pred=[[1.0], [1.0]], sample_weight=[1, np.inf]), "not finite"),
        ("MeanSquaredError", Batch(y_true=[[0.0], [1.0]], y_pred=[[1.0], [1.0]], sample_weight=[1, -1]), "sum to 0"),
        ("Precision", Batch(y_true=[0, 1], y_pred=[0.1, 0.9], mask=[True, False]), "a mask on the predictions"),
        ("F1Score", Batch(y_true=[[0, 1]], y_pred=[[0.1, 0.9]], sample_weight=[[1, 2]]), "a weight for each entry"),
    ],
)
def test_weights_and_masks_without_reference(name: str, batch: Batch, message: str) -> None:
    with pytest.raises(NoReference, match=message):
        metric(MetricSpec(name=name), [batch])


def test_weights_that_are_all_zero_give_zero() -> None:
    assert value("MeanSquaredError", np.zeros((2, 1)), np.ones((2, 1)), np.zeros(2)) == 0


def test_whole_weights_are_needed_for_counts_of_type_int() -> None:
    with pytest.raises(NoReference, match="not whole"):
        value("MeanIoU", np.array([0, 1]), np.array([0, 1]), np.array([0.5, 1]), num_classes=2)


def test_a_wrapped_function_is_the_metric_of_its_name() -> None:
    wrapped = value("MeanMetricWrapper", NUMBERS, ESTIMATES, WEIGHTS, function="mae")
    assert wrapped == value("MeanAbsoluteError", NUMBERS, ESTIMATES, WEIGHTS)
    options = {"function": "binary_accuracy", "function_options": {"threshold": 0.3}}
    wrapped = value("MeanMetricWrapper", BINARY, PROBABILITIES, **options)
    assert wrapped == value("BinaryAccuracy", BINARY, PROBABILITIES, threshold=0.3)
    with pytest.raises(NoReference, match="has no reference"):
        value("MeanMetricWrapper", NUMBERS, ESTIMATES, function="my_own")


@pytest.mark.parametrize(("precision", "names"), [("float32", {"metric/accuracy"}), ("bfloat16", set())])
def test_half_precision_has_no_reference_because_a_count_may_change(precision: str, names: set[str]) -> None:
    predictions = replace(make.observation(SCORES.astype("float32")), precision=precision)
    declared = {"class": "accuracy", "options": {}, "output": "", "weighted": False, "batch_size": N}
    recording = make.recording(
        observations={"predictions": predictions, "metric/accuracy": 0.25}, labels={"y_true": CLASSES},
        metrics={"accuracy": declared},
    )  # fmt: skip
    assert set(built_in_reference_values(recording)) == names


@pytest.mark.parametrize("scores", [[2e-7, 1e-7, -1.0], [0.5, 0.500001, 0.1]])
def test_scores_that_rounding_may_exchange_have_no_largest(scores: list[float]) -> None:
    with pytest.raises(NoReference, match="tie"):
        value("SparseCategoricalAccuracy", np.array([0]), np.array([scores]))


@pytest.mark.parametrize("curve", ["ROC", "PR"])
def test_negative_weights_enclose_no_area(curve: str) -> None:
    with pytest.raises(NoReference, match="counts below 0"):
        value("AUC", np.array([1.0, 0.0]), np.array([0.4, 0.2]), np.array([0.8, -1.0]), curve=curve)


def test_no_batch_has_no_value() -> None:
    with pytest.raises(NoReference, match="no batches"):
        metric(MetricSpec(name="Accuracy"), [])
