"""Labels in a type that cannot hold them: 64-bit ids, class numbers in 16-bit floats, differences of unsigned integers.

What goes wrong in practice: the loss, the metric or the backend casts a label, and the result is another label.
Nothing is raised, and the number at the end looks normal.
"""

import keras
import numpy as np
import pytest

from backendcheck import LossCase, Raises, Tolerance, ValueCase


def case_a_hashed_label_is_not_class_one():
    """Label 2^32 + 1, a hash instead of a class, is rejected.

    Its lower 32 bits alone would be class 1.
    """
    return LossCase(
        loss="sparse_categorical_crossentropy",
        y_true=np.array([0, 2**32 + 1, 2], dtype="int64"),
        y_pred=np.array([[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]], dtype="float32"),
        class_names=["cat", "dog", "fox"],
        expect=Raises(),
    )


@pytest.mark.parametrize("metric", ["Accuracy", "SparseTopKCategoricalAccuracy"])
@pytest.mark.parametrize("bits", [24, 32])
def case_different_ids_do_not_match(metric, bits):
    """Two different ids do not match, even where the type that they are cast to makes them equal.

    float32 cannot represent 2^24 + 1, and 32-bit integers cannot represent 2^32 + 1. Such ids must be refused or told
    apart. Item ids of a recommender are used directly as labels and as the ranked predictions (`from_sorted_ids`).
    """
    base = 2**32 if bits == 32 else 2**24
    wanted = np.array([base + 1, 5], dtype="int64")
    ranked = np.array([[1 if bits == 32 else base, 2], [5, 3]], dtype="int64" if bits == 32 else "float32")

    def compute():
        if metric == "Accuracy":
            counted = keras.metrics.Accuracy()
            counted.update_state(wanted, ranked[:, 0])
        else:
            counted = keras.metrics.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True)
            counted.update_state(wanted, ranked)
        return {"share": counted.result()}

    return ValueCase(compute, reference={"value/share": np.array(0.5)})


def case_two_people_are_not_one():
    """With ids above 2^24, `keras.losses.Circle` gives the same loss as with small ids.

    The class casts labels to float32 first, which cannot represent 16777217: two people become one.
    """
    identity = np.array([2**24, 2**24 + 1, 1, 1], dtype="int32")
    embeddings = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]], dtype="float32")

    def compute():
        small = np.array([3, 2, 1, 1], dtype="int32")  # the same people, numbered small
        loss = keras.losses.Circle(reduction="none")
        return {"large_ids": loss(identity, embeddings), "as_small_ids": loss(small, embeddings) - loss(identity, embeddings)}

    return ValueCase(compute, reference={"value/as_small_ids": np.zeros(4)})


@pytest.mark.parametrize("quantity", ["loss", "accuracy"])
def case_class_257_in_bfloat16(quantity):
    """Class 257 stays class 257 where the computation is in bfloat16: labels are not cast to it.

    bfloat16 holds no odd number above 256. In the case of the loss, the loss computes in bfloat16. In the case of the
    accuracy, the predictions are in bfloat16, as a model in mixed precision gives them.
    """
    labels = np.array([257, 258])
    scores = np.zeros((2, 300), dtype="float32")
    scores[0, 257 if quantity == "loss" else 256] = 8.0
    scores[1, 258] = 8.0

    def compute():
        if quantity == "loss":
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="bfloat16", reduction="none")
            return {"cheap": keras.ops.cast(loss(labels, scores), "float32") < 1}
        accuracy = keras.metrics.SparseCategoricalAccuracy()
        accuracy.update_state(labels, keras.ops.cast(scores, "bfloat16"))
        return {"accuracy": accuracy.result()}

    if quantity == "loss":  # certain of the right class: log(1 + 299 exp(-8)) = 0.096
        return ValueCase(compute, reference={"value/cheap": np.array([True, True])})
    return ValueCase(compute, reference={"value/accuracy": np.array(0.5)})


def case_class_2049_in_half_precision():
    """As people write it: class 2049, stored as float16 to save memory, is still class 2049.

    float16 holds no odd number above 2048, so the label is class 2048 before Keras receives it.
    """
    scores = np.zeros((1, 2100))
    scores[0, 2049] = 8.0
    return LossCase(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        y_true=np.array([2049]).astype("float16"),
        y_pred=scores.astype("float32"),
        reference={"loss": np.log(np.exp(scores).sum()) - 8.0},
    )


@pytest.mark.parametrize("metric", ["MeanAbsoluteError", "MeanSquaredError", "RootMeanSquaredError"])
def case_difference_of_unsigned_labels(metric):
    """The error between grades 3 and 5 is 2, even if labels and predictions are unsigned 8-bit integers."""
    error = {
        "MeanAbsoluteError": keras.metrics.MeanAbsoluteError,
        "MeanSquaredError": keras.metrics.MeanSquaredError,
        "RootMeanSquaredError": keras.metrics.RootMeanSquaredError,
    }[metric]
    if metric == "MeanSquaredError":
        labels, predicted, exact = [[3], [100]], [[5], [120]], (2**2 + 20**2) / 2
    else:
        labels, predicted, exact = [[3], [5]], [[5], [3]], 2.0

    def compute():
        counted = error()
        counted.update_state(np.array(labels, dtype="uint8"), np.array(predicted, dtype="uint8"))
        return {"error": counted.result()}

    return ValueCase(compute, reference={"value/error": np.array(exact)})


def case_a_weight_that_needs_64_bits():
    """An example of weight 2^40 keeps that weight and is not dropped: in the weighted mean it decides alone."""
    return LossCase(
        loss=keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
        y_true=np.array([[1.0], [0.0]], dtype="float32"),
        y_pred=np.array([[0.5], [1.0]], dtype="float32"),
        sample_weight=np.array([2**40, 1], dtype="int64"),
        reference={"loss": 0.25},
    )


def case_counting_past_sixteen_million():
    """Five positives after the first 2^24 are counted: the sum is 2^24 + 5, although float32 has gaps there."""

    def compute():
        counted = keras.metrics.TruePositives()
        yes = np.ones(1, dtype="float32")
        counted.update_state(yes, yes, sample_weight=np.array([2**24], dtype="float32"))
        for _ in range(5):
            counted.update_state(yes, yes)
        return {"counted": counted.result()}

    return ValueCase(compute, reference={"value/counted": np.array(2.0**24 + 5)}, tolerance=Tolerance(rtol=0, atol=0.5))


@pytest.mark.parametrize("metric", ["MeanSquaredError", "BinaryCrossentropy"])
def case_metric_of_half_precision_predictions(metric):
    """A metric of float16 predictions is finite where the loss is finite.

    The predictions have an error of 300, or are certain and right. Losses cast predictions to float32 first. Models
    in mixed precision pass float16 to their metrics.
    """
    if metric == "MeanSquaredError":
        y_true, y_pred, exact = [[300.0], [0.0]], [[0.0], [0.0]], 45000.0
    else:
        y_true, y_pred, exact = [[1.0], [0.0]], [[1.0], [0.0]], 1e-7

    error = {"MeanSquaredError": keras.metrics.MeanSquaredError, "BinaryCrossentropy": keras.metrics.BinaryCrossentropy}[metric]

    def compute():
        counted = error()
        counted.update_state(np.array(y_true, dtype="float32"), np.array(y_pred, dtype="float16"))
        return {"error": counted.result()}

    return ValueCase(compute, reference={"value/error": np.array(exact)})


def case_a_loss_over_many_pixels_in_float16():
    """The mean error over 70000 pixels is right in float16, which can hold the mean but not the number of pixels."""
    n = 70000

    def compute():
        loss = keras.losses.MeanSquaredError(dtype="float16")
        return {"loss": loss(np.zeros((n, 1), dtype="float32"), np.full((n, 1), 0.25, dtype="float32"))}

    return ValueCase(compute, reference={"value/loss": np.array(0.0625)})
