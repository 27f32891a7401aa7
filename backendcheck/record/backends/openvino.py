"""The backend OpenVINO of Keras, for inference: see `BackendModule` for the interface. All else is as in `generic`."""

from __future__ import annotations

from typing import Any

import openvino
from keras.src.backend.openvino import core

from backendcheck.vocabulary.backends import Ability

ABILITIES = frozenset({Ability.FORWARD, Ability.LOSS, Ability.METRICS})
_PRECISION = "INFERENCE_PRECISION_HINT"
_compile_model = openvino.compile_model


def configure(device: str) -> dict[str, str]:  # noqa: ARG001 - Keras chooses the device itself
    """See `BackendModule`. On a processor with bfloat16, OpenVINO computes in it unless float32 is asked for.

    Keras asks for float32 where it computes op by op, and for nothing where `predict` compiles the model.

    A tensor of text raises TypeError with "std::bad_alloc", or ends the process, depending on what is in memory. Here it raises.
    """
    openvino.compile_model = _compile_in_float32
    core.OPENVINO_DTYPES.pop("string", None)
    return {"inference_precision": "f32", "text": "refused"}


def _compile_in_float32(*arguments: Any, config: dict[str, Any] | None = None, **options: Any) -> Any:
    return _compile_model(*arguments, config={_PRECISION: "f32", **(config or {})}, **options)


def device_type() -> str:
    return str(core.get_device()).lower().partition(".")[0]


def device_name() -> str:
    return device_type()
