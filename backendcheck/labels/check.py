"""`check_labels`: the whole contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.data import Data
from backendcheck.errors import UsageError
from backendcheck.labels.checks.l1_values import find_in_values
from backendcheck.labels.checks.l2_shapes import find_in_lengths, find_in_shape
from backendcheck.labels.checks.l3_one_hot_rows import find_in_rows
from backendcheck.labels.checks.l4_head_and_loss import find_in_head
from backendcheck.labels.checks.l5_class_names import find_in_names, names_that_differ
from backendcheck.labels.checks.l6_splits import find_in_inputs, find_unseen
from backendcheck.labels.checks.l7_balance import find_in_balance
from backendcheck.labels.contract.class_map import ClassMap
from backendcheck.labels.contract.finding import LabelFinding, Severity
from backendcheck.labels.contract.rules import check_codes, chosen
from backendcheck.labels.inputs.encoding import Encoding, encoding_of, loss_takes
from backendcheck.labels.inputs.input_rows import input_arrays
from backendcheck.labels.inputs.output_labels import TRAINING, OutputLabels
from backendcheck.labels.inputs.task import Purpose, arrays_by_output, numbers_of, purpose_of, unmatched
from backendcheck.model_file import DeclaredLoss, Head, ModelFile, describe_model, read_model_file

IMBALANCE = 10.0  # times as many examples in the largest class as in the smallest
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def check_labels(
    y: Any, *, loss: Any = None, model: Any = None, head: Any = None, class_names: Any = None, label_names: Any = None,
    n_classes: int | Mapping[str, int] | None = None, sample_weight: Any = None, x: Any = None, validation: Any = None,
    test: Any = None, against: Any = None, select: Sequence[str] = (), ignore: Sequence[str] = (), imbalance: float = IMBALANCE,
) -> list[LabelFinding]:  # fmt: skip
    """Hold labels against the loss, the head and the class names that they are for, before training. Imports no backend.

    The more is said, the more is found; nothing is guessed that would be an error. A loss of your own may take anything, so
    labels for it are held against little.

    Args:
        y: the labels of N examples: an array, a list (of text, too), a tensor, a column of a table; or a dict of them by output,
            or a list of them in the order of the outputs of `model`. Or a `backendcheck.data.Data`, with x and the rest.
        loss: a name (``"mse"``), a loss of Keras, a function; or a dict or list of them by output. Default: what the model was
            compiled with.
        model: a ``.keras`` file, or a model of this process.
        head: in place of a model: ``3``, ``"softmax"`` or ``(3, "softmax")``; or a dict of them by output.
        class_names: the names of the classes in the order of their indices, or a dict of them by output. Labels that are text
            become indices by them.
        label_names: the order in which whoever numbered the labels had the classes (``LabelEncoder.classes_``, folders).
        n_classes: how many classes there are, if neither a head nor names say so; or a dict by output.
        sample_weight: (N,) or as `model.fit` takes it; or a dict by output.
        x: the inputs of the N examples, which tell copies between splits and contradicting labels.
        validation: labels of another split; or a tuple (x, y) or (x, y, sample_weight), or `Data`.
        test: likewise.
        against: a class map to hold class names against: a `ClassMap`, the file of one, or names in order.
        select: codes of rules, or what codes begin with (``["L1", "L403"]``); all by default.
        ignore: likewise, what is left out.
        imbalance: from which ratio of the largest to the smallest class on L701 speaks.

    Returns:
        Findings, errors first. An empty list says that nothing is wrong that these rules know.

    Raises:
        UsageError: if y is no array, a loss is none, or a code is no rule.
        UnreadableInput: if the file of the model or the class map is damaged.
    """
    selected, left_out = check_codes(select, "select"), check_codes(ignore, "ignore")
    if not imbalance > 1:
        message = f"imbalance={imbalance!r}; expected a ratio above 1."
        raise UsageError(message)
    described = _described(model)
    class_map = _class_map(against)
    splits = {TRAINING: _parts((x, y, sample_weight) if not isinstance(y, Data) else y, TRAINING)}
    for name, split_value in (("validation", validation), ("test", test)):
        if split_value is not None:
            splits[name] = _parts(split_value, name)
    of_data = splits[TRAINING]
    names = class_names if class_names is not None else of_data.class_names
    label_order = label_names if label_names is not None else (of_data.class_names if class_names is not None else None)
    findings = _found(splits, described, head, loss, _Names(names, label_order, n_classes, class_map), float(imbalance))
    return sorted(chosen(findings, selected, left_out), key=lambda finding: _ORDER[finding.severity])


class _Names:
    """Class names, the order of whoever numbered the labels, and how many classes there are: for one output at a time."""

    def __init__(self, class_names: Any, label_names: Any, n_classes: Any, against: ClassMap | None) -> None:
        self._class_names, self._label_names, self._n_classes = class_names, label_names, n_classes
        self.against = against

    def of(self, output: str) -> tuple[str, ...]:
        """The class names in force; without any, those of the class map, so that text can be read."""
        names = _names_for(self._class_names, output, "class_names")
        if not names and self.against is not None:
            names = self.against.names(output) or ()
        return names

    def own(self, output: str) -> tuple[str, ...]:
        return _names_for(self._label_names, output, "label_names")

    def n_classes(self, output: str) -> int | None:
        n_classes = self._n_classes.get(output) if isinstance(self._n_classes, Mapping) else self._n_classes
        if n_classes is None:
            return len(self.of(output)) or None
        if isinstance(n_classes, bool) or not isinstance(n_classes, int | np.integer) or n_classes < 1:
            message = f"n_classes={n_classes!r}; expected a number of classes, 1 or more."
            raise UsageError(message)
        return int(n_classes)


def _names_for(names: Any, output: str, argument: str) -> tuple[str, ...]:
    if names is None:
        return ()
    listed = names.get(output, ()) if isinstance(names, Mapping) else names
    if isinstance(listed, str):
        message = f"{argument}={listed!r}; expected a list of names."
        raise UsageError(message)
    return tuple(str(name) for name in listed)


def _described(model: Any) -> ModelFile | None:
    if model is None or isinstance(model, ModelFile):
        return model
    return read_model_file(model) if isinstance(model, str | Path) else describe_model(model)


def _class_map(against: Any) -> ClassMap | None:
    if against is None or isinstance(against, ClassMap):
        return against
    return ClassMap.read(against) if isinstance(against, str | Path) else ClassMap.of(against)


def _parts(split_value: Any, split: str) -> Data:
    """What was handed over for a split: `Data`, a tuple as `model.fit` takes it, or labels."""
    if isinstance(split_value, Data):
        return split_value
    if isinstance(split_value, tuple):
        if not 2 <= len(split_value) <= 3:  # noqa: PLR2004 - x, y, sample_weight
            message = f"{split}: is a tuple of {len(split_value)}; expected labels, or (x, y), or (x, y, sample_weight)."
            raise UsageError(message)
        x, y, weight = (*split_value, None)[:3]
        return Data(x=x, y=y, sample_weight=weight, source=split)
    return Data(x=None, y=split_value, source=split)


def _found(
    splits: Mapping[str, Data], model: ModelFile | None, head: Any, loss: Any, names: _Names, imbalance: float
) -> Iterator[LabelFinding]:
    purpose: Purpose | None = None
    by_split: dict[str, list[OutputLabels]] = {}
    for split, data in splits.items():
        if data.y is None:
            message = f"{split}: holds no labels; expected y."
            raise UsageError(message)
        outputs = [head.name for head in model.outputs] if model is not None else _listed(purpose)
        labels = arrays_by_output(data.y, _words(split, "labels"), outputs or [""])
        if purpose is None:
            purpose = purpose_of(model, head, loss, list(labels))
            yield from purpose.problems
        yield from unmatched(purpose, list(labels), _words(split, ""), split)
        weights = {} if data.sample_weight is None else arrays_by_output(data.sample_weight, "sample_weight", outputs or [""])
        parts = {f"labels of {name}" if name else "labels": array for name, array in labels.items()}
        parts |= {f"sample weights of {name}" if name else "sample weights": array for name, array in weights.items()}
        parts |= {f"inputs {name}" if name else "inputs": array for name, array in input_arrays(data.x).items()}
        yield from find_in_lengths(parts, _words(split, ""), split)
        trained = {labels.output: labels for labels in by_split.get(TRAINING, ())}
        by_split[split] = [
            _output_labels(name, split, array, purpose, names, weights, trained.get(name))
            for name, array in labels.items() if array.ndim and len(array)
        ]  # fmt: skip
    for split, several in by_split.items():
        for output_labels in several:
            yield from _of_one(output_labels, names, imbalance)
            first = next((training for training in by_split[TRAINING] if training.output == output_labels.output), None)
            if split != TRAINING and first is not None:
                yield from find_unseen(first, output_labels)
                yield from _names_of_split(output_labels, splits[split], names)
    yield from find_in_inputs({split: data.x for split, data in splits.items()}, by_split)


def _names_of_split(labels: OutputLabels, data: Data, names: _Names) -> Iterator[LabelFinding]:
    """L504, of a split that numbers its labels by names of its own; text is read by the names in force."""
    ours = _names_for(data.class_names, labels.output, "class_names")
    if not ours or labels.given.dtype.kind in "OUS":
        return
    theirs = names.against.names(labels.output) if names.against is not None else None
    whose = "the class map" if theirs else "those of training"
    if theirs := theirs or names.of(labels.output):
        yield from names_that_differ(labels, ours, theirs, whose)


def _listed(purpose: Purpose | None) -> list[str]:
    return list(purpose.outputs) if purpose is not None else []


def _words(split: str, noun: str) -> str:
    return noun if split == TRAINING else f"{split} {noun}"


def _of_one(labels: OutputLabels, names: _Names, imbalance: float) -> Iterator[LabelFinding]:
    yield from find_in_values(labels)
    yield from find_in_shape(labels)
    yield from find_in_rows(labels)
    if labels.split == TRAINING:
        yield from find_in_head(labels)
    yield from find_in_names(labels, names.own(labels.output), names.against)
    yield from find_in_balance(labels, imbalance)


def _is_of_integers(loss: DeclaredLoss | None) -> bool:
    return loss is not None and loss_takes(loss) is Encoding.INTEGER


def _shape_of(head: Head, n_axes: int, *, integer: bool) -> tuple[int | None, ...] | None:
    """The shape of a head of which only the units were said: (N, units), unless labels look like those of steps or pixels."""
    return (None, head.units) if head.units and n_axes <= (1 if integer else 2) else None


def _classes_last(array: np.ndarray, axis: int) -> np.ndarray:
    """Labels with the axis of their classes at the end, where every rule looks for it."""
    return np.moveaxis(array, axis, -1) if -array.ndim <= axis < array.ndim else array


def _last(shape: tuple[int | None, ...], axis: int) -> tuple[int | None, ...]:
    if not -len(shape) <= axis < len(shape):
        return shape
    axes = [*shape]
    classes = axes.pop(axis)
    return (*axes, classes)


def _output_labels(
    output: str, split: str, raw: np.ndarray, purpose: Purpose, names: _Names, weights: Mapping[str, np.ndarray],
    trained: OutputLabels | None,
) -> OutputLabels:  # fmt: skip
    single = len(purpose.outputs) == 1
    known = purpose.outputs[0] if single else output
    head, loss = purpose.heads.get(known), purpose.losses.get(known)
    class_names, n_classes = names.of(output), names.n_classes(output)
    axis = loss.options.get("axis", -1) if loss is not None else -1
    if isinstance(axis, int) and axis != -1 and not _is_of_integers(loss):
        raw = _classes_last(raw, axis)
    if isinstance(axis, int) and axis != -1 and head is not None and head.shape is not None:
        head = replace(head, shape=_last(head.shape, axis))
    numbers, unnamed = numbers_of(raw, class_names)
    encoding_from = numbers if numbers is not None else np.zeros(0)
    n_unnamed = 0
    if unnamed and numbers is not None:  # what has no index is L505's; the rest is looked at
        n_unnamed = int(np.count_nonzero(numbers < 0))
        numbers = numbers.ravel()[numbers.ravel() >= 0]
    if head is not None and head.shape is None and known in purpose.said:
        head = replace(head, shape=_shape_of(head, raw.ndim, integer=_is_of_integers(loss)))
    encoding = encoding_of(encoding_from, loss, head, n_classes)
    if trained is not None and trained.given.ndim == raw.ndim:
        encoding = trained.encoding  # however the few labels of another split may look
    weight = next((weights[name] for name in (output, known, "") if name in weights), None)
    if weight is not None and weight.dtype.kind not in "fiub":
        weight = None
    return OutputLabels(
        output=output, split=split, given=raw, numbers=numbers, encoding=encoding, loss=loss, head=head, class_names=class_names,
        n_classes=n_classes, weights=weight, unnamed=unnamed, n_unnamed=n_unnamed,
    )  # fmt: skip
