"""What `locate` found, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from backendcheck.compare.layers import INHERITED, LOCAL, NOT_COMPARABLE, RAISED, STATEFUL, LayerResult, Location
from backendcheck.recordings.layer_calls import LOSS


def sentences(location: Location) -> list[str]:
    """What was found, in one sentence for each way; the first is the first difference."""
    found = []
    if location.forward is not None:
        found.append(f"first difference: {_forward_words(location, location.forward)}")
    back = location.backward
    if back is not None and back.gradient is not None and (location.forward is None or back.key != location.forward.key):
        begin = "from the loss backwards" if found else "first difference"
        own = _own_code(location, back, back.backward)
        found.append(
            f"{begin}: {_what(back)}, gradient; given the same inputs and the same gradient by its output, "
            f"{back.gradient.message}; confirmed by replay{own}"
        )
    if not found:
        apart = [layer.name for layer in location.layers if INHERITED in (layer.verdict, layer.backward)]
        unsure = [layer.name for layer in location.layers if layer.verdict in (STATEFUL, NOT_COMPARABLE)]
        sides = f"{location.backend} and {location.teacher}"
        if not location.differs:
            but = f"; {_some(unsure)} could not be compared" if unsure else ""
            found.append(f"nothing differs: the layers of {sides} return the same, and so do their gradients{but}")
        elif unsure:
            found.append(f"not located: no layer differs by itself, but {_some(unsure)} could not be compared")
        else:
            found.append(f"not located: {_some(apart)} differs as recorded, but no layer does given the same inputs")
    return found


def _forward_words(location: Location, layer: LayerResult) -> str:
    if layer.verdict == RAISED:
        return f"{_what(layer)}; {layer.note}"
    replayed = layer.replayed if layer.replayed is not None else layer.recorded
    message = replayed.message if replayed is not None else ""
    sure = "confirmed by replay" if layer.replayed else layer.note
    return f"{_what(layer)}, output; given the same inputs, {message}; {sure}{_own_code(location, layer, layer.verdict)}"


def _own_code(location: Location, layer: LayerResult, verdict: str) -> str:
    """What to think of a call that differs although no other inside it does."""
    inside = [one for one in location.layers if one.within == layer.key]
    if not inside or verdict != LOCAL:
        return ""
    first = next((one.name for one in inside if one.verdict == INHERITED), "")
    begins = f", before `{first}`" if first else ""
    return f" (no layer inside it differs by itself: it is what it computes between them{begins}, or rounding that adds up)"


def _what(layer: LayerResult) -> str:
    return f"loss ({layer.type})" if layer.key == LOSS else f"layer `{layer.key}` ({layer.type})"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown  # noqa: PLR2004 - what a sentence can hold
