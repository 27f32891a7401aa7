"""Labels in the wrong type: too narrow, unsigned, boolean or fractional.

What goes wrong in practice: an image file gives labels as uint8. Code then compares them with -1 ("missing"), fills
in -1, or clips them. An unsigned type has no -1, and the result differs by backend and by op.
"""

import numpy as np
import pytest
from keras import losses, ops

from backendcheck import LossCase, Raises, ValueCase

LABELS = np.array([0, 3, 255], dtype="uint8")


@pytest.mark.parametrize(
    ("label", "dtype"),
    [
        pytest.param(-1.0, "uint8", id="minus_one_to_uint8"),
        pytest.param(300.0, "uint8", id="300_to_uint8"),
        pytest.param(200.0, "int8", id="200_to_int8"),
        pytest.param(np.nan, "int32", id="nan_to_int32"),
        pytest.param(3e9, "int32", id="3e9_to_int32"),
    ],
)
def case_a_float_label_that_does_not_fit(label, dtype):
    """A float label cast to an integer type that cannot hold it becomes the same label on every backend."""
    return ValueCase(lambda: {"labels": ops.cast(ops.convert_to_tensor(np.array([1.0, label], dtype="float32")), dtype)})


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def case_an_unsigned_type(dtype):
    """A label cast to an unsigned type has that type on every backend."""
    return ValueCase(lambda: {"labels": ops.cast(ops.convert_to_tensor(np.array([7, 40000], dtype="int32")), dtype)})


def case_saturating_cast():
    """`saturate_cast` stops at the largest and the smallest integer, as its name says."""
    labels = np.array([1.0, 3e9, -3e9], dtype="float32")
    return ValueCase(
        lambda: {"labels": ops.saturate_cast(ops.convert_to_tensor(labels), "int32")},
        reference={"value/labels": np.array([1, 2**31 - 1, -(2**31)])},
    )


@pytest.mark.parametrize(
    ("name", "sentinel"), [("not_equal", -1), ("not_equal", -253), ("greater", -1), ("less", 300)],
    ids=["not_minus_one", "not_minus_253", "above_minus_one", "below_300"],
)  # fmt: skip
def case_a_sentinel_that_eight_bits_cannot_hold(name, sentinel):
    """Comparing uint8 labels with -1 or 300 must keep every label."""
    is_known = {"not_equal": ops.not_equal, "greater": ops.greater, "less": ops.less}[name]
    return ValueCase(
        lambda: {"known": is_known(ops.convert_to_tensor(LABELS), sentinel)},
        reference={"value/known": np.array([True, True, True])},
    )


@pytest.mark.parametrize("how", ["where", "pad", "full_like"])
def case_filling_in_minus_one(how):
    """Filling -1 ("missing") into uint8 labels is refused; it does not give class 255."""

    def compute():
        labels = ops.convert_to_tensor(LABELS)
        if how == "where":
            return {"labels": ops.where(np.array([True, False, True]), labels, -1)}
        if how == "pad":
            return {"labels": ops.pad(labels, ((0, 1),), constant_values=-1)}
        return {"labels": ops.full_like(labels, -1)}

    return ValueCase(compute, expect=Raises())


@pytest.mark.parametrize("how", ["clip", "maximum"])
def case_a_lower_limit_below_zero(how):
    """Limiting uint8 labels to at least -1 does not change them."""

    def compute():
        labels = ops.convert_to_tensor(LABELS)
        return {"labels": ops.clip(labels, -1, 255) if how == "clip" else ops.maximum(labels, -1)}

    return ValueCase(compute, reference={"value/labels": np.array([0, 3, 255])})


def case_labels_that_do_not_fit_the_type_asked_for():
    """`convert_to_tensor([300, -1], "uint8")` is refused; the labels do not become classes 44 and 255."""
    return ValueCase(lambda: {"labels": ops.convert_to_tensor([300, -1], dtype="uint8")}, expect=Raises())


def case_running_class_counts_in_eight_bits():
    """The running sum of uint8 counts does not wrap around, as in NumPy: 200 and 100 make 300."""
    counts = np.array([200, 100], dtype="uint8")
    return ValueCase(
        lambda: {"count": ops.cumsum(ops.convert_to_tensor(counts))}, reference={"value/count": np.array([200, 300])}
    )


_SEGMENTS = ["segment_sum", "segment_max", "segment_min", "segment_prod"]


@pytest.mark.parametrize("name", ["one_hot", "take_along_axis", "take", "in_top_k", *_SEGMENTS, "bincount"])
def case_labels_in_eight_bits(name):
    """Every op accepts uint8 labels, as image files contain them."""
    labels = ops.convert_to_tensor(np.array([2, 0], dtype="uint8"))
    of_each = ops.convert_to_tensor(np.array([2, 0, 1], dtype="uint8"))  # backends differ in what a class without examples has
    scores = np.array([[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]], dtype="float32")
    compute = {
        "one_hot": lambda: ops.one_hot(labels, 3),
        "take_along_axis": lambda: ops.take_along_axis(scores, labels[:, None], axis=-1),
        "take": lambda: ops.take(scores[0], labels),
        "in_top_k": lambda: ops.in_top_k(labels, scores, 1),
        "segment_sum": lambda: ops.segment_sum(np.array([1.0, 2.0], dtype="float32"), labels, num_segments=3),
        "segment_max": lambda: ops.segment_max(np.array([1.0, 2.0, 3.0], dtype="float32"), of_each, num_segments=3),
        "segment_min": lambda: ops.segment_min(np.array([1.0, 2.0, 3.0], dtype="float32"), of_each, num_segments=3),
        "segment_prod": lambda: ops.segment_prod(np.array([1.0, 2.0, 3.0], dtype="float32"), of_each, num_segments=3),
        "bincount": lambda: ops.bincount(labels, minlength=3),
    }[name]
    reference = {
        "one_hot": [[0.0, 0, 1], [1, 0, 0]],
        "take_along_axis": [[0.7], [0.1]],
        "take": [0.7, 0.1],
        "in_top_k": [True, False],
        "segment_sum": [2.0, 0.0, 1.0],
        "segment_max": [2.0, 3.0, 1.0],
        "segment_min": [2.0, 3.0, 1.0],
        "segment_prod": [2.0, 3.0, 1.0],
        "bincount": [1, 0, 1],
    }[name]
    return ValueCase(lambda: {"result": compute()}, reference={"value/result": np.array(reference)})


@pytest.mark.parametrize("name", ["one_hot", "take", "bincount", "unique", "maximum", "add", "cumsum"])
def case_yes_or_no_as_bool(name):
    """Every op treats boolean labels as the classes 1 and 0, as `fit` does."""
    labels = ops.convert_to_tensor(np.array([True, False, True]))
    compute = {
        "one_hot": lambda: ops.one_hot(labels, 2),
        "take": lambda: ops.take(np.array([0.25, 0.75], dtype="float32"), labels),
        "bincount": lambda: ops.bincount(labels),
        "unique": lambda: ops.unique(labels),
        "maximum": lambda: ops.maximum(labels, ops.logical_not(labels)),
        "add": lambda: ops.add(labels, labels),
        "cumsum": lambda: ops.cumsum(labels),
    }[name]
    reference = {
        "one_hot": [[0.0, 1], [1, 0], [0, 1]],
        "take": [0.75, 0.25, 0.75],
        "bincount": [1, 2],
        "unique": [False, True],
        "maximum": [True, True, True],
        "add": [True, False, True],  # NumPy's sum of two bools is their "or"
        "cumsum": [1, 1, 2],
    }[name]
    return ValueCase(lambda: {"result": compute()}, reference={"value/result": np.array(reference)})


@pytest.mark.parametrize("how", ["mask_times_loss", "loss_times_mask", "one_minus_mask"])
def case_a_boolean_mask_in_an_expression(how):
    """As people write it: `mask * loss` with a boolean mask keeps the losses of the known labels."""

    def loss(y_true, y_pred):
        mask, error = ops.greater_equal(y_true, 0), ops.square(y_pred - y_true)
        if how == "mask_times_loss":
            return mask * error
        return error * mask if how == "loss_times_mask" else error * (1 - ops.cast(1 - mask, "float32"))

    return LossCase(
        loss=loss,
        y_true=np.array([1.0, 0.0, -1.0], dtype="float32"),
        y_pred=np.array([0.5, 0.5, 0.5], dtype="float32"),
        reference={"loss": 0.5 / 3, "gradient/y_pred": np.array([-1.0, 1.0, 0.0]) / 3},
    )


@pytest.mark.parametrize("label", [9, 31, 32])
def case_a_label_as_a_bit(label):
    """Shifting 1 to bit k gives 0 if the type has no bit k, as in NumPy; it does not set another bit."""
    dtype = "uint8" if label < 31 else "int32"
    first_bit, places = np.array([1], dtype=dtype), np.array([label], dtype=dtype)
    with np.errstate(over="ignore"):
        reference = np.left_shift(first_bit, places)
    return ValueCase(lambda: {"flags": ops.left_shift(first_bit, places)}, reference={"value/flags": reference})


def case_a_share_of_no_examples():
    """Integer division by the 0 examples of an absent class is refused, or gives 0 as in NumPy, not a negative number."""
    hits, n_examples = np.array([0, 3], dtype="int32"), np.array([0, 3], dtype="int32")
    return ValueCase(lambda: {"share": ops.floor_divide(hits, n_examples)})


def case_the_remainder_of_negative_labels():
    """The remainders of labels -1 and -4 by 3 are 2, as in Python, and the quotients are -1 and -2."""
    labels = np.array([-1, -4, 4], dtype="int32")
    return ValueCase(
        lambda: {"remainder": ops.mod(labels, 3), "quotient": ops.floor_divide(labels, 3)},
        reference={"value/remainder": labels % 3, "value/quotient": labels // 3},
    )


def case_two_ids_that_float32_cannot_tell_apart():
    """An integer id equals a float only if the values are equal: 2^24 + 1 is not 2^24."""
    return ValueCase(
        lambda: {"same": ops.equal(np.array([2**24 + 1], dtype="int32"), np.array([2**24], dtype="float32"))},
        reference={"value/same": np.array([False])},
    )


def case_hinge_of_predicted_signs():
    """`hinge` takes predictions that are signs themselves, -1 and 1 as integers: a right one costs 0, a wrong one 2."""
    signs = np.array([[1], [-1], [-1]], dtype="int32")
    predicted = np.array([[1], [1], [-1]], dtype="int32")
    return ValueCase(
        lambda: {"losses": losses.hinge(signs, ops.convert_to_tensor(predicted))},
        reference={"value/losses": np.array([0.0, 2.0, 0.0])},
    )


def case_focal_loss_of_predicted_answers():
    """A focal loss of predictions in uint8, as an image file gives them, is refused or positive: it is never negative."""

    def compute():
        predicted = ops.convert_to_tensor(np.array([[1, 1]], dtype="uint8"))  # half of the probability for each class
        return {"is_negative": losses.categorical_focal_crossentropy(np.array([[1, 0]]), predicted) < 0}

    return ValueCase(compute, reference={"value/is_negative": np.array([False])})


@pytest.mark.parametrize("loss", ["binary", "categorical"])
@pytest.mark.parametrize("dtype", ["int32", "float64"])
def case_labels_of_an_own_loss(loss, dtype):
    """As people write it: `ops.binary_crossentropy` takes labels in the types that NumPy gives them, as the losses do."""
    labels = np.array([[1, 0], [0, 1]], dtype=dtype)
    predicted = np.array([[0.8, 0.2], [0.4, 0.6]], dtype="float32")
    each = -np.log(np.array([0.8, 0.6]))
    cross_entropy = ops.binary_crossentropy if loss == "binary" else ops.categorical_crossentropy
    return ValueCase(
        lambda: {"mean": ops.mean(cross_entropy(labels, ops.convert_to_tensor(predicted)))},
        reference={"value/mean": each.mean()},
    )


def case_distance_of_gray_values():
    """`mean_absolute_error` of gray values 3 and 5 in uint8, as an image file gives them, is 2."""
    predicted = np.array([[5]], dtype="uint8")
    return ValueCase(
        lambda: {"error": losses.mean_absolute_error(np.array([[3]]), ops.convert_to_tensor(predicted))},
        reference={"value/error": np.array([2.0])},
    )
