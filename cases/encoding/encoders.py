"""Integers to one-hot rows: `to_categorical`, `one_hot` and `CategoryEncoding` on labels that do not fit.

What goes wrong in practice: the number of classes is guessed from the labels at hand, which lack the last class or
leave gaps. A label outside the range becomes a row of zeros, the last class or an error. A float label is truncated.
"""

import keras
import numpy as np
import pytest
from keras import ops

from backendcheck import Raises, ValueCase


def case_valid_labels():
    """On valid labels all three encoders give the same rows.

    Scenario: L2
    """
    labels = np.array([2, 0, 1, 2], dtype="int32")

    def compute():
        return {
            "to_categorical": keras.utils.to_categorical(labels, 3),
            "one_hot": ops.one_hot(labels, 3),
            "category_encoding": keras.layers.CategoryEncoding(num_tokens=3, output_mode="one_hot")(labels),
        }

    rows = np.eye(3)[labels]
    return ValueCase(compute, reference={f"value/{name}": rows for name in ("to_categorical", "one_hot", "category_encoding")})


def case_too_few_classes_for_to_categorical():
    """`to_categorical` refuses label 3 of three classes.

    Scenario: L2
    """
    return ValueCase(lambda: {"rows": keras.utils.to_categorical([0, 3, 1], 3)}, expect=Raises())


def case_too_few_classes_for_one_hot():
    """`one_hot` encodes label 3 of three classes as a row of zeros.

    Scenario: L2
    """
    return ValueCase(
        lambda: {"rows": ops.one_hot(np.array([0, 3, 1], dtype="int32"), 3)},
        reference={"value/rows": np.array([[1.0, 0, 0], [0, 0, 0], [0, 1.0, 0]])},
    )


def case_too_few_classes_for_category_encoding():
    """`CategoryEncoding` refuses label 3 of three classes, as documented.

    Scenario: L2
    """
    return ValueCase(
        lambda: {"rows": keras.layers.CategoryEncoding(3, output_mode="one_hot")(np.array([0, 3, 1]))},
        expect=Raises(),
    )


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot"])
def case_a_negative_label_for_category_encoding(mode):
    """`CategoryEncoding` refuses label -1, as documented.

    Scenario: L2
    """
    labels = np.array([0, -1, 1]) if mode == "one_hot" else np.array([[0, 1], [-1, 1]])
    return ValueCase(
        lambda: {"rows": keras.layers.CategoryEncoding(3, output_mode=mode)(labels)},
        expect=Raises(),
    )


def case_float_labels_for_to_categorical():
    """`to_categorical` refuses label 1.9; it does not truncate it to class 1.

    Scenario: L2
    """
    return ValueCase(lambda: {"rows": keras.utils.to_categorical([0.0, 1.9, 2.0], 3)}, expect=Raises())


def case_whole_floats_for_one_hot():
    """`one_hot` encodes whole floats, as a CSV file gives them, as the row of their class.

    Scenario: L2
    """
    return ValueCase(
        lambda: {"rows": ops.one_hot(np.array([2.0, 0.0], dtype="float32"), 3)},
        reference={"value/rows": np.eye(3)[[2, 0]]},
    )


def case_fractional_labels_for_one_hot():
    """`one_hot` refuses label 1.9, or encodes it the same on every backend.

    Scenario: L2
    """
    return {"rows": ops.one_hot(np.array([0.0, 1.9], dtype="float32"), 3)}


@pytest.mark.parametrize("mode", ["one_hot", "count"])
def case_fractional_labels_for_category_encoding(mode):
    """`CategoryEncoding` refuses label 1.9, a fraction, or encodes it the same on every backend."""
    return {"rows": keras.layers.CategoryEncoding(3, output_mode=mode)(np.array([0.0, 1.9], dtype="float32"))}


def case_a_guessed_number_of_classes():
    """As people write it: without `num_classes` the number of columns is the largest label at hand plus one.

    Four-class data gives 3 columns in a batch without class 3. Gaps count: labels 0, 5 and 2 give six columns.

    Scenario: L2
    """
    return ValueCase(
        lambda: {
            "last_class_absent": keras.utils.to_categorical([0, 2, 1]),
            "gaps": keras.utils.to_categorical([0, 5, 2]),
        },
        reference={"value/last_class_absent": np.eye(3)[[0, 2, 1]], "value/gaps": np.eye(6)[[0, 5, 2]]},
    )


def case_to_categorical_of_a_tensor():
    """`to_categorical` gives a tensor of labels the same rows, of the same type, as an array of labels.

    Scenario: L2
    """

    def compute():
        labels = ops.convert_to_tensor(np.array([2, 0, 1], dtype="int32"))
        return {"rows": keras.utils.to_categorical(labels, 3)}

    return ValueCase(compute, reference={"value/rows": np.eye(3)[[2, 0, 1]]})
