"""Models that predict: the names and the values that `predict` returns, for outputs in every form. No loss matters to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backendcheck.explore.model_numbers import predictions_of
from backendcheck.explore.situation import Situation
from backendcheck.explore.targets import Form, Target
from backendcheck.vocabulary.observations import ReferenceValue

MODEL: Final = "model"  # the kind of the target
_NAMES = {"output_order": "list(result)"}
_BY_NAME = {**_NAMES, "predictions/a": 'result["a"]', "predictions/b": 'result["b"]'}
# The expression of each observation. The first is what a user sees; values come in the order of the outputs.
OBSERVED: Final[Mapping[str, Mapping[str, str]]] = {
    "one": {"predictions": "result"}, "list": {"predictions/first": "result[0]", "predictions/second": "result[1]"},
    "dict": _BY_NAME, "dict-unsorted": {**_NAMES, "predictions/b": 'result["b"]', "predictions/a": 'result["a"]'},
    "nested": {**_NAMES, "predictions/a": 'result["a"]', "predictions/b": 'result["b"]["c"]'},
}  # fmt: skip


def keras_model_targets() -> tuple[Target, ...]:
    """A model of Keras that predicts, with each head that a model has."""
    heads = (("real", "linear"), ("one-hot", "softmax"), ("multi-hot", "sigmoid"))
    forms = tuple(Form(labels=labels, head=head) for labels, head in heads)
    return (Target(name="keras.Model", kind=MODEL, forms=forms, arguments=("y_pred",)),)


def predict_reference(situation: Situation) -> dict[str, ReferenceValue]:
    """The right predictions; empty in half precision."""
    if situation.policy != "float32":
        return {}
    names = [name for name in OBSERVED[situation.outputs] if name.startswith("predictions")]
    return {
        name: ReferenceValue(value=predictions_of(situation, is_second=place > 0)) for place, name in enumerate(names)
    }  # fmt: skip
