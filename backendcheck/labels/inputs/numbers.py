"""Labels as numbers: text and codes through the class names, text that names several classes as rows of 0 and 1."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backendcheck.text.escape import decoded

_SEPARATORS = ("|", ";", ",")  # between the names of several classes in one text
_MOST_ONES = 50_000_000  # numbers in rows of 0 and 1 that are made from text
_EXACT = 2**53  # up to here a float64 holds every integer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbers:
    """Labels as numbers.

    Attributes:
        values: int64 (uint64 if it has to be) or float64, in the shape of the labels, with -1 for text that is missing or
            unknown; rows of 0 and 1 if texts name several classes. None if labels are neither numbers nor text with class names.
        by_name: whether the numbers are the indices of class names that the labels hold.
        several: the first text that names several classes; empty without one.
        separator: what is between the names of such a text.
        missing: which labels are an empty text or nothing, among labels that are text; None if labels are not text.
        unknown_names: texts that are not class names, each once, with an empty one for missing labels.
        n_unknown: how many labels have such a text.
    """

    values: np.ndarray | None
    by_name: bool = False
    several: str = ""
    separator: str = ""
    missing: np.ndarray | None = None
    unknown_names: tuple[str, ...] = ()
    n_unknown: int = 0

    @property
    def known(self) -> np.ndarray | None:
        """The values without labels that have no index, which other rules report; then in one axis."""
        if self.values is None or self.several or not self.n_unknown:
            return self.values
        return self.values[self.values >= 0]


def numbers_of(raw: np.ndarray, class_names: Sequence[str], separator: str = "") -> Numbers:
    """Labels as numbers. A text label becomes the index of its class name, and so do numbers that are the class names.

    `separator` is what separates the names of several classes in the texts of training.
    """
    dtype_kind = raw.dtype.kind
    if dtype_kind == "O":
        return _of_objects(raw, class_names, separator)
    if dtype_kind in "US":
        return _of_text([decoded(value) for value in raw.ravel().tolist()], raw.shape, class_names, separator)
    if dtype_kind in "mMV" and not (raw.dtype.names is None and str(raw.dtype).startswith("bfloat")):
        return Numbers(values=None)
    if dtype_kind == "c":
        return Numbers(values=raw.real.astype(np.float64))
    if dtype_kind in "fV":
        with np.errstate(all="ignore"):
            return _by_code(raw.astype(np.float64), class_names)
    if dtype_kind == "u" and raw.dtype.itemsize == 8 and raw.size and int(raw.max()) > np.iinfo(np.int64).max:  # noqa: PLR2004 - bytes
        return Numbers(values=raw.astype(np.uint64))
    return _by_code(raw.astype(np.int64), class_names)


def _of_objects(raw: np.ndarray, class_names: Sequence[str], separator: str) -> Numbers:
    flat = [None if _is_missing(value) else value for value in raw.ravel().tolist()]
    values = [value for value in flat if value is not None]
    if values and all(isinstance(value, str | bytes) for value in values):
        return _of_text(["" if value is None else decoded(value) for value in flat], raw.shape, class_names, separator)
    if not all(isinstance(value, int | float | np.number | np.bool_) for value in values):
        return Numbers(values=None)
    try:
        numbers = np.array([np.nan if value is None else float(value) for value in flat], np.float64).reshape(raw.shape)
    except (OverflowError, TypeError, ValueError):
        return Numbers(values=None)
    return _by_code(numbers, class_names)


def _is_missing(value: Any) -> bool:
    """Whether a Python object stands for nothing: None, NaN, or NA of pandas."""
    return value is None or (isinstance(value, float) and value != value) or type(value).__name__ in ("NAType", "NaTType")  # noqa: PLR0124 - NaN


# --- numbers that are class names ------------------------------------------------------------------------------


def _by_code(numbers: np.ndarray, class_names: Sequence[str]) -> Numbers:
    """Numbers as they are, or as indices of the names, if they cannot all be indices and all of them are names: 7, 10, 100."""
    finite = numbers[np.isfinite(numbers)] if numbers.dtype.kind == "f" else numbers.ravel()
    if not class_names or not finite.size or (finite.min() >= 0 and finite.max() < len(class_names)):
        return Numbers(values=numbers)
    codes = {int(name): index for index, name in enumerate(class_names) if re.fullmatch(r"\s*-?[0-9]{1,15}\s*", name, re.ASCII)}
    if len(codes) != len(class_names):
        return Numbers(values=numbers)
    values, places = np.unique(numbers, return_inverse=True)
    if not all(not np.isfinite(value) or value in codes for value in values.tolist()):
        return Numbers(values=numbers)
    indices = np.array([codes.get(value, value) for value in values.tolist()], numbers.dtype)
    return Numbers(values=indices[places].reshape(numbers.shape), by_name=True)


# --- text ------------------------------------------------------------------------------------------------------


def _of_text(texts: list[str], shape: tuple[int, ...], class_names: Sequence[str], separator: str) -> Numbers:
    missing = np.array([not text.strip() for text in texts], bool).reshape(shape)
    index: dict[str, int] = {}
    for number, name in enumerate(class_names):
        index.setdefault(name, number)
    several = ""
    if between := _separator([text for text in dict.fromkeys(texts) if text.strip()], index) or separator:
        several = next((text for text in texts if between in text and text not in index), texts[0] if separator and texts else "")
    if not class_names:
        return Numbers(values=None, missing=missing, several=several, separator=between)
    if several and len(texts) == shape[0] and len(texts) * len(class_names) <= _MOST_ONES:
        return _as_rows(texts, index, several, between, missing, len(class_names))
    unknown = tuple(sorted({text for text in texts if text not in index}))
    indices = np.array([index.get(text, -1) for text in texts], np.int64).reshape(shape)
    n_unknown = int(np.count_nonzero(indices < 0))
    return Numbers(values=indices, by_name=True, missing=missing, unknown_names=unknown, n_unknown=n_unknown)


def _separator(texts: Sequence[str], index: Mapping[str, int]) -> str:
    """What separates several names in one text; empty if each text is one name.

    With class names, most parts must be names. Without, the parts must be fewer than the texts, or stand alone elsewhere.
    """
    for separator in _SEPARATORS:
        with_several = [text for text in texts if separator in text and text not in index]
        if not with_several:
            continue
        parts = {part.strip() for text in texts for part in text.split(separator)}
        if index:
            if 2 * len(parts & index.keys()) > len(parts):
                return separator
        elif separator != "," and (len(parts) < len(texts) or parts & set(texts)):
            return separator
    return ""


def _as_rows(
    texts: Sequence[str], index: Mapping[str, int], several: str, separator: str, missing: np.ndarray, n_classes: int
) -> Numbers:
    """A row of 0 and 1 for each text, with a 1 for each class that it names. An empty text names none."""
    rows = np.zeros((len(texts), n_classes), np.int64)
    unknown: set[str] = set()
    n_unknown = 0
    for row, text in zip(rows, texts, strict=True):
        parts = {text} if text in index else {part.strip() for part in text.split(separator)} - {""}
        row[[index[part] for part in parts if part in index]] = 1
        unknown |= parts - index.keys()
        n_unknown += not parts <= index.keys()
    return Numbers(
        values=rows, by_name=True, several=several, separator=separator, missing=missing, unknown_names=tuple(sorted(unknown)),
        n_unknown=n_unknown,
    )  # fmt: skip
