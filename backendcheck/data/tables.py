"""CSV and Parquet files: some columns are labels, one may weigh the examples, the others are inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.data.read import Data, Wanted, check_lengths, missing_extra
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.text.words import first_line


def read_table(path: Path, wanted: Wanted) -> Data:
    """Read a table. One input takes all its columns side by side; several inputs take those of their names."""
    frame = _frame(path)
    columns = list(frame.columns)
    labels = list(wanted.label_columns) or [name for name in wanted.outputs if name in columns]
    for name in (*labels, *filter(None, [wanted.weight_column])):
        if name not in columns:
            message = f"{path}: has no column {name!r}; expected one of {', '.join(map(repr, columns[:20]))}."
            raise UsageError(message)
    if not labels:
        message = f"{path}: no label column is named; expected --label-column with one of {', '.join(map(repr, columns[:20]))}."
        raise UsageError(message)
    if len(set(labels)) != len(labels):
        message = f"{path}: a label column is named twice; expected each once."
        raise UsageError(message)
    features = [name for name in columns if name not in labels and name != wanted.weight_column]
    if not features and not wanted.as_found:
        message = f"{path}: has no column beside its labels; expected the inputs."
        raise UsageError(message)
    by_name = len(wanted.inputs) > 1 or (wanted.inputs and set(wanted.inputs) <= set(features) and len(features) > 1)
    if by_name and (missing := [name for name in wanted.inputs if name not in features]):
        message = f"{path}: has no column for the input {missing[0]!r}; expected one of {', '.join(map(repr, features[:20]))}."
        raise UsageError(message)
    arrays = {name: _array(path, frame, name, as_found=wanted.as_found) for name in columns}
    check_lengths(str(path), arrays)
    x: Any
    if wanted.as_found:
        x = {name: arrays[name] for name in features} or None
    elif by_name:
        x = {name: arrays[name] for name in wanted.inputs}
        features = list(wanted.inputs)
    else:
        x = _side_by_side(path, {name: arrays[name] for name in features})
    several = len(wanted.outputs) > 1
    y: Any = arrays[labels[0]] if len(labels) == 1 and not several else {name: arrays[name] for name in labels}
    if len(labels) > 1 and not several:
        y = _side_by_side(path, y)
    weight = arrays[wanted.weight_column] if wanted.weight_column else None
    return Data(x=x, y=y, sample_weight=weight, columns=tuple(features), source=str(path))


def _frame(path: Path) -> Any:
    try:
        import polars
    except ImportError as error:
        raise missing_extra(path, "polars", "tables") from error
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return polars.read_parquet(path)
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        _check_header(path, separator)
        # Types are told from all rows: a column of integers may hold its one fraction at the end.
        return polars.read_csv(path, separator=separator, infer_schema_length=None)
    except (UnreadableInput, UsageError):
        raise
    except Exception as error:  # each of polars' own
        hint = f"Is it {path.suffix} in UTF-8, with a line of names first?"
        message = f"{path}: cannot be read as a table ({first_line(str(error)) or type(error).__name__}). {hint}"
        raise UnreadableInput(message) from error


def _check_header(path: Path, separator: str) -> None:
    """A column that is there twice would be renamed without a word."""
    import csv

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file, delimiter=separator), [])
    except UnicodeDecodeError as error:
        message = f"{path}: is not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8."
        raise UnreadableInput(message) from error
    except csv.Error as error:
        message = f"{path}: has no line of column names that can be read ({error})."
        raise UnreadableInput(message) from error
    twice = next((name for number, name in enumerate(header) if name in header[:number]), None)
    if twice is not None:
        message = f"{path}: has two columns {twice!r}; expected each name once. Rename one."
        raise UnreadableInput(message)


def _array(path: Path, frame: Any, name: str, *, as_found: bool) -> np.ndarray:
    column = frame[name]
    if column.dtype.is_nested() or column.dtype.is_temporal():
        if as_found:
            return np.array([str(value) for value in column.to_list()], dtype=str)
        message = f"{path}: column {name!r} holds {column.dtype}; expected numbers, bools or text."
        raise UnreadableInput(message)
    if str(column.dtype) in ("String", "Categorical", "Enum") or str(column.dtype).startswith(("Categorical", "Enum")):
        if column.null_count() and not as_found:
            n = column.null_count()
            message = f"{path}: column {name!r} has {n} empty cells among its text. Fill them, or leave their rows out."
            raise UnreadableInput(message)
        return np.array(["" if value is None else value for value in column.cast(_string()).to_list()], dtype=str)
    # Where a number is missing among integers, only a float can say so.
    try:
        return np.asarray(column.to_numpy())
    except Exception as error:  # one of polars' own: an integer of 128 bits, say
        message = f"{path}: column {name!r} holds {column.dtype}, which NumPy cannot take; expected numbers of 64 bits at most."
        raise UnreadableInput(message) from error


def _string() -> Any:
    import polars

    return polars.String


def _side_by_side(path: Path, columns: dict[str, np.ndarray]) -> np.ndarray:
    """(N, columns): columns of one type keep it, numbers of several become float32."""
    text = next((name for name, array in columns.items() if array.dtype.kind == "U"), None)
    if text is not None:
        example = next((value for value in columns[text].tolist() if not _is_number(value)), columns[text].tolist()[0])
        message = f"{path}: column {text!r} holds text ({example!r}); expected numbers. Encode it, or leave it out."
        raise UnreadableInput(message)
    kinds = {array.dtype for array in columns.values()}
    dtype = kinds.pop() if len(kinds) == 1 else np.dtype(np.float32)
    return np.stack([array.astype(dtype) for array in columns.values()], axis=1)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
