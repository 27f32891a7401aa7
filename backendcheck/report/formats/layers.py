"""The output of `backendcheck locate`: tables by layer and sentences on where the difference begins, as text or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backendcheck.compare.layers import (
    ENCLOSES,
    INHERITED,
    LOCAL,
    NOT_COMPARABLE,
    RAISED,
    STATEFUL,
    Difference,
    LayerResult,
    Location,
)
from backendcheck.recordings.layer_calls import LOSS
from backendcheck.report.formats.strict_json import plain
from backendcheck.report.views.findings import excess_words, short_value
from backendcheck.text.escape import one_line
from backendcheck.text.lines import table, wrapped
from backendcheck.text.words import listed

SCHEMA = 1

_LEGEND = """\
max|d| and excess are those of the recorded run; excess is the largest difference over the allowed one. "same inputs" is the \
excess given the same inputs: above 1 the layer is local, a cause; otherwise its difference is inherited. A layer that encloses \
contains a local one."""


def text(case: str, locations: Sequence[Location], width: int | None) -> Iterator[str]:
    """Tables and sentences for each backend that is compared with the source backend."""
    for number, location in enumerate(locations):
        if number:
            yield ""
        yield from wrapped(f"{one_line(case)}   {location.backend} against {location.source}", width, hang="    ")
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
        _indented(layer), layer.type, layer.shape, *_values(layer.recorded),
        _excess(layer.replayed), layer.verdict.upper() if layer.verdict in ("local", "raised") else layer.verdict,
    ]  # fmt: skip


def _backward(location: Location) -> Iterator[str]:
    rows = [
        [_indented(layer), layer.type, *_values(layer.upstream), _excess(layer.gradient),
         layer.backward.upper() if layer.backward == "local" else layer.backward or "-"]
        for layer in reversed(location.layers)
    ]  # fmt: skip
    yield from table([["gradients", "", "max|d|", "excess", "same inputs", "verdict"], *rows], "  ")


def _indented(layer: LayerResult) -> str:
    return "  " * layer.depth + one_line(layer.name)


def _values(difference: Difference | None) -> list[str]:
    if difference is None:
        return ["-", "-"]
    return [short_value(difference.max_abs) if difference.max_abs is not None else "-", _excess(difference)]


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
        yield f"not observed on both backends (a traced loop or map, or another path): {', '.join(location.unseen)}"
    yield from location.notes


def as_json(case: str, locations: Sequence[Location]) -> str:
    """The same for programs."""
    body = {"schema": SCHEMA, "case": case, "comparisons": [_location(location) for location in locations]}
    return json.dumps(plain(body), indent=1, allow_nan=False)


def _location(location: Location) -> Mapping[str, Any]:
    return {
        "teacher": location.source,
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
            name: None if d is None else {"max_abs": d.max_abs, "excess": d.excess, "message": d.message}
            for name, d in (
                ("inputs", layer.inputs), ("recorded", layer.recorded), ("replayed", layer.replayed),
                ("upstream", layer.upstream), ("gradient", layer.gradient),
            )
        },
    }  # fmt: skip


# --- in sentences ------------------------------------------------------------------------------------------------


def sentences(location: Location) -> list[str]:
    """A sentence for the forward pass and one for the gradients; the first difference comes first."""
    texts = []
    if location.forward is not None:
        texts.append(f"first difference: {_forward_words(location, location.forward)}")
    back = location.backward
    if back is not None and back.gradient is not None and (location.forward is None or back.key != location.forward.key):
        begin = "from the loss backwards" if texts else "first difference"
        own = _own_code(location, back, back.backward)
        texts.append(
            f"{begin}: {_name_of(back)}, gradient; given the same inputs and the same gradient of its output, "
            f"{back.gradient.message}; confirmed by replay{own}"
        )
    if not texts:
        apart = [layer.name for layer in location.layers if INHERITED in (layer.verdict, layer.backward)]
        unsure = [layer.name for layer in location.layers if layer.verdict in (STATEFUL, NOT_COMPARABLE)]
        sides = f"{location.backend} and {location.source}"
        if not location.differs:
            rest = f"; {_some(unsure)} could not be compared" if unsure else ""
            texts.append(f"nothing differs: the layers of {sides} return the same, and so do their gradients{rest}")
        elif unsure:
            texts.append(f"not located: no layer differs by itself, but {_some(unsure)} could not be compared")
        else:
            texts.append(f"not located: {_some(apart)} differs in the recorded run, but no layer differs given the same inputs")
    return texts


def _forward_words(location: Location, layer: LayerResult) -> str:
    if layer.verdict == RAISED:
        return f"{_name_of(layer)}; {layer.note}"
    replayed = layer.replayed if layer.replayed is not None else layer.recorded
    message = replayed.message if replayed is not None else ""
    confirmed = "confirmed by replay" if layer.replayed else layer.note
    return f"{_name_of(layer)}, output; given the same inputs, {message}; {confirmed}{_own_code(location, layer, layer.verdict)}"


def _own_code(location: Location, layer: LayerResult, verdict: str) -> str:
    """A note on a layer that differs although no layer inside it does."""
    inside = [inner for inner in location.layers if inner.within == layer.key]
    if not inside or verdict != LOCAL:
        return ""
    first = next((inner.name for inner in inside if inner.verdict == INHERITED), "")
    begins = f", before `{first}`" if first else ""
    return f" (no layer inside it differs by itself: the cause is in its own code{begins}, or it is rounding that adds up)"


def _name_of(layer: LayerResult) -> str:
    return f"loss ({layer.type})" if layer.key == LOSS else f"layer `{layer.key}` ({layer.type})"


def _some(names: Sequence[str]) -> str:
    return listed([f"`{name}`" for name in names], most=3)
