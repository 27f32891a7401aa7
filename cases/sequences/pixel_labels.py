"""One label for each pixel: segmentation, with a convolution as its head.

What goes wrong in practice: the output of a convolution can have another order in memory than its axes say. PyTorch's
cross-entropy for integer labels then cannot compute the gradient, and the model does not train.
"""

import keras
import numpy as np
import pytest
from _data import digits

from backendcheck import ModelCase, ValueCase

PAPER_OR_INK = ["paper", "ink"]


def segmentation_model(activation):
    """A class for each pixel of an 8x8 image."""
    image = keras.Input((8, 8, 1), name="image")
    h = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="strokes")(image)
    return keras.Model(image, keras.layers.Conv2D(2, 1, activation=activation, name="pixel")(h))


def scans(rng):
    """Scanned digits (N, 8, 8, 1), and which of their pixels are ink (N, 8, 8)."""
    x, _ = digits(rng, 6)
    images = x[..., None]
    return images, (images[..., 0] > images.max() / 2).astype("int32")


LOSSES = {
    "integers_softmax": ("softmax", "sparse_categorical_crossentropy"),
    "integers_logits": (None, keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
    "one_hot_softmax": ("softmax", "categorical_crossentropy"),
    "one_hot_logits": (None, keras.losses.CategoricalCrossentropy(from_logits=True)),
}


@pytest.mark.parametrize("kind", LOSSES)
def case_a_label_for_each_pixel(rng, kind):
    """Labels of pixels, as integers or one-hot, give the same loss and gradient, and the model trains."""
    images, ink = scans(rng)
    activation, loss = LOSSES[kind]
    labels = np.eye(2, dtype="float32")[ink] if kind.startswith("one_hot") else ink
    return ModelCase(segmentation_model(activation), loss, images, labels, class_names=PAPER_OR_INK)


@pytest.mark.parametrize("axes", [1, 2, 3])
def case_a_label_for_each_place(rng, axes):
    """Labels along one, two and three axes train: a step of a series, a pixel of an image, a voxel of a scan."""
    convolution = [keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D][axes - 1]
    places = keras.Input((*(4,) * axes, 3), name="places")
    model = keras.Model(places, convolution(2, 1, activation="softmax", name="place")(places))
    x = rng.normal(size=(5, *(4,) * axes, 3)).astype("float32")
    return ModelCase(model, "sparse_categorical_crossentropy", x, (x.sum(-1) > 0).astype("int32"), class_names=["low", "high"])


SCANS = np.array([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], dtype="float32")  # two images of two pixels: healthy, tumor
SEGMENTED = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.7, 0.3], [0.6, 0.4]]], dtype="float32")


def overlap_of(y_true, y_pred):
    """Dice of some pixels by hand. With alpha and beta of 1/2, Tversky is the same."""
    return 1 - 2 * np.sum(y_true * y_pred) / (np.sum(y_true) + np.sum(y_pred))


@pytest.mark.parametrize("loss", ["Dice", "Tversky"])
def case_an_image_of_weight_zero(loss):
    """An image of weight 0 does not count: the overlap is that of the other one."""
    right = overlap_of(SCANS[0].astype("float64"), SEGMENTED[0])

    def compute():
        weights = np.array([2.0, 0.0], dtype="float32")
        return {"loss": getattr(keras.losses, loss)()(SCANS, SEGMENTED, sample_weight=weights)}

    return ValueCase(compute, reference={"value/loss": right})


@pytest.mark.parametrize("loss", ["Dice", "Tversky"])
def case_overlap_of_what_is_not_masked(loss):
    """The overlap of a segmented series is that of the steps that are there, not of the masked ones."""
    known = np.array([[True, False], [True, True]])
    series = keras.Input((2,), dtype="int32")
    model = keras.Model(series, keras.layers.Embedding(4, 2, mask_zero=True)(series))
    model.set_weights([np.concatenate([SEGMENTED[0][1:], SEGMENTED[0][:1], SEGMENTED[1]])])

    def compute():
        model.compile(loss=loss.lower())
        return {"loss": model.evaluate(np.array([[1, 0], [2, 3]]), SCANS, verbose=0)}

    return ValueCase(compute, reference={"value/loss": overlap_of(SCANS[known].astype("float64"), SEGMENTED[known])})


@pytest.mark.parametrize("loss", ["Dice", "Tversky"])
def case_a_scan_without_a_tumor(loss):
    """Of a scan without a tumor, and without one predicted, the overlap is complete, and the loss 0.

    Each scan has its own loss (`axis=1`). The other one has a tumor, and half of it is found.
    """
    tumor = np.array([[0, 0, 0], [1, 1, 0]], dtype="float32")
    found = np.array([[0, 0, 0], [1, 0, 0]], dtype="float32")

    def compute():
        return {"losses": getattr(keras.losses, loss)(axis=1, reduction="none")(tumor, found)}

    return ValueCase(compute, reference={"value/losses": np.array([0.0, overlap_of(tumor[1], found[1])])})
