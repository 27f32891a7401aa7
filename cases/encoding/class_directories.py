"""Class order from a directory with one folder per class.

What goes wrong in practice: folders are sorted as text, so class "10" is index 1 and class "2" is index 2. The rest
of the program uses the name of the folder as the index.
"""

import struct

import keras
import numpy as np

FOLDERS = ["2", "10", "1", "Zebra", "ant"]


def write_bmp(path, gray):
    """A 2 x 2 image of one gray, as an uncompressed bitmap."""
    row = bytes([gray] * 6) + bytes(2)  # two pixels of three bytes, padded to a multiple of four
    header = b"BM" + struct.pack("<IHHI", 54 + 2 * len(row), 0, 0, 54)
    path.write_bytes(header + struct.pack("<IiiHHIIiiII", 40, 2, 2, 1, 24, 0, 2 * len(row), 0, 0, 0, 0) + row * 2)


def case_folders_are_sorted_as_text(tmp_path):
    """`image_dataset_from_directory` finds the same classes in the same order, and each image keeps its class.

    The order is "1", "10", "2", "Zebra", "ant": as text, capital letters first. The gray of each image is its
    position in FOLDERS, so the label of every image can be traced back to its folder.

    Scenario: L4
    """
    for place, folder in enumerate(FOLDERS):
        (tmp_path / folder).mkdir()
        write_bmp(tmp_path / folder / "image.bmp", gray=40 * place)
    dataset = keras.utils.image_dataset_from_directory(
        tmp_path, image_size=(2, 2), batch_size=len(FOLDERS), shuffle=False, verbose=False
    )
    images, labels = next(iter(dataset))
    return {
        "class_names": list(dataset.class_names),
        "labels": np.asarray(labels),
        "folder": np.asarray(images)[:, 0, 0, 0] / 40,
    }
