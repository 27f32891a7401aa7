"""Numbers about labels: counts, averages, correlations, sets, medians.

What goes wrong in practice: class weights, class frequencies and thresholds are computed once, before training, with
the same operations as the model. No one looks at them again. Several of these numbers are wrong on one backend only.
"""

import numpy as np
import pytest
from keras import ops

from backendcheck import Raises, ValueCase

SCORES = np.array([[0.2, 0.7, 0.1], [0.5, 0.1, 0.4], [0.3, 0.3, 0.4]], dtype="float32")


@pytest.mark.parametrize("n_classes", [3, 2])
def case_how_many_examples_have_each_tag_at_each_step(n_classes):
    """`count_nonzero` over the examples of tags (N, T, C) gives counts (T, C)."""
    tags = np.array([[[0, 1, 1], [0, 0, 1]], [[1, 1, 1], [0, 0, 0]]], dtype="int32")[..., :n_classes]
    return ValueCase(
        lambda: {"counts": ops.count_nonzero(tags, axis=0)}, reference={"value/counts": np.count_nonzero(tags, axis=0)}
    )


@pytest.mark.parametrize("weights", ["one_per_example", "one_per_element", "of_everything"])
def case_a_weighted_average_of_scores(weights):
    """`average` divides by the sum of the weights along the axis that it averages over, as in NumPy."""
    per_example = np.array([1.0, 2.0, 3.0], dtype="float32")
    per_element = np.repeat(per_example[:, None], 3, axis=1)
    axis = None if weights == "of_everything" else 0
    weight = per_example if weights == "one_per_example" else per_element
    return ValueCase(
        lambda: {"average": ops.average(SCORES, axis=axis, weights=weight)},
        reference={"value/average": np.average(SCORES.astype("float64"), axis=axis, weights=weight)},
    )


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def case_two_raters_of_the_same_examples(dtype):
    """The correlation of grades 1, 2, 3 and 1, 2, 4 is 0.98, whatever integer type the grades have."""
    grades = np.array([[1, 2, 3], [1, 2, 4]]).astype(dtype)
    return ValueCase(
        lambda: {"correlation": ops.corrcoef(grades)[0, 1]}, reference={"value/correlation": np.corrcoef(grades)[0, 1]}
    )


def case_mean_and_variance_of_grades():
    """The mean of the grades 1 and 2 is 1.5 and their variance 0.25, although the grades are integers."""
    grades = np.array([[1, 2]], dtype="int32")

    def compute():
        mean, variance = ops.moments(ops.convert_to_tensor(grades), axes=[1])
        return {"mean": mean, "variance": variance}

    return ValueCase(compute, reference={"value/mean": np.array([1.5]), "value/variance": np.array([0.25])})


def case_labels_outside_an_empty_set():
    """No label is in an empty set of classes, so all are outside of it."""
    labels, classes = np.array([0, 1, 2], dtype="int32"), np.array([], dtype="int32")
    return ValueCase(
        lambda: {name: ops.isin(labels, classes, assume_unique=True, invert=name == "outside") for name in ("inside", "outside")},
        reference={"value/inside": np.zeros(3, bool), "value/outside": np.ones(3, bool)},
    )


def case_where_each_class_occurs_first():
    """`unique(return_index=True)` gives the first position of each class in a table of labels, counted row by row."""
    labels = np.array([[2, 1], [1, 0]], dtype="int32")

    def compute():
        classes, first = ops.unique(ops.convert_to_tensor(labels), return_index=True)
        return {"classes": classes, "first": ops.cast(first, "int32")}

    return ValueCase(compute, reference={"value/classes": np.array([0, 1, 2]), "value/first": np.array([3, 1, 0])})


def case_a_fixed_number_of_classes():
    """`unique(size=4)` of three classes fills up with 0, as documented, so that the shape is known to a compiler."""
    labels = np.array([3, 5, 4, 3], dtype="int32")
    return ValueCase(
        lambda: {"classes": ops.unique(ops.convert_to_tensor(labels), size=4)},
        reference={"value/classes": np.array([3, 4, 5, 0])},
    )


def case_a_fixed_number_of_classes_in_an_empty_batch():
    """`unique(size=4)` of an empty batch is 4 times 0, as documented."""
    labels = np.array([], dtype="int32")
    return ValueCase(
        lambda: {"classes": ops.unique(ops.convert_to_tensor(labels), size=4)}, reference={"value/classes": np.zeros(4, "int32")}
    )


def case_the_best_scores_of_no_examples():
    """The best score of each class among no examples is the `initial` one, once for each class."""
    return ValueCase(
        lambda: {"best": ops.max(ops.zeros((0, 3)), axis=0, initial=-1.0)}, reference={"value/best": np.full(3, -1.0)}
    )


def case_the_median_beside_a_class_that_is_ruled_out():
    """The median of -Inf, 0 and 1 is 0: -Inf is a logit of a class that is ruled out, and less than all others."""
    logits = np.array([-np.inf, 0.0, 1.0], dtype="float32")
    return ValueCase(lambda: {"median": ops.median(logits)}, reference={"value/median": np.array(0.0)})


def case_a_quantile_in_percent():
    """`quantile(scores, 95)` is refused: 95 is no probability, and the score it stands for does not exist."""
    return ValueCase(lambda: {"threshold": ops.quantile(SCORES[0], 95.0)}, expect=Raises())


def case_grades_that_are_almost_equal():
    """`isclose` takes its tolerance for integers, too: 100 and 101 are close within 2 percent, 100 and 110 are not."""
    grades, others = np.array([100, 100], dtype="int32"), np.array([101, 110], dtype="int32")
    return ValueCase(
        lambda: {"close": ops.isclose(grades, others, rtol=0.02)}, reference={"value/close": np.array([True, False])}
    )


def case_the_two_classes_with_the_smallest_probability():
    """`argpartition` puts the two smallest probabilities first; it does not take 0.7 and 0.1 for the same number."""
    probabilities = np.array([0.55, 0.04, 0.31, 0.1], dtype="float32")
    return ValueCase(
        lambda: {"smallest": ops.sort(ops.argpartition(probabilities, 1)[:2])}, reference={"value/smallest": np.array([1, 3])}
    )


def case_every_class_once_in_a_partition():
    """`argpartition` of counts (N, C) lists each class of an example once."""
    counts = np.array([[7, 1, 4, 2], [3, 9, 0, 5]], dtype="int32")
    return ValueCase(
        lambda: {"classes": ops.sort(ops.argpartition(counts, 1))}, reference={"value/classes": np.array([[0, 1, 2, 3]] * 2)}
    )
