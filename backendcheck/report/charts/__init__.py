"""Charts of a difference: which class becomes which, where it is, its size against the tolerance. Pure functions to SVG.

The SVG is made here, without a charting library; docs/report.md says why. A chart that would say nothing is left out: a heat map
of one color, points at one place, rounding steps of what no rounding can change.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup

from backendcheck.compare.findings import Finding
from backendcheck.report.charts import svg
from backendcheck.report.charts.error import error_against_magnitude, heat_map, leading_pair, rounding_steps
from backendcheck.report.charts.order import class_mapping, confusion, implied_confusion
from backendcheck.report.charts.svg import Chart
from backendcheck.report.views.values import class_names
from backendcheck.results.results import CaseResult
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import ObservationName, Quantity, quantity_of

_MOST_LAYERS = 20
_IMMEASURABLE = (FindingKind.NON_FINITE, FindingKind.SHAPE, FindingKind.MISSING)
_LONGEST_PATH = 32


def charts(result: CaseResult) -> list[Chart]:
    """The charts of a case, the most informative first."""
    diagrams = [*class_mapping(result), *confusion(result), *implied_confusion(result)]
    pair = leading_pair(result)
    if pair is not None:
        names = class_names(pair.finding.observation, next(iter(result.recordings.values())))
        diagrams += [*heat_map(pair, names), *error_against_magnitude(pair), *rounding_steps(pair)]
    return [*diagrams, *_gradients_by_layer(result), *training_curves(result)]


def _gradients_by_layer(result: CaseResult) -> Iterator[Chart]:
    """The worst excess of each weight gradient between backends."""
    worst: dict[str, float] = {}
    for comparison in result.comparisons:
        if (
            comparison.oracle == Oracle.AGREEMENT
            and quantity_of(comparison.observation) is Quantity.GRADIENT
            and not ObservationName.parse(comparison.observation).of_predictions
        ):
            immeasurable = isinstance(comparison, Finding) and comparison.kind in _IMMEASURABLE
            excess = np.inf if immeasurable else comparison.excess
            if excess is not None:
                path = ObservationName.parse(comparison.observation).part
                worst[path] = max(worst.get(path, 0.0), np.inf if np.isnan(excess) else float(excess))
    if len(worst) < 2 or max(worst.values()) <= 1:  # noqa: PLR2004
        return
    kept = {path for path, _ in sorted(worst.items(), key=lambda item: -item[1])[:_MOST_LAYERS]}
    shown = [item for item in worst.items() if item[0] in kept]  # the worst, in the order of the model
    left = 14 + 6.2 * max(len(_end_of(path)) for path, _ in shown)
    x = svg.Scale(1e-3, max(10.0, *(min(value, 1e9) for value in worst.values())), left, left + 230, log=True)
    marks: list[Markup] = []
    for n, (path, value) in enumerate(shown):
        top = 26.0 + 20 * n
        marks.append(svg.element("text", _end_of(path), x=left - 8, y=top + 11, class_="tick", text_anchor="end"))
        length = max(x(max(min(value, 1e9), 1e-3)) - left, 1.0)
        bar = svg.element("rect", x=left, y=top, width=length, height=14, class_="over-bar" if value > 1 else "bar-mark")
        marks.append(svg.titled(bar, f"{path}: {f'{value:.3g} x the tolerance' if np.isfinite(value) else 'NaN or Inf'}"))
    bottom = 30.0 + 20 * len(shown)
    marks += [
        svg.element("line", x1=x(1.0), x2=x(1.0), y1=18, y2=bottom, class_="bound"),
        svg.element("text", "tolerance", x=x(1.0), y=12, class_="tick", text_anchor="middle"),
        *svg.axis_below(x, bottom, "difference / tolerance"),
    ]
    n_over = sum(value > 1 for value in worst.values())
    more = "" if len(shown) == len(worst) else f" {len(worst) - len(shown)} more are not shown."
    sentence = f"The gradients of {n_over} of {len(worst)} weights differ by more than the tolerance"
    picture = svg.picture(marks, width=left + 250, height=bottom + 36, label=sentence)
    yield Chart(title="Gradients by layer", picture=picture, caption=f"{sentence}.{more}")


def _end_of(path: str) -> str:
    """The end of a variable path, its most informative part."""
    return path if len(path) <= _LONGEST_PATH else f"…{path[1 - _LONGEST_PATH :]}"


def training_curves(result: CaseResult) -> Iterator[Chart]:
    """The loss that `fit` reports on each backend, if there is more than one epoch."""
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
    if not np.isfinite(pad) or not abs(high) + abs(low) < svg.LARGEST:  # no axis spans all of float64
        return
    y = svg.Scale(float(low), float(high), 170, 26)
    marks = [*svg.axis_below(x, 170, "epoch", whole=True), *svg.axis_left(y, 60, "training loss")]
    for n, (leg, curve) in enumerate(curves.items()):
        points = " ".join(f"{x(float(k + 1)):.1f},{y(float(v)):.1f}" for k, v in enumerate(curve) if np.isfinite(v))
        marks.append(svg.element("polyline", points=points, class_=f"curve c{n % 4}"))
        marks.append(svg.element("line", x1=372, x2=392, y1=34 + 18.0 * n, y2=34 + 18.0 * n, class_=f"curve c{n % 4}"))
        marks.append(svg.element("text", leg, x=397, y=38 + 18.0 * n, class_="tick"))
    ends = "; ".join(f"{leg} ends at {curve[-1]:.5g}" for leg, curve in curves.items())
    picture = svg.picture(marks, width=490, height=206, label=ends)
    yield Chart(title="Training", picture=picture, caption=f"Loss by epoch: {ends}.")
