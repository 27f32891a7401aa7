"""The values that a script prints to show a finding: the name of each, and the code that computes it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from backendcheck.compare.findings import Finding
from backendcheck.recordings.recording import Recording
from backendcheck.repro.printed_paths import evaluated, fitted, has, trained, value_by_path, weight_of, with_model
from backendcheck.repro.program import Program
from backendcheck.repro.target_finding import TargetFinding
from backendcheck.text.escape import visible
from backendcheck.text.literals import NotWritable, source_of
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import ObservationName, Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedValue:
    """One line of a script's output: its name, and its expression, which may call the helper functions of scripts.

    `role` is ``recorded`` for what a backend computes, and ``reference`` for the correct value.
    """

    name: str
    code: str
    role: Literal["recorded", "reference"] = "recorded"


def printed_values(program: Program, target: TargetFinding, recordings: Mapping[str, Recording]) -> list[PrintedValue]:
    """The values that show `target`.

    Raises:
        NotWritable: if a script cannot compute what differs.
    """
    finding = target.finding
    is_value = finding.observation != "raised"
    values = [printed_value(program, finding.observation)] if is_value else _values_before_raise(program, target)
    path = finding.right.path
    if is_value and finding.kind in (FindingKind.DTYPE, FindingKind.SHAPE):
        (value,) = values
        attribute = "keras.backend.standardize_dtype({}.dtype)" if finding.kind is FindingKind.DTYPE else "list(np.shape({}))"
        code = attribute.format(value.code)
        values = [PrintedValue(name=f"{finding.kind} of {value.name}", code=code), value]
    if is_value and finding.oracle is Oracle.PATHS:
        values.append(_value_by_path(program, finding.observation, path))
    elif finding.oracle is Oracle.ORDER:
        values.append(_value_permuted(program, finding, path, recordings))
    elif finding.oracle is Oracle.REFERENCE:
        values.append(_reference_value(finding, recordings))
    return values


# --- by observation --------------------------------------------------------------------------------------------


def printed_value(program: Program, name: str) -> PrintedValue:
    by_case_type = {"value": _of_values, "function": _of_function, "loss": _of_loss, "model": _of_model}
    return PrintedValue(name=visible(name), code=by_case_type[program.case_type](program, name))


def _of_values(_: Program, name: str) -> str:
    path = ObservationName.parse(name).part
    order = path.endswith(" (order)")
    path = path.removesuffix(" (order)")
    is_key = "/" not in path and not path.isdecimal()  # otherwise it may lead into a list, or be a number as a key
    code = f"compute_values()[{path!r}]" if is_key else f"at(compute_values(), {path!r})"
    return f"list({code})" if order else code


def _of_function(program: Program, name: str) -> str:
    if ObservationName.parse(name).quantity is Quantity.GRADIENT:
        path = ObservationName.parse(name).rest
        if path not in program.parameters:
            message = f"a script cannot print {name}, which is by one of several arrays in one input"
            raise NotWritable(message)
        position = program.parameters.index(path)
        key = f"(list(inputs)[{position}] if isinstance(inputs, dict) else {position})"
        return f"gradient_by_input({key})"
    path = ObservationName.parse(name).part
    order = path.endswith(" (order)")
    code = f"at(returned(as_arguments(inputs)), {path.removesuffix(' (order)')!r})"
    return f"list({code})" if order else code


def _loss_name(program: Program) -> str:
    return "loss" if program.form == "objects" else "as_loss(loss)"


def _of_loss(program: Program, name: str) -> str:
    loss = _loss_name(program)
    arguments = f"(tensors(y_true), tensors(y_pred){weight_of(program)})"
    if name == "loss":
        return f"keras.ops.sum({loss}{arguments})"
    if name == "per_example_loss":
        return f"by_example({loss}, {arguments[1:]}"
    if name == "gradient/y_pred":
        call = f"{loss}(tensors(y_true), p{weight_of(program)})"
        return f"gradient(lambda p: keras.ops.sum({call}), y_pred)"
    message = f"a script cannot print {name}"
    raise NotWritable(message)


def _of_model(program: Program, name: str) -> str:
    observation = ObservationName.parse(name)
    quantity, rest = observation.quantity, observation.rest
    batch = f", batch_size={program.batch_size}" if program.batch_size else ""
    predicted = f"model.predict(x{batch}, verbose=0)"
    if quantity is Quantity.OUTPUT_ORDER:
        return with_model(f"list({predicted})", model="build()")
    if quantity in (Quantity.PREDICTIONS, Quantity.PREDICTED_CLASS):
        code = f"named(model, {predicted})[{rest!r}]" if rest else predicted
        code = f"np.argmax({code}, axis=-1)" if quantity is Quantity.PREDICTED_CLASS else code
        return with_model(code, model="build()")
    if quantity is Quantity.PER_EXAMPLE_LOSS or (quantity is Quantity.LOSS and rest):
        return _by_hand(program, rest, each=quantity is Quantity.PER_EXAMPLE_LOSS)
    if quantity is Quantity.LOSS:
        return with_model(_total(program, "model(tensors(x), training=False)"))
    if quantity is Quantity.GRADIENT and not observation.of_predictions:
        return with_model(f"gradients(model)[{rest!r}]")
    if quantity is Quantity.GRADIENT and not observation.output:
        return with_model(f"gradient(lambda p: {_total(program, 'p')}, model.predict(x, verbose=0))")
    if quantity is Quantity.METRIC:
        return with_model(f"{evaluated(program)}[{rest!r}]")
    if quantity in (Quantity.TRAIN_LOSS, Quantity.TRAIN_METRIC):
        return with_model(f"{fitted(program)}.history[{rest or 'loss'!r}]")
    if quantity in (Quantity.TRAIN_WEIGHT, Quantity.TRAIN_OPTIMIZER):
        return with_model(f"[{fitted(program)}, {trained(observation)}][1]")
    message = f"a script cannot print {name}"
    raise NotWritable(message)


def _total(program: Program, y_pred: str) -> str:
    return f"model.compute_loss(x=tensors(x), y=tensors(y), y_pred={y_pred}{_weight_tensors(program)})"


def _weight_tensors(program: Program) -> str:
    return ", sample_weight=tensors(sample_weight)" if has(program, "sample_weight") else ""


def _by_hand(program: Program, output: str, *, each: bool) -> str:
    """The declared loss of one output, called with the outputs of the model."""
    pick = f"[{output!r}]" if output else ""
    labels = f"(y[{output!r}] if isinstance(y, dict) else y[model.output_names.index({output!r})])" if output else "y"
    loss = f"as_loss(loss[{output!r}] if isinstance(loss, dict) else loss)" if output else "as_loss(loss)"
    predicted = f"named(model, model(tensors(x), training=False)){pick}" if output else "model(tensors(x), training=False)"
    weight = "" if output else _weight_tensors(program)
    call = f"by_example({loss}, " if each else f"{loss}("
    return with_model(f"{call}tensors({labels}), {predicted}{weight})")


# --- by oracle -------------------------------------------------------------------------------------------------


def _values_before_raise(program: Program, target: TargetFinding) -> list[PrintedValue]:
    """Values up to the stages that raised; the script prints the exception instead of the value."""
    if program.case_type == "value":
        return [PrintedValue(name="values", code="compute_values()")]
    if program.case_type == "function":
        result = PrintedValue(name="returned", code="returned(as_arguments(inputs))")
        return [result, *(printed_value(program, f"gradient/{path}") for path in program.parameters if path)]
    stages = {stage for stage, _, _ in target.raised.values()}
    if program.case_type == "loss":
        names = ["loss", *(["gradient/y_pred"] if "gradient" in stages else [])]
        return [printed_value(program, name) for name in names]
    values = []
    if stages & {"case", "build"}:
        values.append(PrintedValue(name="build", code="len(compiled().weights)"))
    if "forward" in stages:
        values.append(PrintedValue(name="predict", code=with_model("model.predict(x, verbose=0)")))
    if stages & {"loss", "gradient"} or not stages:
        values.append(printed_value(program, "loss"))
    if "gradient" in stages:
        values.append(PrintedValue(name="gradients", code=with_model("gradients(model)")))
    values.append(PrintedValue(name="evaluate", code=with_model(evaluated(program))))
    values.append(PrintedValue(name="fit", code=with_model(f"{fitted(program)}.history")))
    return values


def _value_by_path(program: Program, name: str, path: str) -> PrintedValue:
    """The same value by another path of Keras."""
    if path == "losses by name" and program.code.get("loss", "{").startswith("{") and "loss_weights" not in program.code:
        names = getattr(ast.parse(program.code["loss"], mode="eval").body, "keys", []) if program.code else []
        parts = [_by_hand(program, str(key.value), each=False) for key in names]
        code = f"sum([{', '.join(parts)}])" if parts else None
    else:
        code = value_by_path(program, ObservationName.parse(name), path)
    if code is None:
        message = f"a script cannot print {name} by {path}"
        raise NotWritable(message)
    return PrintedValue(name=visible(f"{name} by {path}"), code=code)


def _value_permuted(
    program: Program, finding: Finding, path: str, recordings: Mapping[str, Recording]
) -> PrintedValue:  # fmt: skip
    if program.case_type != "loss" or path != "examples permuted":
        message = f"a script cannot print {finding.observation} with {path}"
        raise NotWritable(message)
    code = _of_loss(program, finding.observation)
    names = [name for name in ("y_true", "y_pred", "sample_weight") if name in ("y_true", "y_pred") or has(program, name)]
    n = len(next(iter(recordings.values())).labels["y_pred"])
    backwards = np.arange(n)[::-1]
    order = [int(index) for index in (np.roll(backwards, 1) if n > 2 else backwards)]  # noqa: PLR2004 - as it was recorded
    permuted = ", ".join(f"np.asarray({name})[{order}]" for name in names)
    back = "" if finding.observation == "loss" else f"[{[int(i) for i in np.argsort(order)]}]"
    call = f"keras.ops.convert_to_numpy((lambda {', '.join(names)}: {code})({permuted})){back}"
    return PrintedValue(name=f"{finding.observation} with the examples permuted", code=call)


def _reference_value(finding: Finding, recordings: Mapping[str, Recording]) -> PrintedValue:
    recording = recordings[finding.left]
    name = finding.observation
    value = recording.reference[name] if name in recording.reference else recording.reference_values[name].value
    origin = finding.evidence.get("reference", "the reference")
    return PrintedValue(name=visible(f"{name} by {origin}"), code=source_of(np.asarray(value)), role="reference")
