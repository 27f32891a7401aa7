"""`class-order`, `off-by-one`, `example-order`, by classes: those decided for, and those that a loss or a gradient implies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.diagnose.evidence import implied
from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.difference import FAR, NEAR, Difference
from backendcheck.diagnose.evidence.order_words import classes_exchanged, of_examples, off_by_one
from backendcheck.diagnose.evidence.permutation import cycles, in_arrows, naming
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.vocabulary.observations import Kind

_LONGEST_LIST = 12  # examples that evidence spells out
_FEWEST_INTEGERS = 3  # classes that have to move alike before a shift is believed

_LARGEST_CLASS = 10_000_000


def detect(situation: Situation) -> list[Diagnosis]:
    """Claims what explains the earliest observation it can, once for each code and set of legs."""
    found: dict[tuple[str, tuple[str, ...]], Diagnosis] = {}
    for look in (_classes_by_integer, _classes_implied, _labels_implied):
        for one in look(situation):
            found.setdefault((one.code, one.backends), one)
    return list(found.values())


def _classes_by_integer(situation: Situation) -> Iterator[Diagnosis]:
    """Classes decided for, and values that are integers: one mapping that holds for every example."""
    for one in situation.differing(Kind.PREDICTED_CLASS, Kind.VALUE):
        if one.left.dtype.kind in "iu" and one.left.size >= _FEWEST_INTEGERS:
            yield from _by_mapping(one, one.left.ravel(), one.right.ravel(), _n_classes(one), f"{one.observation}:")


def _classes_implied(situation: Situation) -> Iterator[Diagnosis]:
    """The classes that losses and gradients by predictions imply, where those of the trusted side are the labels."""
    for one, left, right, _, n_classes in _implied(situation):
        known = (left >= 0) & (right >= 0)
        if one.kind is Kind.GRADIENT and one.explained(right=-one.right.astype(np.float64)):
            continue  # of two classes, a change of sign looks like their exchange
        subject = f"{one.observation}: the classes that it stands for are"
        yield from _by_mapping(one, left[known], right[known], n_classes, subject)


def _by_mapping(one: Difference, left: np.ndarray, right: np.ndarray, n_classes: int, subject: str) -> Iterator[Diagnosis]:
    """What one rule, right class to left class, explains all that differs."""
    if left.size < 2 or np.array_equal(left, right):  # noqa: PLR2004
        return
    if n_classes > _LARGEST_CLASS:
        return  # no classes, but numbers of another sort
    evidence = {"observation": one.observation, "examples": int(np.count_nonzero(left != right)), "of": int(left.size)}
    steps = np.unique(left.astype(np.int64) - right.astype(np.int64))
    n_seen = len(np.unique(right))
    if len(steps) == 1 and abs(steps[0]) == 1 and n_seen >= 2:  # noqa: PLR2004
        text = f"every class is one {'higher' if steps[0] == 1 else 'lower'}"
        yield off_by_one(one, text, evidence | {"shift": int(steps[0])})
        return
    wrapped = np.unique((left.astype(np.int64) - right.astype(np.int64)) % n_classes) if n_classes > 2 else np.array([0])  # noqa: PLR2004
    if len(wrapped) == 1 and wrapped[0] in (1, n_classes - 1) and n_seen >= 2:  # noqa: PLR2004
        step = 1 if wrapped[0] == 1 else -1
        text = f"every class is one {'higher' if step == 1 else 'lower'}, wrapping around"
        yield off_by_one(one, text, evidence | {"shift": step})
        return
    pairs = {(int(b), int(a)) for a, b in zip(left, right, strict=True)}
    images = dict(pairs)
    if n_seen < 2:  # noqa: PLR2004 - one class that moves may be a shift as well
        return
    if len(images) != len(pairs) or len(set(images.values())) != len(images) or len(images) > left.size // 2:
        return  # no rule by class, two classes made one, or as many rules as examples, which prove nothing
    name = naming(one.recording.class_names, one.output, max(*images, *images.values(), n_classes - 1) + 1)
    found, ends = _chains(images)
    if ends:
        evidence["labels without"] = ", ".join(name(end) for end in ends)
    evidence["permutation"] = in_arrows(found, name, closed=not ends)
    yield classes_exchanged(one, found, name, evidence, subject)


def _chains(images: dict[int, int]) -> tuple[list[list[int]], list[int]]:
    """Where classes went, as cycles; or, if some class is counted as one that no label names, as chains with their ends."""
    ends = sorted({*images.values()} - {*images})
    if not ends:
        permutation = np.arange(max(images) + 1)
        for source, image in images.items():
            permutation[image] = source
        return cycles(permutation), []
    found = []
    for start in sorted({*images} - {*images.values()}):
        chain = [start]
        while chain[-1] in images:
            chain.append(images[chain[-1]])
        found.append(chain)
    return found, ends


def _n_classes(one: Difference) -> int:
    predictions = one.recording.observations.get(one.observation.replace("predicted_class", "predictions", 1))
    if one.kind is Kind.PREDICTED_CLASS and predictions is not None and predictions.value.ndim:
        return int(predictions.value.shape[-1])
    return int(max(one.left.max(initial=0), one.right.max(initial=0))) + 1


def _labels_implied(situation: Situation) -> Iterator[Diagnosis]:
    """The classes that a loss or a gradient implies are the labels of other examples."""
    for one, *classes, _ in _implied(situation):
        left, right, given = (each.ravel() for each in classes)
        if (left < 0).any() or np.array_equal(left, right) or not np.array_equal(np.sort(left), np.sort(given)):
            continue
        moved = np.flatnonzero(left != given)
        images = {(int(b), int(a)) for a, b in zip(left, given, strict=True)}
        if len(dict(images)) == len(images):
            continue  # one rule for each class: the classes are permuted, not the examples
        text = f"{len(moved)} examples are trained towards the label of another example on {one.side}"
        yield of_examples(one, text, {"observation": one.observation, "examples": moved[:_LONGEST_LIST].tolist()})


def _implied(situation: Situation) -> Iterator[tuple[Difference, np.ndarray, np.ndarray, np.ndarray, int]]:
    """Losses and gradients that differ, with the class that each example implies on both sides, its label, and C."""
    for one in situation.differing(Kind.PER_EXAMPLE_LOSS):
        for side in one.orientations:
            declared = situation.declared.get((side.suspects[0], one.output))
            if declared is None or one.excess() < FAR:
                continue
            counted = implied.class_by_loss(declared, side.left, one.allowance)
            given = implied.label_class(declared.y_true, declared.y_pred.shape[-1], one.left.shape)
            if counted is not None and given is not None:
                yield side, counted, given, given, declared.y_pred.shape[-1]
    for one in situation.differing(Kind.GRADIENT):
        if not one.observation.startswith("gradient/y_pred") or one.left.ndim < 2:  # noqa: PLR2004
            continue
        labels = one.recording.labels.get(f"y_true/{one.output}" if one.output else "y_true")
        if labels is None or not implied.has_implied_class(one.recording.losses.get(one.output)):
            continue
        given = implied.label_class(labels, one.left.shape[-1], one.left.shape[:-1])
        if given is None:
            continue
        within = one.allowance.tolerance.atol + one.allowance.tolerance.rtol * float(np.abs(one.right).max(initial=0.0))
        for side in one.orientations:
            left, right = (implied.implied_class(gradient, NEAR * within) for gradient in (side.left, side.right))
            if np.array_equal(right[right >= 0], given[right >= 0]) and (right >= 0).any():
                yield side, left, right, given, one.left.shape[-1]
