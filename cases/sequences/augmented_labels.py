"""Labels that move with their image: segmentation masks and bounding boxes under augmentation.

What goes wrong in practice: an augmentation treats a mask of classes like a picture and mixes class 0 and class 3 to
class 1.5, or moves boxes and their labels in another way than the picture. Nothing fails, and the model learns it.
"""

import keras
import numpy as np
import pytest

from backendcheck import ValueCase

MASKS = np.array([[[0, 3], [3, 0]], [[1, 1], [2, 2]]], dtype="float32")[..., None]  # (2, 2, 2, 1)
SWAPPED = np.array([1, 0])


@pytest.mark.parametrize("crop", [keras.layers.CenterCrop, keras.layers.RandomCrop])
def case_a_mask_that_is_smaller_than_the_crop(crop):
    """A mask of classes 0 and 3 that is enlarged to the size of the crop has no other classes, such as 1.5."""

    def compute():
        data = crop(4, 4)({"images": np.zeros((1, 2, 2, 3), "float32"), "segmentation_masks": MASKS[:1]}, training=True)
        classes = keras.ops.convert_to_numpy(data["segmentation_masks"])
        return {"n_other": np.array(np.sum(~np.isin(classes, [0, 3])))}

    return ValueCase(compute, reference={"value/n_other": np.array(0)})


def case_the_mask_of_the_other_image():
    """`MixUp` with weight 0 for the image itself gives it the mask of the image that it is mixed with."""
    mixed = {"mix_weight": np.zeros(2, "float32"), "permutation_order": SWAPPED}
    return ValueCase(
        lambda: {"masks": keras.layers.MixUp().transform_segmentation_masks(keras.ops.convert_to_tensor(MASKS), mixed)},
        reference={"value/masks": MASKS[SWAPPED]},
    )


def case_the_labels_of_mixed_boxes():
    """After `MixUp` each image has the boxes of both images, and a label for each box."""
    boxes = np.array([[[0, 0, 2, 2]], [[1, 1, 3, 3]]], dtype="float32")  # (2 images, 1 box, 4)
    labels = np.array([[5], [7]], dtype="int32")

    def compute():
        tensors = {"boxes": keras.ops.convert_to_tensor(boxes), "labels": keras.ops.convert_to_tensor(labels)}
        order = {"permutation_order": keras.ops.convert_to_tensor(SWAPPED)}
        mixed = keras.layers.MixUp().transform_bounding_boxes(tensors, order)
        return {"n_boxes": np.array(mixed["boxes"].shape[:2]), "labels": mixed["labels"]}

    return ValueCase(compute, reference={"value/n_boxes": np.array([2, 2]), "value/labels": np.array([[5, 7], [7, 5]])})


def case_a_box_after_a_crop():
    """A crop that begins 2 pixels to the right and 1 further down moves a box by 2 to the left and by 1 up."""
    box = np.array([[[5.0, 3.0, 8.0, 6.0]]], dtype="float32")  # x, y, x, y

    def compute():
        crop = keras.layers.RandomCrop(10, 10, bounding_box_format="xyxy")
        boxes = {"boxes": keras.ops.convert_to_tensor(box), "labels": keras.ops.convert_to_tensor(np.array([[1]], "int32"))}
        return {"box": crop.transform_bounding_boxes(boxes, (1, 2))["boxes"]}  # from the top, from the left

    return ValueCase(compute, reference={"value/box": np.array([[[3.0, 2.0, 6.0, 5.0]]])})


def case_the_padding_of_a_loaded_layer():
    """`MaxNumBoundingBoxes(fill_value=0)` fills up the labels with 0 also after its configuration was saved and loaded."""

    def compute():
        layer = keras.layers.MaxNumBoundingBoxes(3, fill_value=0)
        loaded = keras.layers.MaxNumBoundingBoxes.from_config(layer.get_config())
        boxes = {"boxes": keras.ops.ones((1, 1, 4)), "labels": keras.ops.ones((1, 1), dtype="int32")}
        labels = [each.transform_bounding_boxes(boxes, None)["labels"] for each in (layer, loaded)]
        return dict(zip(["labels", "after_loading"], labels, strict=True))

    return ValueCase(compute, reference=dict.fromkeys(["value/labels", "value/after_loading"], np.array([[1, 0, 0]])))


def case_a_box_outside_of_the_image():
    """`clip_to_image_size` takes the label from a box that is outside, also where labels are one-hot rows."""
    boxes = np.array([[0, 0, 2, 2], [20, 20, 30, 30]], dtype="float32")

    def compute():
        data = {"boxes": keras.ops.convert_to_tensor(boxes), "labels": keras.ops.convert_to_tensor(np.eye(2, dtype="float32"))}
        return {"labels": keras.utils.bounding_boxes.clip_to_image_size(data, height=10, width=10)["labels"]}

    return ValueCase(compute, reference={"value/labels": np.array([[1.0, 0.0], [-1.0, -1.0]])})
