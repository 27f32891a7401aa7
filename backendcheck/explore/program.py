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
from backendcheck.explore.paths import CALL, PREDICT, TRAINING
from backendcheck.explore.predict_program import OBSERVED
from backendcheck.explore.situation import Situation
from backendcheck.text.literals import source_of
from backendcheck.vocabulary.stages import RecordingStage

BY_HAND = "compute_loss"
_STAGES = {"compute_loss": RecordingStage.LOSS, "evaluate": RecordingStage.METRICS, "save-load": RecordingStage.METRICS}
_NESTS = {
    "one": "{0}", "one-loss": '{{"a": {0}, "b": {1}}}', "list": "[{0}, {1}]", "named": '{{"first": {0}, "second": {1}}}',
    "dict": '{{"a": {0}, "b": {1}}}', "dict-unsorted": '{{"b": {0}, "a": {1}}}', "nested": '{{"a": {0}, "b": {{"c": {1}}}}}',
}  # fmt: skip
_DATA = """class Data(keras.utils.PyDataset):
    def __len__(self):
        return {n}

    def __getitem__(self, number):
        {returned}
"""
_TRAINED = '{f"train/weight/{weight.path}": weight for weight in model.trainable_variables}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a leg runs, and what the script of a finding has line by line.

    arrays: the arrays that the source names.
    model: the lines that make `model`, without its weights; none without a model.
    weights: the lines that set its weights.
    definition: the class that the lines need; empty for most.
    lines: what is run, up to the value.
    observed: the expression of each observation, by its name.
    is_trained: whether the weights of the model are observed as well.
    is_plain: whether the value is a number or a list of Python, and no tensor.
    by_hand: lines that compute the same loss by ``model.compute_loss``, and give it the name `by_hand`; none where there is
        nothing to compare with.
    """

    stage: str
    imports: str
    arrays: Mapping[str, np.ndarray]
    model: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    definition: str = ""
    lines: tuple[str, ...] = ()
    observed: Mapping[str, str]
    is_trained: bool = False
    is_plain: bool = False
    by_hand: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The observation that a user sees."""
        return next(iter(self.observed))

    @property
    def source(self) -> str:
        """Functions `compute` and `by_hand`, which return the observations by name. Each has a model as `build` makes it."""
        build = [_function("build", [*self.model, "return model"])] if self.model else []
        first = ["model = build()", *self.weights] if self.model else []
        values = [f'"{name}": {source}' for name, source in self.observed.items()] + [f"**{_TRAINED}"] * self.is_trained
        compute = _function("compute", [*first, *self.lines, f"return {{{', '.join(values)}}}"])
        parts = [self.imports, *build, self.definition, compute]
        if self.by_hand:
            shaped = "keras.ops.reshape(by_hand, (1,))" if self.is_trained else "by_hand"
            parts.append(_function("by_hand", [*first, *self.by_hand, f'return {{"{self.shown}": {shaped}}}']))
        return "\n\n\n".join(filter(None, parts))


def program_of(situation: Situation, kind: str) -> Program | None:
    """The program of a situation; None for a plain call of a loss or a metric. `kind` is that of the target."""
    if kind == "labels":
        arrays = arrays_of(situation)
        source, names = call_of_labels(situation)
        return Program(
            stage=RecordingStage.COMPUTE, imports="import keras\nimport numpy as np",
            arrays={name: arrays[name] for name in names}, observed={"value/result": source},
        )  # fmt: skip
    if situation.path == PREDICT:
        called = f"model.predict(x, batch_size={batch_size(situation)}, verbose=0)"
        return Program(
            stage=RecordingStage.FORWARD, imports="import keras\nimport numpy as np", arrays={"x": model_arrays(situation)["x"]},
            model=tuple(model_lines(situation, kind)), weights=tuple(weight_lines(situation)), lines=(f"result = {called}",),
            observed=OBSERVED[situation.outputs],
        )  # fmt: skip
    return None if situation.path == CALL else _of_model(situation, kind)


def _of_model(situation: Situation, kind: str) -> Program:
    arrays, call = model_arrays(situation), Call.of(situation, {})
    target = call.name if kind == "loss function" else call.made
    named = loss_lines(situation, target)
    compiled = f"model.compile({_compile_arguments(situation, 'loss' if named else target, kind)})"
    imports = f"import tempfile\n\n{call.imports}" if situation.path == "save-load" else call.imports
    stage = _STAGES.get(situation.path, RecordingStage.METRICS if kind == "metric" else RecordingStage.TRAIN)
    by_hand = _by_hand(situation) if kind != "metric" else []
    has_path = situation.path != BY_HAND and len(batches_of(situation)) == 1
    is_trained = kind != "metric" and situation.path in (*TRAINING, "dataset")
    return Program(
        stage=stage, imports=imports, arrays=arrays, model=(*model_lines(situation, kind), *named, compiled),
        weights=tuple(weight_lines(situation)),
        definition=_dataset(situation) if situation.path == "dataset" else "",
        lines=tuple(by_hand if situation.path == BY_HAND else _path_lines(situation, kind, call)),
        observed=_observed(situation, kind), is_trained=is_trained, is_plain=kind != "metric" and situation.path != BY_HAND,
        by_hand=tuple(by_hand) if has_path else (),
    )  # fmt: skip


def _observed(situation: Situation, kind: str) -> dict[str, str]:
    if kind == "metric":
        return {"metric/result": 'next(value for name, value in result.items() if name != "loss")'}
    if situation.path == BY_HAND:
        return {"loss": "by_hand"}
    if situation.path == "train_on_batch":
        return {"train/loss": '[result["loss"]]'}
    return {"train/loss": 'result.history["loss"]'} if situation.path in (*TRAINING, "dataset") else {"loss": 'result["loss"]'}


def _function(name: str, lines: list[str]) -> str:
    body = "\n".join(f"    {line}" if line else "" for text in lines for line in text.splitlines())
    return f"def {name}():\n{body}"


# --- the model ---------------------------------------------------------------------------------------------------


def model_lines(situation: Situation, kind: str) -> list[str]:
    """The lines that make `model`. One without a loss has a regularizer, as only JAX evaluates without both."""
    shape = predictions_of(situation).shape
    width, is_embedding = shape[-1], has_embedding(situation)
    activation = f', activation="{situation.head}"' if situation.head in ACTIVATIONS else ""
    dtype = f', dtype="{situation.policy}"' if situation.policy != "float32" else ""
    options = activation + dtype + (', activity_regularizer="l2"' if kind == "metric" else "")
    lines = [f'inputs = keras.Input({shape[1:-1]}, dtype="int32")' if is_embedding else f"inputs = keras.Input({shape[1:]})"]
    names = _layers(situation)
    for name in names:
        if is_embedding:
            masked = ", mask_zero=True" if situation.mask in ("some", "all") else ""
            made = f'keras.layers.Embedding(len(table), {width}{masked}{dtype}, name="{name}")'
            lines.append(f"{name} = {made}(inputs)")
            if activation:
                lines.append(f'{name} = keras.layers.Activation("{situation.head}"{dtype})({name})')
        else:
            lines.append(f'{name} = keras.layers.Dense({width}, use_bias=False{options}, name="{name}")(inputs)')
    return [*lines, f"model = keras.Model(inputs, {_outputs(situation, names)})"]


def weight_lines(situation: Situation) -> list[str]:
    """The lines that set the weights of `model`."""
    weights = "table" if has_embedding(situation) else f"np.eye({predictions_of(situation).shape[-1]})"
    names = _layers(situation)
    if len(names) == 1:
        return [f"model.set_weights([{weights}])"]
    # The outputs predict different values, so that labels or losses that are exchanged are seen.
    of_layers = zip(names, (weights, f"{weights} / 2"), strict=True)
    return [f'model.get_layer("{name}").set_weights([{of_layer}])' for name, of_layer in of_layers]


def _layers(situation: Situation) -> tuple[str, ...]:
    """The names of the layers with weights, one for each output."""
    return ("first",) if situation.outputs == "one" else ("first", "second")


def _outputs(situation: Situation, names: tuple[str, ...]) -> str:
    """The outputs. If labels and losses are given by name, the outputs are a list in another order than that of the names."""
    return nest(situation, *names) if situation.outputs != "named" else f"[{', '.join(reversed(names))}]"


def nest_of_losses(situation: Situation, loss: str) -> str:
    """The argument `loss` of `compile`: one for each output, or for the first alone."""
    return f'{{"a": {loss}}}' if situation.outputs == "one-loss" else nest(situation, loss, loss)


def nest(situation: Situation, first: str, second: str = "") -> str:
    """Two expressions in the nest that the outputs have; of a single output, the first."""
    return _NESTS[situation.outputs].format(first, second)


def labels_source(situation: Situation) -> str:
    """The labels. The second output has those of the first in reverse order, or none."""
    return nest(situation, "y_true", "y_true[::-1]") if situation.outputs != "one-loss" else '{"a": y_true}'


def optimizer_source(situation: Situation) -> str:
    if situation.optimizer == "none":
        return f"keras.optimizers.SGD({RATE})"
    return f"keras.optimizers.{situation.optimizer}({RATE})"


def loss_lines(situation: Situation, target: str) -> list[str]:
    """The line that gives the loss of two outputs a name; none for a single loss."""
    return [] if situation.outputs in ("one", "one-loss") else [f"loss = {target}"]


def _compile_arguments(situation: Situation, target: str, kind: str) -> str:
    """The arguments of `model.compile`."""
    jit = ', jit_compile=keras.backend.backend() != "torch"' if situation.path == "jit" else ""
    if kind == "metric":
        name = "metrics" if situation.sample_weight == "none" else "weighted_metrics"
        return f"{name}=[{target}]{jit}"
    optimizer = f"{optimizer_source(situation)}, " if situation.path in (*TRAINING, "dataset") else ""
    return f"{optimizer}loss={nest_of_losses(situation, target)}{jit}"


# --- the paths ---------------------------------------------------------------------------------------------------


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
    data, n, size = f"x, {labels}{weighted}", len(batches_of(situation)), batch_size(situation)
    returned = f"return {data}"
    if n > 1:
        batch = f"batch = slice(number * {size}, (number + 1) * {size})"
        returned = f"{batch}\n        return keras.tree.map_structure(lambda array: array[batch], ({data}))"
    return _DATA.format(n=n, returned=returned).rstrip()


def _path_lines(situation: Situation, kind: str, call: Call) -> list[str]:
    labels, weights, path = labels_source(situation), _weights(situation), situation.path
    data = "Data()" if path == "dataset" else f"x, {labels}{weights}, batch_size={batch_size(situation)}"
    if kind == "metric" or path in ("evaluate", "save-load"):
        made = _reloaded(call) if path == "save-load" else []
        return [*made, f"result = model.evaluate({data}, verbose=0, return_dict=True)"]
    class_weight = class_weight_of(situation)
    by_class = f", class_weight={source_of(class_weight)}" if class_weight else ""
    if path == "train_on_batch":
        return [f"result = model.train_on_batch(x, {labels}{weights}{by_class}, return_dict=True)"]
    return [f"result = model.fit({data}{by_class}, shuffle=False, verbose=0)"]


def _reloaded(call: Call) -> list[str]:
    custom = f', custom_objects={{"{call.own}": {call.name}}}' if call.own else ""
    return [
        "with tempfile.TemporaryDirectory() as folder:", '    model.save(f"{folder}/model.keras")',
        f'    model = keras.models.load_model(f"{{folder}}/model.keras"{custom})',
    ]  # fmt: skip


def _by_hand(situation: Situation) -> list[str]:
    """The loss by `compute_loss`. `fit` turns class weights into sample weights; here that is done by hand."""
    weighted: list[Any] = ["sample_weight"] if _weights(situation) else []
    if situation.sample_weight == "class-weight":
        class_weight = class_weight_of(situation) or {}
        weighted = [source_of(weight_by_class(arrays_of(situation)["y_true"], class_weight))]
    names = ["data", "labels", *(["weights"] if weighted else [])]
    fed = ", ".join(["x", labels_source(situation), *weighted])
    return [
        f"nest = ({fed})", f"{', '.join(names)} = keras.tree.map_structure(keras.ops.convert_to_tensor, nest)",
        f"by_hand = model.compute_loss(data, labels, model(data){', weights' if weighted else ''})",
    ]  # fmt: skip
