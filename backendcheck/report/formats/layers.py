"""What `backendcheck locate` prints: a table layer by layer, a sentence on where the difference begins; or the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backendcheck.compare.layers import ENCLOSES, Difference, LayerResult, Location
from backendcheck.recordings.layer_calls import LOSS
from backendcheck.report.formats.json import plain
from backendcheck.report.views.findings import excess_words, figure
from backendcheck.report.views.layers import sentences
from backendcheck.text.escape import one_line
from backendcheck.text.lines import table, wrapped

SCHEMA = 1

_LEGEND = """\
max|d| and excess are as recorded; excess is the largest difference divided by what is allowed. "same inputs" is the excess \
given the same inputs: above 1 the layer is local, a cause; otherwise it has inherited what differs. One that encloses holds a \
local one."""


def text(case: str, locations: Sequence[Location], width: int | None) -> Iterator[str]:
    """Tables and sentences for each backend that is held against the teacher."""
    for number, location in enumerate(locations):
        if number:
            yield ""
        yield from wrapped(f"{one_line(case)}   {location.backend} against {location.teacher}", width, hang="    ")
        yield ""
        yield from _forward(location)
        yield ""
        yield from _backward(location)
        yield ""
        yield from wrapped(_LEGEND, width, first="  ", hang="  ")
        for note in _notes(location):
            yield from wrapped(one_line(note), width, first="  ", hang="    ")
        yield ""
        for sentence in sentences(location):
            yield from wrapped(one_line(sentence), width, hang="    ")


def _forward(location: Location) -> Iterator[str]:
    head = ["outputs", "", "shape", "max|d|", "excess", "same inputs", "verdict"]
    yield from table([head, *(_forward_row(layer) for layer in location.layers)], "  ")


def _forward_row(layer: LayerResult) -> list[str]:
    return [
        _indented(layer), layer.type, layer.shape, *_figures(layer.recorded),
        _excess(layer.replayed), layer.verdict.upper() if layer.verdict in ("local", "raised") else layer.verdict,
    ]  # fmt: skip


def _backward(location: Location) -> Iterator[str]:
    rows = [
        [_indented(layer), layer.type, *_figures(layer.upstream), _excess(layer.gradient),
         layer.backward.upper() if layer.backward == "local" else layer.backward or "-"]
        for layer in reversed(location.layers)
    ]  # fmt: skip
    yield from table([["gradients", "", "max|d|", "excess", "same inputs", "verdict"], *rows], "  ")


def _indented(layer: LayerResult) -> str:
    return "  " * layer.depth + one_line(layer.name)


def _figures(difference: Difference | None) -> list[str]:
    if difference is None:
        return ["-", "-"]
    return [figure(difference.max_abs) if difference.max_abs is not None else "-", _excess(difference)]


def _excess(difference: Difference | None) -> str:
    if difference is None:
        return "-"
    if difference.excess is None:
        return "differs" if difference else "equal"
    return excess_words(difference.excess)


def _notes(location: Location) -> Iterator[str]:
    noted: dict[str, list[str]] = {}
    for layer in location.layers:
        if layer.note and layer.verdict != ENCLOSES:
            noted.setdefault(layer.note, []).append(layer.name)
    for note, names in noted.items():
        yield f"{', '.join(names)}: {note}"
    if location.unseen:
        yield f"not seen on both, for one of them traces a loop or a map or has another way: {', '.join(location.unseen)}"
    yield from location.notes


def as_json(case: str, locations: Sequence[Location]) -> str:
    """The same for programs."""
    body = {"schema": SCHEMA, "case": case, "comparisons": [_location(location) for location in locations]}
    return json.dumps(plain(body), indent=1, allow_nan=False)


def _location(location: Location) -> Mapping[str, Any]:
    return {
        "teacher": location.teacher,
        "backend": location.backend,
        "first_output": location.forward.name if location.forward else None,
        "first_gradient": location.backward.name if location.backward else None,
        "sentences": sentences(location),
        "layers": [_layer(layer) for layer in location.layers],
        "unseen": location.unseen,
        "notes": location.notes,
    }


def _layer(layer: LayerResult) -> Mapping[str, Any]:
    return {
        "layer": layer.name,
        "is_loss": layer.key == LOSS,
        "class": layer.type,
        "within": layer.within,
        "shape": layer.shape,
        "verdict": layer.verdict,
        "gradient_verdict": layer.backward or None,
        "note": layer.note,
        **{
            name: None if one is None else {"max_abs": one.max_abs, "excess": one.excess, "message": one.message}
            for name, one in (
                ("inputs", layer.inputs), ("recorded", layer.recorded), ("replayed", layer.replayed),
                ("upstream", layer.upstream), ("gradient", layer.gradient),
            )
        },
    }  # fmt: skip
