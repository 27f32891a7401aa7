"""Pictures of label order: which class is called what, and which one backend decides for where another decides for another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from backendcheck.observation import Kind, kind_of
from backendcheck.report import svg
from backendcheck.report.svg import Chart
from backendcheck.report.view_values import class_names
from backendcheck.results import CaseResult

_MOST_CLASSES = 12
_LONGEST_NAME = 22


def who_maps_to_whom(result: CaseResult) -> Iterator[Chart]:
    """The classes of one side, and where they are on the other."""
    for diagnosis in result.diagnoses:
        cycles = diagnosis.evidence.get("columns")
        if diagnosis.code not in ("class-order", "off-by-one") or not isinstance(cycles, list) or not cycles:
            continue
        names = _names(result, str(diagnosis.evidence.get("observation", "")))
        moves = [(a, b) for cycle in cycles for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
        shown = sorted(moves)[:_MOST_CLASSES]
        rows = sorted({index for move in shown for index in move})
        y = {index: 40.0 + 26 * n for n, index in enumerate(rows)}
        here = ", ".join(diagnosis.backends)
        left = 16 + 7.0 * max(10, *(len(_name(names, index)) for index in rows))
        right = left + 150
        marks = [
            svg.element("text", "elsewhere", x=left - 8, y=18, class_="label", text_anchor="end"),
            svg.element("text", f"on {here}", x=right + 8, y=18, class_="label"),
        ]
        for index in rows:
            marks.append(svg.element("text", _name(names, index), x=left - 8, y=y[index] + 4, text_anchor="end"))
            marks.append(svg.element("text", _name(names, index), x=right + 8, y=y[index] + 4))
        for source, target in shown:
            line = svg.element(
                "path",
                d=f"M{left} {y[source]} C {left + 70} {y[source]} {right - 70} {y[target]} {right - 8} {y[target]}",
                class_="move",
            )
            head = svg.element("path", d=f"M{right - 8} {y[target] - 4} l8 4 l-8 4 Z", class_="head")
            marks += [svg.titled(line, f"{_name(names, source)} appears as {_name(names, target)}"), head]
        said = "; ".join(f"{_name(names, a)} appears as {_name(names, b)}" for a, b in shown)
        more = "" if len(shown) == len(moves) else f" {len(moves) - len(shown)} more are not drawn."
        yield Chart(
            title="Who is called what",
            picture=svg.figure(marks, width=2 * left + 150, height=40.0 + 26 * len(rows), said=said),
            caption=f"What is one class elsewhere appears as another on {here}.{more}",
        )
        return


def confusion(result: CaseResult) -> Iterator[Chart]:
    """How often one leg decides for a class where the other decides for another."""
    for finding in result.findings:
        if kind_of(finding.observation) is not Kind.PREDICTED_CLASS or finding.oracle != "agreement" or finding.kind != "value":
            continue
        left, right = (result.recordings[side].observations[finding.observation].value.ravel() for side in finding.sides)
        if left.dtype.kind not in "iu" or right.dtype.kind not in "iu" or not left.size:
            continue
        classes = np.unique(np.concatenate([left, right]))
        names = _names(result, finding.observation)
        if len(classes) > _MOST_CLASSES or classes.min(initial=0) < 0:
            return
        counts = np.array([[int(((left == a) & (right == b)).sum()) for b in classes] for a in classes])
        side = 34.0
        margin = 36.0 + 7 * max(len(_name(names, int(one))) for one in classes)
        marks = [svg.element("text", f"rows {finding.left}, columns {finding.right}", x=4, y=12, class_="label")]
        ends = [margin - 1, margin + side * len(classes) - 1]
        rules = "".join(
            f"M{ends[0]:.0f} {at:.0f}H{ends[1]:.0f}M{at:.0f} {ends[0]:.0f}V{ends[1]:.0f}"
            for at in _rules(ends[0], side, len(classes))
        )
        marks.append(svg.element("path", d=rules, class_="cell none"))
        for n, one in enumerate(classes):
            name, at = _name(names, int(one)), margin + side * n + side / 2
            turned = f"rotate(-60 {at:.1f} {margin - 6:.1f})"
            marks.append(svg.element("text", name, x=at, y=margin - 6, class_="tick", transform=turned))
            marks.append(svg.element("text", name, x=margin - 8, y=at + 4, class_="tick", text_anchor="end"))
            for m in range(len(classes)):
                count = int(counts[n, m])
                if not count:
                    continue
                tone = "same" if n == m else "other"
                x, y = margin + side * m, margin + side * n
                marks.append(svg.element("rect", x=x, y=y, width=side - 2, height=side - 2, class_=f"cell {tone}"))
                marks.append(svg.element("text", str(count), x=x + side / 2 - 1, y=y + side / 2 + 4, text_anchor="middle"))
        off = int(counts.sum() - np.trace(counts))
        size = max(margin + side * len(classes) + 10, 190.0)
        said = f"{off} of {int(counts.sum())} examples are in another class on {finding.right} than on {finding.left}"
        yield Chart(title="Decided classes", picture=svg.figure(marks, width=size, height=size, said=said), caption=f"{said}.")
        return


def _rules(start: float, side: float, n: int) -> list[float]:
    """Where the lines of a grid of `n` cells are."""
    return [start + side * one for one in range(n + 1)]


def _names(result: CaseResult, observation: str) -> list[str]:
    return class_names(observation, next(iter(result.recordings.values())))


def _name(names: Sequence[str], index: int) -> str:
    text = names[index] if index < len(names) else str(index)
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"
