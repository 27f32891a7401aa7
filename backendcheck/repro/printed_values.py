"""What a script prints: the figures in which a finding shows, each by a name and the code that computes it."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backendcheck.compare.findings import Finding
from backendcheck.recordings.recording import Recording
from backendcheck.repro.printed_values_function import HELPERS as OF_FUNCTIONS
from backendcheck.repro.printed_values_function import all_figures, function_figure
from backendcheck.repro.program import Program, returned_names
from backendcheck.repro.target_finding import Symptom
from backendcheck.text.escape import visible
from backendcheck.text.literals import NotWritable, source_of
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import ObservationName, quantity_of

# Functions of a script, by name; each is there if something needs it.
HELPERS = {
    "tensors": '''def tensors(nest):
    """Arrays as fit hands them to the model."""
    return keras.tree.map_structure(keras.ops.convert_to_tensor, nest)''',
    "named": '''def named(model, outputs):
    """The outputs of a model by name."""
    if isinstance(outputs, dict):
        return outputs
    return dict(zip(model.output_names, outputs if isinstance(outputs, (list, tuple)) else [outputs]))''',
    "as_loss": '''def as_loss(loss):
    """The loss object that model.compile makes of a string, a function or an object."""
    loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        return loss

    class LossOfFunction(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return loss(y_true, y_pred)

    return LossOfFunction()''',
    "by_example": '''def by_example(loss, *arguments, **options):
    """The loss of each example."""
    reduction, loss.reduction = loss.reduction, "none"
    try:
        return loss(*arguments, **options)
    finally:
        loss.reduction = reduction''',
    "gradient": '''def gradient(function, value):
    """The gradient of a scalar function by an array."""
    value = keras.ops.convert_to_tensor(value)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(value)
            total = function(value)
        found = tape.gradient(total, value)
    elif keras.backend.backend() == "jax":
        import jax

        found = jax.jit(jax.grad(function))(value)
    else:
        value.requires_grad_(True)
        function(value).backward()
        found = value.grad
    return np.zeros(value.shape) if found is None else found''',
    "gradients": '''def gradients(model):
    """The gradients of the loss by the trainable weights, by path."""
    def loss_now():
        return model.compute_loss(x=tensors(x), y=tensors(y), y_pred=model(tensors(x), training=False){weight})

    variables = model.trainable_variables
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            total = loss_now()
        found = tape.gradient(total, [variable.value for variable in variables])
        found = [None if one is None else tf.convert_to_tensor(one) for one in found]
    elif keras.backend.backend() == "jax":
        import jax

        def function(values):
            with keras.StatelessScope(state_mapping=list(zip(variables, values))):
                return loss_now()

        found = jax.jit(jax.grad(function))([variable.value for variable in variables])
    else:
        loss_now().backward()
        found = [variable.value.grad for variable in variables]
    return {v.path: np.zeros(v.shape) if one is None else one for v, one in zip(variables, found)}''',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line that a script prints: a name, the expression behind it, helpers that it uses. `role` is ``seen`` or ``right``."""

    name: str
    code: str
    helpers: tuple[str, ...] = ()
    role: str = "seen"


def figures_of(program: Program, symptom: Symptom, recordings: Mapping[str, Recording]) -> list[Figure]:
    """The figures that show `symptom`.

    Raises:
        NotWritable: if what differs cannot be computed by a script.
    """
    finding = symptom.finding
    if finding.observation == "raised":
        found = _raised(program, symptom)
    else:
        found = [_figure(program, finding.observation)]
        if finding.kind in (FindingKind.DTYPE, FindingKind.SHAPE):
            one = found[0]
            attribute = "keras.backend.standardize_dtype({}.dtype)" if finding.kind == FindingKind.DTYPE else "list({}.shape)"
            found = [Figure(name=f"{finding.kind} of {one.name}", code=attribute.format(one.code), helpers=one.helpers), one]
    door = finding.right.path
    if finding.oracle == Oracle.PATHS and finding.observation != "raised":
        found.append(_through(program, finding, door))
    elif finding.oracle == Oracle.ORDER:
        found += _permuted(program, finding, door, recordings)
    elif finding.oracle == Oracle.REFERENCE:
        found.append(_reference(finding, recordings))
    return found


def has(program: Program, name: str) -> bool:
    """Whether the source of a program binds `name`."""
    if program.form == "objects":
        return name in program.code or name in program.arrays
    return name in returned_names(program.body)


def weight_of(program: Program) -> str:
    return ", sample_weight=sample_weight" if has(program, "sample_weight") else ""


# --- by observation --------------------------------------------------------------------------------------------


def _figure(program: Program, name: str) -> Figure:
    by_kind = {"value": _of_values, "function": function_figure, "loss": _of_loss, "model": _of_model}
    code, helpers = by_kind[program.kind](program, name)
    return Figure(name=visible(name), code=code, helpers=tuple(helpers))


def _of_values(_: Program, name: str) -> tuple[str, list[str]]:
    path = ObservationName.parse(name).part
    order = path.endswith(" (order)")
    path = path.removesuffix(" (order)")
    plain = "/" not in path and not path.isdecimal()  # else it may be the path to an entry of a list, or a key that is a number
    code = f"figures()[{path!r}]" if plain else f"at(figures(), {path!r})"
    return (f"list({code})" if order else code), [] if plain else ["at"]


HELPERS |= OF_FUNCTIONS
HELPERS["at"] = '''def at(nest, path):
    """What a nest of dicts and lists holds at a path; a key may hold a slash itself."""
    keys = {str(key): key for key in (nest if isinstance(nest, dict) else range(len(nest)))}
    key = max((key for key in keys if path == key or path.startswith(key + "/")), key=len)
    rest = path[len(key) + 1 :]
    return at(nest[keys[key]], rest) if rest else nest[keys[key]]'''


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
    message = f"{name} is nothing that a script can print"
    raise NotWritable(message)


def _of_model(program: Program, name: str) -> tuple[str, list[str]]:
    kind = str(quantity_of(name))
    rest = name.removeprefix(kind).removeprefix("/")
    batch = f", batch_size={program.batch_size}" if program.batch_size else ""
    predicted = f"model.predict(x{batch}, verbose=0)"
    if kind == "output_order":
        return _with_model(f"list({predicted})", made="build()"), []
    if kind in ("predictions", "predicted_class"):
        code = f"named(model, {predicted})[{rest!r}]" if rest else predicted
        code = f"np.argmax({code}, axis=-1)" if kind == "predicted_class" else code
        return _with_model(code, made="build()"), ["named"] if rest else []
    if kind == "per_example_loss" or (kind == "loss" and rest):
        return _by_hand(program, rest, each=kind == "per_example_loss")
    if kind == "loss":
        return _with_model(_total(program, "model(tensors(x), training=False)")), ["tensors"]
    if kind == "gradient" and not rest.startswith("y_pred"):
        return _with_model(f"gradients(model)[{rest!r}]"), ["gradients", "tensors"]
    if kind == "gradient" and rest == "y_pred":
        return _with_model(f"gradient(lambda p: {_total(program, 'p')}, model.predict(x, verbose=0))"), ["gradient", "tensors"]
    if kind == "metric":
        return _with_model(f"{_evaluate(program)}[{rest!r}]"), []
    if kind in ("train/loss", "train/metric"):
        return _with_model(f"{_fit(program)}.history[{rest or 'loss'!r}]"), []
    if kind == "train/weight":
        return _with_model(f"[{_fit(program)}, {{v.path: v for v in model.weights}}[{rest!r}]][1]"), []
    message = f"{name} is nothing that a script can print"
    raise NotWritable(message)


def _total(program: Program, y_pred: str) -> str:
    return f"model.compute_loss(x=tensors(x), y=tensors(y), y_pred={y_pred}{_weight_tensors(program)})"


def _with_model(code: str, options: str = "", made: str = "") -> str:
    return f"(lambda model: {code})({made or f'compiled({options})'})"


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
    """The declared loss of one output, called on what the model returns."""
    pick = f"[{output!r}]" if output else ""
    labels = f"(y[{output!r}] if isinstance(y, dict) else y[model.output_names.index({output!r})])" if output else "y"
    loss = f"as_loss(loss[{output!r}] if isinstance(loss, dict) else loss)" if output else "as_loss(loss)"
    predicted = f"named(model, model(tensors(x), training=False)){pick}" if output else "model(tensors(x), training=False)"
    weight = "" if output else _weight_tensors(program)
    helpers = ["as_loss", "tensors", *(["by_example"] if each else []), *(["named"] if output else [])]
    call = f"by_example({loss}, " if each else f"{loss}("
    return _with_model(f"{call}tensors({labels}), {predicted}{weight})"), helpers


# --- by oracle -------------------------------------------------------------------------------------------------


def _raised(program: Program, symptom: Symptom) -> list[Figure]:
    if program.kind == "value":
        return [Figure(name="figures", code="figures()")]
    if program.kind == "function":
        return [Figure(name=name, code=code, helpers=tuple(helpers)) for name, code, helpers in all_figures(program)]
    stages = {stage for stage, _, _ in symptom.raised.values()}
    if program.kind == "loss":
        names = ["loss", *(["gradient/y_pred"] if "gradient" in stages else [])]
        return [_figure(program, name) for name in names]
    found = []
    if stages & {"case", "build"}:
        found.append(Figure(name="build", code="len(compiled().weights)"))
    if "forward" in stages:
        found.append(Figure(name="predict", code=_with_model("model.predict(x, verbose=0)")))
    if stages & {"loss", "gradient"} or not stages:
        found.append(_figure(program, "loss"))
    if "gradient" in stages:
        found.append(Figure(name="gradients", code=_with_model("gradients(model)"), helpers=("gradients", "tensors")))
    found.append(Figure(name="evaluate", code=_with_model(_evaluate(program))))
    found.append(Figure(name="fit", code=_with_model(f"{_fit(program)}.history")))
    return found


_DOORS = re.compile(r"(?:(run_eagerly|jit_compile): )?(test_on_batch|train_on_batch|evaluate)$")


def _through(program: Program, finding: Finding, door: str) -> Figure:
    """The same figure through another door of Keras."""
    name = finding.observation
    kind = str(quantity_of(name))
    rest = name.removeprefix(kind).removeprefix("/")
    code = None
    if matched := _DOORS.match(door):
        option, call = matched.groups()
        code = _with_model(f"{_evaluate(program, call)}[{rest or 'loss'!r}]", f"{option}=True" if option else "")
    elif kind == "predictions" and (door in ("model(x)", "predict_on_batch") or door.startswith("predict(batch_size=")):
        call = {"model(x)": "model(tensors(x), training=False)", "predict_on_batch": "model.predict_on_batch(x)"}.get(
            door, f"model.predict(x, {door.removeprefix('predict(').removesuffix(')')}, verbose=0)"
        )
        code = _with_model(f"named(model, {call})[{rest!r}]" if rest else call)
    elif door == "losses by name" and program.code.get("loss", "{").startswith("{"):
        names = getattr(ast.parse(program.code["loss"], mode="eval").body, "keys", []) if program.code else []
        parts = [_by_hand(program, str(key.value), each=False)[0] for key in names]
        code = f"sum([{', '.join(parts)}])" if parts and "loss_weights" not in program.code else None
    if code is None:
        message = f"{name} through {door} is nothing that a script can print"
        raise NotWritable(message)
    return Figure(name=visible(f"{name} by {door}"), code=code, helpers=("named", "tensors", "as_loss"))


def _permuted(program: Program, finding: Finding, door: str, recordings: Mapping[str, Recording]) -> list[Figure]:
    if program.kind != "loss" or door != "examples permuted":
        message = f"{finding.observation} with {door} is nothing that a script can print"
        raise NotWritable(message)
    code, helpers = _of_loss(program, finding.observation)
    names = [name for name in ("y_true", "y_pred", "sample_weight") if name in ("y_true", "y_pred") or has(program, name)]
    n = len(next(iter(recordings.values())).labels["y_pred"])
    order = [int(one) for one in (np.roll(np.arange(n)[::-1], 1) if n > 2 else np.arange(n)[::-1])]  # noqa: PLR2004 - as it was recorded
    moved = ", ".join(f"np.asarray({name})[{order}]" for name in names)
    back = "" if finding.observation == "loss" else f"[{[int(i) for i in np.argsort(order)]}]"
    call = f"keras.ops.convert_to_numpy((lambda {', '.join(names)}: {code})({moved})){back}"
    return [Figure(name=f"{finding.observation} with the examples permuted", code=call, helpers=tuple(helpers))]


def _reference(finding: Finding, recordings: Mapping[str, Recording]) -> Figure:
    recording = recordings[finding.left]
    name = finding.observation
    value = recording.reference[name] if name in recording.reference else recording.reference_values[name].value
    origin = finding.evidence.get("reference", "the reference")
    return Figure(name=visible(f"{name} by {origin}"), code=source_of(np.asarray(value)), role="right")
