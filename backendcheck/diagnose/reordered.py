"""`class-order`, `off-by-one`, `example-order`: the same values in other places.

Looked for, in this order, in predictions, in the classes decided for or implied by a gradient, in values, and in gradients. A
claim needs a margin: as recorded the values are far apart, reordered they agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from backendcheck.diagnose import implied
from backendcheck.diagnose.diagnosis import Diagnosis, sentence
from backendcheck.diagnose.permutation import cycles, in_arrows, match_columns, naming, shift_of
from backendcheck.diagnose.situation import Difference, Situation, is_margin, output_of
from backendcheck.observation import Kind

_COLUMNS = (Kind.PREDICTIONS, Kind.VALUE, Kind.GRADIENT, Kind.TRAIN_WEIGHT)
_ROWS = (Kind.PREDICTIONS, Kind.PER_EXAMPLE_LOSS, Kind.VALUE)
_LONGEST_LIST = 12  # examples that evidence spells out
_FEWEST_INTEGERS = 3  # classes that have to move alike before a shift is believed


def detect(situation: Situation) -> list[Diagnosis]:
    """Claims what explains the earliest observation it can, once for each code and set of legs."""
    found: dict[tuple[str, tuple[str, ...]], Diagnosis] = {}
    for look in (_names, _classes_by_column, _classes_by_integer, _classes_by_gradient, _examples, _labels_by_gradient):
        for one in look(situation):
            found.setdefault((one.code, one.backends), one)
    return list(found.values())


# --- classes ---------------------------------------------------------------------------------------------------


def _names(situation: Situation) -> Iterator[Diagnosis]:
    """Lists of the same names in another order: a vocabulary, the classes of a directory."""
    for one in situation.differences:
        if one.kind is not Kind.VALUE or one.left.dtype != object or one.left.shape != one.right.shape or one.left.ndim != 1:
            continue
        left, right = one.left.tolist(), one.right.tolist()
        if one.observation.endswith(" (order)") or len({*left}) < len(left) or sorted(left) != sorted(right):
            continue
        place = {name: index for index, name in enumerate(right)}
        permutation = np.array([place[name] for name in left])
        found = cycles(permutation)
        moved = [(right[index], left[index]) for index in np.flatnonzero(permutation != np.arange(len(left)))]
        text = f"{one.observation} holds the same names in another order on {one.side}"
        yield Diagnosis(
            code="class-order",
            backends=one.suspects,
            message=(
                f"{sentence(text)}, against {one.trusted}: what is {moved[0][0]!r} there is {moved[0][1]!r} here. "
                "Store the order of the names with the model instead of finding it anew."
            ),
            evidence={"observation": one.observation, "permutation": in_arrows(found, naming(right, "", len(right)))},
        )


def _classes_by_column(situation: Situation) -> Iterator[Diagnosis]:
    """Columns of predictions, of values, of gradients."""
    for one in situation.differing(*_COLUMNS):
        if not one.left.ndim or one.left.shape[-1] < 2 or (one.left.ndim == 1 and one.kind is Kind.VALUE):  # noqa: PLR2004
            continue
        if one.left.dtype.kind not in "fiub":
            continue
        permutation = match_columns(one.left, one.right, one.allowance)
        if permutation is not None and one.explained(right=one.right[..., permutation]):
            yield _class_order(one, permutation, one.excess(right=one.right[..., permutation]))
        elif (step := _shift_without_wrap(one)) != 0:
            direction = "higher" if step == 1 else "lower"
            yield _off_by_one(one, f"every class sits one column {direction}; what is pushed out is lost", {"shift": step})


def _shift_without_wrap(one: Difference) -> int:
    """1 or -1 if all columns but the one at the edge are those next to them on the other side."""
    if one.left.shape[-1] < 3 or one.left.dtype == bool:  # noqa: PLR2004
        return 0
    for step in (1, -1):
        inner = slice(1, None) if step == 1 else slice(None, -1)
        outer = slice(None, -1) if step == 1 else slice(1, None)
        left, right = one.left[..., inner], one.right[..., outer]
        varies = np.ptp(right.reshape(-1, right.shape[-1]).astype(np.float64), axis=-1).any() if right.size else False
        if varies and is_margin(one.excess(left, one.right[..., inner]), one.excess(left, right)):
            return step
    return 0


def _class_order(one: Difference, permutation: np.ndarray, residual: float) -> Diagnosis:
    n_classes = len(permutation)
    name = naming(one.recording.class_names, one.output, n_classes)
    found = cycles(permutation)
    evidence: dict[str, Any] = {
        "observation": one.observation,
        "permutation": in_arrows(found, name),
        "columns": found if n_classes <= 64 else f"{sum(map(len, found))} of {n_classes} moved",  # noqa: PLR2004
        "excess as recorded": one.excess(),
        "excess reordered": residual,
    }
    if step := shift_of(permutation):
        direction = "higher" if step == 1 else "lower"
        return _off_by_one(one, f"every class sits one column {direction}, wrapping around", evidence)
    return _classes_exchanged(one, found, name, evidence, f"{one.observation}: the columns are")


def _classes_exchanged(
    one: Difference, found: list[list[int]], name: Callable[[int], str], evidence: dict[str, Any], subject: str
) -> Diagnosis:
    if len(found) == 1 and len(found[0]) == 2:  # noqa: PLR2004 - one exchange
        first, second = sorted(found[0])
        plain = name(first) == str(first)
        what = f"classes {first} and {second}" if plain else f"{name(first)} and {name(second)} (classes {first} and {second})"
        text = f"{what} are exchanged on {one.side}"
    else:
        text = f"{sum(map(len, found))} classes are permuted on {one.side}: {in_arrows(found, name)}"
    return Diagnosis(
        code="class-order",
        backends=one.suspects,
        message=(
            f"{subject} those of {one.trusted} in another order: {text}. What is called one class there is another class here. "
            "Fix the order of the classes once (sorted names, stored with the model) and check both backends against it."
        ),
        evidence=evidence,
        headline=f"CLASS ORDER: {text}, against {one.trusted} ({one.observation})",
    )


def _off_by_one(one: Difference, text: str, evidence: dict[str, Any]) -> Diagnosis:
    return Diagnosis(
        code="off-by-one",
        backends=one.suspects,
        message=(
            f"{one.subject}: {text}, against {one.trusted}. "
            "Check where labels start (0 or 1), and whether a slot for unknown or padding is put in front of the classes."
        ),
        evidence={"observation": one.observation} | evidence,
        headline=f"OFF BY ONE: {one.subject}: {text}, against {one.trusted}",
    )


def _classes_by_integer(situation: Situation) -> Iterator[Diagnosis]:
    """Classes decided for, and values that are integers: one mapping that holds for every example."""
    for one in situation.differing(Kind.PREDICTED_CLASS, Kind.VALUE):
        if one.left.dtype.kind in "iu" and one.left.size >= _FEWEST_INTEGERS:
            yield from _by_mapping(one, one.left.ravel(), one.right.ravel(), _n_classes(one), f"{one.observation}:")


def _classes_by_gradient(situation: Situation) -> Iterator[Diagnosis]:
    """The classes that the gradients by predictions imply, where those of the trusted side are the labels."""
    for one, left, right, _ in _implied(situation):
        known = (left >= 0) & (right >= 0)
        subject = f"{one.observation}: the classes that the gradient stands for are"
        yield from _by_mapping(one, left[known], right[known], one.left.shape[-1], subject)


def _by_mapping(one: Difference, left: np.ndarray, right: np.ndarray, n_classes: int, subject: str) -> Iterator[Diagnosis]:
    """What one rule, right class to left class, explains all that differs."""
    if left.size < 2 or np.array_equal(left, right):  # noqa: PLR2004
        return
    evidence = {"observation": one.observation, "examples": int(np.count_nonzero(left != right)), "of": int(left.size)}
    steps = np.unique(left.astype(np.int64) - right.astype(np.int64))
    n_seen = len(np.unique(right))
    if len(steps) == 1 and abs(steps[0]) == 1 and n_seen >= 2:  # noqa: PLR2004
        text = f"every class is one {'higher' if steps[0] == 1 else 'lower'}"
        yield _off_by_one(one, text, evidence | {"shift": int(steps[0])})
        return
    wrapped = np.unique((left.astype(np.int64) - right.astype(np.int64)) % n_classes) if 2 < n_classes < 2**62 else np.array([0])  # noqa: PLR2004
    if len(wrapped) == 1 and wrapped[0] in (1, n_classes - 1) and n_seen >= 2:  # noqa: PLR2004
        step = 1 if wrapped[0] == 1 else -1
        text = f"every class is one {'higher' if step == 1 else 'lower'}, wrapping around"
        yield _off_by_one(one, text, evidence | {"shift": step})
        return
    pairs = {(int(b), int(a)) for a, b in zip(left, right, strict=True)}
    images = dict(pairs)
    if len(images) != len(pairs) or len(set(images.values())) != len(images) or {*images} != {*images.values()}:
        return
    if len(images) > left.size // 2:
        return  # as many rules as examples prove nothing
    n = max(max(images) + 1, n_classes)
    permutation = np.arange(n)
    for source, image in images.items():
        permutation[image] = source
    found = cycles(permutation)
    name = naming(one.recording.class_names, one.output, n)
    evidence["permutation"] = in_arrows(found, name)
    yield _classes_exchanged(one, found, name, evidence, subject)


def _n_classes(one: Difference) -> int:
    predictions = one.recording.observations.get(one.observation.replace("predicted_class", "predictions", 1))
    if one.kind is Kind.PREDICTED_CLASS and predictions is not None and predictions.value.ndim:
        return int(predictions.value.shape[-1])
    return int(max(one.left.max(initial=0), one.right.max(initial=0))) + 1


def _implied(situation: Situation) -> Iterator[tuple[Difference, np.ndarray, np.ndarray, np.ndarray]]:
    """Gradients by predictions that differ, with the class that each example implies on both sides, and its label."""
    for one in situation.differing(Kind.GRADIENT):
        if not one.observation.startswith("gradient/y_pred") or one.left.ndim < 2:  # noqa: PLR2004
            continue
        output = output_of(one.observation)
        labels = one.recording.labels.get(f"y_true/{output}" if output else "y_true")
        left, right = implied.implied_class(one.left), implied.implied_class(one.right)
        if labels is None:
            continue
        given = implied.label_class(labels, one.left.shape[-1], left.shape)
        # That the trusted side's gradient names the labels shows that the loss is one whose gradient does.
        if given is not None and np.array_equal(right[right >= 0], given[right >= 0]) and len(np.unique(right)) > 1:
            yield one, left, right, given


# --- examples --------------------------------------------------------------------------------------------------


def _examples(situation: Situation) -> Iterator[Diagnosis]:
    """Rows of predictions, per-example losses, values and gradients by predictions."""
    rows = [*situation.differing(*_ROWS), *situation.differing(Kind.GRADIENT)]
    for one in rows:
        if one.kind is Kind.GRADIENT and not one.observation.startswith("gradient/y_pred"):
            continue
        if one.left.ndim < 1 or len(one.left) < 2 or one.left.dtype.kind not in "fiu":  # noqa: PLR2004
            continue
        as_columns = [array.reshape(len(array), -1).T for array in (one.left, one.right)]
        permutation = match_columns(as_columns[0], as_columns[1], one.allowance)
        if permutation is not None and one.explained(right=one.right[permutation]):
            yield _example_order(one, permutation, one.excess(right=one.right[permutation]), one.observation)


def _labels_by_gradient(situation: Situation) -> Iterator[Diagnosis]:
    """The classes that a gradient implies are the labels of other examples."""
    for one, *classes in _implied(situation):
        left, right, given = (each.ravel() for each in classes)
        if (left < 0).any() or np.array_equal(left, right) or not np.array_equal(np.sort(left), np.sort(given)):
            continue
        moved = np.flatnonzero(left != given)
        images = {(int(b), int(a)) for a, b in zip(left, given, strict=True)}
        if len(dict(images)) == len(images):
            continue  # one rule for each class: the classes are permuted, not the examples
        text = f"{len(moved)} examples are trained towards the label of another example on {one.side}"
        yield _of_examples(one, text, {"observation": one.observation, "examples": moved[:_LONGEST_LIST].tolist()})


def _example_order(one: Difference, permutation: np.ndarray, residual: float, what: str) -> Diagnosis:
    moved = np.flatnonzero(permutation != np.arange(len(permutation)))
    if np.array_equal(permutation, np.arange(len(permutation))[::-1]):
        text = f"the examples of {what} are in reverse order on {one.side}"
    elif len(moved) == 2:  # noqa: PLR2004
        text = f"examples {moved[0]} and {moved[1]} of {what} are exchanged on {one.side}"
    else:
        text = f"{len(moved)} of {len(permutation)} examples of {what} are in another order on {one.side}"
    evidence = {
        "observation": one.observation,
        "examples": moved[:_LONGEST_LIST].tolist(),
        "came from": permutation[moved[:_LONGEST_LIST]].tolist(),
        "excess as recorded": one.excess(),
        "excess reordered": residual,
    }
    return _of_examples(one, text, evidence)


def _of_examples(one: Difference, text: str, evidence: dict[str, Any]) -> Diagnosis:
    return Diagnosis(
        code="example-order",
        backends=one.suspects,
        message=(
            f"{sentence(text)}, against {one.trusted}. Labels no longer stand beside their predictions. "
            "Look at what batches, shuffles, sorts or gathers there."
        ),
        evidence=evidence,
        headline=f"EXAMPLE ORDER: {text}, against {one.trusted}",
    )
