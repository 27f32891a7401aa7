"""Paths beside a plain call: which a target can take, and which choices go with them. Each rule is stated once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from backendcheck.explore.situation import DIMENSIONS, Situation

TRAINING: Final = ("fit", "train_on_batch", "jit")
OF_LOSSES: Final = ("compute_loss", "evaluate", "fit", "train_on_batch", "dataset", "save-load", "jit")
OF_METRICS: Final = ("evaluate", "dataset", "save-load", "jit")
# A loss is trained with one group of optimizers, so that all together take all of them, in a third of the situations.
OPTIMIZERS: Final = (
    ("Adadelta", "Adam", "Adamax", "Lamb"), ("Adafactor", "AdamW", "Ftrl", "Lion"), ("Adagrad", "Muon", "Nadam", "RMSprop"),
)  # fmt: skip
CALL: Final = "call"
PREDICT: Final = "predict"  # of a model without a loss

_STEPS = ("(N,T)", "(N,T,C)")
_IN_BATCHES = (CALL, "evaluate", "fit", "dataset", "save-load", PREDICT)
# Few types, so that the labels of a model take fewer situations. All types are tried by a plain call.
_DTYPES = ("float32", "int32", "uint8", "bool")
_ONLY_CALLED: Mapping[str, tuple[str, ...]] = {
    "label_values": ("inf", "empty"),  # a model refuses no examples in many ways
    # TensorFlow computes some losses from the logits behind an activation, and is then right where the others saturate.
    "predictions": ("saturated", "bool", "nan", "inf"),
    "head": ("class",),
    "labels": ("sequence", "text"),
    "label_shape": ("(N,H,W)",),
}

Rule = tuple[tuple[str, str], Callable[[Any, Any], bool]]


def _only_called(name: str) -> Rule:
    return (name, "path"), lambda choice, path: path == CALL or choice not in _ONLY_CALLED[name]


# Each is two dimensions, and whether a choice of the one goes with a choice of the other.
RULES: tuple[Rule, ...] = (
    *map(_only_called, _ONLY_CALLED),
    (("sample_weight", "path"), lambda weight, path: weight != "class-weight" or path in TRAINING),
    (("sample_weight", "label_shape"), lambda weight, shape: weight != "class-weight" or shape not in _STEPS),
    (("sample_weight", "outputs"), lambda weight, outputs: weight != "class-weight" or outputs == "one"),
    # Keras takes one weight for each example where there are several outputs, and says so, on every backend.
    (("sample_weight", "outputs"), lambda weight, outputs: weight != "per-element" or outputs == "one"),
    # Keras takes no weights for labels by name (KeyError: 0), on every backend. Each loss would show it again.
    (("sample_weight", "outputs"), lambda weight, outputs: weight == "none" or outputs != "named"),
    # An output has the name of its last layer. Behind an embedding that may be an activation, so names are for dense layers.
    (("mask", "outputs"), lambda mask, outputs: mask not in ("some", "all") or outputs != "named"),
    (("optimizer", "outputs"), lambda optimizer, outputs: optimizer == "none" or outputs != "named"),
    (("optimizer", "path"), lambda optimizer, path: optimizer == "none" or path in TRAINING),
    (("mask", "path"), lambda mask, path: mask not in ("some", "all") or path != CALL),
    (("mask", "label_shape"), lambda mask, shape: mask not in ("some", "all") or shape in _STEPS),
    (("outputs", "path"), lambda outputs, path: outputs == "one" or path != CALL),
    (("outputs", "path"), lambda outputs, path: path != PREDICT or outputs not in ("one-loss", "named")),  # it has no loss
    (("policy", "path"), lambda policy, path: policy == "float32" or path != CALL),
    (("policy", "optimizer"), lambda policy, optimizer: policy == "float32" or optimizer == "none"),
    (("batch", "path"), lambda batch, path: batch == "whole" or path in _IN_BATCHES),
)  # fmt: skip


def fits_path(choices: Mapping[str, Any]) -> bool:
    """Whether the choices go with their path. Missing dimensions do not matter."""
    return all(
        holds(choices[first], choices[second]) for (first, second), holds in RULES if first in choices and second in choices
    )


def shares_program(situation: Situation) -> bool:
    """Whether other labels leave the program of a model as it is: class weights are in it, and a saved model is a new one."""
    return situation.path not in (CALL, "save-load") and situation.sample_weight != "class-weight"


def plain_call(situation: Situation) -> Situation | None:
    """The plain call with the labels and weights of a model; None if the situation has no model, or its input may be bad."""
    if situation.path in (CALL, PREDICT) or situation.label_values != "valid" or situation.predictions != "ordinary":
        return None
    weight = situation.sample_weight if situation.sample_weight != "class-weight" else "none"
    mask = situation.mask if situation.mask == "ignore-class" else "none"
    return replace(
        situation, path=CALL, outputs="one", policy="float32", optimizer="none", batch="whole", sample_weight=weight, mask=mask,
    )  # fmt: skip


def model_choices(target: str, kind: str, called: Mapping[str, Sequence[Any]]) -> dict[str, tuple[Any, ...]]:
    """The choices by dimension for a model that has the target as its loss or its metric; empty if no model can.

    `target` is its name, `called` are the choices of a plain call.
    """
    if kind not in ("loss", "loss function", "metric", "model"):
        return {}
    choices = {name: tuple(values) for name, values in called.items()}
    for name, values in _ONLY_CALLED.items():
        if name in choices:
            choices[name] = tuple(value for value in choices[name] if value not in values)
    of_layers = {"policy": DIMENSIONS["policy"], "batch": ("whole", "ragged-last")}
    if kind == "model":  # labels do not matter
        plain = {"label_values": ("valid",), "label_dtype": ("float32",)}
        return {**choices, **plain, "outputs": DIMENSIONS["outputs"], **of_layers, "path": (PREDICT,)}
    choices["label_dtype"] = tuple(dtype for dtype in choices["label_dtype"] if dtype in _DTYPES)
    if "options.reduction" in choices:  # without a reduction there is no loss to train with
        choices["options.reduction"] = tuple(value for value in choices["options.reduction"] if value != "none")
    if "options.axis" in choices:  # the layer has its classes last
        choices["options.axis"] = tuple(value for value in choices["options.axis"] if value != 1)
    if kind == "metric":
        return {**choices, "path": OF_METRICS}
    steps = ("some", "all") if set(_STEPS) & set(choices["label_shape"]) else ()
    return {
        **choices, "path": OF_LOSSES, "sample_weight": (*choices["sample_weight"], "class-weight"),
        "mask": (*choices.get("mask", ("none",)), *steps), "outputs": DIMENSIONS["outputs"],
        **of_layers, "optimizer": ("none", *OPTIMIZERS[len(target) % len(OPTIMIZERS)]),
    }  # fmt: skip
