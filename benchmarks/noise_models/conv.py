"""Convolutions: shallow and deep, with and without batch norm."""

import keras
import pytest
from _layers import conv, images, integers, one_hot

from backendcheck import ModelCase


@pytest.mark.parametrize(("depth", "n"), [(1, 1), (4, 8), (4, 64)])
def case_conv(rng, depth, n):
    """Integer labels of images."""
    return ModelCase(conv(depth), "sparse_categorical_crossentropy", images(rng, n), integers(rng, n), metrics=["accuracy"])


def case_conv_of_512(rng):
    """A batch of 512 images."""
    return ModelCase(conv(1), "categorical_crossentropy", images(rng, 512), one_hot(rng, 512), metrics=["accuracy"])


def case_batch_norm(rng):
    """A batch norm behind each of three convolutions."""
    model = conv(3, between=keras.layers.BatchNormalization)
    return ModelCase(model, "categorical_crossentropy", images(rng, 64), one_hot(rng, 64), metrics=["accuracy"])
