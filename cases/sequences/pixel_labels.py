"""One label for each pixel: segmentation, with a convolution as its head.

What goes wrong in practice: the output of a convolution can have another order in memory than its axes say. PyTorch's
cross-entropy for integer labels then cannot compute the gradient, and the model does not train.
"""

import keras
import numpy as np
import pytest
from _data import digits

from backendcheck import ModelCase

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
