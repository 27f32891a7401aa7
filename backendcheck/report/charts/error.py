"""Charts of numbers that differ: where they differ, by how much of their magnitude and tolerance, by how many rounding steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from backendcheck.compare.findings import Finding, leading
from backendcheck.compare.tolerances import Allowed, Tolerances
from backendcheck.report.charts import svg
from backendcheck.report.charts.svg import Chart
from backendcheck.results.results import CaseResult
from backendcheck.text.words import counted, cut
from backendcheck.vocabulary.findings import FindingKind
from backendcheck.vocabulary.observations import ObservationName, Quantity, quantity_of
from backendcheck.vocabulary.sides import REFERENCE, Side

_MOST_CELLS, _MOST_CELLS_ACROSS = 40, 72  # of a heat map
_LONGEST_NAME = 18
_MOST_POINTS = 300
_BFLOAT16 = 2.0**16  # rounding steps of float32, the dtype in which it is recorded
_FEWEST_POINTS = 4  # at different magnitudes; fewer are a table, not a chart
_STEPS = tuple(10.0**n for n in range(8))  # the upper ends of the bars, in rounding steps
_MOST_OF_ROUNDING = 1000  # rounding steps; the nearest element that differs is farther: a difference, but not of rounding
_BINS = (1.0, 10.0, 1e2, 1e4)  # levels of excess, each with a color of the heat map


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pair:
    """The two arrays of a finding."""

    finding: Finding
    left: np.ndarray
    right: np.ndarray
    allowance: Allowed
    precision: str

    def excess(self) -> np.ndarray:
        """Each difference over the allowed one; infinite where only one side is a number."""
        left, right = self.left.astype(np.float64), self.right.astype(np.float64)
        with np.errstate(all="ignore"):
            ratio = np.where(left == right, 0.0, np.abs(left - right) / self.bound())
        return np.where(np.isnan(left) & np.isnan(right), 0.0, np.where(np.isnan(ratio), np.inf, ratio))

    def magnitude(self) -> np.ndarray:
        """The larger of both sides by element; zero where a side is not finite, because that would allow every difference."""
        left, right = np.abs(self.left.astype(np.float64)), np.abs(self.right.astype(np.float64))
        return np.where(np.isfinite(left) & np.isfinite(right), np.maximum(left, right), 0.0)

    def bound(self) -> np.ndarray:
        """The allowed difference, by element."""
        magnitude = self.magnitude()
        scale = np.broadcast_to(self.allowance.scale(magnitude), magnitude.shape)
        return self.allowance.tolerance.atol + self.allowance.tolerance.rtol * scale


def leading_pair(result: CaseResult) -> Pair | None:
    """The two arrays of the leading numeric finding."""
    findings = [f for f in result.findings if f.kind in (FindingKind.VALUE, FindingKind.NON_FINITE) and f.tolerance is not None]
    if not findings:
        return None
    finding = leading(findings)
    sides = [_array(result, finding, side) for side in finding.sides]
    if sides[0] is None or sides[1] is None or sides[0].shape != sides[1].shape or finding.tolerance is None:
        return None
    recording = result.recordings[finding.left.leg]
    usual = Tolerances(case=recording.case).allowed(finding.observation, "float32")
    allowance = Allowed(tolerance=finding.tolerance, origin=finding.origin, norm_wise=usual.norm_wise)
    observation = recording.observations.get(finding.observation)
    precision = "" if observation is None else observation.precision
    return Pair(finding=finding, left=sides[0], right=sides[1], allowance=allowance, precision=precision)


def _array(result: CaseResult, finding: Finding, side: Side) -> np.ndarray | None:
    if side == REFERENCE:
        recording = result.recordings[finding.left.leg]
        if finding.observation in recording.reference:
            value: np.ndarray | None = recording.reference[finding.observation]
        else:
            expected = recording.reference_values.get(finding.observation)
            value = None if expected is None else expected.value
    elif side.path:
        variants = [v for v in result.recordings[side.leg].variants if v.path == side.path and v.oracle == finding.oracle]
        observation = variants[0].observations.get(finding.observation) if variants else None
        value = None if observation is None else observation.value
    else:
        observation = result.recordings[side.leg].observations.get(finding.observation) if side.leg in result.recordings else None
        value = None if observation is None else observation.value
    return value if value is not None and value.dtype.kind in "fiub" else None


def heat_map(pair: Pair, names: Sequence[str] = ()) -> Iterator[Chart]:
    """Excess by example and class, the longer axis across; a cell of a large array is the largest of a block.

    `names` are those of the columns.
    """
    excess = pair.excess()
    if excess.ndim < 2 or min(excess.shape[0], excess.shape[-1]) < 2 or excess.size < 6:  # noqa: PLR2004 - too small for a chart
        return
    by_row = excess.reshape(-1, excess.shape[-1])
    turned = by_row.shape[0] > by_row.shape[1]  # the longer axis, of examples, across
    row_noun, column_noun = ("example", "class") if _by_example(pair.finding.observation) else ("row", "column")
    table, (noun_down, noun_across) = (by_row.T, (column_noun, row_noun)) if turned else (by_row, (row_noun, column_noun))
    blocks, down, across = _pooled(table)
    levels = np.searchsorted(_BINS, blocks, side="left")
    if (levels == levels[0, 0]).all():  # a single color says nothing about where
        return
    side = float(min(22, 860 // blocks.shape[1], 560 // blocks.shape[0]))  # as large as the page allows
    named = list(names) if turned and down == 1 and len(names) == len(blocks) else []
    left = 14 + 6.6 * max([3, *(len(cut(name, _LONGEST_NAME)) for name in named)])
    worst = np.unravel_index(int(np.argmax(blocks)), blocks.shape)
    marks = [
        svg.element("text", f"{noun_down} ↓  {noun_across} 0 … {table.shape[1] - 1} →", x=4, y=12, class_="label"),
        *_row_names(named or ["0", *[""] * (len(blocks) - 2), str(table.shape[0] - 1)], left, side),
        *_cells(levels, side, left),
    ]
    ranges = _range(int(worst[0]), down, table.shape[0]), _range(int(worst[1]), across, table.shape[1])
    words = {noun_down: named[worst[0]] if named else ranges[0], noun_across: ranges[1]}
    place = f"{row_noun} {words[row_noun]}, {column_noun} {words[column_noun]}"
    outline = f"M{left + side * worst[1]:.0f} {20 + side * worst[0]:.0f}h{side - 1:.0f}v{side - 1:.0f}h{1 - side:.0f}z"
    ring = svg.element("path", d=outline, class_="halo") + svg.element("path", d=outline, class_="worst")
    largest = float(blocks[worst])
    times = f"{largest:.3g} x the tolerance" if math.isfinite(largest) else "more than any tolerance"
    marks.append(svg.titled(ring, f"{place}: {times}"))
    legend_y = 20 + side * len(blocks) + 18
    marks += _legend(legend_y)
    n_over = int((table > 1).sum())
    what = f"{n_over} of {table.size} elements of {pair.finding.observation} differ by more than the tolerance"
    pooled = "" if down == across == 1 else f" Each cell is the largest of {max(down, across)} x {min(down, across)} elements."
    width = max(left + side * blocks.shape[1] + 6, 450.0)
    yield Chart(
        title="Where: examples by classes" if row_noun == "example" else "Where: rows by columns",
        picture=svg.picture(marks, width=width, height=legend_y + 6, label=what),
        caption=f"{what} ({pair.finding.left} and {pair.finding.right}). The worst, outlined: {place}, {times}.{pooled}",
        wide=width > 470,  # noqa: PLR2004 - half the width of the page
    )


def _pooled(table: np.ndarray) -> tuple[np.ndarray, int, int]:
    """The largest element of each block, and the numbers of rows and columns of a block."""
    rows, columns = table.shape
    down, across = math.ceil(rows / _MOST_CELLS), math.ceil(columns / _MOST_CELLS_ACROSS)
    blocks = [[table[i : i + down, j : j + across].max() for j in range(0, columns, across)] for i in range(0, rows, down)]
    return np.array(blocks), down, across


def _row_names(names: Sequence[str], left: float, side: float) -> Iterator[Markup]:
    for n, name in enumerate(names):
        if name:
            y = 20 + side * n + side / 2 + 3.5
            yield svg.element("text", cut(name, _LONGEST_NAME), x=left - 6, y=y, class_="tick", text_anchor="end")


def _legend(y: float) -> Iterator[Markup]:
    yield svg.element("text", "difference / tolerance", x=4, y=y, class_="label")
    for level, words in enumerate(("to 1", "to 10", "to 100", "to 1e4", "more")):
        at = 140 + 62 * level
        yield svg.element("path", d=f"M{at} {y - 4:.0f}h10", stroke_width=10, class_=f"heat h{level}")
        yield svg.element("text", words, x=at + 14, y=y, class_="tick")


def _by_example(observation: str) -> bool:
    """Whether the rows are examples and the columns classes."""
    return quantity_of(observation) is Quantity.PREDICTIONS or ObservationName.parse(observation).of_predictions


def _range(block: int, n_pooled: int, n: int) -> str:
    """The indices of a block."""
    first, last = block * n_pooled, min(n, (block + 1) * n_pooled) - 1
    return str(first) if first == last else f"{first}…{last}"


def _cells(levels: np.ndarray, side: float, left: float) -> Iterator[Markup]:
    """One path for each level, to keep the page small: dashed lines along the rows, with the cells as dashes."""
    for level in np.unique(levels):
        lines = []
        for i, row in enumerate(levels == level):
            edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]])))
            y = svg.number(20 + side * i + (side - 1) / 2)
            runs = zip(edges[::2], edges[1::2], strict=True)
            lines += [f"M{left + side * a:.0f} {y}h{side * (b - a) - 1:.0f}" for a, b in runs]
        dashes = f"{side - 1:.0f} 1"
        yield svg.element("path", d="".join(lines), stroke_width=side - 1, stroke_dasharray=dashes, class_=f"heat h{level}")


def error_against_magnitude(pair: Pair) -> Iterator[Chart]:
    """The difference of each element by its magnitude, and the line of the allowed difference."""
    left, right = pair.left.astype(np.float64).ravel(), pair.right.astype(np.float64).ravel()
    magnitude, bound = pair.magnitude().ravel(), pair.bound().ravel()
    with np.errstate(all="ignore"):
        difference = np.abs(left - right)
    usable = np.flatnonzero(np.isfinite(difference) & (difference > 0) & (magnitude > 0))
    if len(np.unique(magnitude[usable])) < _FEWEST_POINTS:
        return
    worst_first = usable[np.argsort(-difference[usable])]
    every = max(1, math.ceil(len(usable) / _MOST_POINTS))
    shown = np.unique(np.concatenate([worst_first[: _MOST_POINTS // 3], worst_first[::every]]))
    allowed_here = bound[usable][bound[usable] > 0]  # a logarithmic axis has no zero
    plotted = np.concatenate([difference[shown], allowed_here])
    low, high = float(plotted.min()) / 2, float(plotted.max()) * 2
    if not low > 0:
        return
    x = svg.Scale(float(magnitude[shown].min()) / 1.5, float(magnitude[shown].max()) * 1.5, 60, 440, log=True)
    y = svg.Scale(float(low), float(high), 190, 26, log=True)
    marks: list[Markup] = []
    if len(allowed_here):
        order = np.argsort(magnitude[usable])
        corners = usable[order][:: max(1, len(order) // 40)]
        line = " ".join(f"{x(float(magnitude[i])):.1f},{y(float(bound[i])):.1f}" for i in corners)
        marks.append(svg.element("polyline", points=line, class_="bound"))
    over = difference > bound
    for tone, indices in (("under", shown[~over[shown]]), ("over", shown[over[shown]])):
        # The points are lines of no length with round ends: a tenth of the size of circles.
        points = "".join(f"M{x(float(magnitude[i])):.0f} {y(float(difference[i])):.1f}h0" for i in indices)
        if points:
            marks.append(svg.element("path", d=points, class_=f"point {tone}"))
    marks += [*svg.axis_below(x, 190, "magnitude (the larger of both values)"), *svg.axis_left(y, 60, "difference")]
    marks += _key_of_points(has_line=len(allowed_here) > 0)
    sentence = f"{int(over[usable].sum())} of {len(left)} elements lie above the line of the tolerance"
    if len(usable) < len(left):
        sentence += f"; {len(left) - len(usable)} are equal or not finite and not shown"
    count = "" if len(shown) == len(usable) else f" {len(shown)} of {len(usable)} that differ are shown, including the worst."
    picture = svg.picture(marks, width=460, height=226, label=sentence)
    yield Chart(title="Error against magnitude", picture=picture, caption=f"{sentence}.{count}")


def _key_of_points(*, has_line: bool) -> Iterator[Markup]:
    """What the colors of the points and the dashed line mean, above the plot."""
    for x, tone, words in ((150, "over", "above the tolerance"), (282, "under", "within")):
        yield svg.element("path", d=f"M{x} 14h0", class_=f"key {tone}-key")
        yield svg.element("text", words, x=x + 8, y=18, class_="tick")
    if has_line:
        yield svg.element("path", d="M344 14h26", class_="key line-key")
        yield svg.element("text", "tolerance", x=376, y=18, class_="tick")


def rounding_steps(pair: Pair) -> Iterator[Chart]:
    """The distance of the elements in rounding steps (ulps) of their float type."""
    if pair.left.dtype.kind != "f" or pair.left.size < 8:  # noqa: PLR2004 - too few for a distribution
        return
    dtype = min((array.dtype for array in (pair.left, pair.right) if array.dtype.kind == "f"), key=lambda dtype: dtype.itemsize)
    coarser = _BFLOAT16 if pair.precision == "bfloat16" else 1.0
    left, right = pair.left.astype(np.float64).ravel(), pair.right.astype(np.float64).ravel()
    finite = np.isfinite(left) & np.isfinite(right)
    finite &= np.maximum(np.abs(left), np.abs(right)) <= np.finfo(dtype).max
    with np.errstate(all="ignore"):
        step = np.spacing(np.maximum(np.abs(left), np.abs(right)).astype(dtype)).astype(np.float64) * coarser
        ulps = np.abs(left - right)[finite] / step[finite]
    differing = ulps[ulps > 0]
    if not len(differing) or differing.min() > _MOST_OF_ROUNDING:  # nothing here looks like rounding
        return
    counts = np.bincount(np.searchsorted([0.0, *_STEPS], ulps, side="left"), minlength=len(_STEPS) + 2)
    counts = counts[: int(np.max(np.flatnonzero(counts))) + 1]
    names = ["equal", *map(svg.short, _STEPS), "more"][: len(counts)]
    width = 440.0 / max(len(counts), 6)
    y = svg.Scale(0, float(counts.max()), 150, 34)
    marks: list[Markup] = [svg.element("text", "elements", x=4, y=12, class_="label")]
    for n, (name, count) in enumerate(zip(names, counts, strict=True)):
        x, top = 10 + width * n, min(y(float(count)), 149.0 if count else 150.0)
        bar = svg.element("rect", x=x + 2, y=top, width=width - 4, height=150 - top, class_="bar-mark")
        what = name if name in ("equal", "more") else f"up to {name}"
        marks.append(svg.titled(bar, f"{what}: {counted(int(count), 'element')}"))
        if count:
            marks.append(svg.element("text", str(count), x=x + width / 2, y=top - 4, class_="tick", text_anchor="middle"))
        marks.append(svg.element("text", name, x=x + width / 2, y=165, class_="tick", text_anchor="middle"))
    marks.append(svg.element("path", d="M10 150H450", class_="axis"))
    marks.append(svg.element("text", "rounding steps (ulps) apart, up to", x=230, y=182, class_="label", text_anchor="middle"))
    half, worst = f"{np.median(ulps):.3g}", f"{ulps.max():.3g}"
    sentence = f"Half of the elements are within {half} rounding steps of {pair.precision or dtype}; the worst is {worst} away"
    picture = svg.picture(marks, width=460, height=190, label=sentence)
    yield Chart(title="Distance in rounding steps", picture=picture, caption=f"{sentence}.")
