"""What a model file or a case file declares, as targets: each loss and metric of Keras with its options, for its head and labels.

A situation has its own numbers, so it needs neither the weights of a model nor the arrays of a case. What stays is what the file
says: the options, the head, and the shape. Labels, types, weights and predictions vary.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backendcheck.errors import UsageError
from backendcheck.explore.keras_targets import keras_targets
from backendcheck.explore.targets import Form, Target
from backendcheck.model_file import read_model_file
from backendcheck.model_file.losses import snake
from backendcheck.recordings.legs import find_legs, read_legs
from backendcheck.recordings.recording import Recording
from backendcheck.temporary import temporary_directory
from backendcheck.text.words import first_line
from backendcheck.vocabulary.observations import of_output

_NOT_OF_KERAS = "the {kind} {name} is not one of Keras. Explore it by its name, as package.module:Name"
_DEFAULTS: Mapping[str, Any] = {"sparse_y_pred": True}  # of the options that forms differ in; False for the others
_MODELS = (".keras", ".h5", ".hdf5")
_PLAIN = (bool, int, float, str)
# The label shapes that go with predictions of as many axes.
_SHAPES: Mapping[int, tuple[str, ...]] = {
    1: ("(N,)",), 2: ("(N,)", "(N,1)", "(N,C)"), 3: ("(N,T)", "(N,T,C)"), 4: ("(N,H,W)",),
}  # fmt: skip
_ACCURACY = {
    "sparse_categorical_crossentropy": "sparse_categorical_accuracy", "categorical_crossentropy": "categorical_accuracy",
    "binary_crossentropy": "binary_accuracy",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A loss or a metric as a file declares it. `activation` and `n_axes` are those of the predictions, where they are known."""

    kind: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    activation: str | None = None
    n_axes: int | None = None


def is_file(name: str) -> bool:
    """Whether a target is a model file, a case file or a folder of those. A name without a slash is a package."""
    path = Path(name.partition("::")[0])
    return path.suffix.lower() in (*_MODELS, ".py") or (path.is_dir() and bool({"/", os.sep} & {*name}))


def targets_of_file(name: str, leg: str, notes: list[str]) -> list[Target]:
    """What a file declares. A case file is recorded once on `leg`, as `backendcheck record` does it.

    Raises:
        UsageError: if the file is missing, or declares no loss or metric of Keras.
    """
    declared = _of_model(Path(name), notes) if Path(name).suffix.lower() in _MODELS else _of_cases(name, leg, notes)
    of_keras = {(target.kind, snake(target.name.rpartition(".")[2])): target for target in keras_targets()}
    found: dict[str, Target] = {}
    for each in declared:
        target = of_keras.get((each.kind, each.name))
        if target is None:
            notes.append(f"{name}: {_NOT_OF_KERAS.format(kind=each.kind, name=each.name)}")
            continue
        narrow = _narrowed(target, each)
        found[target.name] = _together(found[target.name], narrow) if target.name in found else narrow
    if not found:
        expected = "expected a compiled model, or cases with one"
        raise UsageError("\n".join([f"{name}: declares no loss or metric of Keras that can be explored; {expected}.", *notes]))
    notes.extend(f"{name}: {target.name} is explored with {_in_words(target)}" for target in found.values())
    return list(found.values())


def _in_words(target: Target) -> str:
    forms = ", ".join(dict.fromkeys(f"{form.labels} labels ({form.head})" for form in target.forms))
    options = ", ".join(f"{name}={value!r}" for name, value in target.required.items())
    return f"{forms}; {options}" if options else forms


def _narrowed(target: Target, declared: Declared) -> Target:
    """The target with the options of the file alone, and the forms that go with its head."""
    varied = {name for form in target.forms for name in form.options}
    given = {name: value for name, value in declared.options.items() if isinstance(value, _PLAIN) and name not in varied}
    wanted = {name: declared.options.get(name, _DEFAULTS.get(name, False)) for name in varied}
    forms = [
        form for form in target.forms
        if all(form.options.get(name, _DEFAULTS.get(name, False)) == value for name, value in wanted.items())
    ]  # fmt: skip
    forms = [form for form in forms if form.head == declared.activation] or forms
    shapes = _SHAPES.get(declared.n_axes or 0, ())
    fitting = [replace(form, shapes=tuple(shape for shape in form.label_shapes if shape in shapes)) for form in forms]
    forms = [form for form in fitting if form.shapes] or forms
    return replace(target, forms=tuple(forms), options={}, required={**target.required, **given})


def _together(first: Target, second: Target) -> Target:
    """One target for two outputs or cases with the same loss: the forms of both; an option that differs is varied."""
    forms: Sequence[Form] = [*first.forms, *(form for form in second.forms if form not in first.forms)]
    options = {name: dict.fromkeys(choices) for name, choices in first.options.items()}
    required = dict(first.required)
    for name in dict.fromkeys([*first.required, *second.required, *first.options]):
        value = second.required.get(name, ...)
        if name in options:
            options[name][value] = None
        elif required.get(name, ...) != value:
            options[name] = dict.fromkeys([required.pop(name, ...), value])
    choices = {name: tuple(each) for name, each in options.items()}
    return replace(first, forms=tuple(forms), options=choices, required=required)


# --- model files -------------------------------------------------------------------------------------------------


def _of_model(path: Path, notes: list[str]) -> Iterator[Declared]:
    model = read_model_file(path)
    notes.extend(f"{path}: {note}" for note in model.notes)
    if model.compiled is None:
        return
    for head in model.outputs:
        about = Declared(kind="loss", name="", activation=head.activation, n_axes=len(head.shape) if head.shape else None)
        loss = model.compiled.losses.get(head.name)
        if loss is not None:
            reduction = {} if loss.reduction == "sum_over_batch_size" else {"reduction": loss.reduction or "none"}
            yield replace(about, name=loss.name, options={**loss.options, **reduction})
        for metric in model.compiled.metrics.get(head.name, ()):
            name = _ACCURACY.get(loss.name, metric) if loss is not None and metric in ("accuracy", "acc") else snake(metric)
            yield replace(about, kind="metric", name=name)


# --- case files --------------------------------------------------------------------------------------------------


def _of_cases(name: str, leg: str, notes: list[str]) -> Iterator[Declared]:
    with temporary_directory("neighbors") as folder:
        command = [sys.executable, "-m", "backendcheck", "record", name, "--backend", leg, "--oracles", "agreement",
                   "--out", str(folder)]  # fmt: skip
        ended = subprocess.run(
            command, env=dict(os.environ), text=True, encoding="utf-8", errors="backslashreplace", stdin=subprocess.DEVNULL,
            capture_output=True, check=False,
        )  # fmt: skip
        if ended.returncode == 2:  # noqa: PLR2004 - see the exit codes
            lines = [line.removeprefix("backendcheck: ") for line in ended.stderr.splitlines() if line.strip()]
            raise UsageError(lines[-1] if lines else f"{name}: cannot be recorded on {leg}.")
        for of_leg in read_legs(find_legs([folder])):
            for recording in of_leg.recordings.values():
                yield from _declared_in(recording, notes)


def _declared_in(recording: Recording, notes: list[str]) -> Iterator[Declared]:
    if not recording.losses and not recording.metrics:
        raised = "".join(f": raised {each.type}: {first_line(each.message)}" for each in recording.raised[:1])
        notes.append(f"{recording.case} declares no loss or metric{raised or f' ({recording.status})'}")
    for output, loss in recording.losses.items():
        if not loss["from_keras"]:
            notes.append(f"{recording.case}: {_NOT_OF_KERAS.format(kind='loss', name=loss['name'])}")
            continue
        y_pred = recording.labels.get("y_pred")
        if y_pred is None and (predictions := recording.observations.get(of_output("predictions", output))) is not None:
            y_pred = predictions.value
        n_axes = None if y_pred is None else y_pred.ndim
        reduction = {} if loss["reduction"] == "sum_over_batch_size" else {"reduction": loss["reduction"] or "none"}
        yield Declared(kind="loss", name=loss["name"], options={**loss["options"], **reduction}, n_axes=n_axes)
    for metric in recording.metrics.values():
        options = {key: value for key, value in metric["options"].items() if key not in ("name", "dtype")}
        yield Declared(kind="metric", name=snake(str(metric["class"])), options=options)
