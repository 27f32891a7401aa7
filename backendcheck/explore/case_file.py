"""The case file of an exploration: one case for each finding, in the form that `backendcheck run` takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from backendcheck.explore.call import Call
from backendcheck.explore.judging import Sighting
from backendcheck.explore.label_targets import call_of_labels
from backendcheck.explore.model_numbers import class_weight_of
from backendcheck.explore.numbers import arrays_of, batches_of
from backendcheck.explore.paths import PREDICT
from backendcheck.explore.program import (
    Program,
    batch_size,
    labels_source,
    loss_lines,
    model_lines,
    nest_of_losses,
    optimizer_source,
    program_of,
    weight_lines,
)
from backendcheck.explore.script import as_fed, literal, plain_text
from backendcheck.explore.situation import Situation
from backendcheck.text.literals import source_of
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import Oracle

_HEAD = '''"""Situations in which backends differ, found by `backendcheck explore`."""

{imports}

from backendcheck import LossCase, ModelCase
'''
_LINE = 110
_WORDS: Mapping[str, Mapping[str, str]] = {
    "label_values": {
        "above-range": "a label above the range", "negative": "a negative label", "minus-hundred": "the label -100",
        "fractional": "a label that is not a whole number", "nan": "a NaN label", "inf": "an infinite label",
        "zero-row": "a label row of zeros", "row-sum": "a label row that does not sum to 1", "wide": "a label beyond 32 bits",
        "one-class": "labels of one class only", "empty": "no examples",
    },
    "predictions": {
        "zero": "predictions of zero", "tied": "tied predictions", "exact-hit": "predictions that equal their labels",
        "saturated": "saturated predictions", "bool": "predictions of bool", "nan": "a NaN prediction",
        "inf": "an infinite prediction",
    },
    "sample_weight": {
        "per-example": "sample weights", "per-element": "sample weights for each element", "zero": "sample weights of zero",
        "one-zero": "one sample weight of zero", "negative": "a negative sample weight", "class-weight": "class weights",
    },
    "mask": {
        "ignore-class": "a label of the ignored class", "some": "one masked step", "all": "every step masked",
    },
    "outputs": {
        "one-loss": "an output without a loss", "list": "a list of two outputs", "dict": "a dict of two outputs",
        "dict-unsorted": "a dict of two outputs, not in order",
        "nested": "a nest of two outputs", "named": "labels and losses by the names of two outputs",
    },
    "policy": {
        "float64": "a layer in float64", "mixed_float16": "a layer in mixed float16",
        "mixed_bfloat16": "a layer in mixed bfloat16",
    },
    "path": {
        "compute_loss": "compute_loss", "evaluate": "evaluate", "fit": "fit", "train_on_batch": "train_on_batch",
        "dataset": "a data set", "save-load": "a saved model", "jit": "jit_compile", "predict": "predict",
    },
    "batch": {"ragged-last": "a smaller last batch", "single": "batches of one example"},
}  # fmt: skip


def situation_words(situation: Situation) -> str:
    """What a situation has, in words: ``integer labels (uint8), with a label above the range``."""
    shape = f"{situation.labels} labels ({situation.label_dtype}, {situation.label_shape})"
    parts = [words[value] for name, words in _WORDS.items() if (value := getattr(situation, name)) in words]
    parts += [f"optimizer {situation.optimizer}"] if situation.optimizer != "none" else []
    return f"{shape} with {listed(parts)}" if parts else shape


def case_name(sighting: Sighting, taken: Sequence[str]) -> str:
    """The name of the case of a finding, without ``case_``."""
    situation = sighting.situation
    target = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", re.split(r"[.:]", situation.target)[-1]).lower()
    special = [
        getattr(situation, name)
        for name, default in (
            ("label_values", "valid"), ("predictions", "ordinary"), ("sample_weight", "none"), ("mask", "none"),
            ("outputs", "one"), ("policy", "float32"), ("optimizer", "none"), ("path", "call"),
        )
        if getattr(situation, name) != default
    ]
    name = re.sub(r"\W+", "_", "_".join([target, *special, sighting.signature.kind]))
    numbers = (f"{name}_{number}" if number > 1 else name for number in range(1, len(taken) + 2))
    return next(each for each in numbers if each not in taken)


def case_source(sighting: Sighting, name: str, kind: str) -> str:
    """The function of one case."""
    situation = sighting.situation
    arrays, call = arrays_of(situation), Call.of(situation, {})
    refused = sighting.finding is not None and sighting.finding.oracle is Oracle.EXPECTATION
    demand = f"must be taken by {situation.path}" if refused else "must give the same on every backend"
    claim = f"{situation_words(situation)} {demand}."
    claim = f"{claim[:1].upper()}{claim[1:]}"
    lines = [f"def case_{name}():", f'    """{claim}', "", f"    {plain_text(sighting.headline)}", '    """']
    if (program := program_of(situation, kind)) is not None:
        return "\n".join([*lines, *(f"    {line}" for line in _program_lines(situation, program, call, kind))])
    if kind == "metric":
        lines += [f"    {key} = {_indented(array)}" for key, array in arrays.items()]
        lines.append(f"    metric = {call.made}")
        names = [key for key in ("y_true", "y_pred") if key in arrays]
        batches = batches_of(situation)
        for first, end in batches:
            part = "" if len(batches) == 1 else f"[{first}:{end}]"
            parts = [f"{key}{part}" for key in names]
            parts += [f"sample_weight=sample_weight{part}"] if "sample_weight" in arrays else []
            lines.append(f"    metric.update_state({', '.join(parts)})")
        lines.append('    return {"result": metric.result()}')
    else:
        lines.append("    return LossCase(")
        lines.append(f"        loss={call.made if kind == 'loss' else call.made.partition('(')[0]},")
        lines += [f"        {key}={_indented(array)}," for key, array in arrays.items()]
        lines.append("    )")
    return "\n".join(lines)


def _program_lines(situation: Situation, program: Program, call: Call, kind: str) -> list[str]:
    """The body of the case of a situation that has a program."""
    lines = [line for name, array in program.arrays.items() for line in f"{name} = {literal(array)}".splitlines()]
    if kind == "labels":
        return [*lines, f'return {{"result": {call_of_labels(situation)[0]}}}']
    if situation.path == PREDICT:
        returned = ", ".join(f'"{name.replace("/", "_")}": {source}' for name, source in program.observed.items())
        return [*lines, *program.model, *program.weights, *program.lines, f"return {{{returned}}}"]
    target = call.name if kind == "loss function" else call.made
    weighted = "sample_weight" in program.arrays
    named = [] if kind == "metric" else loss_lines(situation, target)
    loss = "None" if kind == "metric" else nest_of_losses(situation, "loss" if named else target)
    arguments = ["model", loss, "x", labels_source(situation)]
    if weighted:
        arguments.append("sample_weight=sample_weight")
    if class_weight := class_weight_of(situation):
        arguments.append(f"class_weight={source_of(class_weight)}")
    if kind == "metric":
        arguments.append(f"{'weighted_metrics' if weighted else 'metrics'}=[{target}]")
    else:
        arguments.append(f"optimizer={optimizer_source(situation)}")
    if situation.batch != "whole":
        arguments.append(f"batch_size={batch_size(situation)}")
    arguments.append('weights="as built"')
    returned = f"return ModelCase({', '.join(arguments)})"
    if len(returned) > _LINE:
        parts = (f"    {', '.join(part)}," for part in (arguments[:4], arguments[4:]))
        returned = "\n    ".join(["return ModelCase(", *parts, ")"])
    return [*lines, *model_lines(situation, kind), *weight_lines(situation), *named, returned]


def case_file(cases: Sequence[tuple[Sighting, str, str]]) -> str:
    """The source of the case file: sightings with the name of the case and the kind of the target."""
    imports = ["import keras", "import numpy as np"]
    own = [Call.of(sighting.situation, {}).imports.partition("\n\n")[2] for sighting, _, _ in cases]
    imports += ["", *dict.fromkeys(filter(None, own))] if any(own) else []
    sources = [case_source(sighting, name, kind) for sighting, name, kind in cases]
    return "\n\n".join([_HEAD.format(imports="\n".join(imports)), *(f"{source}\n" for source in sources)])


def _indented(array: np.ndarray) -> str:
    return literal(as_fed(array)).replace("\n", "\n    ")
