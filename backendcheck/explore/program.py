"""The program of a situation that is more than a plain call: source that makes a model and takes a path, or calls a label layer.

A leg runs this source, and the script of a finding has the same, so what is observed is what a reader can run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backendcheck.explore.call import Call
from backendcheck.explore.label_targets import call_of_labels
from backendcheck.explore.model_numbers import (
    RATE,
    class_weight_of,
    has_embedding,
    model_arrays,
    predictions_of,
    weight_by_class,
)
from backendcheck.explore.numbers import ACTIVATIONS, arrays_of, batches_of
from backendcheck.explore.paths import CALL, TRAINING
from backendcheck.explore.situation import Situation
from backendcheck.text.literals import source_of
from backendcheck.vocabulary.stages import RecordingStage

BY_HAND = "compute_loss"
_STAGES = {"compute_loss": RecordingStage.LOSS, "evaluate": RecordingStage.METRICS, "save-load": RecordingStage.METRICS}
_NESTS = {
    "one": "{0}", "list": "[{0}, {1}]", "dict": '{{"a": {0}, "b": {1}}}', "dict-unsorted": '{{"b": {0}, "a": {1}}}',
    "nested": '{{"a": {0}, "b": {{"c": {1}}}}}',
}  # fmt: skip
_DATA = """class Data(keras.utils.PyDataset):
    def __len__(self):
        return {n}

    def __getitem__(self, number):
        batch = slice(number * {size}, (number + 1) * {size})
        return keras.tree.map_structure(lambda array: array[batch], {data})
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a leg runs.

    arrays: the arrays that the source names.
    parts: the functions, in order. The last one, `compute`, returns the observations by name.
    shown: the observation that a user sees.
    by_hand: the same loss by ``model.compute_loss``, as a function `by_hand`; empty where there is nothing to compare with.
    """

    stage: str
    imports: str
    arrays: Mapping[str, np.ndarray]
    parts: tuple[str, ...]
    shown: str
    by_hand: str = ""

    @property
    def source(self) -> str:
        return "\n\n\n".join(filter(None, [self.imports, *self.parts, self.by_hand]))


def program_of(situation: Situation, kind: str) -> Program | None:
    """The program of a situation; None for a plain call of a loss or a metric. `kind` is that of the target."""
    if kind == "labels":
        arrays = arrays_of(situation)
        source, names = call_of_labels(situation)
        return Program(
            stage=RecordingStage.COMPUTE, imports="import keras\nimport numpy as np",
            arrays={name: arrays[name] for name in names},
            parts=(_function("compute", [f'return {{"value/result": {source}}}']),), shown="value/result",
        )  # fmt: skip
    return None if situation.path == CALL else _of_model(situation, kind)


def _of_model(situation: Situation, kind: str) -> Program:
    arrays, call = model_arrays(situation), Call.of(situation, {})
    target = call.name if kind == "loss function" else call.made
    named = loss_lines(situation, target)
    compiled = f"model.compile({_compile_arguments(situation, 'loss' if named else target, kind)})"
    parts = [_function("build", [*model_lines(situation, kind), *named, compiled, "return model"])]
    imports = call.imports
    if situation.path == "dataset":
        parts.append(_dataset(situation))
    if situation.path == "save-load":
        imports = "import os\nimport tempfile\n\n" + imports
    parts.append(_function("compute", ["model = build()", *_path_lines(situation, kind, call)]))
    has_path = kind != "metric" and situation.path != BY_HAND and len(batches_of(situation)) == 1
    by_hand = _function("by_hand", ["model = build()", *_by_hand(situation, _loss_name(situation))]) if has_path else ""
    stage = _STAGES.get(situation.path, RecordingStage.METRICS if kind == "metric" else RecordingStage.TRAIN)
    shown = "metric/result" if kind == "metric" else _loss_name(situation)
    return Program(stage=stage, imports=imports, arrays=arrays, parts=tuple(parts), shown=shown, by_hand=by_hand)


def _function(name: str, lines: list[str]) -> str:
    body = "\n".join(f"    {line}" if line else "" for text in lines for line in text.splitlines())
    return f"def {name}():\n{body}"


# --- the model ---------------------------------------------------------------------------------------------------


def model_lines(situation: Situation, kind: str) -> list[str]:
    """The lines that make `model`, with its weights. One without a loss has a regularizer, as only JAX evaluates without both."""
    shape = predictions_of(situation).shape
    width, is_embedding = shape[-1], has_embedding(situation)
    activation = f', activation="{situation.head}"' if situation.head in ACTIVATIONS else ""
    dtype = f', dtype="{situation.policy}"' if situation.policy != "float32" else ""
    options = activation + dtype + (', activity_regularizer="l2"' if kind == "metric" else "")
    lines = [f'inputs = keras.Input({shape[1:-1]}, dtype="int32")' if is_embedding else f"inputs = keras.Input({shape[1:]})"]
    names = ("first",) if situation.outputs == "one" else ("first", "second")
    for name in names:
        if is_embedding:
            masked = ", mask_zero=True" if situation.mask in ("some", "all") else ""
            made = f'keras.layers.Embedding(len(table), {width}{masked}{dtype}, name="{name}")'
            lines.append(f"{name} = {made}(inputs)")
            if activation:
                lines.append(f'{name} = keras.layers.Activation("{situation.head}"{dtype})({name})')
        else:
            lines.append(f'{name} = keras.layers.Dense({width}, use_bias=False{options}, name="{name}")(inputs)')
    weights = "table" if is_embedding else f"np.eye({width})"
    return [
        *lines, f"model = keras.Model(inputs, {nest(situation, *names)})",
        f"model.set_weights([{', '.join([weights] * len(names))}])",
    ]  # fmt: skip


def nest(situation: Situation, first: str, second: str = "") -> str:
    """Two expressions in the nest that the outputs have; of a single output, the first."""
    return _NESTS[situation.outputs].format(first, second)


def labels_source(situation: Situation) -> str:
    """The labels. The second output has those of the first in reverse order."""
    return nest(situation, "y_true", "y_true[::-1]")


def optimizer_source(situation: Situation) -> str:
    if situation.optimizer == "none":
        return f"keras.optimizers.SGD({RATE})"
    return f"keras.optimizers.{situation.optimizer}({RATE})"


def loss_lines(situation: Situation, target: str) -> list[str]:
    """The line that gives the loss of two outputs a name; none for a single one."""
    return [] if situation.outputs == "one" else [f"loss = {target}"]


def _compile_arguments(situation: Situation, target: str, kind: str) -> str:
    """The arguments of `model.compile`."""
    jit = ', jit_compile=keras.backend.backend() != "torch"' if situation.path == "jit" else ""
    if kind == "metric":
        name = "metrics" if situation.sample_weight == "none" else "weighted_metrics"
        return f"{name}=[{target}]{jit}"
    optimizer = f"{optimizer_source(situation)}, " if situation.path in (*TRAINING, "dataset") else ""
    return f"{optimizer}loss={nest(situation, target, target)}{jit}"


# --- the paths ---------------------------------------------------------------------------------------------------


def _loss_name(situation: Situation) -> str:
    return "train/loss" if situation.path in (*TRAINING, "dataset") else "loss"


def batch_size(situation: Situation) -> int:
    """The number of examples of a batch; of all but the last."""
    first, end = batches_of(situation)[0]
    return max(1, end - first)


def _weights(situation: Situation) -> str:
    weighted = situation.sample_weight not in ("none", "class-weight")
    return ", sample_weight=sample_weight" if weighted else ""


def _dataset(situation: Situation) -> str:
    weighted = ", sample_weight" if _weights(situation) else ""
    # TensorFlow takes no list from a data set: a known divergence, which each loss would show again.
    labels = labels_source(situation) if situation.outputs != "list" else "(y_true, y_true[::-1])"
    data = f"(x, {labels}{weighted})"
    return _DATA.format(n=len(batches_of(situation)), size=batch_size(situation), data=data).rstrip()


def _path_lines(situation: Situation, kind: str, call: Call) -> list[str]:
    labels, weights, path = labels_source(situation), _weights(situation), situation.path
    if path == BY_HAND:
        return _by_hand(situation, "loss")
    data = "Data()" if path == "dataset" else f"x, {labels}{weights}, batch_size={batch_size(situation)}"
    if kind == "metric":
        made = _reloaded(call) if path == "save-load" else []
        return [
            *made, f"result = model.evaluate({data}, verbose=0, return_dict=True)",
            'return {"metric/result": next(value for name, value in result.items() if name != "loss")}',
        ]  # fmt: skip
    if path in ("evaluate", "save-load"):
        made = _reloaded(call) if path == "save-load" else []
        return [
            *made, f"result = model.evaluate({data}, verbose=0, return_dict=True)", 'return {"loss": result["loss"]}',
        ]  # fmt: skip
    class_weight = class_weight_of(situation)
    by_class = f", class_weight={source_of(class_weight)}" if class_weight else ""
    if path == "train_on_batch":
        fitted = [f"result = model.train_on_batch(x, {labels}{weights}{by_class}, return_dict=True)"]
        loss = '[result["loss"]]'
    else:
        fitted = [f"result = model.fit({data}{by_class}, shuffle=False, verbose=0)"]
        loss = 'result.history["loss"]'
    trained = '{f"train/weight/{weight.path}": weight for weight in model.trainable_variables}'
    return [*fitted, f"trained = {trained}", f'return {{"train/loss": {loss}, **trained}}']


def _reloaded(call: Call) -> list[str]:
    custom = f', custom_objects={{"{call.own}": {call.name}}}' if call.own else ""
    return [
        "with tempfile.TemporaryDirectory() as folder:", '    model.save(os.path.join(folder, "model.keras"))',
        f'    model = keras.models.load_model(os.path.join(folder, "model.keras"){custom})',
    ]  # fmt: skip


def _by_hand(situation: Situation, name: str) -> list[str]:
    """The loss by `compute_loss`. `fit` turns class weights into sample weights; here that is done by hand."""
    weighted: list[Any] = ["sample_weight"] if _weights(situation) else []
    if situation.sample_weight == "class-weight":
        class_weight = class_weight_of(situation) or {}
        weighted = [source_of(weight_by_class(arrays_of(situation)["y_true"], class_weight))]
    names = ["data", "labels", *(["weights"] if weighted else [])]
    fed = ", ".join(["x", labels_source(situation), *weighted])
    loss = f"model.compute_loss(data, labels, model(data){', weights' if weighted else ''})"
    returned = f"keras.ops.reshape({loss}, (1,))" if name == "train/loss" else loss
    return [
        f"nest = ({fed})", f"{', '.join(names)} = keras.tree.map_structure(keras.ops.convert_to_tensor, nest)",
        f'return {{"{name}": {returned}}}',
    ]  # fmt: skip
