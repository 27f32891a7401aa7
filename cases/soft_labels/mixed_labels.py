"""Labels that are drawn, shuffled, or mixed together with their images.

No two backends draw the same numbers. Keras promises only that one backend draws the same again for the same seed.
The cases claim what always holds: a shuffled row of labels is still a row, a drawn class exists, and mixed one-hot
labels sum to 1.
"""

import keras
import numpy as np
import pytest
from keras import ops

from backendcheck import Raises, ValueCase

ONE_HOT = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2, 0, 1]]


@pytest.mark.parametrize("axis", [0, 1])
def case_shuffled_labels_stay_whole(axis):
    """`keras.random.shuffle` moves whole rows (or columns): afterwards each of them is one of the original ones."""
    labels = np.arange(60, dtype="int32").reshape(20, 3)
    labels = labels if axis == 0 else labels.T

    def compute():
        shuffled = ops.convert_to_numpy(keras.random.shuffle(ops.convert_to_tensor(labels), axis=axis, seed=1))
        return {"all_whole": np.all(np.ptp(shuffled // 3, axis=1 - axis) == 0)}  # row i holds 3 i, 3 i + 1, 3 i + 2

    return ValueCase(compute, reference={"value/all_whole": np.array(True)})


def case_shuffling_again_with_the_same_seed():
    """The same seed gives the same shuffle again, and every label occurs once."""

    def compute():
        labels = ops.convert_to_tensor(np.arange(50, dtype="int32"))
        first, second = (ops.convert_to_numpy(keras.random.shuffle(labels, seed=3)) for _ in range(2))
        return {"same": np.array_equal(first, second), "sorted": np.sort(first)}

    return ValueCase(compute, reference={"value/same": np.array(True), "value/sorted": np.arange(50)})


@pytest.mark.parametrize(
    "logits",
    [
        pytest.param([-np.inf, -np.inf], id="nothing_possible"),
        pytest.param([np.nan, 0.0], id="nan"),
    ],
)
def case_drawing_a_class_from_nothing(logits):
    """`categorical` refuses logits that define no distribution; it does not draw a class, such as class 2 of two."""
    return ValueCase(
        lambda: {"classes": keras.random.categorical(np.array([logits], dtype="float32"), 5, seed=1)}, expect=Raises()
    )


def case_drawing_a_certain_class():
    """A class with an infinite logit is always drawn, or the draw is refused; the other class is not drawn."""
    return ValueCase(
        lambda: {"classes": keras.random.categorical(np.array([[0.0, np.inf]], dtype="float32"), 5, seed=1)},
        reference={"value/classes": np.ones((1, 5))},
    )


def case_an_impossible_class_is_never_drawn():
    """A class with logit minus infinity is never drawn."""
    return ValueCase(
        lambda: {"classes": keras.random.categorical(np.array([[-np.inf, 0.0, -np.inf]], dtype="float32"), 50, seed=1)},
        reference={"value/classes": np.ones((1, 50))},
    )


def case_drawing_from_no_classes():
    """`randint` between 3 and 3 is refused: the range is empty."""
    return ValueCase(lambda: {"classes": keras.random.randint((4,), 3, 3, seed=1)}, expect=Raises())


def images(rng, n=8):
    """N images (N, 8, 8, 3) in [0, 1]."""
    return rng.random((n, 8, 8, 3)).astype("float32")


def mixing_layer(name):
    """The layer that mixes images and their labels."""
    return keras.layers.MixUp(seed=1) if name == "MixUp" else keras.layers.CutMix(seed=1)


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def case_mixed_one_hot_labels_sum_to_one(name, rng):
    """Mixed one-hot labels are shares of classes: no share is negative, and they sum to 1."""
    x = images(rng)

    def compute():
        layer = mixing_layer(name)
        labels = ops.convert_to_numpy(layer({"images": x, "labels": ONE_HOT}, training=True)["labels"])
        return {"sum": labels.sum(axis=-1), "smallest_is_negative": labels.min() < 0}

    return ValueCase(compute, reference={"value/sum": np.ones(8), "value/smallest_is_negative": np.array(False)})


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def case_one_hot_labels_as_integers(name, rng):
    """One-hot labels of an integer type are mixed like those of a float type."""
    x = images(rng)

    def compute():
        mixed = mixing_layer(name)({"images": x, "labels": ONE_HOT.astype("int32")}, training=True)["labels"]
        return {"sum": ops.sum(mixed, axis=-1)}

    return ValueCase(compute, reference={"value/sum": np.ones(8)})


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def case_class_indices_cannot_be_mixed(name, rng):
    """Class indices (N,) are refused: half of class 0 and half of class 2 is not class 1.

    Nor do N labels become (N, N).
    """
    x = images(rng)

    def compute():
        mixed = mixing_layer(name)({"images": x, "labels": np.arange(8.0, dtype="float32")}, training=True)
        return {"shape": np.array(mixed["labels"].shape)}

    return ValueCase(compute, expect=Raises())


def case_labels_say_what_the_images_show():
    """After `CutMix` a label gives each class the share of the image that shows it.

    Every pixel of image i is i, so that its share in a mixed image can be counted.
    """
    n, side = 16, 8

    def compute():
        x = np.ones((n, side, side, 1), dtype="float32") * np.arange(n)[:, None, None, None]
        mixed = keras.layers.CutMix(factor=1.0, seed=1)({"images": x, "labels": np.eye(n, dtype="float32")}, training=True)
        pixels = ops.convert_to_numpy(mixed["images"]).reshape(n, -1, 1)
        shown = np.isclose(pixels, np.arange(n)).mean(axis=1)
        return {"as_shown": np.allclose(shown, ops.convert_to_numpy(mixed["labels"]), atol=1e-3)}

    return ValueCase(compute, reference={"value/as_shown": np.array(True)})


@pytest.mark.parametrize("how", ["map_coordinates", "affine_transform"])
def case_a_segmentation_mask_moved_by_half_a_pixel(how):
    """Half-way between two pixels, the nearest class is the same on every backend."""
    classes = np.arange(4, dtype="float32")

    def compute():
        if how == "map_coordinates":
            return {"classes": ops.image.map_coordinates(classes, np.array([[0.5, 1.5, 2.5]], dtype="float32"), order=0)}
        mask = np.tile(classes[None, :, None, None], (1, 1, 4, 1))
        half = np.array([1, 0, 0.5, 0, 1, 0.5, 0, 0], dtype="float32")
        return {"classes": ops.image.affine_transform(mask, half, interpolation="nearest")[0, :3, :3, 0]}

    return ValueCase(compute)
