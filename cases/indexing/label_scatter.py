"""Writing and summing by label: `scatter`, `scatter_update`, the segment ops, `bincount`, `histogram`.

What goes wrong in practice: a class that is absent from the batch, a label that names no class, two values for one
position. The value may be right where the gradient is not.
"""

import numpy as np
import pytest
from keras import ops

from backendcheck import LossCase, OptOut, Raises, ValueCase

BY_CLASS = OptOut(relation="examples", reason="The loss has one element per class, not per example.")
SCORES = np.array([1.0, 2.0, 3.0, 4.0], dtype="float32")


@pytest.mark.parametrize(
    "label", [pytest.param(3, id="one_past"), pytest.param(-1, id="minus_one"), pytest.param(-100, id="minus_hundred")]
)
@pytest.mark.parametrize("name", ["scatter", "scatter_update", "segment_sum", "segment_max", "segment_min", "segment_prod"])
def case_a_class_that_is_not_there(name, label):
    """A label outside the three classes is refused; its value is not dropped or given to another class."""
    labels, values = np.array([0, label], dtype="int32"), np.array([5.0, 7.0], dtype="float32")

    def compute():
        if name == "scatter":
            return {"by_class": ops.scatter(labels[:, None], values, (3,))}
        if name == "scatter_update":
            return {"by_class": ops.scatter_update(np.zeros(3, dtype="float32"), labels[:, None], values)}
        reduce_by_class = {
            "segment_sum": ops.segment_sum, "segment_max": ops.segment_max, "segment_min": ops.segment_min,
            "segment_prod": ops.segment_prod,
        }[name]  # fmt: skip
        return {"by_class": reduce_by_class(values, labels, num_segments=3)}

    return ValueCase(compute, expect=Raises())


@pytest.mark.parametrize("label", [pytest.param(-1, id="minus_one"), pytest.param(1.9, id="fraction")])
def case_counting_a_label_that_is_no_class(label):
    """`bincount` refuses labels -1 and 1.9; it does not count them as a class."""
    return ValueCase(lambda: {"count": ops.bincount(np.array([label, 1, 1]), minlength=3)}, expect=Raises())


@pytest.mark.parametrize("name", ["segment_sum", "segment_max"])
def case_segments_by_fractions(name):
    """The segment ops refuse class 1.9; it does not become class 1."""
    labels = np.array([0.0, 0.0, 1.9, 2.0], dtype="float32")
    reduce_by_class = {"segment_sum": ops.segment_sum, "segment_max": ops.segment_max}[name]
    return ValueCase(lambda: {"by_class": reduce_by_class(SCORES, labels, num_segments=3)}, expect=Raises())


@pytest.mark.parametrize("name", ["segment_sum", "segment_max"])
def case_as_many_segments_as_the_largest_label(name):
    """Without `num_segments` there are as many classes as the largest label plus one, as documented.

    Class 1 may be absent.
    """
    labels = np.array([0, 0, 2, 2], dtype="int32")
    reduce_by_class, by_class = {
        "segment_sum": (ops.segment_sum, [3.0, 0.0, 7.0]),
        "segment_max": (ops.segment_max, [2.0, -np.inf, 4.0]),
    }[name]
    return ValueCase(lambda: {"by_class": reduce_by_class(SCORES, labels)}, reference={"value/by_class": np.array(by_class)})


def case_sorted_labels_and_a_number_of_classes():
    """`sorted=True` promises that the labels are sorted; with `num_segments` it does not change the result."""
    labels = np.array([0, 0, 1, 2], dtype="int32")
    return ValueCase(
        lambda: {"by_class": ops.segment_sum(SCORES, labels, num_segments=3, sorted=True)},
        reference={"value/by_class": np.array([3.0, 3.0, 4.0])},
    )


def case_the_best_score_of_an_absent_class():
    """The maximum of no scores is minus infinity, so that any score is better; the minimum is plus infinity."""
    labels = np.array([0, 0, 2, 2], dtype="int32")
    return ValueCase(
        lambda: {
            "best": ops.segment_max(SCORES, labels, num_segments=3),
            "worst": ops.segment_min(SCORES, labels, num_segments=3),
        },
        reference={"value/best": np.array([2.0, -np.inf, 4.0]), "value/worst": np.array([1.0, np.inf, 3.0])},
    )


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def case_the_first_example_of_an_absent_class(dtype):
    """The smallest index of no examples is the largest integer, so that any index comes before it."""
    labels = np.array([0, 0, 2, 2], dtype="int32")
    return ValueCase(
        lambda: {"first": ops.segment_min(np.array([0, 1, 2, 3], dtype=dtype), labels, num_segments=3)},
        reference={"value/first": np.array([0, np.iinfo(dtype).max, 2])},
    )


def places(y_true):
    """The position (N, 1) that each label names. Keras passes labels to a loss in its float type."""
    return ops.expand_dims(ops.cast(y_true, "int32"), -1)


def case_a_value_that_is_overwritten_has_no_gradient():
    """If two examples write to one position, only the one whose value remains has a gradient."""
    return LossCase(
        loss=lambda y_true, y_pred: ops.scatter_update(ops.zeros((2,)), places(y_true), y_pred),
        y_true=np.array([0, 0], dtype="int32"),
        y_pred=np.array([5.0, 7.0], dtype="float32"),
        reference={"loss": 3.5, "gradient/y_pred": np.array([0.0, 0.5])},
        order=[OptOut(relation="examples", reason="The last one to write wins, by design.")],
    )


@pytest.mark.parametrize("reduction", ["add", "max", "min", "mul"])
def case_the_gradient_of_a_reduction_by_class(reduction):
    """`scatter_update` with a reduction has a gradient for the winners, or for all summands and factors."""
    written = {"add": [0.5, 0.5], "max": [0.5, 0.0], "min": [0.0, 0.5], "mul": [2.0, 2.0]}

    def loss(y_true, y_pred):
        return ops.scatter_update(ops.full((2,), 4.0), places(y_true), y_pred, reduction=reduction)

    return LossCase(
        loss=loss,
        y_true=np.array([0, 1], dtype="int32"),
        y_pred=np.array([5.0, 3.0], dtype="float32"),
        reference={"gradient/y_pred": np.array(written[reduction])},
        order=[BY_CLASS],
    )


def case_the_gradient_of_a_product_by_class():
    """The gradient of a product of probabilities within a class (a noisy-or) is the product of the others."""
    return LossCase(
        loss=lambda y_true, y_pred: ops.segment_prod(y_pred, places(y_true)[:, 0], num_segments=2),
        y_true=np.array([0, 0, 1, 1], dtype="int32"),
        y_pred=np.array([0.5, 0.25, 0.5, 0.75], dtype="float32"),
        reference={"loss": 0.25, "gradient/y_pred": np.array([0.25, 0.5, 0.75, 0.5]) / 2},
        order=[BY_CLASS],
    )


def case_the_gradient_of_a_weighted_count():
    """A count by class, weighted by predictions, has a gradient by these weights."""
    return LossCase(
        loss=lambda y_true, y_pred: ops.square(ops.bincount(places(y_true)[:, 0], weights=y_pred, minlength=2)),
        y_true=np.array([0, 1, 1], dtype="int32"),
        y_pred=np.array([1.0, 2.0, 3.0], dtype="float32"),
        reference={"loss": 13.0, "gradient/y_pred": np.array([1.0, 5.0, 5.0])},
        order=[BY_CLASS],
    )


def case_a_histogram_of_integer_labels():
    """`histogram` counts integer labels, and gives 0 for a class that does not occur."""
    return ValueCase(
        lambda: {"count": ops.histogram(np.array([0, 1, 2, 2, 5], dtype="int32"), bins=6, range=(0, 6))[0]},
        reference={"value/count": np.array([1, 1, 2, 0, 0, 1])},
    )


def case_a_histogram_of_a_single_label():
    """If every label is 2, the bins reach from 1.5 to 2.5, as in NumPy; their width is not 0."""
    count, edges = np.histogram(np.full(3, 2.0), bins=2)

    def compute():
        count, edges = ops.histogram(np.full(3, 2.0, dtype="float32"), bins=2)
        return {"count": count, "edges": edges}

    return ValueCase(compute, reference={"value/count": count.tolist(), "value/edges": edges})


def case_a_histogram_of_a_missing_label():
    """`histogram` refuses a NaN among the labels, as NumPy does: there is no range to divide."""
    labels = np.array([0.0, 1.0, np.nan], dtype="float32")
    return ValueCase(lambda: {"count": ops.histogram(labels, bins=2)[0]}, expect=Raises())


def case_scatter_by_eight_bit_labels():
    """`scatter` writes each value to its label also where the labels are uint8, as in image files."""
    labels = np.array([[0], [2]], dtype="uint8")
    return ValueCase(
        lambda: {"by_class": ops.scatter(ops.convert_to_tensor(labels), np.array([1.0, 2.0], dtype="float32"), (3,))},
        reference={"value/by_class": np.array([1.0, 0.0, 2.0])},
    )


@pytest.mark.parametrize("name", ["segment_sum", "segment_max"])
def case_large_counts_by_class(name):
    """The segment ops are exact for integers: 2^24 and 1 have the sum 2^24 + 1, which float32 cannot hold."""
    counts = np.array([2**24, 1] if name == "segment_sum" else [2**24 + 1, 1], dtype="int32")
    reduce_by_class = {"segment_sum": ops.segment_sum, "segment_max": ops.segment_max}[name]
    return ValueCase(
        lambda: {"by_class": reduce_by_class(counts, np.array([0, 0], dtype="int32"), num_segments=1) - 2**24},
        reference={"value/by_class": np.array([1])},
    )


def case_labels_before_an_update():
    """`scatter_update` returns new labels and leaves its input as it was."""

    def compute():
        labels = ops.convert_to_tensor(np.array([0, 1, 2], dtype="int32"))
        updated = ops.scatter_update(labels, np.array([[0]], dtype="int32"), np.array([9], dtype="int32"))
        return {"updated": updated, "labels": labels}

    return ValueCase(compute, reference={"value/updated": np.array([9, 1, 2]), "value/labels": np.array([0, 1, 2])})


def case_a_confidence_among_integer_labels():
    """`scatter_update` of integer labels refuses the value 0.7; it does not write a 0."""
    labels, confidence = np.array([1, 1, 1], dtype="int32"), np.array([0.7], dtype="float32")
    return ValueCase(
        lambda: {"labels": ops.scatter_update(labels, np.array([[0]], dtype="int32"), confidence)}, expect=Raises()
    )
