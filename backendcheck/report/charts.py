"""Pictures of a difference: who maps to whom, where it is, how large against its tolerance. Pure functions from results to SVG.

Inline SVG made here rather than with a charting library: the pictures are few and small, the page opens offline from a zip, and a
library that draws in the browser weighs a good part of what the whole page may weigh at a thousand cases.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from backendcheck.comparison import Comparison
from backendcheck.headline import leading
from backendcheck.observation import Kind, kind_of
from backendcheck.report import svg
from backendcheck.results import CaseResult
from backendcheck.tolerance import Allowed, allowed

_MOST_CELLS = 40  # of a heat map, along each axis
_MOST_POINTS = 300
_MOST_CLASSES = 12
_LONGEST_NAME = 22
_LONGEST_PATH = 32
_BINS = (1.0, 10.0, 1e2, 1e4)  # excess at which a cell of the heat map changes its colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture with the sentence under it, which says what is shown and how much of it."""

    title: str
    picture: Markup
    caption: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Pair:
    """The two arrays of a finding."""

    finding: Comparison
    left: np.ndarray
    right: np.ndarray
    allowance: Allowed

    def excess(self) -> np.ndarray:
        left, right = self.left.astype(np.float64), self.right.astype(np.float64)
        with np.errstate(all="ignore"):
            magnitude = np.where(np.isfinite(left) & np.isfinite(right), np.maximum(np.abs(left), np.abs(right)), 0.0)
            bound = self.allowance.tolerance.atol + self.allowance.tolerance.rtol * self.allowance.scale(magnitude)
            found = np.where(left == right, 0.0, np.abs(left - right) / bound)
        return np.where(np.isnan(left) & np.isnan(right), 0.0, np.where(np.isnan(found), np.inf, found))


def charts(result: CaseResult) -> list[Chart]:
    """The pictures that say something about the findings of a case, the most telling first."""
    found = [*_who_maps_to_whom(result), *_confusion(result)]
    pair = _leading_pair(result)
    if pair is not None:
        found += [*_heat_map(pair), *_error_against_magnitude(pair), *_rounding_steps(pair)]
    return [*found, *_gradients_by_layer(result), *_training_curves(result)]


def _leading_pair(result: CaseResult) -> _Pair | None:
    """The two arrays behind the finding that says most of numbers."""
    findings = [one for one in result.findings if one.kind in ("value", "non-finite") and one.tolerance is not None]
    if not findings:
        return None
    finding = leading(findings)
    sides = [_array(result, finding, side) for side in finding.sides]
    if sides[0] is None or sides[1] is None or sides[0].shape != sides[1].shape or finding.tolerance is None:
        return None
    recording = result.recordings[finding.left.partition(":")[0]]
    usual = allowed(recording.case, finding.observation, "float32", {}, ())
    allowance = Allowed(tolerance=finding.tolerance, origin=finding.origin, norm_wise=usual.norm_wise)
    return _Pair(finding=finding, left=sides[0], right=sides[1], allowance=allowance)


def _array(result: CaseResult, finding: Comparison, side: str) -> np.ndarray | None:
    leg, _, door = side.partition(":")
    if side == "reference":
        recording = result.recordings[finding.left]
        if finding.observation in recording.reference:
            value: np.ndarray | None = recording.reference[finding.observation]
        else:
            expected = recording.expected.get(finding.observation)
            value = None if expected is None else expected.value
    elif door:
        variants = [one for one in result.recordings[leg].variants if one.door == door and one.oracle == finding.oracle]
        seen = variants[0].observations.get(finding.observation) if variants else None
        value = None if seen is None else seen.value
    else:
        seen = result.recordings[leg].observations.get(finding.observation) if leg in result.recordings else None
        value = None if seen is None else seen.value
    return value if value is not None and value.dtype.kind in "fiub" else None


def _name(names: object, index: int) -> str:
    text = str(names[index]) if isinstance(names, list | tuple) and index < len(names) else str(index)
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


def _class_names(result: CaseResult, observation: str) -> object:
    recording = next(iter(result.recordings.values()))
    names = recording.class_names
    return names.get(observation.partition("/")[2]) if isinstance(names, dict) else names


# --- label order -----------------------------------------------------------------------------------------------


def _who_maps_to_whom(result: CaseResult) -> Iterator[Chart]:
    """The classes of one side, and where they are on the other."""
    for diagnosis in result.diagnoses:
        cycles = diagnosis.evidence.get("columns")
        if diagnosis.code not in ("class-order", "off-by-one") or not isinstance(cycles, list) or not cycles:
            continue
        names = _class_names(result, str(diagnosis.evidence.get("observation", "")))
        moves = [(a, b) for cycle in cycles for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
        shown = sorted(moves)[:_MOST_CLASSES]
        rows = sorted({index for move in shown for index in move})
        y = {index: 40.0 + 26 * n for n, index in enumerate(rows)}
        here = ", ".join(diagnosis.backends)
        marks = [
            svg.element("text", "elsewhere", x=150, y=18, class_="label", text_anchor="end"),
            svg.element("text", f"on {here}", x=330, y=18, class_="label"),
        ]
        for index in rows:
            marks.append(svg.element("text", _name(names, index), x=150, y=y[index] + 4, text_anchor="end"))
            marks.append(svg.element("text", _name(names, index), x=330, y=y[index] + 4))
        for source, target in shown:
            line = svg.element("path", d=f"M158 {y[source]} C 230 {y[source]} 250 {y[target]} 314 {y[target]}", class_="move")
            head = svg.element("path", d=f"M314 {y[target] - 4} L322 {y[target]} L314 {y[target] + 4} Z", class_="head")
            marks += [svg.titled(line, f"{_name(names, source)} appears as {_name(names, target)}"), head]
        said = "; ".join(f"{_name(names, a)} appears as {_name(names, b)}" for a, b in shown)
        more = "" if len(shown) == len(moves) else f" {len(moves) - len(shown)} more are not drawn."
        yield Chart(
            title="Who is called what",
            picture=svg.figure(marks, width=480, height=40.0 + 26 * len(rows), said=said),
            caption=f"What is one class elsewhere appears as another on {here}.{more}",
        )
        return


def _confusion(result: CaseResult) -> Iterator[Chart]:
    """How often one leg decides for a class where the other decides for another."""
    for finding in result.findings:
        if kind_of(finding.observation) is not Kind.PREDICTED_CLASS or finding.oracle != "agreement" or finding.kind != "value":
            continue
        left, right = (result.recordings[side].observations[finding.observation].value.ravel() for side in finding.sides)
        classes = np.unique(np.concatenate([left, right]))
        names = _class_names(result, finding.observation)
        if len(classes) > _MOST_CLASSES or classes.min(initial=0) < 0:
            return
        counts = np.array([[int(((left == a) & (right == b)).sum()) for b in classes] for a in classes])
        side = 34.0
        margin = 36.0 + 7 * max(len(_name(names, int(one))) for one in classes)
        marks = [svg.element("text", f"rows {finding.left}, columns {finding.right}", x=4, y=12, class_="label")]
        for n, one in enumerate(classes):
            name, at = _name(names, int(one)), margin + side * n + side / 2
            turned = f"rotate(-60 {at:.1f} {margin - 6:.1f})"
            marks.append(svg.element("text", name, x=at, y=margin - 6, class_="tick", transform=turned))
            marks.append(svg.element("text", name, x=margin - 8, y=at + 4, class_="tick", text_anchor="end"))
            for m in range(len(classes)):
                count = int(counts[n, m])
                tone = "none" if not count else "same" if n == m else "other"
                box = svg.element(
                    "rect", x=margin + side * m, y=margin + side * n, width=side - 2, height=side - 2, class_=f"cell {tone}"
                )
                marks.append(box)
                if count:
                    x, y = margin + side * m + side / 2 - 1, margin + side * n + side / 2 + 4
                    marks.append(svg.element("text", str(count), x=x, y=y, text_anchor="middle"))
        off = int(counts.sum() - np.trace(counts))
        size = max(margin + side * len(classes) + 10, 190.0)
        said = f"{off} of {int(counts.sum())} examples are in another class on {finding.right} than on {finding.left}"
        yield Chart(title="Decided classes", picture=svg.figure(marks, width=size, height=size, said=said), caption=f"{said}.")
        return


# --- where and how large ---------------------------------------------------------------------------------------


def _heat_map(pair: _Pair) -> Iterator[Chart]:
    """Excess by example and class; large arrays by the largest of each block."""
    excess = pair.excess()
    if excess.ndim < 2 or min(excess.shape[0], excess.shape[-1]) < 2 or excess.size < 6:  # noqa: PLR2004 - a picture of lines
        return
    table = excess.reshape(-1, excess.shape[-1])
    rows, columns = table.shape
    down, across = math.ceil(rows / _MOST_CELLS), math.ceil(columns / _MOST_CELLS)
    blocks = np.array(
        [[table[i : i + down, j : j + across].max() for j in range(0, columns, across)] for i in range(0, rows, down)]
    )
    side = 14.0 if max(blocks.shape) > 16 else 22.0  # noqa: PLR2004
    marks = [
        svg.element("text", f"classes 0 … {columns - 1} →", x=34, y=12, class_="label"),
        svg.element("text", "0", x=28, y=32, class_="tick", text_anchor="end"),
        svg.element("text", str(rows - 1), x=28, y=20 + side * len(blocks), class_="tick", text_anchor="end"),
    ]
    for i, j in np.ndindex(blocks.shape):
        level = int(np.searchsorted(_BINS, blocks[i, j], side="left")) if np.isfinite(blocks[i, j]) else len(_BINS)
        box = svg.element("rect", x=34 + side * j, y=20 + side * i, width=side - 1, height=side - 1, class_=f"heat h{level}")
        place = f"example {i * down}{f'…{min(rows, (i + 1) * down) - 1}' if down > 1 else ''}, class {j * across}"
        marks.append(svg.titled(box, f"{place}: {svg.short(float(blocks[i, j]))} times what is allowed"))
    legend_y = 20 + side * len(blocks) + 18
    for level, words in enumerate(("allowed", "to 10 x", "to 100 x", "to 1e4 x", "more")):
        marks.append(svg.element("rect", x=34 + 74 * level, y=legend_y - 9, width=10, height=10, class_=f"heat h{level}"))
        marks.append(svg.element("text", words, x=48 + 74 * level, y=legend_y, class_="tick"))
    n_over = int((table > 1).sum())
    what = f"{n_over} of {table.size} elements of {pair.finding.observation} are further apart than allowed"
    pooled = "" if down == across == 1 else f" Each cell is the largest of {down} x {across} elements."
    width = max(34 + side * blocks.shape[1] + 6, 410.0)
    yield Chart(
        title="Where: examples by classes",
        picture=svg.figure(marks, width=width, height=legend_y + 6, said=what),
        caption=f"{what} ({pair.finding.left} and {pair.finding.right}).{pooled}",
    )


def _error_against_magnitude(pair: _Pair) -> Iterator[Chart]:
    """Each element's difference over its size, beside the line of what is allowed."""
    left, right = pair.left.astype(np.float64).ravel(), pair.right.astype(np.float64).ravel()
    difference, magnitude = np.abs(left - right), np.maximum(np.abs(left), np.abs(right))
    usable = np.flatnonzero(np.isfinite(difference) & (difference > 0) & (magnitude > 0))
    if len(usable) < 4:  # noqa: PLR2004 - fewer points are a table
        return
    worst_first = usable[np.argsort(-difference[usable])]
    every = max(1, math.ceil(len(usable) / _MOST_POINTS))
    shown = np.unique(np.concatenate([worst_first[: _MOST_POINTS // 3], worst_first[::every]]))
    bound = pair.allowance.tolerance.atol + pair.allowance.tolerance.rtol * pair.allowance.scale(magnitude)
    low, high = min(difference[shown].min(), bound.min()) / 2, max(difference[shown].max(), bound.max()) * 2
    if not low > 0:
        return
    x = svg.Scale(float(magnitude[shown].min()) / 1.5, float(magnitude[shown].max()) * 1.5, 60, 440, log=True)
    y = svg.Scale(float(low), float(high), 190, 26, log=True)
    marks = [*svg.axis_below(x, 190, "magnitude"), *svg.axis_left(y, 60, "difference")]
    order = np.argsort(magnitude[usable])
    corners = usable[order][:: max(1, len(order) // 40)]
    line = " ".join(f"{x(float(magnitude[one])):.1f},{y(float(bound[one])):.1f}" for one in corners)
    marks.append(svg.element("polyline", points=line, class_="bound"))
    for one in shown:
        tone = "over" if difference[one] > bound[one] else "under"
        marks.append(
            svg.element("circle", cx=x(float(magnitude[one])), cy=y(float(difference[one])), r=2.5, class_=f"point {tone}")
        )
    n_over = int((difference[usable] > bound[usable]).sum())
    said = f"{n_over} of {len(left)} elements lie above the line of what is allowed"
    count = "" if len(shown) == len(usable) else f" {len(shown)} of {len(usable)} that differ are drawn, the worst among them."
    yield Chart(
        title="Error against magnitude", picture=svg.figure(marks, width=460, height=226, said=said), caption=f"{said}.{count}"
    )


def _rounding_steps(pair: _Pair) -> Iterator[Chart]:
    """How many rounding steps (ulps) of their own float type the elements are apart."""
    if pair.left.dtype.kind != "f" or pair.left.size < 8:  # noqa: PLR2004 - no distribution
        return
    kind = pair.left.dtype if pair.left.dtype.itemsize <= pair.right.dtype.itemsize else pair.right.dtype
    left, right = pair.left.astype(np.float64).ravel(), pair.right.astype(np.float64).ravel()
    finite = np.isfinite(left) & np.isfinite(right)
    with np.errstate(all="ignore"):
        step = np.spacing(np.maximum(np.abs(left), np.abs(right)).astype(kind)).astype(np.float64)
        ulps = np.abs(left - right)[finite] / step[finite]
    if not len(ulps):
        return
    edges = [0.5, *(2.0**n for n in range(0, 25, 2))]
    counts = np.bincount(np.searchsorted(edges, ulps, side="right"), minlength=len(edges) + 1)
    last = int(np.max(np.flatnonzero(counts)))
    counts = counts[: last + 1]
    names = ["equal", "1", *(f"2^{n}" for n in range(2, 27, 2))][: last + 1]
    width = 440.0 / max(len(counts), 6)
    y = svg.Scale(0, float(counts.max()), 150, 20)
    marks: list[Markup] = []
    for n, count in enumerate(counts):
        x = 10 + width * n
        bar = svg.element("rect", x=x + 2, y=y(float(count)), width=width - 4, height=150 - y(float(count)), class_="bar-mark")
        marks.append(svg.titled(bar, f"{names[n]}: {count} elements"))
        if count:
            marks.append(
                svg.element("text", str(count), x=x + width / 2, y=y(float(count)) - 4, class_="tick", text_anchor="middle")
            )
        if n < 2 or n % 2 == 0 or len(counts) < 9:  # noqa: PLR2004 - as many names as there is room for
            marks.append(svg.element("text", names[n], x=x + width / 2, y=165, class_="tick", text_anchor="middle"))
    half, worst = svg.short(float(np.median(ulps))), svg.short(float(ulps.max()))
    said = f"Half of the elements are within {half} rounding steps of {kind}, the worst is {worst} away"
    yield Chart(
        title="Distance in rounding steps", picture=svg.figure(marks, width=460, height=174, said=said), caption=f"{said}."
    )


# --- layers and training ---------------------------------------------------------------------------------------


def _gradients_by_layer(result: CaseResult) -> Iterator[Chart]:
    """The worst excess of each weight gradient between backends."""
    worst: dict[str, float] = {}
    for one in result.comparisons:
        if (
            one.oracle == "agreement"
            and kind_of(one.observation) is Kind.GRADIENT
            and not one.observation.startswith("gradient/y_pred")
        ):
            found = np.inf if one.kind in ("non-finite", "shape", "missing") else one.excess
            if found is not None:
                path = one.observation.removeprefix("gradient/")
                worst[path] = max(worst.get(path, 0.0), float(found))
    if len(worst) < 2 or max(worst.values()) <= 1:  # noqa: PLR2004
        return
    shown = list(worst.items())[:20]
    x = svg.Scale(1e-3, max(10.0, *(min(value, 1e9) for value in worst.values())), 210, 440, log=True)
    marks: list[Markup] = []
    for n, (path, value) in enumerate(shown):
        top = 10.0 + 20 * n
        marks.append(svg.element("text", _end_of(path), x=202, y=top + 11, class_="tick", text_anchor="end"))
        length = max(x(max(min(value, 1e9), 1e-3)) - 210, 1.0)
        bar = svg.element("rect", x=210, y=top, width=length, height=14, class_="over-bar" if value > 1 else "bar-mark")
        marks.append(svg.titled(bar, f"{path}: {svg.short(value) if np.isfinite(value) else 'NaN or Inf'} times what is allowed"))
    bottom = 14.0 + 20 * len(shown)
    marks += [svg.element("line", x1=x(1.0), x2=x(1.0), y1=4, y2=bottom, class_="bound"), *svg.axis_below(x, bottom, "excess")]
    n_over = sum(value > 1 for value in worst.values())
    more = "" if len(shown) == len(worst) else f" {len(worst) - len(shown)} more are not drawn."
    said = f"The gradients of {n_over} of {len(worst)} weights differ by more than allowed"
    yield Chart(
        title="Gradients by layer", picture=svg.figure(marks, width=460, height=bottom + 36, said=said), caption=f"{said}.{more}"
    )


def _end_of(path: str) -> str:
    """The end of a long variable path, which says most."""
    return path if len(path) <= _LONGEST_PATH else f"…{path[1 - _LONGEST_PATH :]}"


def _training_curves(result: CaseResult) -> Iterator[Chart]:
    """The loss that `fit` reports on each backend, where there is more than one epoch of it."""
    curves = {
        leg: recording.observations["train/loss"].value.astype(np.float64)
        for leg, recording in result.recordings.items()
        if "train/loss" in recording.observations and recording.observations["train/loss"].value.size > 1
    }
    values = np.concatenate([*curves.values()]) if curves else np.array([])
    if len(curves) < 2 or not np.isfinite(values).any():  # noqa: PLR2004
        return
    finite = values[np.isfinite(values)]
    n_epochs = max(len(curve) for curve in curves.values())
    x = svg.Scale(1, n_epochs, 60, 360)
    pad = (float(np.ptp(finite)) or 1.0) * 0.08
    y = svg.Scale(float(finite.min()) - pad, float(finite.max()) + pad, 170, 26)
    marks = [*svg.axis_below(x, 170, "epoch"), *svg.axis_left(y, 60, "loss of training")]
    for n, (leg, curve) in enumerate(curves.items()):
        points = " ".join(f"{x(float(k + 1)):.1f},{y(float(v)):.1f}" for k, v in enumerate(curve) if np.isfinite(v))
        marks.append(svg.element("polyline", points=points, class_=f"curve c{n % 4}"))
        marks.append(svg.element("line", x1=372, x2=392, y1=34 + 18.0 * n, y2=34 + 18.0 * n, class_=f"curve c{n % 4}"))
        marks.append(svg.element("text", leg, x=397, y=38 + 18.0 * n, class_="tick"))
    said = "; ".join(f"{leg} ends at {curve[-1]:.5g}" for leg, curve in curves.items())
    yield Chart(title="Training", picture=svg.figure(marks, width=490, height=206, said=said), caption=f"Loss by epoch: {said}.")


# --- examples --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleTable:
    """The examples on which backends decide differently: example, label, and for each leg its class and its margin."""

    legs: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]
    n_examples: int
    n_differing: int


_MOST_EXAMPLES = 12


def disagreements(result: CaseResult, legs: Sequence[str]) -> list[tuple[str, ExampleTable]]:
    """For each output whose classes differ, the examples that do; the margin is the best score over the second."""
    tables = []
    names = {f.observation for f in result.findings if kind_of(f.observation) is Kind.PREDICTED_CLASS and f.oracle == "agreement"}
    for name in sorted(names):
        there = [leg for leg in legs if leg in result.recordings and name in result.recordings[leg].observations]
        classes = {leg: result.recordings[leg].observations[name].value for leg in there}
        if len({one.shape for one in classes.values()}) > 1 or len(there) < 2:  # noqa: PLR2004
            continue
        stacked = np.stack([one.ravel() for one in classes.values()])
        differing = np.flatnonzero((stacked != stacked[0]).any(axis=0))
        labels = result.recordings[there[0]].labels.get(name.replace("predicted_class", "y_true", 1))
        shape = classes[there[0]].shape
        given = None if labels is None or labels.size != stacked.shape[1] else labels.ravel()
        called = _class_names(result, name)
        rows = []
        for index in differing[:_MOST_EXAMPLES]:
            cells = []
            for leg in there:
                scores = result.recordings[leg].observations.get(name.replace("predicted_class", "predictions", 1))
                margin = ""
                if scores is not None and scores.value.shape[:-1] == shape and scores.value.shape[-1] > 1:
                    best = np.sort(scores.value.reshape(-1, scores.value.shape[-1])[index].astype(np.float64))
                    margin = f"{best[-1] - best[-2]:.3g}"
                cells.append((_said(called, int(classes[leg].ravel()[index])), margin))
            place = ", ".join(str(int(i)) for i in np.unravel_index(index, shape))
            rows.append((place, "" if given is None else _said(called, given[index]), tuple(cells)))
        tables.append(
            (name, ExampleTable(legs=tuple(there), rows=tuple(rows), n_examples=stacked.shape[1], n_differing=len(differing)))
        )
    return tables


def _said(names: object, value: object) -> str:
    index = int(value) if isinstance(value, int | np.integer) or float(value) == int(value) else None  # type: ignore[arg-type,call-overload]
    if index is None or index < 0 or not isinstance(names, list | tuple) or index >= len(names):
        return f"{value:g}" if isinstance(value, float | np.floating) else str(value)
    return f"{index} {names[index]}"
