"""Plain arithmetic on labels: ids of 64 bits, seconds since 1970, and numbers that no label can be.

What goes wrong in practice: the lines that clean labels before a loss, such as `maximum(labels, 0)` or `labels // 2`, change
them. Nothing is raised, and what follows works with other labels.
"""

import keras
import numpy as np
import pytest

from backendcheck import Tolerance, ValueCase

_IDS = np.array([2**32 + 5, 3, 2**32 + 8], dtype="int64")
_OF_IDS = {
    "maximum": (lambda: keras.ops.maximum(_IDS, 0), _IDS),
    "clip": (lambda: keras.ops.clip(_IDS, 0, 9), [9, 3, 9]),
    "equal": (lambda: keras.ops.equal(_IDS, 5), [False, False, False]),
    "greater": (lambda: keras.ops.greater(_IDS, 5), [True, False, True]),
    "subtract": (lambda: keras.ops.subtract(_IDS, 1), _IDS - 1),
    "multiply": (lambda: keras.ops.multiply(_IDS, 2), _IDS * 2),
    "floor_divide": (lambda: keras.ops.floor_divide(_IDS, 2), _IDS // 2),
    "mod": (lambda: keras.ops.mod(_IDS, 7), _IDS % 7),
    "digitize": (lambda: keras.ops.digitize(_IDS, (1.0, 10.0)), [2, 1, 2]),
    "diff": (lambda: keras.ops.diff(_IDS), np.diff(_IDS)),
    "cumsum": (lambda: keras.ops.cumsum(_IDS), np.cumsum(_IDS)),
    "mean": (lambda: keras.ops.mean(_IDS), _IDS.mean()),
    "median": (lambda: keras.ops.median(_IDS), np.median(_IDS)),
    "sum": (lambda: keras.ops.sum(_IDS), _IDS.sum()),
    "max": (lambda: keras.ops.max(_IDS), _IDS.max()),
    "min": (lambda: keras.ops.min(_IDS[::2]), _IDS[::2].min()),
    "roll": (lambda: keras.ops.roll(_IDS, 1), np.roll(_IDS, 1)),
    "repeat": (lambda: keras.ops.repeat(_IDS, 2), np.repeat(_IDS, 2)),
}


@pytest.mark.parametrize("operation", list(_OF_IDS))
def case_an_id_beyond_32_bits(operation):
    """Wide ids, in int64, go through arithmetic as whole numbers do: the lower 32 bits alone would be another id."""
    compute, right = _OF_IDS[operation]
    return ValueCase(lambda: {"result": compute()}, reference={"value/result": np.array(right)})


_SECONDS = np.array([1.7e9 + 1, 1.7e9 + 2, 1.7e9 + 3], dtype="float64")
_OF_SECONDS = {
    "maximum": (lambda: keras.ops.maximum(_SECONDS, 0.0), _SECONDS),
    "floor_divide": (lambda: keras.ops.floor_divide(_SECONDS, 1.0), _SECONDS),
    "digitize": (lambda: keras.ops.digitize(_SECONDS, (1.7e9 + 2, 1.7e9 + 3)), [0, 1, 2]),
    "cumsum": (lambda: keras.ops.cumsum(_SECONDS), np.cumsum(_SECONDS)),
    "median": (lambda: keras.ops.median(_SECONDS), _SECONDS[1]),
    "quantile": (lambda: keras.ops.quantile(_SECONDS, 0.5), _SECONDS[1]),
    "mean": (lambda: keras.ops.mean(_SECONDS), _SECONDS[1]),
    "matmul": (lambda: keras.ops.matmul(_SECONDS[:, None], np.ones((1, 1))), _SECONDS[:, None]),
}


@pytest.mark.parametrize("operation", list(_OF_SECONDS))
def case_a_time_in_float64(operation):
    """Wide numbers such as seconds since 1970, in float64, keep their last digits.

    Between 1.7e9 and the next number of float32 there are 128 seconds.
    """
    compute, right = _OF_SECONDS[operation]
    return ValueCase(
        lambda: {"result": compute()},
        reference={"value/result": np.array(right)},
        tolerance=Tolerance(rtol=0, atol=0.5),
    )


def case_a_dense_layer_in_float64():
    """A dense layer in float64 that has no bias adds up in float64: an offset of 2^-30 beside 1 is left."""

    def compute():
        layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", dtype="float64")
        total = layer(np.array([[1.0, 2.0**-30, -1.0]]))
        return {"is_positive": total > 0}

    return ValueCase(compute, reference={"value/is_positive": np.array([[True]])})


_LABELS = {"long": np.array([0, 1, 2], dtype="int64"), "double": np.array([0, 1, 2], dtype="float64")}
_OPERATIONS = {
    "maximum": lambda labels: keras.ops.maximum(labels, 0),
    "floor_divide": lambda labels: keras.ops.floor_divide(labels, 2),
    "cumsum": lambda labels: keras.ops.cumsum(labels),
    "median": lambda labels: keras.ops.median(labels),
    "quantile": lambda labels: keras.ops.quantile(labels, 0.25),
}


@pytest.mark.parametrize("width", list(_LABELS))
@pytest.mark.parametrize("operation", list(_OPERATIONS))
def case_a_result_is_as_wide_as_its_labels(operation, width):
    """The result has the type of its labels, or that of their mean, on every backend that has this type."""
    labels = _LABELS[width]
    return ValueCase(lambda: {"result": _OPERATIONS[operation](keras.ops.convert_to_tensor(labels))})


@pytest.mark.parametrize(("dtype", "label", "other"), [("uint8", 255, -1), ("int8", -1, 255), ("uint16", 65535, -1)])
def case_another_number_is_not_a_label(dtype, label, other):
    """A label is not equal to a number that its type cannot hold: a void pixel of 255 in uint8 is not -1."""
    labels = np.array([label, 1], dtype=dtype)
    return ValueCase(
        lambda: {"is_equal": keras.ops.equal(keras.ops.convert_to_tensor(labels), x2=other)},
        reference={"value/is_equal": np.array([False, False])},
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def case_an_unsigned_label_is_above_minus_one(dtype):
    """Each unsigned label is greater than -1, so that a search for known labels keeps all of them."""
    labels = np.array([0, 1], dtype=dtype)
    return ValueCase(
        lambda: {"is_kept": keras.ops.greater(keras.ops.convert_to_tensor(labels), x2=-1)},
        reference={"value/is_kept": np.array([True, True])},
    )


def case_the_rest_of_a_narrow_label():
    """The rest of a uint8 label divided by a Python number is uint8, as other results of such a label and a number are."""
    labels = np.array([1, 2], dtype="uint8")
    return ValueCase(lambda: {"rest": keras.ops.mod(keras.ops.convert_to_tensor(labels), 2)})
