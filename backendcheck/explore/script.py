"""A script that shows one finding and needs only Keras: literal arrays, and one line of output for each backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from backendcheck.compare.findings import Finding
from backendcheck.explore.call import Call
from backendcheck.explore.judging import Sighting, outcome_words
from backendcheck.explore.numbers import arrays_of, batches_of
from backendcheck.explore.program import Program, program_of
from backendcheck.explore.situation import Situation
from backendcheck.text.literals import source_of
from backendcheck.text.words import cut, first_line
from backendcheck.vocabulary.findings import FindingKind, Oracle
from backendcheck.vocabulary.observations import ObservationName

_SCRIPT = '''"""{headline}

{outcomes}

Run it once for each backend, for example: KERAS_BACKEND=jax python {file}
"""

{imports}

{arrays}

{lines}
'''
_WEIGHT = "train/weight/"
# As model.compile does it: the mean of a function of (y_true, y_pred).
_AS_COMPILED = """
class Loss(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return {function}(y_true, y_pred)


loss = Loss({reduction})"""
_GRADIENT = """

def total(tensor):
    return keras.ops.sum(loss({labels}, tensor{weight}))


tensor = keras.ops.convert_to_tensor(y_pred)
if keras.backend.backend() == "jax":
    import jax

    value = jax.grad(total)(tensor)
elif keras.backend.backend() == "torch":
    total(tensor.requires_grad_()).backward()
    value = tensor.grad
else:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(tensor)
        result = total(tensor)
    value = tape.gradient(result, tensor)"""


def script_of(sighting: Sighting, file: str, kind: str) -> str:
    """The source of the script. `kind` is the kind of the target."""
    program = program_of(sighting.situation, kind)
    imports, arrays, lines = _of_call(sighting, kind) if program is None else _of_program(sighting, program)
    outcomes = {leg: outcome_words(recording) for leg, recording in sighting.recordings.items()}
    finding = sighting.finding
    if finding is not None and finding.oracle is Oracle.REFERENCE and (right := reference_of(sighting)) is not None:
        outcomes[f"right in float64 ({finding.observation})"] = right.tolist()
    return _SCRIPT.format(
        headline=plain_text(sighting.headline), file=file, imports=imports, lines="\n".join(lines),
        arrays="\n".join(f"{name} = {literal(array)}" for name, array in arrays.items()),
        outcomes="\n".join(f"    {name}: {plain_text(str(outcome))}" for name, outcome in outcomes.items()),
    )  # fmt: skip


def _of_program(sighting: Sighting, program: Program) -> tuple[str, Mapping[str, np.ndarray], list[str]]:
    """Imports, arrays and lines of a program, which print what the finding is about, or what a user sees."""
    finding = sighting.finding
    name = finding.observation if finding is not None else ""
    if name.startswith(_WEIGHT):  # each layer has one
        value = _printed(f'model.get_layer("{name.removeprefix(_WEIGHT).partition("/")[0]}").weights[0]', finding)
    else:
        shown = name if name in program.observed else program.shown  # what raised has no name
        is_plain = program.is_plain or ObservationName.parse(shown).is_order
        value = program.observed[shown] if is_plain else _printed(program.observed[shown], finding)
    is_path = finding is not None and finding.oracle is Oracle.PATHS
    definition = [f"\n\n{program.definition}\n\n"] if program.definition else []
    lines = [*program.model, *program.weights, *definition, *(program.by_hand if is_path else ()), *program.lines]
    if is_path and program.by_hand:
        value = f"[{value}, {_printed('by_hand', None)}]"
    return program.imports, program.arrays, [*lines, f"print(keras.backend.backend(), {value})"]


def _of_call(sighting: Sighting, kind: str) -> tuple[str, Mapping[str, np.ndarray], list[str]]:
    """Imports, arrays and lines of a plain call of a loss or a metric."""
    situation, finding = sighting.situation, sighting.finding
    observation = finding.observation if finding is not None else ""
    is_gradient = observation.startswith("gradient") or sighting.signature.stage == "gradient"
    is_per_example = observation == "per_example_loss"
    call = Call.of(situation, {"reduction": "none"} if is_per_example and kind == "loss" else {})
    arrays = arrays_of(situation)
    if kind == "metric":
        lines, value = [f"metric = {call.made}", *_updates(situation, arrays)], _printed("metric.result()", finding)
    else:
        made = call.made if kind == "loss" else call.made.partition("(")[0]
        reduction = 'reduction="none"' if is_per_example else ""
        lines = [f"loss = {made}"] if kind == "loss" else [_AS_COMPILED.format(function=made, reduction=reduction)]
        weight = ", sample_weight=keras.ops.convert_to_tensor(sample_weight)" if "sample_weight" in arrays else ""
        labels = "keras.ops.convert_to_tensor(y_true)"
        if is_gradient:
            lines += [_GRADIENT.format(labels=labels, weight=weight)]
        else:
            lines += [f"value = loss({labels}, keras.ops.convert_to_tensor(y_pred){weight})"]
        value = _printed("value", finding)
        if is_per_example and "convert_to_numpy" in value:
            value = value.replace(".tolist()", f".reshape({len(arrays['y_true'])}, -1).mean(axis=1).tolist()")
    fed = {name: as_fed(array) for name, array in arrays.items()}
    return call.imports, fed, [*lines, f"print(keras.backend.backend(), {value})"]


def _printed(source: str, finding: Finding | None) -> str:
    """The expression of what is printed of a tensor: its numbers, or its type."""
    if finding is not None and finding.kind is FindingKind.DTYPE:
        return f"keras.backend.standardize_dtype(keras.ops.convert_to_tensor({source}).dtype)"
    return f"keras.ops.convert_to_numpy({source}).tolist()"


def reference_of(sighting: Sighting) -> np.ndarray | None:
    """The right value of the observation that the finding is about."""
    if sighting.finding is None:
        return None
    for recording in sighting.recordings.values():
        if (value := recording.reference_values.get(sighting.finding.observation)) is not None:
            return value.value
    return None


def _updates(situation: Situation, arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """The lines that feed a metric."""
    batches = batches_of(situation)
    for first, end in batches:
        cut_out = "" if len(batches) == 1 else f"[{first}:{end}]"
        fed = [f"keras.ops.convert_to_tensor({name}{cut_out})" for name in ("y_true", "y_pred") if name in arrays]
        if "sample_weight" in arrays:
            fed.append(f"sample_weight=keras.ops.convert_to_tensor(sample_weight{cut_out})")
        yield f"metric.update_state({', '.join(fed)})"


def as_fed(array: np.ndarray) -> np.ndarray:
    """An array as a plain call of a loss or a metric gets it. A program gets its arrays as they are."""
    return array.astype(np.float32) if array.dtype == np.float64 else array


def literal(array: np.ndarray) -> str:
    """An array as an expression with ``np``."""
    if not array.size:
        return f"np.zeros({array.shape}, np.{array.dtype.name.replace('bool', 'bool_')})"
    return source_of(array)


def plain_text(text: str) -> str:
    return cut(first_line(text).replace("\\", "/").replace('"""', "'''"), 300)
