"""CSV files as spreadsheets write them: any separator, decimal commas, blanks, byte order marks, rows that are numbered."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput
from backendcheck.files import check_regular
from backendcheck.text.words import counted, first_line, some_of

_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE = 1 << 18  # bytes that are looked at to find the separator
_MOST_ROWS = 50  # rows that are looked at
_INTEGER = r"^[+-]?[0-9]+$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_DECIMAL_COMMA = r"^[+-]?([0-9]+|[0-9]*,[0-9]+)([eE][+-]?[0-9]+)?$"
_THOUSANDS = r",[0-9]{3}$"  # 1,234 may be a number above a thousand, if columns have commas between them
# The first bytes of what people rename to .csv, and what to do.
_NO_TEXT = (
    (b"PK\3\4", "an Excel workbook or another archive", "Save it as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "Save it as CSV UTF-8"),
    (b"\x1f\x8b", "compressed", "Decompress it first: gunzip FILE"),
    (b"PAR1", "a Parquet file", "Rename it to .parquet"),
    (b"\xff\xfe", 'UTF-16, which Excel calls "Unicode text"', "Save it as CSV UTF-8"),
    (b"\xfe\xff", "UTF-16", "Save it as CSV UTF-8"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dialect:
    """How a file is written: the separator, the lines before the column names, the end of a line, and the names as they are."""

    separator: str
    n_skipped: int
    end: str
    names: tuple[str, ...]


def read_csv(path: Path, text_columns: Sequence[str] = ()) -> tuple[Any, tuple[str, ...]]:
    """The table as a polars frame, and notes about what was understood.

    Args:
        path: the file.
        text_columns: columns that stay text where they could be numbers, such as the class codes 007 and 010.

    Raises:
        UnreadableInput: if it is not a table in UTF-8.
    """
    import polars

    check_regular(path)
    dialect = _dialect(path)
    as_text = {raw: polars.String for raw in dialect.names if raw.strip() in text_columns}
    try:
        # Infer types from all rows: the only fraction of a column may be in the last one.
        frame = polars.read_csv(
            path, separator=dialect.separator, skip_rows=dialect.n_skipped, eol_char=dialect.end, infer_schema_length=None,
            schema_overrides=as_text,
        )  # fmt: skip
    except polars.exceptions.PolarsError as error:
        reason = _uneven_row(path, dialect) or first_line(str(error)) or type(error).__name__
        expected = f"expected {path.suffix} in UTF-8, with column names in the first line"
        message = f"{path}: unreadable table ({reason}); {expected}."
        raise UnreadableInput(message) from error
    if len(frame.columns) == len(dialect.names):
        frame.columns = _unique([name.strip() for name in dialect.names])
    with_commas: list[str] = []
    for name in frame.columns:
        if frame[name].dtype == polars.String and name not in text_columns:
            series, has_commas = _as_meant(frame[name], dialect.separator)
            frame = frame.with_columns(series.alias(name))
            if has_commas:
                with_commas.append(repr(name))
    return frame, (f"decimal commas are read as decimal points in {some_of(with_commas, 5)}",) if with_commas else ()


# --- dialect ---------------------------------------------------------------------------------------------------


def _dialect(path: Path) -> _Dialect:
    sample = _sample(path)
    end = "\r" if "\r" in sample and "\n" not in sample else "\n"
    first, _, rest = sample.partition(end)
    stated = re.fullmatch(r'"?sep=(.)"?\s*', first, re.IGNORECASE)  # a line for Excel
    text = rest if stated else sample
    separator = stated[1] if stated else _separator(path, text)
    names = tuple(next(_rows(text, separator), []))
    stripped = [name.strip() for name in names]
    twice = next((name for number, name in enumerate(stripped) if name and name in stripped[:number]), None)
    if twice is not None:
        message = f"{path}: column {twice!r} occurs twice; expected each name once. Rename one."
        raise UnreadableInput(message)
    return _Dialect(separator=separator, n_skipped=1 if stated else 0, end=end, names=names)


def _sample(path: Path) -> str:
    """The first lines as text, all of them whole."""
    with path.open("rb") as file:
        content = file.read(_SAMPLE)
        is_all = len(content) < _SAMPLE
    for start, what, remedy in _NO_TEXT:
        if content.startswith(start):
            message = f"{path}: not a text file but {what}; expected {path.suffix} in UTF-8. {remedy}."
            raise UnreadableInput(message)
    try:
        return (content if is_all else content[: content.rfind(b"\n") + 1]).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{path}: not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8."
        raise UnreadableInput(message) from error


def _separator(path: Path, text: str) -> str:
    """The separator that gives all rows the same number of fields, above one; the usual one if it does or if none does."""
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    for separator in sorted(_SEPARATORS, key=lambda candidate: candidate != usual):
        n_fields = {len(row) for row in islice(_rows(text, separator), _MOST_ROWS) if row}
        if len(n_fields) == 1 and n_fields != {1}:
            return separator
    return usual


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    except csv.Error:  # a field without an end
        return


def _uneven_row(path: Path, dialect: _Dialect) -> str:
    """The first row with more fields than there are names, in words; empty if every row fits, or if the file ends badly."""
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        rows = csv.reader(file, delimiter=dialect.separator)
        try:
            for row in islice(rows, dialect.n_skipped, None):
                if len(row) > len(dialect.names):
                    names = counted(len(dialect.names), "column name")
                    return f"line {rows.line_num} has {len(row)} fields for {names}"
        except csv.Error:
            pass
    return ""


def _unique(names: Sequence[str]) -> list[str]:
    """The names; of several empty ones, each but the first becomes its place: ``column 3``."""
    taken: set[str] = set()
    unique = []
    for number, name in enumerate(names, start=1):
        unique.append(name if name not in taken else f"column {number}")
        taken.add(unique[-1])
    return unique


# --- values ----------------------------------------------------------------------------------------------------


def _as_meant(column: Any, separator: str) -> tuple[Any, bool]:
    """A text column as numbers if it holds numbers with blanks around them or with decimal commas; and whether it has commas.

    Text keeps its blanks, unless each value has one before it: then the blank belongs to the separator.
    """
    import polars

    inside = polars.col(column.name).str.strip_chars()
    stripped = column.to_frame().select(polars.when(inside != "").then(inside)).to_series()
    values = stripped.drop_nulls()
    if not len(values):
        return column, False
    if values.str.contains(_NUMBER).all():
        numbers = stripped.cast(polars.Int64 if values.str.contains(_INTEGER).all() else polars.Float64, strict=False)
        return (numbers if numbers.null_count() == stripped.null_count() else column), False
    if values.str.contains(_DECIMAL_COMMA).all():
        with_comma = values.filter(values.str.contains(",", literal=True))
        if separator != "," or not with_comma.str.contains(_THOUSANDS).all():
            return stripped.str.replace(",", ".", literal=True).cast(polars.Float64, strict=False), True
    if column.drop_nulls().str.starts_with(" ").all():
        return column.str.strip_chars_start(), False
    return column, False
