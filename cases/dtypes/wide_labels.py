"""Labels beyond 32 bits: ids of products, users, places.

What goes wrong in practice: ids such as 2^32 + 1 are ordinary int64 numbers in a database. JAX has 32-bit integers by
default and keeps the lower half, which is another id. Ops that cast to int32 do the same.
"""

import keras
import numpy as np
import pytest
from keras import ops

from backendcheck import Raises, ValueCase

WIDE = 2**32 + 1  # its lower 32 bits are 1


@pytest.mark.parametrize("name", ["one_hot", "take"])
def case_a_wide_label_is_not_class_one(name):
    """Label 2^32 + 1 of three classes is refused; it does not become class 1."""

    def compute():
        labels = ops.convert_to_tensor(np.array([WIDE], dtype="int64"))
        if name == "one_hot":
            return {"row": ops.one_hot(labels, 3)}
        return {"weight": ops.take(np.array([1.0, 2.0, 4.0], dtype="float32"), labels)}

    return ValueCase(compute, expect=Raises())


def case_a_wide_label_is_no_hit():
    """Label 2^32 + 1 of three classes is not in the top k, although class 1 is."""
    scores = np.array([[1.0, 5.0, 3.0]], dtype="float32")
    return ValueCase(
        lambda: {"hit": ops.in_top_k(ops.convert_to_tensor(np.array([WIDE], dtype="int64")), scores, 1)},
        reference={"value/hit": np.array([False])},
    )


@pytest.mark.parametrize("name", ["SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy"])
def case_a_wide_label_is_no_hit_of_a_metric(name):
    """Label 2^32 + 1 of three classes is never predicted, although class 1 is."""
    scores = np.array([[0.1, 0.7, 0.2]], dtype="float32")

    def compute():
        metric = {
            "SparseCategoricalAccuracy": keras.metrics.SparseCategoricalAccuracy,
            "SparseTopKCategoricalAccuracy": lambda: keras.metrics.SparseTopKCategoricalAccuracy(k=1),
        }[name]()
        metric.update_state(np.array([WIDE], dtype="int64"), scores)
        return {"accuracy": metric.result()}

    return ValueCase(compute, reference={"value/accuracy": np.array(0.0)})


def case_a_wide_label_as_a_tensor_is_no_hit():
    """Label 2^32 of two classes, made a tensor before the metric sees it, is never predicted, although class 0 is."""
    labels = np.array([2**32], dtype="int64")

    def compute():
        metric = keras.metrics.SparseCategoricalAccuracy()
        metric.update_state(ops.convert_to_tensor(labels), np.array([[0.7, 0.3]], dtype="float32"))
        return {"accuracy": metric.result()}

    return ValueCase(compute, reference={"value/accuracy": np.array(0.0)})


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
def case_category_encoding_of_a_wide_label(mode):
    """`CategoryEncoding` refuses label 2^32 + 1 of three classes, as documented; it does not become class 1."""
    layer = keras.layers.CategoryEncoding(3, output_mode=mode)
    return ValueCase(lambda: {"rows": layer(np.array([[WIDE]], dtype="int64"))}, expect=Raises())


@pytest.mark.parametrize("how", ["array", "list"])
def case_wide_ids_as_a_tensor(how):
    """A tensor of ids beyond 32 bits holds exactly these ids, or is refused."""
    ids = [WIDE, 2**31, 7]
    wide = ids if how == "list" else np.array(ids, dtype="int64")
    return ValueCase(lambda: {"ids": ops.convert_to_tensor(wide)}, reference={"value/ids": np.array(ids)})


@pytest.mark.parametrize("path", ["array", "tensor", "predict"])
def case_looking_up_a_wide_id(path):
    """`IntegerLookup` finds an id beyond 32 bits in its vocabulary: as an array, as a tensor, and through `predict`."""
    ids = np.array([[WIDE], [7], [1]], dtype="int64")

    def compute():
        lookup = keras.layers.IntegerLookup(vocabulary=[WIDE, 7])
        if path == "predict":
            inputs = keras.Input((1,), dtype="int64", name="id")
            return {"labels": keras.Model(inputs, lookup(inputs)).predict(ids, verbose=0)}
        return {"labels": lookup(ops.convert_to_tensor(ids) if path == "tensor" else ids)}

    return ValueCase(compute, reference={"value/labels": np.array([[1], [2], [0]])})


def case_from_a_class_back_to_a_wide_id():
    """`IntegerLookup(invert=True)` returns an id beyond 32 bits unchanged."""
    return ValueCase(
        lambda: {"ids": keras.layers.IntegerLookup(vocabulary=[WIDE, 7], invert=True)(np.array([1, 2]))},
        reference={"value/ids": np.array([WIDE, 7])},
    )


def case_the_bin_of_a_wide_id():
    """`digitize` puts an id that is larger than every edge into the last bin."""
    ids, edges = np.array([2**40, 1], dtype="int64"), np.array([10.0, 20.0], dtype="float32")
    return ValueCase(lambda: {"bins": ops.digitize(ids, edges)}, reference={"value/bins": np.array([2, 0])})


def case_the_largest_of_wide_scores():
    """`argmax` over 64-bit counts finds the largest."""
    counts = np.array([[2**40, 2**41, 3]], dtype="int64")
    return ValueCase(lambda: {"classes": ops.argmax(counts, axis=-1)}, reference={"value/classes": np.array([1])})


@pytest.mark.parametrize("name", ["sort", "argsort"])
def case_the_order_of_wide_ids(name):
    """`sort` and `argsort` put ids of 64 bits in order."""
    ids = np.array([2**41, 2**40 + 1, 3], dtype="int64")
    right = {"sort": np.sort(ids), "argsort": np.argsort(ids)}[name]
    return ValueCase(lambda: {"ids": {"sort": ops.sort, "argsort": ops.argsort}[name](ids)}, reference={"value/ids": right})


def case_wide_labels_on_the_way_to_the_loss():
    """`evaluate` passes a label of about 2^32 to the loss, rounded to float32; it does not pass a 1."""

    def compute():
        inputs = keras.Input((1,))
        model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
        model.compile(loss=lambda y_true, y_pred: ops.cast(y_true, "float32")[:, 0] + 0 * y_pred[:, 0])
        return {"mean_label": model.evaluate(np.zeros((1, 1), dtype="float32"), np.array([[WIDE]], dtype="int64"), verbose=0)}

    return ValueCase(compute, reference={"value/mean_label": np.array(float(np.float32(WIDE)))})


def case_a_range_of_wide_ids():
    """`arange` from 2^31 counts up from there; it does not start below zero."""
    return ValueCase(lambda: {"ids": ops.arange(2**31, 2**31 + 2)}, reference={"value/ids": np.array([2**31, 2**31 + 1])})
