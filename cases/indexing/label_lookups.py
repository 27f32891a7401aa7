"""Looking something up by label: a probability, a class weight, an embedding, the new id of an old class.

What goes wrong in practice: a label outside the table. A lookup that raises is noticed on the first day. A lookup
that reads another row, or returns NaN or the smallest integer, trains on it. On TensorFlow it depends on the
compiler. Op by op and in a plain graph the lookup raises. Under XLA (`jit_compile=True`, the default of `compile`
where it can) it reads the last row.
"""

import keras
import numpy as np
import pytest
from keras import ops

from backendcheck import LossCase, Raises, ValueCase

ANIMALS = ["cat", "dog", "fox"]
PROBABILITIES = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.5, 0.25, 0.25]], dtype="float32")


def log_loss_by_lookup(y_true, y_pred):
    """Minus the logarithm of the probability in the column of the true class."""
    columns = ops.expand_dims(ops.cast(y_true, "int32"), -1)  # Keras passes labels to a loss in its float type
    return -ops.log(ops.take_along_axis(y_pred, columns, axis=-1))[:, 0]


def case_the_probability_of_the_true_class():
    """On valid labels, looking up the probability gives the cross-entropy, gradient included."""
    labels = np.array([2, 0, 1], dtype="int32")
    gradient = np.zeros((3, 3))
    gradient[np.arange(3), labels] = -1 / PROBABILITIES[np.arange(3), labels] / 3
    return LossCase(
        loss=log_loss_by_lookup,
        y_true=labels,
        y_pred=PROBABILITIES,
        class_names=ANIMALS,
        reference={"loss": -np.log([0.5, 0.6, 0.25]).mean(), "gradient/y_pred": gradient},
    )


@pytest.mark.parametrize("label", [pytest.param(3, id="one_past"), pytest.param(-1, id="minus_one")])
def case_the_probability_of_a_class_that_is_not_there(label):
    """`take_along_axis` refuses a label that names no class; any other answer is the loss of another class."""
    return LossCase(
        loss=log_loss_by_lookup,
        y_true=np.array([2, 0, label], dtype="int32"),
        y_pred=PROBABILITIES,
        class_names=ANIMALS,
        expect=Raises(),
    )


@pytest.mark.parametrize("lookup", ["class_weight", "new_class_id", "embedding"])
def case_a_row_that_is_not_there(lookup):
    """`take` and `Embedding` refuse label 3 of a table with three rows."""
    labels = np.array([0, 3, 1], dtype="int32")

    def compute():
        if lookup == "class_weight":
            return {"weights": ops.take(np.array([1.0, 2.0, 4.0], dtype="float32"), labels)}
        if lookup == "new_class_id":
            return {"labels": ops.take(np.array([20, 10, 0], dtype="int32"), labels)}
        return {"embedding": embedding_of_three_rows()(labels)}

    return ValueCase(compute, expect=Raises())


def case_a_nan_label_for_an_embedding():
    """`Embedding` refuses a NaN label; it does not take it for class 0."""
    return ValueCase(lambda: {"embedding": embedding_of_three_rows()(np.array([2.0, np.nan], dtype="float32"))}, expect=Raises())


@pytest.mark.parametrize("name", ["take", "take_along_axis"])
def case_a_lookup_by_a_fraction(name):
    """A lookup by label 1.9 is refused; the label is not truncated to class 1."""
    table, labels = np.array([10.0, 20.0, 30.0], dtype="float32"), np.array([0.0, 1.9], dtype="float32")
    look_up = {"take": ops.take, "take_along_axis": ops.take_along_axis}[name]
    return ValueCase(lambda: {"looked_up": look_up(table, labels, axis=0)}, expect=Raises())


def case_a_negative_label_in_the_flattened_table():
    """Without an axis `take_along_axis` reads the flattened table, and -1 is its last element, as in NumPy."""
    table = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype="float32")
    return ValueCase(
        lambda: {"looked_up": ops.take_along_axis(table, np.array([5, -1], dtype="int32"), axis=None)},
        reference={"value/looked_up": np.array([6.0, 6.0])},
    )


@pytest.mark.parametrize("how", ["slice", "slice_update", "get_item"])
def case_past_the_last_label(how):
    """Two labels from position 3 of four, or label 4 of four, are refused; the window does not move back."""
    labels = np.array([0, 1, 2, 0], dtype="int32")

    def compute():
        if how == "slice":
            return {"labels": ops.slice(ops.convert_to_tensor(labels), (3,), (2,))}
        if how == "slice_update":
            return {"labels": ops.slice_update(ops.convert_to_tensor(labels), (3,), np.array([7, 8], dtype="int32"))}
        return {"label": ops.get_item(ops.convert_to_tensor(labels), 4)}

    return ValueCase(compute, expect=Raises())


@pytest.mark.parametrize("name", ["take", "take_along_axis"])
def case_a_label_far_below_zero(name):
    """`take` and `take_along_axis` refuse the negative label -100 of a table with three rows."""
    table, labels = np.array([10.0, 20.0, 30.0], dtype="float32"), np.array([0, -100], dtype="int32")
    look_up = {"take": ops.take, "take_along_axis": ops.take_along_axis}[name]
    return ValueCase(lambda: {"looked_up": look_up(table, labels, axis=0)}, expect=Raises())


def case_a_negative_label_for_all_rows():
    """Without an axis `take` reads the flattened table as well, and the negative label -1 is its last element."""
    table = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype="float32")
    labels = np.array([5, -1], dtype="int32")
    return ValueCase(lambda: {"looked_up": ops.take(table, labels)}, reference={"value/looked_up": np.array([6.0, 6.0])})


def case_the_last_of_two_hundred_rows():
    """Label -1 reads the last row of 200, even if the labels are int8, which has no 199."""
    table, labels = np.arange(200.0, dtype="float32"), np.array([-1, 0], dtype="int8")
    return ValueCase(lambda: {"looked_up": ops.take(table, labels)}, reference={"value/looked_up": np.array([199.0, 0.0])})


@pytest.mark.parametrize("labels", [pytest.param([[4], [5]], id="a_column"), pytest.param(4, id="one_number")])
def case_row_and_column_of_a_flat_label(labels):
    """`unravel_index` finds label 4 of a table (2, 3) in row 1 and column 1, whatever the shape of the labels."""
    labels = np.array(labels, dtype="int32")
    row, column = np.unravel_index(labels, (2, 3))

    def compute():
        found_row, found_column = ops.unravel_index(ops.convert_to_tensor(labels), (2, 3))
        return {"row": found_row, "column": found_column}

    return ValueCase(compute, reference={"value/row": row, "value/column": column})


def case_the_row_of_a_hashed_label():
    """`unravel_index` finds a hashed label of a table with four billion columns, and the column has the type of the label."""
    label = np.array([3 * 2**31], dtype="int64")

    def compute():
        row, column = ops.unravel_index(label, (2, 2**32))
        return {"row": row, "column": column}

    return ValueCase(compute, reference={"value/row": np.array([1]), "value/column": np.array([2**31])})


@pytest.mark.parametrize("label", [pytest.param(6, id="past_the_end"), pytest.param(-7, id="negative")])
def case_a_flat_label_that_is_not_there(label):
    """`unravel_index` refuses label 6 of a table (2, 3), and the negative label -7, as NumPy does."""
    return ValueCase(lambda: {"row": ops.unravel_index(np.array([4, label], dtype="int32"), (2, 3))[0]}, expect=Raises())


def embedding_of_three_rows():
    """An embedding whose row for class k is (2 k, 2 k + 1)."""
    layer = keras.layers.Embedding(3, 2)
    layer.build((None,))
    layer.embeddings.assign(np.arange(6.0).reshape(3, 2))
    return layer
