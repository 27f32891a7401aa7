"""The values that a script prints to show a finding: the name of each, and the code that computes it."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from backendcheck.compare.findings import Finding
from backendcheck.recordings.recording import Recording
from backendcheck.repro.program import Program, returned_names
from backendcheck.repro.target_finding import TargetFinding
from backendcheck.text.escape import visible
from backendcheck.text.literals import NotWritable, source_of
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import ObservationName, Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedValue:
    """One line of a script's output: its name, its expression, and the helper functions that the expression calls.

    `role` is ``recorded`` for what a backend computes, and ``reference`` for the correct value.
    """

    name: str
    code: str
    helpers: tuple[str, ...] = ()
    role: Literal["recorded", "reference"] = "recorded"


def printed_values(program: Program, target: TargetFinding, recordings: Mapping[str, Recording]) -> list[PrintedValue]:
    """The values that show `target`.

    Raises:
        NotWritable: if a script cannot compute what differs.
    """
    finding = target.finding
    is_value = finding.observation != "raised"
    values = [_value(program, finding.observation)] if is_value else _values_before_raise(program, target)
    path = finding.right.path
    if is_value and finding.kind in (FindingKind.DTYPE, FindingKind.SHAPE):
        (value,) = values
        attribute = "keras.backend.standardize_dtype({}.dtype)" if finding.kind is FindingKind.DTYPE else "list({}.shape)"
        code = attribute.format(value.code)
        values = [PrintedValue(name=f"{finding.kind} of {value.name}", code=code, helpers=value.helpers), value]
    if is_value and finding.oracle is Oracle.PATHS:
        values.append(_value_by_path(program, finding, path))
    elif finding.oracle is Oracle.ORDER:
        values.append(_value_permuted(program, finding, path, recordings))
    elif finding.oracle is Oracle.REFERENCE:
        values.append(_reference_value(finding, recordings))
    return values


def has(program: Program, name: str) -> bool:
    """Whether the source of a program binds `name`."""
    if program.form == "objects":
        return name in program.code or name in program.arrays
    return name in returned_names(program.body)


def weight_of(program: Program) -> str:
    return ", sample_weight=sample_weight" if has(program, "sample_weight") else ""


# --- by observation --------------------------------------------------------------------------------------------


def _value(program: Program, name: str) -> PrintedValue:
    by_case_type = {"value": _of_values, "function": _of_function, "loss": _of_loss, "model": _of_model}
    code, helpers = by_case_type[program.case_type](program, name)
    return PrintedValue(name=visible(name), code=code, helpers=tuple(helpers))


def _of_values(_: Program, name: str) -> tuple[str, list[str]]:
    path = ObservationName.parse(name).part
    order = path.endswith(" (order)")
    path = path.removesuffix(" (order)")
    is_key = "/" not in path and not path.isdecimal()  # otherwise it may lead into a list, or be a number as a key
    code = f"compute_values()[{path!r}]" if is_key else f"at(compute_values(), {path!r})"
    return (f"list({code})" if order else code), [] if is_key else ["at"]


def _of_function(program: Program, name: str) -> tuple[str, list[str]]:
    if ObservationName.parse(name).quantity is Quantity.GRADIENT:
        path = ObservationName.parse(name).rest
        if path not in program.parameters:
            message = f"a script cannot print {name}, which is by one of several arrays in one input"
            raise NotWritable(message)
        position = program.parameters.index(path)
        key = f"(list(inputs)[{position}] if isinstance(inputs, dict) else {position})"
        return f"gradient_by_input({key})", ["gradient_by_input", "gradient", "returned", "as_arguments"]
    path = ObservationName.parse(name).part
    order = path.endswith(" (order)")
    code = f"at(returned(as_arguments(inputs)), {path.removesuffix(' (order)')!r})"
    return (f"list({code})" if order else code), ["at", "returned", "as_arguments"]


def _loss_name(program: Program) -> tuple[str, list[str]]:
    return ("loss", []) if program.form == "objects" else ("as_loss(loss)", ["as_loss"])


def _of_loss(program: Program, name: str) -> tuple[str, list[str]]:
    loss, helpers = _loss_name(program)
    arguments = f"(tensors(y_true), tensors(y_pred){weight_of(program)})"
    if name == "loss":
        return f"keras.ops.sum({loss}{arguments})", [*helpers, "tensors"]
    if name == "per_example_loss":
        return f"by_example({loss}, {arguments[1:]}", [*helpers, "by_example", "tensors"]
    if name == "gradient/y_pred":
        call = f"{loss}(tensors(y_true), p{weight_of(program)})"
        return f"gradient(lambda p: keras.ops.sum({call}), y_pred)", [*helpers, "gradient", "tensors"]
    message = f"a script cannot print {name}"
    raise NotWritable(message)


def _of_model(program: Program, name: str) -> tuple[str, list[str]]:
    observation = ObservationName.parse(name)
    quantity, rest = observation.quantity, observation.rest
    batch = f", batch_size={program.batch_size}" if program.batch_size else ""
    predicted = f"model.predict(x{batch}, verbose=0)"
    if quantity is Quantity.OUTPUT_ORDER:
        return _with_model(f"list({predicted})", model="build()"), []
    if quantity in (Quantity.PREDICTIONS, Quantity.PREDICTED_CLASS):
        code = f"named(model, {predicted})[{rest!r}]" if rest else predicted
        code = f"np.argmax({code}, axis=-1)" if quantity is Quantity.PREDICTED_CLASS else code
        return _with_model(code, model="build()"), ["named"] if rest else []
    if quantity is Quantity.PER_EXAMPLE_LOSS or (quantity is Quantity.LOSS and rest):
        return _by_hand(program, rest, each=quantity is Quantity.PER_EXAMPLE_LOSS)
    if quantity is Quantity.LOSS:
        return _with_model(_total(program, "model(tensors(x), training=False)")), ["tensors"]
    if quantity is Quantity.GRADIENT and not observation.of_predictions:
        return _with_model(f"gradients(model)[{rest!r}]"), ["gradients", "tensors"]
    if quantity is Quantity.GRADIENT and not observation.output:
        return _with_model(f"gradient(lambda p: {_total(program, 'p')}, model.predict(x, verbose=0))"), ["gradient", "tensors"]
    if quantity is Quantity.METRIC:
        return _with_model(f"{_evaluate(program)}[{rest!r}]"), []
    if quantity in (Quantity.TRAIN_LOSS, Quantity.TRAIN_METRIC):
        return _with_model(f"{_fit(program)}.history[{rest or 'loss'!r}]"), []
    if quantity is Quantity.TRAIN_WEIGHT:
        return _with_model(f"[{_fit(program)}, {{v.path: v for v in model.weights}}[{rest!r}]][1]"), []
    message = f"a script cannot print {name}"
    raise NotWritable(message)


def _total(program: Program, y_pred: str) -> str:
    return f"model.compute_loss(x=tensors(x), y=tensors(y), y_pred={y_pred}{_weight_tensors(program)})"


def _with_model(code: str, options: str = "", model: str = "") -> str:
    return f"(lambda model: {code})({model or f'compiled({options})'})"


def _weight_tensors(program: Program) -> str:
    return ", sample_weight=tensors(sample_weight)" if has(program, "sample_weight") else ""


def _evaluate(program: Program, call: str = "evaluate") -> str:
    batch = f", batch_size={program.batch_size}" if program.batch_size else ""
    quiet = f"{batch}, verbose=0" if call == "evaluate" else ""
    return f"model.{call}(x, y{weight_of(program)}{quiet}, return_dict=True)"


def _fit(program: Program) -> str:
    more = ", class_weight=class_weight" if has(program, "class_weight") else ""
    batch = f", batch_size={program.batch_size}" if program.batch_size else ""
    return f"model.fit(x, y{weight_of(program)}{more}{batch}, epochs={program.epochs}, shuffle=False, verbose=0)"


def _by_hand(program: Program, output: str, *, each: bool) -> tuple[str, list[str]]:
    """The declared loss of one output, called with the outputs of the model."""
    pick = f"[{output!r}]" if output else ""
    labels = f"(y[{output!r}] if isinstance(y, dict) else y[model.output_names.index({output!r})])" if output else "y"
    loss = f"as_loss(loss[{output!r}] if isinstance(loss, dict) else loss)" if output else "as_loss(loss)"
    predicted = f"named(model, model(tensors(x), training=False)){pick}" if output else "model(tensors(x), training=False)"
    weight = "" if output else _weight_tensors(program)
    helpers = ["as_loss", "tensors", *(["by_example"] if each else []), *(["named"] if output else [])]
    call = f"by_example({loss}, " if each else f"{loss}("
    return _with_model(f"{call}tensors({labels}), {predicted}{weight})"), helpers


# --- by oracle -------------------------------------------------------------------------------------------------


def _values_before_raise(program: Program, target: TargetFinding) -> list[PrintedValue]:
    """Values up to the stages that raised; the script prints the exception instead of the value."""
    if program.case_type == "value":
        return [PrintedValue(name="values", code="compute_values()")]
    if program.case_type == "function":
        result = PrintedValue(name="returned", code="returned(as_arguments(inputs))", helpers=("returned", "as_arguments"))
        return [result, *(_value(program, f"gradient/{path}") for path in program.parameters if path)]
    stages = {stage for stage, _, _ in target.raised.values()}
    if program.case_type == "loss":
        names = ["loss", *(["gradient/y_pred"] if "gradient" in stages else [])]
        return [_value(program, name) for name in names]
    values = []
    if stages & {"case", "build"}:
        values.append(PrintedValue(name="build", code="len(compiled().weights)"))
    if "forward" in stages:
        values.append(PrintedValue(name="predict", code=_with_model("model.predict(x, verbose=0)")))
    if stages & {"loss", "gradient"} or not stages:
        values.append(_value(program, "loss"))
    if "gradient" in stages:
        values.append(PrintedValue(name="gradients", code=_with_model("gradients(model)"), helpers=("gradients", "tensors")))
    values.append(PrintedValue(name="evaluate", code=_with_model(_evaluate(program))))
    values.append(PrintedValue(name="fit", code=_with_model(f"{_fit(program)}.history")))
    return values


_METHODS = re.compile(r"(?:(run_eagerly|jit_compile): )?(test_on_batch|train_on_batch|evaluate)$")


def _value_by_path(program: Program, finding: Finding, path: str) -> PrintedValue:
    """The same value by another path of Keras."""
    name = finding.observation
    observation = ObservationName.parse(name)
    quantity, rest = observation.quantity, observation.rest
    code = None
    if matched := _METHODS.match(path):
        option, call = matched.groups()
        code = _with_model(f"{_evaluate(program, call)}[{rest or 'loss'!r}]", f"{option}=True" if option else "")
    elif quantity is Quantity.PREDICTIONS and path.startswith(("model(x)", "predict_on_batch", "predict(batch_size=")):
        call = {"model(x)": "model(tensors(x), training=False)", "predict_on_batch": "model.predict_on_batch(x)"}.get(
            path, f"model.predict(x, {path.removeprefix('predict(').removesuffix(')')}, verbose=0)"
        )
        code = _with_model(f"named(model, {call})[{rest!r}]" if rest else call)
    elif path == "losses by name" and program.code.get("loss", "{").startswith("{"):
        names = getattr(ast.parse(program.code["loss"], mode="eval").body, "keys", []) if program.code else []
        parts = [_by_hand(program, str(key.value), each=False)[0] for key in names]
        code = f"sum([{', '.join(parts)}])" if parts and "loss_weights" not in program.code else None
    if code is None:
        message = f"a script cannot print {name} by {path}"
        raise NotWritable(message)
    return PrintedValue(name=visible(f"{name} by {path}"), code=code, helpers=("named", "tensors", "as_loss"))


def _value_permuted(
    program: Program, finding: Finding, path: str, recordings: Mapping[str, Recording]
) -> PrintedValue:  # fmt: skip
    if program.case_type != "loss" or path != "examples permuted":
        message = f"a script cannot print {finding.observation} with {path}"
        raise NotWritable(message)
    code, helpers = _of_loss(program, finding.observation)
    names = [name for name in ("y_true", "y_pred", "sample_weight") if name in ("y_true", "y_pred") or has(program, name)]
    n = len(next(iter(recordings.values())).labels["y_pred"])
    backwards = np.arange(n)[::-1]
    order = [int(index) for index in (np.roll(backwards, 1) if n > 2 else backwards)]  # noqa: PLR2004 - as it was recorded
    permuted = ", ".join(f"np.asarray({name})[{order}]" for name in names)
    back = "" if finding.observation == "loss" else f"[{[int(i) for i in np.argsort(order)]}]"
    call = f"keras.ops.convert_to_numpy((lambda {', '.join(names)}: {code})({permuted})){back}"
    return PrintedValue(name=f"{finding.observation} with the examples permuted", code=call, helpers=tuple(helpers))


def _reference_value(finding: Finding, recordings: Mapping[str, Recording]) -> PrintedValue:
    recording = recordings[finding.left]
    name = finding.observation
    value = recording.reference[name] if name in recording.reference else recording.reference_values[name].value
    origin = finding.evidence.get("reference", "the reference")
    return PrintedValue(name=visible(f"{name} by {origin}"), code=source_of(np.asarray(value)), role="reference")
