"""The layers that `backendcheck locate` has compared, kept beside the run: what a report needs to show where a difference begins.

``DIR/layers/<case id>.json`` holds the comparisons and the SHA-256 of the recordings of the case. A report of other recordings
never shows them.

Format history
    1  first version
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput
from backendcheck.files import read_text, write_atomically
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.paths import RECORDINGS, recording_path
from backendcheck.recordings.scripts import digests_of

FORMAT = 1
FOLDER = "layers"
_DEEPEST = 20
_REMEDY = "Make it again with 'backendcheck locate', or delete it."


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedLayer:
    """One layer on two backends. The numbers are None where nothing was compared, and text where they are not finite.

    `same_inputs` is the excess given the same inputs, `output` and `gradient` the verdicts. `first` says that a difference begins
    here.
    """

    name: str
    type: str
    depth: int
    shape: str
    max_abs: float | str | None
    excess: float | str | None
    same_inputs: float | str | None
    output: str
    gradient: str
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerComparison:
    """The layers of a case on one backend, compared with those of another, and what that shows in sentences."""

    source: str
    backend: str
    sentences: tuple[str, ...]
    layers: tuple[ComparedLayer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayersFound:
    """The comparisons that belong to the recordings at hand, by case. `stale` are cases whose layers belong to others."""

    by_case: Mapping[str, tuple[LayerComparison, ...]] = field(default_factory=dict)
    stale: frozenset[str] = frozenset()


def keep_layers(directory: Path, case: str, report: str, legs: Sequence[Leg]) -> Path:
    """Keep the JSON of `locate` beside the run in `directory`; returns its path.

    Raises:
        OutputInTheWay: if `directory` cannot be written.
    """
    # With a digest in the name, because ids may differ in upper and lower case alone.
    path = directory / FOLDER / recording_path(Path(), case, distinct=True).relative_to(RECORDINGS).with_suffix(".json")
    content = {"format": FORMAT, "recordings": digests_of(case, legs), "located": json.loads(report)}
    write_atomically(path, f"{json.dumps(content, indent=1)}\n".encode())
    return path


def clear_layers(directory: Path) -> None:
    """Remove the layers of an earlier run in `directory`."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory / FOLDER)


def find_layers(directories: Iterable[Path], legs: Sequence[Leg]) -> LayersFound:
    """The layers beside the runs in `directories` that belong to the recordings of `legs`. What is damaged is left out."""
    by_case: dict[str, tuple[LayerComparison, ...]] = {}
    stale: set[str] = set()
    for folder in dict.fromkeys((directory / FOLDER).resolve() for directory in directories):
        for path in sorted(folder.rglob("*.json")) if folder.is_dir() else ():
            with contextlib.suppress(UnreadableInput):
                case, recordings, comparisons = _read(path)
                here = set(digests_of(case, legs).values())
                if recordings and recordings == here:
                    by_case.setdefault(case, comparisons)
                else:
                    stale.add(case)
    return LayersFound(by_case=by_case, stale=frozenset(stale - by_case.keys()))


def _read(path: Path) -> tuple[str, set[str], tuple[LayerComparison, ...]]:
    try:
        content = json.loads(read_text(path))
        if content["format"] != FORMAT:
            raise ValueError(content["format"])
        located = content["located"]
        comparisons = tuple(map(_comparison, located["comparisons"]))
        return _text(located["case"]), {_text(digest) for digest in content["recordings"].values()}, comparisons
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{path}: cannot be read as the layers of a case ({type(error).__name__}: {error}). {_REMEDY}"
        raise UnreadableInput(message) from error


def _comparison(located: Mapping[str, Any]) -> LayerComparison:
    within = {_text(layer["layer"]): layer["within"] for layer in located["layers"]}
    first = {located["first_output"], located["first_gradient"]}
    return LayerComparison(
        source=_text(located["teacher"]),
        backend=_text(located["backend"]),
        sentences=tuple(map(_text, located["sentences"])),
        layers=tuple(_layer(layer, within, first) for layer in located["layers"]),
    )


def _layer(layer: Mapping[str, Any], within: Mapping[str, Any], first: set[Any]) -> ComparedLayer:
    depth, name = 0, layer["within"]
    while name and depth < _DEEPEST:
        depth, name = depth + 1, within.get(name)
    recorded, replayed = layer["recorded"] or {}, layer["replayed"] or {}
    return ComparedLayer(
        name=_text(layer["layer"]), type=_text(layer["class"]), depth=depth, shape=_text(layer["shape"]),
        max_abs=_number(recorded.get("max_abs")), excess=_number(recorded.get("excess")),
        same_inputs=_number(replayed.get("excess")), output=_text(layer["verdict"]),
        gradient=_text(layer["gradient_verdict"] or ""), first=layer["layer"] in first,
    )  # fmt: skip


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value


def _number(value: Any) -> float | str | None:
    if value is not None and not isinstance(value, float | int | str):
        raise TypeError(f"expected a number, got {type(value).__name__}")
    return value
