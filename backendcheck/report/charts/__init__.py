"""Pictures of a difference: who maps to whom, where it is, how large against its tolerance. Pure functions from results to SVG.

Inline SVG made here rather than with a charting library: the pictures are few and small, the page opens offline from a zip, and a
library that draws in the browser weighs a good part of what the whole page may weigh at a thousand cases.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup

from backendcheck.compare.findings import Finding
from backendcheck.report.charts import svg
from backendcheck.report.charts.error import error_against_magnitude, heat_map, leading_pair, rounding_steps
from backendcheck.report.charts.order import confusion, implied_confusion, who_maps_to_whom
from backendcheck.report.charts.svg import Chart
from backendcheck.report.views.values import class_names
from backendcheck.results.results import CaseResult
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import ObservationName, Quantity, quantity_of

_IMMEASURABLE = (FindingKind.NON_FINITE, FindingKind.SHAPE, FindingKind.MISSING)

_MOST_LAYERS = 20
_LONGEST_PATH = 32


def charts(result: CaseResult) -> list[Chart]:
    """The pictures that say something about the findings of a case, the most telling first."""
    found = [*who_maps_to_whom(result), *confusion(result), *implied_confusion(result)]
    pair = leading_pair(result)
    if pair is not None:
        names = class_names(pair.finding.observation, next(iter(result.recordings.values())))
        found += [*heat_map(pair, names), *error_against_magnitude(pair), *rounding_steps(pair)]
    return [*found, *_gradients_by_layer(result), *_training_curves(result)]


def _gradients_by_layer(result: CaseResult) -> Iterator[Chart]:
    """The worst excess of each weight gradient between backends."""
    worst: dict[str, float] = {}
    for one in result.comparisons:
        if (
            one.oracle == Oracle.AGREEMENT
            and quantity_of(one.observation) is Quantity.GRADIENT
            and not ObservationName.parse(one.observation).of_predictions
        ):
            immeasurable = isinstance(one, Finding) and one.kind in _IMMEASURABLE
            found = np.inf if immeasurable else one.excess
            if found is not None:
                path = ObservationName.parse(one.observation).part
                worst[path] = max(worst.get(path, 0.0), float(found) if found == found else np.inf)  # noqa: PLR0124 - NaN
    if len(worst) < 2 or max(worst.values()) <= 1:  # noqa: PLR2004
        return
    shown = list(worst.items())[:_MOST_LAYERS]
    left = 14 + 6.2 * max(len(_end_of(path)) for path, _ in shown)
    x = svg.Scale(1e-3, max(10.0, *(min(value, 1e9) for value in worst.values())), left, left + 230, log=True)
    marks: list[Markup] = []
    for n, (path, value) in enumerate(shown):
        top = 10.0 + 20 * n
        marks.append(svg.element("text", _end_of(path), x=left - 8, y=top + 11, class_="tick", text_anchor="end"))
        length = max(x(max(min(value, 1e9), 1e-3)) - left, 1.0)
        bar = svg.element("rect", x=left, y=top, width=length, height=14, class_="over-bar" if value > 1 else "bar-mark")
        marks.append(svg.titled(bar, f"{path}: {f'{value:.3g}' if np.isfinite(value) else 'NaN or Inf'} times what is allowed"))
    bottom = 14.0 + 20 * len(shown)
    marks += [svg.element("line", x1=x(1.0), x2=x(1.0), y1=4, y2=bottom, class_="bound"), *svg.axis_below(x, bottom, "excess")]
    n_over = sum(value > 1 for value in worst.values())
    more = "" if len(shown) == len(worst) else f" {len(worst) - len(shown)} more are not drawn."
    said = f"The gradients of {n_over} of {len(worst)} weights differ by more than allowed"
    picture = svg.figure(marks, width=left + 250, height=bottom + 36, said=said)
    yield Chart(title="Gradients by layer", picture=picture, caption=f"{said}.{more}")


def _end_of(path: str) -> str:
    """The end of a long variable path, which says most."""
    return path if len(path) <= _LONGEST_PATH else f"…{path[1 - _LONGEST_PATH :]}"


def _training_curves(result: CaseResult) -> Iterator[Chart]:
    """The loss that `fit` reports on each backend, where there is more than one epoch of it."""
    curves = {
        leg: recording.observations["train/loss"].value.astype(np.float64).ravel()
        for leg, recording in result.recordings.items()
        if "train/loss" in recording.observations
        and recording.observations["train/loss"].value.dtype.kind in "fiu"
        and recording.observations["train/loss"].value.size > 1
    }
    values = np.concatenate([*curves.values()]) if curves else np.array([])
    if len(curves) < 2 or not np.isfinite(values).any():  # noqa: PLR2004
        return
    finite = values[np.isfinite(values)]
    n_epochs = max(len(curve) for curve in curves.values())
    x = svg.Scale(1, n_epochs, 60, 360)
    with np.errstate(all="ignore"):
        pad = float(np.ptp(finite) or np.abs(finite).max() or 1.0) * 0.08
        low, high = finite.min() - pad, finite.max() + pad
    if not np.isfinite(pad) or not abs(high) + abs(low) < svg.LARGEST:  # no axis reaches from end to end of float64
        return
    y = svg.Scale(float(low), float(high), 170, 26)
    marks = [*svg.axis_below(x, 170, "epoch", whole=True), *svg.axis_left(y, 60, "loss of training")]
    for n, (leg, curve) in enumerate(curves.items()):
        points = " ".join(f"{x(float(k + 1)):.1f},{y(float(v)):.1f}" for k, v in enumerate(curve) if np.isfinite(v))
        marks.append(svg.element("polyline", points=points, class_=f"curve c{n % 4}"))
        marks.append(svg.element("line", x1=372, x2=392, y1=34 + 18.0 * n, y2=34 + 18.0 * n, class_=f"curve c{n % 4}"))
        marks.append(svg.element("text", leg, x=397, y=38 + 18.0 * n, class_="tick"))
    said = "; ".join(f"{leg} ends at {curve[-1]:.5g}" for leg, curve in curves.items())
    yield Chart(title="Training", picture=svg.figure(marks, width=490, height=206, said=said), caption=f"Loss by epoch: {said}.")
