"""`check_labels`: all rules of the label contract, applied to the labels of every output and split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.argument_types import ClassNames, HeadArgument, Losses, Model, Nest
from backendcheck.data import Data
from backendcheck.errors import UsageError
from backendcheck.labels.checks.l1_values import find_in_values
from backendcheck.labels.checks.l2_shapes import find_in_lengths, find_in_shape, find_unreadable
from backendcheck.labels.checks.l3_one_hot_rows import find_in_rows
from backendcheck.labels.checks.l4_head_and_loss import find_in_head
from backendcheck.labels.checks.l4_outputs import find_in_losses, find_in_outputs
from backendcheck.labels.checks.l5_class_names import find_in_names, find_other_names
from backendcheck.labels.checks.l6_splits import find_in_inputs, find_unseen_classes
from backendcheck.labels.checks.l7_balance import find_in_balance
from backendcheck.labels.contract.class_map import ClassMap
from backendcheck.labels.contract.finding import TRAINING, LabelFinding, LabelFindings, Severity
from backendcheck.labels.contract.rules import filter_findings, parse_codes
from backendcheck.labels.inputs.arrays import arrays_by_output
from backendcheck.labels.inputs.encoding import Encoding, encoding_of, encoding_of_loss
from backendcheck.labels.inputs.input_rows import input_arrays
from backendcheck.labels.inputs.numbers import numbers_of
from backendcheck.labels.inputs.output_labels import OutputLabels
from backendcheck.labels.inputs.task import LabelTask, label_task
from backendcheck.model_file import DeclaredLoss, Head, ModelFile, describe_model, read_model_file

IMBALANCE = 10.0  # times as many examples in the largest class as in the smallest
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def check_labels(
    y: Nest | Data, *, loss: Losses | None = None, model: str | Path | Model | ModelFile | None = None,
    head: HeadArgument | Mapping[str, HeadArgument] | None = None, class_names: ClassNames | None = None,
    label_names: ClassNames | None = None, n_classes: int | Mapping[str, int] | None = None,
    sample_weight: Nest | None = None, x: Nest | None = None,
    validation: Nest | tuple[Nest, ...] | Data | None = None, test: Nest | tuple[Nest, ...] | Data | None = None,
    against: ClassMap | ClassNames | str | Path | None = None,
    select: Sequence[str] = (), ignore: Sequence[str] = (), imbalance: float = IMBALANCE,
) -> LabelFindings:  # fmt: skip
    """Check labels before training: against the loss, the head, the class names and other splits. Imports no backend.

    Each argument enables more rules; nothing is guessed that would be reported as an error. A custom loss may accept any labels,
    so few rules apply to it.

    Args:
        y: the labels of N examples: an array, a list of numbers or texts, a tensor, or a column of a table. For several outputs
            a dict by output, or a list in the order of the outputs of `model`. Or `backendcheck.data.Data`, with x and weights.
        loss: a name (``"mse"``), a Keras loss or a function; or a dict or list of them by output. Default: the loss that
            the model was compiled with.
        model: a ``.keras`` file, or a Keras model in this process.
        head: without a model: the units, the activation or both, as ``3``, ``"softmax"`` or ``(3, "softmax")``; or a dict by
            output.
        class_names: the names of the classes in the order of their indices, or a dict of such lists by output. Text labels become
            class indices through them.
        label_names: the names in the order in which the labels were numbered (``LabelEncoder.classes_``, folders).
        n_classes: the number of classes, if neither a head nor class names tell it; or a dict by output.
        sample_weight: (N,), or what `model.fit` takes; or a dict by output.
        x: the inputs of the N examples, (N, …), or a dict or list of inputs. They show copies between splits and equal examples
            with different labels.
        validation: the labels of the validation split, a tuple (x, y) or (x, y, sample_weight), or `Data`.
        test: the same for the test split.
        against: a class map that the class names must equal: a `ClassMap`, the file of one, or names in order.
        select: codes of rules or prefixes of codes (``["L1", "L403"]``); default: all rules.
        ignore: codes or prefixes of rules to leave out.
        imbalance: report imbalance (L701) from this ratio of the largest to the smallest class on; above 1.

    Returns:
        The findings, errors first, as a list. An empty list means that no rule found anything. In a notebook it shows as a table,
        and ``to_frame()`` makes a data frame of it.

    Raises:
        UsageError: if y is not an array, a loss or a head is invalid, or a code is not a rule.
        UnreadableInput: if the model file or the class map is damaged.
    """
    selected, ignored = parse_codes(select, "select"), parse_codes(ignore, "ignore")
    if not imbalance > 1:
        message = f"imbalance={imbalance!r}: invalid ratio; expected a number above 1."
        raise UsageError(message)
    splits = {TRAINING: y if isinstance(y, Data) else _split_data((x, y, sample_weight), TRAINING)}
    for split, data in (("validation", validation), ("test", test)):
        if data is not None:
            splits[split] = _split_data(data, split)
        elif split in splits[TRAINING].splits:
            splits[split] = splits[TRAINING].splits[split]
    stored_names = splits[TRAINING].class_names
    names = _Names(
        class_names=class_names if class_names is not None else stored_names,
        numbered_names=label_names if label_names is not None else (stored_names if class_names is not None else None),
        declared_n_classes=n_classes, against=_class_map(against),
    )  # fmt: skip
    findings = _check_splits(splits, _describe(model), head, loss, names, float(imbalance))
    return LabelFindings(sorted(filter_findings(findings, selected, ignored), key=lambda finding: _ORDER[finding.severity]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """The arguments about class names as the caller gave them, read for one output at a time."""

    class_names: Any
    numbered_names: Any
    declared_n_classes: Any
    against: ClassMap | None

    def of(self, output: str) -> tuple[str, ...]:
        """The class names; without any, the names of the class map, so that text labels have an index."""
        names = _names_of_output(self.class_names, output, "class_names")
        return names or (self.against.names(output) if self.against is not None else None) or ()

    def as_numbered(self, output: str) -> tuple[str, ...]:
        """The names in the order in which the labels were numbered."""
        return _names_of_output(self.numbered_names, output, "label_names")

    def n_classes(self, output: str) -> int | None:
        """The declared number of classes, or else the number of class names; None if neither is known."""
        declared = self.declared_n_classes
        n = declared.get(output) if isinstance(declared, Mapping) else declared
        if n is None:
            return len(self.of(output)) or None
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            message = f"n_classes={n!r}: invalid number of classes; expected an integer of 1 or more."
            raise UsageError(message)
        return int(n)


def _names_of_output(names: Any, output: str, argument: str) -> tuple[str, ...]:
    if names is None:
        return ()
    by_index = names.get(output, ()) if isinstance(names, Mapping) else names
    if isinstance(by_index, str):
        message = f"{argument}={by_index!r}: invalid names; expected a list of names, got a text."
        raise UsageError(message)
    return tuple(str(name) for name in by_index)


def _describe(model: Any) -> ModelFile | None:
    if model is None or isinstance(model, ModelFile):
        return model
    return read_model_file(model) if isinstance(model, str | Path) else describe_model(model)


def _class_map(against: Any) -> ClassMap | None:
    if against is None or isinstance(against, ClassMap):
        return against
    return ClassMap.read(against) if isinstance(against, str | Path) else ClassMap.of(against)


def _split_data(value: Any, split: str) -> Data:
    """The data of a split, from `Data`, a tuple as `model.fit` takes it, or labels alone."""
    if isinstance(value, Data):
        return value
    if not isinstance(value, tuple):
        return Data(x=None, y=value, source=split)
    if not 2 <= len(value) <= 3:  # noqa: PLR2004 - x, y, sample_weight
        message = (
            f"{split}: invalid tuple; expected (x, y) or (x, y, sample_weight), got {len(value)} parts. Pass "
            f"labels as a list."
        )
        raise UsageError(message)
    x, y, weight = (*value, None)[:3]
    return Data(x=x, y=y, sample_weight=weight, source=split)


def _check_splits(
    splits: Mapping[str, Data], model: ModelFile | None, head: Any, loss: Any, names: _Names, imbalance: float
) -> Iterator[LabelFinding]:
    task: LabelTask | None = None
    by_split: dict[str, list[OutputLabels]] = {}
    for split, data in splits.items():
        if data.y is None:
            message = f"{split}: no labels; expected y."
            raise UsageError(message)
        outputs = list(task.outputs) if task is not None else []
        if model is not None:
            outputs = [output.name for output in model.outputs]
        arrays = arrays_by_output(data.y, "labels" if split == TRAINING else f"{split} labels", outputs or [""])
        if task is None:
            task = label_task(model, head, loss, list(arrays))
            yield from find_in_losses(task)
        yield from find_in_outputs(task, list(arrays), split)
        weights = {} if data.sample_weight is None else arrays_by_output(data.sample_weight, "sample_weight", outputs or [""])
        parts = {f"labels of {name}" if name else "labels": array for name, array in arrays.items()}
        parts |= {f"sample weights of {name}" if name else "sample weights": array for name, array in weights.items()}
        parts |= {f"inputs {name}" if name else "inputs": array for name, array in input_arrays(data.x).items()}
        yield from find_in_lengths(parts, split)
        yield from find_unreadable(data, split)
        training = {labels.output: labels for labels in by_split.get(TRAINING, ())}
        by_split[split] = [
            _output_labels(name, split, array, task, names, weights, training.get(name))
            for name, array in arrays.items() if array.ndim and len(array)
        ]  # fmt: skip
    training = {labels.output: labels for labels in by_split[TRAINING]}
    for split, of_split in by_split.items():
        for labels in of_split:
            yield from _check_output(labels, names, imbalance)
            if split != TRAINING and labels.output in training:
                yield from find_unseen_classes(training[labels.output], labels)
                yield from _check_names_of_split(labels, splits[split], names)
    yield from find_in_inputs({split: data.x for split, data in splits.items()}, by_split)


def _check_output(labels: OutputLabels, names: _Names, imbalance: float) -> Iterator[LabelFinding]:
    yield from find_in_values(labels)
    yield from find_in_shape(labels)
    yield from find_in_rows(labels)
    if labels.split == TRAINING:
        yield from find_in_head(labels)
    yield from find_in_names(labels, names.as_numbered(labels.output), names.against)
    yield from find_in_balance(labels, imbalance)


def _check_names_of_split(labels: OutputLabels, data: Data, names: _Names) -> Iterator[LabelFinding]:
    """L504, for a split whose labels are numbered by its own names. Text labels are numbered by the names of training."""
    split_names = _names_of_output(data.class_names, labels.output, "class_names")
    if not split_names or labels.by_name:
        return
    map_names = names.against.names(labels.output) if names.against is not None else None
    if expected := map_names or names.of(labels.output):
        yield from find_other_names(labels, split_names, expected, "the class map" if map_names else "those of training")


def _output_labels(
    output: str, split: str, raw: np.ndarray, task: LabelTask, names: _Names, weights: Mapping[str, np.ndarray],
    training: OutputLabels | None,
) -> OutputLabels:  # fmt: skip
    task_output = task.outputs[0] if len(task.outputs) == 1 else output
    head, loss = task.heads.get(task_output), task.losses.get(task_output)
    class_names, n_classes = names.of(output), names.n_classes(output)
    raw, head = _with_classes_last(raw, head, loss)
    numbers = numbers_of(raw, class_names, training.separator if training is not None else "")
    if head is not None and head.shape is None and task_output in task.explicit_heads:
        head = replace(head, shape=_usual_shape(head, raw.ndim, integer=_takes_integers(loss)))
    encoding = encoding_of(numbers.values if numbers.values is not None else np.zeros(0), loss, head, n_classes)
    if training is not None and training.raw.ndim == raw.ndim:
        encoding = training.encoding  # the few labels of another split may look different
    weight = next((weights[name] for name in (output, task_output, "") if name in weights), None)
    return OutputLabels(
        output=output, split=split, raw=raw, encoding=encoding, loss=loss, head=head, class_names=class_names,
        n_classes=n_classes, n_outputs=len(task.outputs),
        numbers=None if numbers.several and encoding is Encoding.INTEGER else numbers.known,
        weights=weight if weight is not None and weight.dtype.kind in "fiub" else None,
        unknown_names=numbers.unknown_names, n_unknown=numbers.n_unknown, missing=numbers.missing, by_name=numbers.by_name,
        several=numbers.several, separator=numbers.separator,
    )  # fmt: skip


def _takes_integers(loss: DeclaredLoss | None) -> bool:
    return loss is not None and encoding_of_loss(loss) is Encoding.INTEGER


def _usual_shape(head: Head, n_axes: int, *, integer: bool) -> tuple[int | None, ...] | None:
    """The shape of a head of which only the units are known: (N, units), unless the labels are of steps or pixels."""
    return (None, head.units) if head.units and n_axes <= (1 if integer else 2) else None


def _with_classes_last(raw: np.ndarray, head: Head | None, loss: DeclaredLoss | None) -> tuple[np.ndarray, Head | None]:
    """Labels and the shape of the head with the class axis of the loss last, where every rule expects it."""
    axis = loss.options.get("axis", -1) if loss is not None else -1
    if not isinstance(axis, int) or axis == -1:
        return raw, head
    if not _takes_integers(loss) and -raw.ndim <= axis < raw.ndim:
        raw = np.moveaxis(raw, axis, -1)
    if head is not None and head.shape is not None and -len(head.shape) <= axis < len(head.shape):
        sizes = [*head.shape]
        n_classes = sizes.pop(axis)
        head = replace(head, shape=(*sizes, n_classes))
    return raw, head
