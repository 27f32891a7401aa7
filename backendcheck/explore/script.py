"""A script that shows one finding and needs only Keras: literal arrays, and one line of output for each backend."""

from __future__ import annotations

import numpy as np

from backendcheck.explore.call import Call
from backendcheck.explore.judging import Sighting, outcome_words
from backendcheck.explore.numbers import arrays_of, batches_of
from backendcheck.explore.program import Program, program_of
from backendcheck.explore.situation import Situation
from backendcheck.text.literals import source_of
from backendcheck.text.words import cut, first_line
from backendcheck.vocabulary.findings import FindingKind, Oracle

_HEAD = '''"""{headline}

{outcomes}

Run it once for each backend, for example: KERAS_BACKEND=jax python {file}
"""

import json
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

{imports}

{arrays}


def compute():
{compute}


try:
    value = compute()
    value = {printed}
except Exception as error:
    value = f"raises {{type(error).__name__}}"
print(f"{{keras.backend.backend()}}: {{json.dumps(value)}}")
'''

_PLAIN = "keras.ops.convert_to_numpy(value).tolist()"
_DTYPE = "keras.backend.standardize_dtype(value.dtype)"
_GRADIENT = '''

def gradient(function, array):
    """The gradient of a function of one tensor, as the backend takes it."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tensor = tf.convert_to_tensor(array)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            result = function(tensor)
        return tape.gradient(result, tensor)
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(function)(jax.numpy.asarray(array))
    import torch

    tensor = torch.tensor(array, requires_grad=True)
    return torch.autograd.grad(function(tensor), tensor)[0]
'''


def script_of(sighting: Sighting, file: str, kind: str) -> str:
    """The source of the script. `kind` is the kind of the target."""
    situation, finding = sighting.situation, sighting.finding
    if (program := program_of(situation, kind)) is not None:
        return script_of_program(sighting, program, file)
    observation = finding.observation if finding is not None else ""
    is_gradient = observation.startswith("gradient") or sighting.signature.stage == "gradient"
    changes = {"reduction": "none"} if observation == "per_example_loss" and kind == "loss" else {}
    call = Call.of(situation, changes)
    if kind == "metric":
        body = _metric_body(situation, call)
    else:
        made = call.made if kind == "loss" else call.made.partition("(")[0]
        weighted = "sample_weight" in arrays_of(situation)
        reduction = 'reduction="none"' if observation == "per_example_loss" else ""
        body = _loss_body(made, is_gradient=is_gradient, reduction=reduction, is_class=kind == "loss", weighted=weighted)
    arrays = "\n".join(f"{name} = {literal(array)}" for name, array in arrays_of(situation).items())
    if finding is not None and finding.oracle is Oracle.REFERENCE and (right := reference_of(sighting)) is not None:
        arrays += f"\nreference = {source_of(right.tolist())}  # the right value, in float64"
    printed = _PLAIN
    if finding is not None and finding.kind is FindingKind.DTYPE:
        printed = _DTYPE
    elif observation == "per_example_loss":
        printed = "keras.ops.convert_to_numpy(value)\n    value = value.reshape(len(value), -1).mean(axis=1).tolist()"
    source = _HEAD.format(
        headline=plain_text(sighting.headline), file=file, imports=call.imports, arrays=arrays, compute=body, printed=printed,
        outcomes="\n".join(f"    {leg}: {plain_text(str(outcome_words(each)))}" for leg, each in sighting.recordings.items()),
    )  # fmt: skip
    return source.replace("\n\ndef compute():", f"{_GRADIENT}\n\ndef compute():") if is_gradient else source


_OF_PROGRAM = '''"""{headline}

{outcomes}

Run it once for each backend, for example: KERAS_BACKEND=jax python {file}
"""

import json
import os
{imports}

{arrays}


{functions}


try:
{shown}
except Exception as error:
    value = f"raises {{type(error).__name__}}"
print(f"{{keras.backend.backend()}}: {{json.dumps(value)}}")
'''


def script_of_program(sighting: Sighting, program: Program, file: str) -> str:
    """The script of a situation that has a program: the same source, on literal arrays."""
    finding = sighting.finding
    name = finding.observation if finding is not None else ""
    is_path = finding is not None and finding.oracle is Oracle.PATHS
    value = f'keras.ops.convert_to_tensor(part()["{name}"])' if is_path else f'keras.ops.convert_to_tensor(compute()["{name}"])'
    is_dtype = finding is not None and finding.kind is FindingKind.DTYPE
    calls = [f"value = {value}", f"value = {_DTYPE if is_dtype else _PLAIN}"]
    if not name or name == "raised":
        calls = [f'value = keras.ops.convert_to_tensor(compute()["{program.shown}"])', f"value = {_PLAIN}"]
    elif is_path:
        calls = [f"value = [keras.ops.convert_to_numpy({value}).tolist() for part in (compute, by_hand)]"]
    standard = ("os", "tempfile")
    lines = [line for line in program.imports.splitlines() if line.removeprefix("import ") not in standard]
    extra = "import tempfile\n" if "import tempfile" in program.imports else ""
    imports = f'{extra}\nos.environ.setdefault("KERAS_BACKEND", "tensorflow")\n\n' + "\n".join(lines).strip()
    arrays = "\n".join(f"{key} = {literal(array)}" for key, array in program.arrays.items())
    if finding is not None and finding.oracle is Oracle.REFERENCE and (right := reference_of(sighting)) is not None:
        arrays += f"\nreference = {source_of(right.tolist())}  # the right value, in float64"
    return _OF_PROGRAM.format(
        headline=plain_text(sighting.headline), file=file, imports=imports, arrays=arrays,
        functions="\n\n\n".join([*program.parts, *([program.by_hand] if is_path else [])]),
        shown="\n".join(f"    {line}" for line in calls),
        outcomes="\n".join(f"    {leg}: {plain_text(str(outcome_words(each)))}" for leg, each in sighting.recordings.items()),
    )  # fmt: skip


def reference_of(sighting: Sighting) -> np.ndarray | None:
    """The right value of the observation that the finding is about."""
    if sighting.finding is None:
        return None
    for recording in sighting.recordings.values():
        if (value := recording.reference_values.get(sighting.finding.observation)) is not None:
            return value.value
    return None


def _metric_body(situation: Situation, call: Call) -> str:
    arrays = arrays_of(situation)
    names = [name for name in ("y_true", "y_pred") if name in arrays]
    lines = [f"    metric = {call.made}"]
    batches = batches_of(situation)
    for first, end in batches:
        cut_out = "" if len(batches) == 1 else f"[{first}:{end}]"
        parts = [f"keras.ops.convert_to_tensor({name}{cut_out})" for name in names]
        if "sample_weight" in arrays:
            parts.append(f"sample_weight=keras.ops.convert_to_tensor(sample_weight{cut_out})")
        lines.append(f"    metric.update_state({', '.join(parts)})")
    return "\n".join([*lines, "    return keras.ops.convert_to_tensor(metric.result())"])


def _loss_body(made: str, *, is_gradient: bool, reduction: str, is_class: bool, weighted: bool) -> str:
    """`reduction` is the argument of a function, which has no option for it."""
    labels = "keras.ops.convert_to_tensor(y_true)"
    weight = ", sample_weight=keras.ops.convert_to_tensor(sample_weight)" if weighted else ""
    lines = [f"    loss = {made}"]
    if not is_class:
        # As model.compile does it: the mean of a function of (y_true, y_pred).
        lines = ["    class Loss(keras.losses.Loss):", "        def call(self, y_true, y_pred):",
                 f"            return {made}(y_true, y_pred)", "", f"    loss = Loss({reduction})"]  # fmt: skip
    if is_gradient:
        lines.append(f"    return gradient(lambda tensor: keras.ops.sum(loss({labels}, tensor{weight})), y_pred)")
    else:
        lines.append(f"    return loss({labels}, keras.ops.convert_to_tensor(y_pred){weight})")
    return "\n".join(lines)


def literal(array: np.ndarray) -> str:
    if array.dtype == np.float64:
        array = array.astype(np.float32)  # as the session feeds it
    if not array.size:
        return f"np.zeros({array.shape}, np.{array.dtype.name.replace('bool', 'bool_')})"
    return source_of(array)


def plain_text(text: str) -> str:
    return cut(first_line(text).replace("\\", "/").replace('"""', "'''"), 300)
