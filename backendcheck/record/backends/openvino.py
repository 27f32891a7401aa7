"""The backend OpenVINO of Keras, for inference: see `BackendModule` for the interface. All else is as in `generic`."""

from __future__ import annotations

from typing import Any

import openvino
from keras.src.backend.openvino import core, math

from backendcheck.vocabulary.backends import Ability

ABILITIES = frozenset({Ability.FORWARD, Ability.LOSS, Ability.METRICS})
_PRECISION = "INFERENCE_PRECISION_HINT"
_compile_model = openvino.compile_model
_top_k = math.top_k


def configure(device: str) -> dict[str, str]:  # noqa: ARG001 - Keras chooses the device itself
    """See `BackendModule`. On a processor with bfloat16, OpenVINO computes in it unless float32 is asked for.

    Keras asks for float32 where it computes op by op, and for nothing where `predict` compiles the model.

    A tensor of text raises TypeError with "std::bad_alloc", or ends the process, depending on what is in memory. Here it raises.
    `top_k` of more values than there are damages the memory of the process, which may end in a later case. Here it raises, too.
    """
    openvino.compile_model = _compile_in_float32
    core.OPENVINO_DTYPES.pop("string", None)
    math.top_k = _top_k_of_enough
    return {"inference_precision": "f32", "text": "refused", "top_k": "refused beyond the number of values"}


def _compile_in_float32(*arguments: Any, config: dict[str, Any] | None = None, **options: Any) -> Any:
    return _compile_model(*arguments, config={_PRECISION: "f32", **(config or {})}, **options)


def _top_k_of_enough(x: Any, k: int, *arguments: Any, **options: Any) -> Any:
    n_values = core.get_ov_output(x).get_partial_shape()[-1]
    if n_values.is_static and k > n_values.get_length():
        message = f"top_k: {k} of {n_values.get_length()} values; OpenVINO damages the memory of the process there"
        raise ValueError(message)
    return _top_k(x, k, *arguments, **options)


def device_type() -> str:
    return str(core.get_device()).lower().partition(".")[0]


def device_name() -> str:
    return device_type()
