"""Charts of label order: which class appears as which, and how often backends predict or imply different classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from backendcheck.diagnose.evidence.implied import has_implied_class, implied_class
from backendcheck.recordings.recording import Recording
from backendcheck.report.charts import svg
from backendcheck.report.charts.svg import Chart
from backendcheck.report.views.values import class_names
from backendcheck.results.results import CaseResult
from backendcheck.text.words import cut
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import ObservationName, Quantity, quantity_of

_MOST_CLASSES = 12
_LONGEST_NAME = 22
_NONE = -1


def class_mapping(result: CaseResult) -> Iterator[Chart]:
    """The classes of one side, with arrows to the classes that they become on the other."""
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
        sentence = "; ".join(f"{_name(names, a)} appears as {_name(names, b)}" for a, b in shown)
        more = "" if len(shown) == len(moves) else f" {len(moves) - len(shown)} more are not shown."
        yield Chart(
            title="Which class appears as which",
            picture=svg.picture(marks, width=2 * left + 150, height=40.0 + 26 * len(rows), label=sentence),
            caption=f"On {here}, a class appears as another than elsewhere.{more}",
        )
        return


def confusion(result: CaseResult) -> Iterator[Chart]:
    """How often one leg predicts a class where the other predicts another."""
    for finding in result.findings:
        if quantity_of(finding.observation) is not Quantity.PREDICTED_CLASS:
            continue
        if finding.oracle is not Oracle.AGREEMENT or finding.kind is not FindingKind.VALUE:
            continue
        left, right = (result.recordings[side].observations[finding.observation].value.ravel() for side in finding.sides)
        if left.dtype.kind not in "iu" or right.dtype.kind not in "iu" or not left.size:
            continue
        if min(left.min(), right.min()) >= 0:
            names = _names(result, finding.observation)
            off = int((left != right).sum())
            sentence = f"{off} of {left.size} examples have another predicted class on {finding.right} than on {finding.left}"
            yield from _class_table(left, right, finding.sides, names, title="Predicted classes", sentence=sentence)
        return


def implied_confusion(result: CaseResult) -> Iterator[Chart]:
    """How often the gradients of two legs imply different classes; with gradients on one leg only, compared with the labels."""
    for name in dict.fromkeys(name for recording in result.recordings.values() for name in recording.observations):
        if not ObservationName.parse(name).of_predictions or not _concerned(result, name):
            continue
        by_leg = {leg: _implied(recording, name) for leg, recording in result.recordings.items()}
        classes = {leg: implied for leg, implied in by_leg.items() if implied is not None}
        first = next(iter(classes), "")
        others = [leg for leg in classes if classes[leg].shape == classes[first].shape and (classes[leg] != classes[first]).any()]
        names = _names(result, name)
        if others:
            left, right = classes[first].ravel(), classes[others[0]].ravel()
            off = int((left != right).sum())
            sentence = f"The gradients of {off} of {left.size} examples imply another class on {others[0]} than on {first}"
            yield from _class_table(left, right, (first, others[0]), names, title="Implied classes", sentence=sentence)
            return
        labels = _labels(result.recordings[first], name, classes[first]) if len(classes) == 1 else None
        if labels is not None and (labels != classes[first].ravel()).any():
            right = classes[first].ravel()
            off = int((labels != right).sum())
            sentence = f"On {first}, the gradients of {off} of {right.size} examples do not imply the class of the label"
            yield from _class_table(labels, right, ("labels", first), names, title="Implied classes", sentence=sentence)
            return


def _concerned(result: CaseResult, name: str) -> bool:
    return any(finding.observation in (name, "raised") for finding in result.findings)


def _implied(recording: Recording, name: str) -> np.ndarray | None:
    """The class that the gradient of each example implies, -1 for no class; None if the loss implies no classes."""
    observation = recording.observations.get(name)
    output = ObservationName.parse(name).output
    if observation is None or not has_implied_class(recording.losses.get(output)):
        return None
    gradient = observation.value
    if gradient.ndim < 2 or gradient.shape[-1] < 2 or gradient.dtype.kind != "f":  # noqa: PLR2004
        return None
    classes = implied_class(gradient, 1e-6 * float(np.nanmax(np.abs(gradient), initial=0.0)))
    return classes if (classes >= 0).any() else None


def _labels(recording: Recording, name: str, classes: np.ndarray) -> np.ndarray | None:
    labels = recording.labels.get(name.replace("gradient/y_pred", "y_true", 1))
    if labels is None or labels.dtype.kind not in "iu" or labels.size != classes.size:
        return None
    return labels.ravel()


def _class_table(
    left: np.ndarray, right: np.ndarray, sides: Sequence[str], names: Sequence[str], *, title: str, sentence: str
) -> Iterator[Chart]:
    """How often each class of `left` meets each class of `right`; -1 stands for no class."""
    indices = np.unique(np.concatenate([left, right]))
    classes = np.concatenate([indices[indices != _NONE], indices[indices == _NONE]])  # none comes last
    if len(classes) > _MOST_CLASSES:
        return
    labels = ["none" if index == _NONE else _name(names, int(index)) for index in classes]
    counts = np.array([[int(((left == a) & (right == b)).sum()) for b in classes] for a in classes])
    side = 34.0
    x0, y0 = 14 + 6.6 * max(map(len, labels)), 30 + 6.0 * max(map(len, labels))
    ends = x0 - 1, x0 + side * len(classes) - 1, y0 - 1, y0 + side * len(classes) - 1
    rules = "".join(
        f"M{ends[0]:.0f} {y:.0f}H{ends[1]:.0f}M{x:.0f} {ends[2]:.0f}V{ends[3]:.0f}"
        for x, y in zip(_rules(ends[0], side, len(classes)), _rules(ends[2], side, len(classes)), strict=True)
    )
    marks = [
        svg.element("text", f"rows {sides[0]}, columns {sides[1]}", x=4, y=12, class_="label"),
        svg.element("path", d=rules, class_="cell none"),
    ]
    for n, name in enumerate(labels):
        across, down = x0 + side * n + side / 2, y0 + side * n
        turned = f"rotate(-60 {across:.1f} {y0 - 6:.1f})"
        marks.append(svg.element("text", name, x=across, y=y0 - 6, class_="tick", transform=turned))
        marks.append(svg.element("text", name, x=x0 - 8, y=down + side / 2 + 4, class_="tick", text_anchor="end"))
        for m in np.flatnonzero(counts[n]):
            x, tone = x0 + side * int(m), "same" if n == m else "other"
            marks.append(svg.element("rect", x=x, y=down, width=side - 2, height=side - 2, class_=f"cell {tone}"))
            marks.append(
                svg.element("text", str(counts[n, m]), x=x + side / 2 - 1, y=down + side / 2 + 4, text_anchor="middle")
            )
    size = x0 + side * len(classes) + 10
    width = max(size + 5.0 * max(map(len, labels)), 190.0)
    picture = svg.picture(marks, width=width, height=ends[3] + 8, label=sentence)
    yield Chart(title=title, picture=picture, caption=f"{sentence}.")


def _rules(start: float, side: float, n: int) -> list[float]:
    """The coordinates of the lines of a grid of `n` cells."""
    return [start + side * i for i in range(n + 1)]


def _names(result: CaseResult, observation: str) -> list[str]:
    return class_names(observation, next(iter(result.recordings.values())))


def _name(names: Sequence[str], index: int) -> str:
    return cut(names[index] if 0 <= index < len(names) else str(index), _LONGEST_NAME)
