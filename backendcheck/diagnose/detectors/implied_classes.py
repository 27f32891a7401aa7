"""`class-order`, `off-by-one`, `example-order`, from predicted classes and from those that a loss or gradient implies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.diagnose.evidence import implied
from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.diagnose.evidence.difference import FAR, NEAR, Difference
from backendcheck.diagnose.evidence.identified import identified_loss
from backendcheck.diagnose.evidence.order_words import classes_exchanged, of_examples, off_by_one
from backendcheck.diagnose.evidence.permutation import cycles, in_arrows, naming
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Quantity, of_output

CODES = ("class-order", "off-by-one", "example-order")
_LONGEST_LIST = 12  # examples listed in the evidence
_FEWEST_INTEGERS = 3  # so many classes must move alike to count as a shift

_LARGEST_CLASS = 10_000_000


def detect(situation: Situation) -> list[Diagnosis]:
    """Diagnoses the earliest observation that it explains, once for each code and set of legs."""
    diagnoses: dict[tuple[str, tuple[str, ...]], Diagnosis] = {}
    # The order oracle permutes classes itself; its findings show a dependence on order, but no mapping.
    situation = situation.without(Oracle.ORDER)
    for look in (_classes_by_integer, _classes_implied, _labels_implied):
        for diagnosis in look(situation):
            diagnoses.setdefault((diagnosis.code, diagnosis.backends), diagnosis)
    return list(diagnoses.values())


def _classes_by_integer(situation: Situation) -> Iterator[Diagnosis]:
    """Predicted classes and integer values: one mapping that holds for every example."""
    for difference in situation.differing(Quantity.PREDICTED_CLASS, Quantity.VALUE):
        if difference.left.dtype.kind in "iu" and difference.left.size >= _FEWEST_INTEGERS:
            yield from _by_mapping(
                difference,
                difference.left.ravel(),
                difference.right.ravel(),
                _n_classes(difference),
                f"{difference.observation}:",
            )


def _classes_implied(situation: Situation) -> Iterator[Diagnosis]:
    """The classes that losses and gradients by predictions imply, if those of the reference side are the labels."""
    for difference, left, right, _, n_classes in _implied(situation):
        known = (left >= 0) & (right >= 0)
        if difference.quantity is Quantity.GRADIENT and difference.explained(right=-difference.right.astype(np.float64)):
            continue  # with two classes, a change of sign looks like their exchange
        subject = f"{difference.observation}: the classes that it stands for are"
        yield from _by_mapping(difference, left[known], right[known], n_classes, subject)


def _by_mapping(difference: Difference, left: np.ndarray, right: np.ndarray, n_classes: int, subject: str) -> Iterator[Diagnosis]:
    """A mapping from the classes of the reference side to those of the suspects that explains all differences."""
    if left.size < 2 or np.array_equal(left, right):  # noqa: PLR2004
        return
    if n_classes > _LARGEST_CLASS:
        return  # not classes but other integers
    evidence = {"observation": difference.observation, "examples": int(np.count_nonzero(left != right)), "of": int(left.size)}
    steps = np.unique(left.astype(np.int64) - right.astype(np.int64))
    n_seen = len(np.unique(right))
    if len(steps) == 1 and abs(steps[0]) == 1 and n_seen >= 2:  # noqa: PLR2004
        text = f"every class is one {'higher' if steps[0] == 1 else 'lower'}"
        yield off_by_one(difference, text, evidence | {"shift": int(steps[0])})
        return
    wrapped = np.unique((left.astype(np.int64) - right.astype(np.int64)) % n_classes) if n_classes > 2 else np.array([0])  # noqa: PLR2004
    if len(wrapped) == 1 and wrapped[0] in (1, n_classes - 1) and n_seen >= 2:  # noqa: PLR2004
        step = 1 if wrapped[0] == 1 else -1
        text = f"every class is one {'higher' if step == 1 else 'lower'}, wrapping around"
        yield off_by_one(difference, text, evidence | {"shift": step})
        return
    pairs = {(int(b), int(a)) for a, b in zip(left, right, strict=True)}
    images = dict(pairs)
    if n_seen < 2:  # noqa: PLR2004 - if a single class moves, it may also be a shift
        return
    if len(images) != len(pairs) or len(set(images.values())) != len(images) or len(images) > left.size // 2:
        return  # not a mapping, not one-to-one, or too few examples to prove it
    name = naming(difference.recording.class_names, difference.output, max(*images, *images.values(), n_classes - 1) + 1)
    chains, ends = _chains(images)
    if ends:
        evidence["labels without"] = ", ".join(name(end) for end in ends)
    evidence["permutation"] = in_arrows(chains, name, closed=not ends)
    yield classes_exchanged(difference, chains, name, evidence, subject)


def _chains(images: dict[int, int]) -> tuple[list[list[int]], list[int]]:
    """The mapping as cycles; or as chains with their ends, if a class is mapped to one that no label has."""
    ends = sorted({*images.values()} - {*images})
    if not ends:
        permutation = np.arange(max(images) + 1)
        for source, image in images.items():
            permutation[image] = source
        return cycles(permutation), []
    chains = []
    for start in sorted({*images} - {*images.values()}):
        chain = [start]
        while chain[-1] in images:
            chain.append(images[chain[-1]])
        chains.append(chain)
    return chains, ends


def _n_classes(difference: Difference) -> int:
    predictions = difference.recording.observations.get(difference.observation.replace("predicted_class", "predictions", 1))
    if difference.quantity is Quantity.PREDICTED_CLASS and predictions is not None and predictions.value.ndim:
        return int(predictions.value.shape[-1])
    return int(max(difference.left.max(initial=0), difference.right.max(initial=0))) + 1


def _labels_implied(situation: Situation) -> Iterator[Diagnosis]:
    """Implied classes that are the labels of other examples."""
    for difference, *classes, _ in _implied(situation):
        left, right, labels = (each.ravel() for each in classes)
        if (left < 0).any() or np.array_equal(left, right) or not np.array_equal(np.sort(left), np.sort(labels)):
            continue
        moved = np.flatnonzero(left != labels)
        images = {(int(b), int(a)) for a, b in zip(left, labels, strict=True)}
        if len(dict(images)) == len(images):
            continue  # a mapping of classes: the classes are permuted, not the examples
        text = f"{len(moved)} examples are trained towards the label of another example on {difference.side}"
        yield of_examples(difference, text, {"observation": difference.observation, "examples": moved[:_LONGEST_LIST].tolist()})


def _implied(situation: Situation) -> Iterator[tuple[Difference, np.ndarray, np.ndarray, np.ndarray, int]]:
    """Differing losses and gradients, with the implied class of each example on both sides, its label, and C."""
    for difference in situation.differing(Quantity.PER_EXAMPLE_LOSS):
        for side in difference.orientations:
            if difference.excess() < FAR:
                continue
            leg, output = side.suspects[0], difference.output
            declared = situation.declared.get((leg, output)) or identified_loss(situation, leg, output)
            if declared is None:
                continue
            counted = implied.class_by_loss(declared, side.left, difference.allowance)
            label_classes = implied.label_class(declared.y_true, declared.y_pred.shape[-1], difference.left.shape)
            if counted is not None and label_classes is not None:
                yield side, counted, label_classes, label_classes, declared.y_pred.shape[-1]
    for difference in situation.differing(Quantity.GRADIENT):
        if not difference.name.of_predictions or difference.left.ndim < 2:  # noqa: PLR2004
            continue
        labels = difference.recording.labels.get(of_output("y_true", difference.output))
        if labels is None or not implied.has_implied_class(difference.recording.losses.get(difference.output)):
            continue
        label_classes = implied.label_class(labels, difference.left.shape[-1], difference.left.shape[:-1])
        if label_classes is None:
            continue
        within = difference.allowance.tolerance.atol + difference.allowance.tolerance.rtol * float(
            np.abs(difference.right).max(initial=0.0)
        )
        for side in difference.orientations:
            left, right = (implied.implied_class(gradient, NEAR * within) for gradient in (side.left, side.right))
            if np.array_equal(right[right >= 0], label_classes[right >= 0]) and (right >= 0).any():
                yield side, left, right, label_classes, difference.left.shape[-1]
