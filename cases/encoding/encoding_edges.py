"""Encoders and lookups at their edges: no labels at all, narrow types, -1 as a class, tensors instead of arrays.

What goes wrong in practice: an example without a tag; labels -1 and +1 of a yes-or-no question; a vocabulary of
ratings 1.5 and 2.5. Several of these are wrong on every backend alike, so comparing backends finds nothing.
"""

import keras
import numpy as np
import pytest
from keras import ops

from backendcheck import Raises, ValueCase


@pytest.mark.parametrize("how", ["multi_hot", "CategoryEncoding", "Discretization"])
def case_an_example_without_a_tag(how):
    """The multi-hot labels of an example whose list of tags is empty are zeros."""
    tags = np.zeros((2, 0), dtype="float32" if how == "Discretization" else "int32")
    encode = {
        "multi_hot": lambda tags: ops.multi_hot(tags, 3),
        "CategoryEncoding": keras.layers.CategoryEncoding(3, output_mode="multi_hot"),
        "Discretization": keras.layers.Discretization([1.0, 2.0], output_mode="multi_hot"),
    }[how]
    return ValueCase(lambda: {"labels": encode(tags)}, reference={"value/labels": np.zeros((2, 3))})


def case_more_classes_than_the_type_holds():
    """A one-hot row of 300 classes contains exactly one 1, even if the labels are uint8."""
    labels = np.array([10, 200], dtype="uint8")
    return ValueCase(
        lambda: {"row_sum": ops.sum(ops.one_hot(ops.convert_to_tensor(labels), 300), axis=-1)},
        reference={"value/row_sum": np.array([1.0, 1.0])},
    )


def case_minus_one_in_eight_bits():
    """The one-hot row of -1 is zeros for int8 labels as for any other type; -1 is not class 255 of 300."""
    return ValueCase(
        lambda: {"row_sum": ops.sum(ops.one_hot(ops.convert_to_tensor(np.array([5, -1], dtype="int8")), 300), axis=-1)},
        reference={"value/row_sum": np.array([1.0, 0.0])},
    )


def case_one_past_the_last_tag():
    """`multi_hot` encodes tag 3 of three the same on every backend."""
    return {"labels": ops.multi_hot(np.array([[0, 3], [1, 2]], dtype="int32"), 3)}


def case_a_nan_tag():
    """`CategoryEncoding` refuses a NaN tag; it does not drop it or take it for class 0."""
    layer = keras.layers.CategoryEncoding(3, output_mode="multi_hot")
    return ValueCase(lambda: {"labels": layer(np.array([[np.nan, 1.0]], dtype="float32"))}, expect=Raises())


@pytest.mark.parametrize("dtype", ["bool", "uint8"])
@pytest.mark.parametrize("mode", ["one_hot", "multi_hot"])
def case_category_encoding_of_narrow_labels(mode, dtype):
    """`CategoryEncoding` accepts labels of type bool and uint8."""
    labels = np.array([[1], [0]]).astype(dtype)
    layer = keras.layers.CategoryEncoding(2, output_mode=mode)
    return ValueCase(lambda: {"rows": layer(labels)}, reference={"value/rows": np.array([[0.0, 1.0], [1.0, 0.0]])})


def case_to_categorical_of_minus_one_as_a_tensor():
    """`to_categorical` encodes -1 in a tensor as it encodes -1 in an array."""

    def compute():
        labels = np.array([0, -1], dtype="int32")
        from_tensor = keras.utils.to_categorical(ops.convert_to_tensor(labels), 3)
        difference = ops.convert_to_numpy(from_tensor).astype("float32") - keras.utils.to_categorical(labels, 3)
        return {"difference": np.abs(difference).max(axis=-1)}

    return ValueCase(compute, reference={"value/difference": np.zeros(2)})


def case_to_categorical_counts_the_classes_of_a_tensor():
    """Without `num_classes`, `to_categorical` counts the classes of a tensor as it does for an array."""

    def compute():
        rows = keras.utils.to_categorical(ops.convert_to_tensor(np.array([2, 0, 1], dtype="int32")))
        return {"rows": ops.cast(rows, "float32")}

    return ValueCase(compute, reference={"value/rows": np.eye(3)[[2, 0, 1]]})


def case_yes_and_no_as_plus_and_minus_one():
    """`IntegerLookup` distinguishes label -1 of its vocabulary from an unknown label."""

    def compute():
        labels = keras.layers.IntegerLookup(vocabulary=[-1, 1])(np.array([-1, 1, 7]))
        return {"labels": ops.cast(labels, "int32")}

    return ValueCase(compute, reference={"value/labels": np.array([1, 2, 0])})


@pytest.mark.parametrize("what", ["vocabulary", "labels"])
def case_ratings_by_halves(what):
    """`IntegerLookup` refuses a vocabulary of 1.5 and 2.5, and labels 10.5 and 20.5; it does not truncate them."""

    def compute():
        if what == "vocabulary":
            return {"labels": keras.layers.IntegerLookup(vocabulary=[1.5, 2.5])(np.array([1, 2]))}
        return {"labels": keras.layers.IntegerLookup(vocabulary=[10, 20])(np.array([10.5, 20.5]))}

    return ValueCase(compute, expect=Raises())


def case_padding_sequences_of_confidences():
    """`pad_sequences` keeps confidences 0.7 and 0.2, or refuses them; it does not turn them into 0."""
    sequences = [[0.7], [0.2, 0.9]]
    return ValueCase(
        lambda: {"padded": keras.utils.pad_sequences(sequences)}, reference={"value/padded": np.array([[0.0, 0.7], [0.2, 0.9]])}
    )


def case_masking_steps_that_are_nan():
    """`Masking(mask_value=nan)` masks a step in which every feature is NaN."""
    steps = np.array([[[1.0, 2.0], [np.nan, np.nan]]], dtype="float32")
    layer = keras.layers.Masking(mask_value=float("nan"))
    return ValueCase(lambda: {"mask": layer.compute_mask(steps)}, reference={"value/mask": np.array([[True, False]])})


def case_masking_steps_of_almost_nothing():
    """`Masking` masks steps of 0.0 and of -0.0, and keeps a step whose feature is tiny but not 0."""
    steps = np.array([[[0.0], [-0.0], [1e-40]]], dtype="float32")
    return ValueCase(
        lambda: {"mask": keras.layers.Masking(mask_value=0.0).compute_mask(steps)},
        reference={"value/mask": np.array([[False, False, True]])},
    )


def case_the_average_of_an_empty_sentence():
    """A sentence with every word masked has a finite average; it does not turn the loss of its batch into NaN."""

    def compute():
        words = np.array([[[1.0], [3.0]], [[1.0], [3.0]]], dtype="float32")
        mask = ops.convert_to_tensor(np.array([[True, False], [False, False]]))
        return {"finite": ops.isfinite(keras.layers.GlobalAveragePooling1D()(ops.convert_to_tensor(words), mask=mask))}

    return ValueCase(compute, reference={"value/finite": np.array([[True], [True]])})


def case_batch_statistics_of_the_words():
    """`BatchNormalization` of one feature, with a mask, uses the mean and variance of the words, not of the padding."""
    words = np.array([[[1.0], [2.0], [9.0]], [[3.0], [9.0], [9.0]]], dtype="float32")
    mask = np.array([[True, True, False], [True, False, False]])

    def compute():
        layer = keras.layers.BatchNormalization(momentum=0.0)
        layer(ops.convert_to_tensor(words), training=True, mask=ops.convert_to_tensor(mask))
        return {"mean": layer.moving_mean, "variance": layer.moving_variance}

    return ValueCase(compute, reference={"value/mean": np.array([2.0]), "value/variance": np.array([2 / 3])})


@pytest.mark.parametrize("mode", ["multi_hot", "count"])
def case_the_tags_of_each_step(mode):
    """`CategoryEncoding` of tags (N, T, K) joins the K tags of each step, the last axis, as documented."""
    tags = np.array([[[1, 1], [2, 0]]], dtype="int32")
    counts = np.array([[[0.0, 2.0, 0.0], [1.0, 0.0, 1.0]]])
    expected = counts if mode == "count" else np.minimum(counts, 1.0)
    layer = keras.layers.CategoryEncoding(3, output_mode=mode)
    return ValueCase(lambda: {"tags": layer(tags)}, reference={"value/tags": expected})


def case_the_classes_before_the_steps():
    """`one_hot(axis=-2)` puts the classes before the steps, which gives (N, C, T); or it is refused."""
    labels = np.array([[0, 2], [1, 1]], dtype="int32")
    return ValueCase(
        lambda: {"rows": ops.one_hot(ops.convert_to_tensor(labels), 3, axis=-2)},
        reference={"value/rows": np.eye(3)[labels].transpose(0, 2, 1)},
    )
