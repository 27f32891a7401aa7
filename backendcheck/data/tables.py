"""CSV and Parquet files: some columns are labels, one may be sample weights, the others are inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.data.parquet_files import read_parquet
from backendcheck.data.parsing import guarded
from backendcheck.data.read import Data, ReadOptions, check_lengths, missing_extra
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import check_regular
from backendcheck.text.words import counted, first_line


def read_table(path: Path, options: ReadOptions) -> Data:
    """Read a table. A single input gets all its columns side by side, (N, columns); several inputs are columns by name."""
    frame = _frame(path)
    columns = list(frame.columns)
    labels = list(options.label_columns) or [name for name in options.outputs if name in columns]
    for name in (*labels, *filter(None, [options.weight_column])):
        if name not in columns:
            message = f"{path}: column {name!r} not found; expected one of {', '.join(map(repr, columns[:20]))}."
            raise UsageError(message)
    if not labels:
        message = f"{path}: no label column; expected --label-column with one of {', '.join(map(repr, columns[:20]))}."
        raise UsageError(message)
    if len(set(labels)) != len(labels):
        message = f"{path}: a label column is given twice; expected each once."
        raise UsageError(message)
    features = [name for name in columns if name not in labels and name != options.weight_column]
    if not features and not options.as_found:
        message = f"{path}: no columns beside the labels; expected columns of inputs."
        raise UsageError(message)
    by_name = len(options.inputs) > 1 or (options.inputs and set(options.inputs) <= set(features) and len(features) > 1)
    if by_name and (missing := [name for name in options.inputs if name not in features]):
        message = f"{path}: column for the input {missing[0]!r} not found; expected one of {', '.join(map(repr, features[:20]))}."
        raise UsageError(message)
    arrays = {name: _array(path, frame, name, as_found=options.as_found) for name in columns}
    check_lengths(str(path), arrays)
    x: Any
    if options.as_found:
        x = {name: arrays[name] for name in features} or None
    elif by_name:
        x = {name: arrays[name] for name in options.inputs}
        features = list(options.inputs)
    else:
        x = _side_by_side(path, {name: arrays[name] for name in features})
    several = len(options.outputs) > 1
    y: Any = arrays[labels[0]] if len(labels) == 1 and not several else {name: arrays[name] for name in labels}
    if len(labels) > 1 and not several:
        y = _side_by_side(path, y)
    weight = arrays[options.weight_column] if options.weight_column else None
    return Data(x=x, y=y, sample_weight=weight, columns=tuple(features), source=str(path))


def _frame(path: Path) -> Any:
    try:
        import polars
    except ImportError as error:
        raise missing_extra(path, "polars", "tables") from error
    with guarded(path, f"a {path.suffix} table in UTF-8, with column names in the first line"):
        if path.suffix.lower() in (".parquet", ".pq"):
            return read_parquet(path)
        check_regular(path)
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        _check_header(path, separator)
        try:
            # Infer types from all rows: the only fraction of a column may be in the last one.
            return polars.read_csv(path, separator=separator, infer_schema_length=None)
        except polars.exceptions.PolarsError as error:
            reason = first_line(str(error)) or type(error).__name__
            expected = f"expected {path.suffix} in UTF-8, with column names in the first line"
            message = f"{path}: unreadable table ({reason}); {expected}."
            raise UnreadableInput(message) from error


def _check_header(path: Path, separator: str) -> None:
    """Refuse repeated column names, which polars would rename silently."""
    import csv

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file, delimiter=separator), [])
    except UnicodeDecodeError as error:
        message = f"{path}: not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8."
        raise UnreadableInput(message) from error
    except csv.Error as error:
        message = f"{path}: unreadable column names ({error})."
        raise UnreadableInput(message) from error
    twice = next((name for number, name in enumerate(header) if name in header[:number]), None)
    if twice is not None:
        message = f"{path}: column {twice!r} occurs twice; expected each name once. Rename one."
        raise UnreadableInput(message)


def _array(path: Path, frame: Any, name: str, *, as_found: bool) -> np.ndarray:
    column = frame[name]
    if column.dtype.is_nested() or column.dtype.is_temporal():
        if as_found:
            return np.array([str(value) for value in column.to_list()], dtype=str)
        message = f"{path}: invalid column {name!r}; expected numbers, bools or text, got {column.dtype}."
        raise UnreadableInput(message)
    if str(column.dtype) in ("String", "Categorical", "Enum") or str(column.dtype).startswith(("Categorical", "Enum")):
        if column.null_count() and not as_found:
            n = column.null_count()
            message = f"{path}: column {name!r} has {counted(n, 'empty cell')} among its text. Fill them, or remove their rows."
            raise UnreadableInput(message)
        return np.array(["" if value is None else value for value in column.cast(_string()).to_list()], dtype=str)
    # A missing value among integers makes the column a float column, with NaN.
    try:
        return np.asarray(column.to_numpy())
    except Exception as error:  # polars raises its own classes, for example for integers of 128 bits
        message = f"{path}: invalid column {name!r}; expected numbers of at most 64 bits, got {column.dtype}."
        raise UnreadableInput(message) from error


def _string() -> Any:
    import polars

    return polars.String


def _side_by_side(path: Path, columns: dict[str, np.ndarray]) -> np.ndarray:
    """The columns as (N, columns): of their common type, or as float32 if their types differ."""
    text = next((name for name, array in columns.items() if array.dtype.kind == "U"), None)
    if text is not None:
        example = next((value for value in columns[text].tolist() if not _is_number(value)), columns[text].tolist()[0])
        message = f"{path}: column {text!r} is text, such as {example!r}; expected numbers. Encode it, or leave it out."
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
