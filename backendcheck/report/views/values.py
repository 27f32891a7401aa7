"""Small arrays side by side: the values of each backend next to the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backendcheck.compare.findings import Finding
from backendcheck.recordings.recording import Recording
from backendcheck.results.results import CaseResult
from backendcheck.vocabulary.observations import ObservationName, Quantity, flow_key, of_output, quantity_of

MOST_ELEMENTS = 20
_MOST_TABLES = 6
_MOST_COLUMNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRow:
    """One row of a table of values: its side, its example, the values as text, the columns of the worst elements."""

    side: str
    example: str
    values: tuple[str, ...]
    worst: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTable:
    """One observation on all backends. `columns` are class names or indices."""

    observation: str
    columns: tuple[str, ...]
    rows: tuple[ValueRow, ...]


def value_tables(result: CaseResult, legs: Sequence[str]) -> list[ValueTable]:
    """The observations with findings that are small enough to show whole, in the order of the computation."""
    by_name: dict[str, list[Finding]] = {}
    for finding in result.findings:
        by_name.setdefault(finding.observation, []).append(finding)
    if any(finding.observation == "raised" for finding in result.findings):
        returned = {name for recording in result.recordings.values() for name in recording.observations}
        by_name |= {name: [] for name in returned if name not in by_name and _shows_what_was_returned(name)}
    tables = []
    for name in sorted(by_name, key=flow_key):
        table = _table(name, by_name[name], result.recordings, legs)
        if table is not None:
            tables.append(table)
    return tables[:_MOST_TABLES]


def _shows_what_was_returned(name: str) -> bool:
    kinds = (Quantity.VALUE, Quantity.PREDICTED_CLASS, Quantity.PER_EXAMPLE_LOSS, Quantity.LOSS)
    return quantity_of(name) in kinds or ObservationName.parse(name).of_predictions


def _table(
    name: str, findings: Sequence[Finding], recordings: Mapping[str, Recording], legs: Sequence[str]
) -> ValueTable | None:
    present = [leg for leg in legs if leg in recordings and name in recordings[leg].observations]
    if not present:
        return None
    arrays = {leg: recordings[leg].observations[name].value for leg in present}
    recording = recordings[present[0]]
    reference = recording.reference.get(name)
    shown = arrays | ({"reference": _rounded(reference)} if reference is not None else {})
    labels = _labels(name, recording, arrays[present[0]].shape)
    if labels is not None:
        shown = {"y_true": labels} | shown
    if any(array.size > MOST_ELEMENTS or array.size == 0 for array in arrays.values()):
        return None
    width = max(_width(array) for array in shown.values())
    if width > _MOST_COLUMNS:
        return None
    if classes := class_names(name, recording):
        shown = {side: _named(array, classes) if _holds_classes(name, side, array) else array for side, array in shown.items()}
    worst = _worst_places(findings) if arrays[present[0]].size > 1 else {}
    n_examples = max(_height(array) for array in shown.values())
    rows = []
    for example in range(n_examples):
        for side, array in shown.items():
            if example < _height(array):
                place = _place(array, example) if n_examples > 1 else ""
                rows.append(_row(side, array, example, place, worst.get((side, example), set())))
    return ValueTable(observation=name, columns=_columns(name, recording, arrays[present[0]], width), rows=tuple(rows))


def _width(array: np.ndarray) -> int:
    return int(array.shape[-1]) if array.ndim else 1


def _height(array: np.ndarray) -> int:
    """The number of rows: one per index on all axes but the last."""
    return int(array.size // max(_width(array), 1))


def _place(array: np.ndarray, example: int) -> str:
    """The index of a row on all axes but the last: ``[1]``."""
    return str([int(i) for i in np.unravel_index(example, array.shape[:-1])]) if array.ndim > 1 else ""


def _row(side: str, array: np.ndarray, example: int, place: str, worst: set[int]) -> ValueRow:
    values = array.reshape(_height(array), _width(array))[example]
    return ValueRow(
        side=side,
        example=place,
        values=tuple(value_text(value) for value in values),
        worst=frozenset(worst) if array.ndim <= 2 else frozenset(),  # noqa: PLR2004 - with more axes, a row is not an example
    )


def _worst_places(findings: Sequence[Finding]) -> dict[tuple[str, int], set[int]]:
    """The columns of the worst elements, by side and row."""
    places: dict[tuple[str, int], set[int]] = {}
    for finding in findings:
        if finding.worst_index is None:
            continue
        index = (0, 0, *finding.worst_index)[-2:]
        for side in finding.sides:
            places.setdefault((side, index[0]), set()).add(index[1])
    return places


def value_text(value: object) -> str:
    """One element as NumPy prints it: as many digits as distinguish it from the next number."""
    if isinstance(value, np.floating):
        if not np.isfinite(value):
            return str(value).replace("nan", "NaN").replace("inf", "Inf")
        plain = value == 0 or 1e-4 <= abs(float(value)) < 1e7  # noqa: PLR2004 - where positional notation is shorter
        return np.format_float_positional(value, trim="0") if plain else np.format_float_scientific(value, trim="-", exp_digits=1)
    return str(value)


def _rounded(reference: np.ndarray) -> np.ndarray:
    """A float64 reference in nine digits, which is enough next to a float32."""
    if reference.dtype != np.float64:
        return reference
    return np.array([float(f"{value:.9g}") for value in reference.ravel()]).reshape(reference.shape)


def _labels(name: str, recording: Recording, shape: tuple[int, ...]) -> np.ndarray | None:
    """The labels of an array with one row per example, if they have its shape."""
    quantity = quantity_of(name)
    of_examples = (Quantity.PER_EXAMPLE_LOSS, Quantity.PREDICTED_CLASS, Quantity.PREDICTIONS)
    if quantity not in of_examples and not ObservationName.parse(name).of_predictions:
        return None
    output = ObservationName.parse(name).output
    labels = recording.labels.get(of_output("y_true", output))
    if labels is None:
        return None
    if labels.shape == (*shape, 1):
        labels = labels[..., 0]
    return labels if labels.shape == shape else None


def class_names(name: str, recording: Recording) -> list[str]:
    """The class names of an observation; may be empty."""
    names = recording.class_names
    if isinstance(names, Mapping):
        observation = ObservationName.parse(name)
        names = names.get(observation.output or observation.part)
    return [str(name) for name in names] if isinstance(names, list | tuple) else []


def _holds_classes(name: str, side: str, array: np.ndarray) -> bool:
    return (side == "y_true" or quantity_of(name) is Quantity.PREDICTED_CLASS) and array.dtype.kind in "iu"


def _named(array: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Class indices followed by their names: ``2 fox``."""
    named = np.empty(array.size, dtype=object)
    named[:] = [f"{index} {classes[index]}" if 0 <= index < len(classes) else str(index) for index in array.ravel().tolist()]
    return named.reshape(array.shape)


def _columns(name: str, recording: Recording, array: np.ndarray, width: int) -> tuple[str, ...]:
    if width == 1:
        return ("",)
    numbered = tuple(str(index) for index in range(width))
    quantity = quantity_of(name)
    of_classes = quantity is Quantity.PREDICTIONS or ObservationName.parse(name).of_predictions
    if not of_classes or array.ndim < 2:  # noqa: PLR2004 - examples and classes
        return numbered
    classes = class_names(name, recording)
    return tuple(classes) if len(classes) == width else numbered
