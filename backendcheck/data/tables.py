"""CSV and Parquet files: some columns are labels, one may be sample weights, the others are inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.data.csv_files import read_csv
from backendcheck.data.parquet_files import read_parquet
from backendcheck.data.parsing import guarded
from backendcheck.data.read import Data, ReadOptions, are_class_names, check_lengths, missing_extra
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.text.words import counted, some_of

_PARQUET = (".parquet", ".pq")
_MOST_NAMED = 20  # columns in a message
_ROW_NUMBERS = re.compile(r"|Unnamed: \d+|__index_level_\d+__")  # the columns of row numbers that pandas and R write


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A table: a polars frame without its row numbers, and notes about how it was read."""

    frame: Any
    notes: tuple[str, ...]


def read_table(path: Path, options: ReadOptions) -> Data:
    """Read a table. A single input gets all its columns side by side, (N, columns); several inputs are columns by name."""
    table = _table(path, options)
    frame, columns = table.frame, list(table.frame.columns)
    labels = _label_columns(path, options, columns)
    features = [name for name in columns if name not in labels and (name != options.weight_column or not name)]
    if not features and not options.as_found:
        message = f"{path}: no columns beside the labels; expected columns of inputs."
        raise UsageError(message)
    by_name = len(options.inputs) > 1 or (options.inputs and set(options.inputs) <= set(features) and len(features) > 1)
    if by_name and (missing := [name for name in options.inputs if name not in features]):
        message = f"{path}: column for the input {missing[0]!r} not found; expected one of {_quoted(features)}."
        raise UsageError(message)
    arrays = {name: _array(path, frame, name, as_found=options.as_found, is_label=name in labels) for name in columns}
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
    return Data(x=x, y=y, sample_weight=weight, columns=tuple(features), source=str(path), notes=table.notes)


def _label_columns(path: Path, options: ReadOptions, columns: Sequence[str]) -> list[str]:
    labels = list(options.label_columns) or [name for name in options.outputs if name in columns]
    for name in (*labels, *filter(None, [options.weight_column])):
        if name not in columns:
            message = f"{path}: column {name!r} not found; expected one of {_quoted(columns)}."
            raise UsageError(message)
    if not labels:
        message = f"{path}: no label column; expected --label-column with one of {_quoted(columns)}."
        raise UsageError(message)
    if len(set(labels)) != len(labels):
        message = f"{path}: a label column is given twice; expected each once."
        raise UsageError(message)
    return labels


def _quoted(names: Sequence[str]) -> str:
    return some_of([repr(name) for name in names], _MOST_NAMED)


def _table(path: Path, options: ReadOptions) -> _Table:
    try:
        import polars  # noqa: F401 - whether it is installed
    except ImportError as error:
        raise missing_extra(path, "polars", "tables") from error
    notes: tuple[str, ...] = ()
    with guarded(path, f"a {path.suffix} table"):
        if path.suffix.lower() in _PARQUET:
            frame = read_parquet(path)
        else:
            frame, notes = read_csv(path)
            frame = _with_class_names(path, frame, options)
        return _without_row_numbers(path, frame, options, notes)


def _with_class_names(path: Path, frame: Any, options: ReadOptions) -> Any:
    """The table with label columns as text where their text is class names, such as the codes 007 and 010.

    A column whose numbers are not the names keeps its numbers; these are indices.
    """
    names = {name: _names_of(options, name) for name in (*options.label_columns, *options.outputs)}
    columns = [name for name, listed in names.items() if listed and name in frame.columns and frame[name].dtype.is_numeric()]
    if not columns:
        return frame
    as_text, _ = read_csv(path, columns)
    return frame.with_columns(
        as_text[name].str.strip_chars() for name in columns
        if are_class_names(as_text[name].drop_nulls().unique().str.strip_chars().to_list(), names[name])
    )  # fmt: skip


def _names_of(options: ReadOptions, column: str) -> Sequence[str]:
    names = options.class_names
    return names.get(column, ()) if isinstance(names, Mapping) else names or ()


def _without_row_numbers(path: Path, frame: Any, options: ReadOptions, notes: tuple[str, ...]) -> _Table:
    """The table without the columns that only number its rows, as pandas and R write them, and without empty ones."""
    kept = []
    for name in frame.columns:
        column = frame[name]
        if name in options.label_columns or name == (options.weight_column or None) or not _ROW_NUMBERS.fullmatch(name):
            kept.append(name)
        elif column.null_count() == len(column) and not name:
            continue  # a separator at the end of each line
        elif column.dtype.is_integer() and not column.null_count() and column.n_unique() == len(column):
            title = f"column {name!r}" if name else "the column without a name"
            notes = (*notes, f"{title} numbers the rows, and is not an input")
        elif name or options.as_found:
            kept.append(name)
        else:
            message = f"{path}: a column has no name; expected a name for each. Name it, or remove it."
            raise UnreadableInput(message)
    return _Table(frame=frame.select(kept), notes=notes)


def _array(path: Path, frame: Any, name: str, *, as_found: bool, is_label: bool) -> np.ndarray:
    column = frame[name]
    if column.dtype.is_nested() or column.dtype.is_temporal():
        if as_found:
            return np.array([str(value) for value in column.to_list()], dtype=str)
        message = f"{path}: invalid column {name!r}; expected numbers, bools or text, got {column.dtype}."
        raise UnreadableInput(message)
    if str(column.dtype) in ("String", "Categorical", "Enum") or str(column.dtype).startswith(("Categorical", "Enum")):
        n_empty = column.null_count()
        if n_empty and is_label and not as_found:
            empty = counted(n_empty, "empty cell")
            message = f"{path}: column {name!r} has {empty} among its text. Fill them, or remove their rows."
            raise UnreadableInput(message)
        # An empty cell of an input is an empty text, which is a text like any other.
        return np.array(["" if value is None else value for value in column.cast(_string()).to_list()], dtype=str)
    # A missing value among integers makes the column a float column, with NaN.
    try:
        return np.asarray(column.to_numpy())
    except Exception as error:  # polars raises its own classes, for example for integers of 128 bits
        message = f"{path}: invalid column {name!r}; expected numbers of at most 64 bits, got {column.dtype}. Leave it out."
        raise UnreadableInput(message) from error


def _string() -> Any:
    import polars

    return polars.String


def _side_by_side(path: Path, columns: dict[str, np.ndarray]) -> np.ndarray:
    """The columns as (N, columns): of their common type, or as float32 if their types differ. Text only stands beside text."""
    if all(array.dtype.kind == "U" and any(map(_has_letter, array.tolist())) for array in columns.values()):
        return np.stack(list(columns.values()), axis=1)
    text = next((name for name, array in columns.items() if array.dtype.kind == "U"), None)
    if text is not None:
        example = next((value for value in columns[text].tolist() if not _is_number(value)), columns[text].tolist()[0])
        message = f"{path}: column {text!r} is text, such as {example!r}; expected numbers. Encode it, or leave it out."
        raise UnreadableInput(message)
    kinds = {array.dtype for array in columns.values()}
    dtype = kinds.pop() if len(kinds) == 1 else np.dtype(np.float32)
    return np.stack([array.astype(dtype) for array in columns.values()], axis=1)


def _has_letter(text: str) -> bool:
    return any(map(str.isalpha, text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
