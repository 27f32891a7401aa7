"""Files with inputs, labels and sample weights in, arrays out. Needs no backend and never unpickles.

- ``.npz``: x, y, sample_weight, class_names; or arrays by the names of the model's inputs and outputs
- ``.npy``: the inputs; the labels are in a second one
- ``.csv``, ``.parquet``: one or more label columns; the other columns are the inputs (needs the extra ``tables``)
- a directory of images by class, as for `keras.utils.image_dataset_from_directory` (needs the extra ``images``)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from backendcheck.data.parsing import guarded
from backendcheck.data.read import ClassNames, Data, ReadOptions
from backendcheck.errors import UsageError

__all__ = ["Data", "ReadOptions", "read_data"]

_TABLES = (".csv", ".tsv", ".parquet", ".pq")
_SAVE = "Save the arrays: np.savez('data.npz', x=x, y=y)"
# What people have besides, by the end of the name, and what to do with it. Longer ends come first.
_OTHERS = MappingProxyType({
    **dict.fromkeys((".tar.gz", ".tgz", ".tar", ".zip", ".7z", ".rar"), ("an archive", "Unpack it first")),
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst"), ("a compressed file", "Decompress it first")),
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"),
                    ("a workbook", "Save the sheet as CSV UTF-8, or pandas.read_excel(path).to_csv('data.csv', index=False)")),
    **dict.fromkeys((".jsonl", ".ndjson"), ("lines of JSON", "Convert it with polars.read_ndjson(path).write_csv('data.csv')")),
    ".json": ("JSON", "Convert it with pandas.read_json(path).to_csv('data.csv', index=False)"),
    **dict.fromkeys((".feather", ".arrow", ".ipc"),
                    ("an Arrow file", "Convert it with polars.read_ipc(path).write_parquet('data.parquet')")),
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".pt", ".pth"),
                    ("a pickle, which is never loaded because it can run code", _SAVE)),
    **dict.fromkeys((".h5", ".hdf5", ".mat", ".tfrecord", ".tfrecords", ".rds", ".sav", ".dta", ".sas7bdat", ".db", ".sqlite"),
                    ("", _SAVE)),
    ".txt": ("text", "If it is a table, name it .csv or .tsv"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"),
                    ("a single image", "Give the directory that holds a folder of images for each class")),
    ".keras": ("a model", "Give it as the model, and the data beside it"),
})  # fmt: skip
_KINDS = "a .npz, .npy, .csv or .parquet file, or a directory of images by class"


def read_data(
    path: str | Path, *, labels: str | Path | None = None, label_columns: Sequence[str] = (), weight_column: str = "",
    inputs: Sequence[str] = (), outputs: Sequence[str] = (), image_shape: Sequence[int | None] | None = None,
    examples: int | None = None, as_found: bool = False, class_names: ClassNames | None = None, split: str = "training",
) -> Data:  # fmt: skip
    """Read N examples from a file or a directory.

    Args:
        path: the file, or the directory of images by class.
        labels: for a ``.npy`` of inputs: the ``.npy`` of the labels.
        label_columns: the columns of a table that are labels.
        weight_column: the column of a table that holds sample weights.
        inputs: the names of the model's inputs, to find them among arrays or columns.
        outputs: the same for the model's outputs.
        image_shape: (height, width, channels) that images are resized to, in pixels.
        examples: how many images to decode, spread evenly over all. Other files are read whole.
        as_found: see `ReadOptions`.
        class_names: names of classes, to tell text such as 007 from numbers in the label columns of a CSV file.
        split: which part to read of a file or directory that holds training, validation and test data.

    Raises:
        UsageError: if the kind of file is not known, or inputs and labels cannot be distinguished.
        UnreadableInput: if a file is damaged, or holds something other than arrays.
    """
    path = Path(path)
    options = ReadOptions(
        labels=Path(labels) if labels is not None else None, label_columns=tuple(label_columns), weight_column=weight_column,
        inputs=tuple(inputs), outputs=tuple(outputs), image_shape=tuple(image_shape) if image_shape is not None else None,
        examples=examples, as_found=as_found, class_names=class_names, split=split,
    )  # fmt: skip
    with guarded(path, _KINDS):
        return _read(path, options)


def _read(path: Path, options: ReadOptions) -> Data:
    if not path.exists():
        message = f"{path}: file or directory not found; expected {_KINDS}."
        raise UsageError(message)
    suffix = path.suffix.lower()
    for option, column in (("--label-column", options.label_columns), ("--weight-column", options.weight_column)):
        if column and (path.is_dir() or suffix not in _TABLES):
            message = f"{path}: {option} is only for tables; expected a {' or '.join(_TABLES)} file. Leave {option} out."
            raise UsageError(message)
    if path.is_dir():
        from backendcheck.data.images import read_images

        return read_images(path, options)
    if suffix in (".npz", ".npy"):
        from backendcheck.data.numpy_files import read_arrays

        return read_arrays(path, options)
    if suffix in _TABLES:
        from backendcheck.data.tables import read_table

        return read_table(path, options)
    what, remedy = next((known for ending, known in _OTHERS.items() if path.name.lower().endswith(ending)), ("", ""))
    message = f"{path}: unknown kind of data{what and f', {what}'}; expected {_KINDS}.{remedy and f' {remedy}.'}"
    raise UsageError(message)
