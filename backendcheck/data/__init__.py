"""Inputs, labels and weights from the files that people keep them in, as arrays. No backend, no pickle.

- ``.npz``: x, y, sample_weight, class_names; or arrays by the names of the model's inputs and outputs
- ``.npy``: the inputs, the labels in another
- ``.csv``, ``.parquet``: a label column, the other columns are the inputs (the extra ``tables``)
- a directory of images by class, as `keras.utils.image_dataset_from_directory` takes it (the extra ``images``)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backendcheck.data.read import Data, Wanted
from backendcheck.errors import UsageError

__all__ = ["Data", "Wanted", "read_data"]

_TABLES = (".csv", ".tsv", ".parquet", ".pq")
_KINDS = "a .npz, .npy, .csv or .parquet file, or a directory of images by class"


def read_data(
    path: str | Path, *, labels: str | Path | None = None, label_columns: Sequence[str] = (), weight_column: str = "",
    inputs: Sequence[str] = (), outputs: Sequence[str] = (), image_shape: Sequence[int | None] | None = None,
    examples: int | None = None, as_found: bool = False,
) -> Data:  # fmt: skip
    """Read the data at `path`.

    Args:
        path: the file, or the directory of images.
        labels: a second ``.npy``, with the labels of the first.
        label_columns: the columns of a table that are labels.
        weight_column: the column of a table that weighs examples.
        inputs: the names of the model's inputs, to be found among the arrays or columns.
        outputs: the names of its outputs, likewise.
        image_shape: (height, width, channels) that images are brought to.
        examples: how many images to decode, evenly spread over all; other files are read whole.
        as_found: see `Wanted`.

    Raises:
        UsageError: if this is no data, or not enough is said to tell inputs from labels.
        UnreadableInput: if a file is damaged, or holds what is no array.
    """
    path = Path(path)
    wanted = Wanted(
        labels=Path(labels) if labels is not None else None, label_columns=tuple(label_columns), weight_column=weight_column,
        inputs=tuple(inputs), outputs=tuple(outputs), image_shape=tuple(image_shape) if image_shape is not None else None,
        examples=examples, as_found=as_found,
    )  # fmt: skip
    if not path.exists():
        message = f"{path}: no such file or directory; expected {_KINDS}."
        raise UsageError(message)
    suffix = path.suffix.lower()
    for option, value in (("--label-column", wanted.label_columns), ("--weight-column", wanted.weight_column)):
        if value and (path.is_dir() or suffix not in _TABLES):
            message = f"{path}: {option} is for a table; expected a {' or '.join(_TABLES)} file with it. Leave {option} out."
            raise UsageError(message)
    if path.is_dir():
        from backendcheck.data.images import read_images

        return read_images(path, wanted)
    if suffix in (".npz", ".npy"):
        from backendcheck.data.numpy_files import read_arrays

        return read_arrays(path, wanted)
    if suffix in _TABLES:
        from backendcheck.data.tables import read_table

        return read_table(path, wanted)
    message = f"{path}: is no data that is known by its name; expected {_KINDS}."
    raise UsageError(message)
