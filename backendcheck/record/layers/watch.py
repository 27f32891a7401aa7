"""Watching one forward pass: inputs and outputs of every layer call, of the loss, and the gradient of the loss by every output.

The pass runs in inference mode, op by op. The gradients are those that the recording of a case has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from backendcheck.record.backends.masks import copy_mask
from backendcheck.record.layers.arguments import NotReplayable, Traced, arguments_to_json, value_of
from backendcheck.record.layers.hook import Call, watched
from backendcheck.record.observe.gradients import GradientFunction, NotTaken
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.precision import coarsest
from backendcheck.record.observe.raised import as_raised
from backendcheck.record.observe.trace import Trace
from backendcheck.recordings.layer_calls import INPUT, LOSS, OUTPUT, UPSTREAM, LayerCall, LayerTrace, named, parts
from backendcheck.vocabulary.observations import Observation
from backendcheck.vocabulary.stages import RecordingStage

_COLORS = re.compile(r"\x1b\[\d*m")


class LayerWatch:
    """The calls of one forward pass, and what is needed to repeat each of them.

    trace: gets the arrays of each call, named by `layer_calls.named`, and the list of calls.
    calls: by key, in the order in which they began. The loss is one of them, with the key `LOSS`.
    operations: the layer, operation or loss function of each call.
    variables: the trainable variables of each call.
    loss_variables: variables that the loss reads besides its input, such as weights with a regularizer.
    unseen: paths whose calls were traced, so that their tensors had no values.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.calls: dict[str, LayerCall] = {}
        self.operations: dict[str, Any] = {}
        self.variables: dict[str, Sequence[Any]] = {}
        self.loss_variables: Sequence[Any] = ()
        self.unseen: dict[str, None] = {}

    def visit(self, call: Call, proceed: Callable[[], Any]) -> Any:
        """Record the inputs and outputs of a call. See `hook.watched`."""
        if call.path.rpartition("/")[0] in self.unseen:
            self.unseen[call.path] = None
            return proceed()
        arrays: list[Observation] = []
        arguments, problem = None, ""
        try:
            arguments = arguments_to_json((call.args, call.kwargs), arrays)
        except NotReplayable as error:
            problem = str(error)
        except Traced:
            self.unseen[call.path] = None
            return proceed()
        operation = call.operation
        self.operations[call.key] = operation
        self.variables[call.key] = tuple(getattr(operation, "trainable_variables", ()))
        self._add_call(
            call.key, path=call.path, type=type(operation).__name__, within=call.within, arguments=arguments, problem=problem,
            precision=_precision(operation),
        )  # fmt: skip
        self.add_arrays(call.key, INPUT, arrays)
        try:
            outputs = proceed()
        except Exception as error:
            self._add_raised(call.key, error)
            raise
        try:
            self.add_outputs(call.key, OUTPUT, outputs)
        except Traced:
            del self.calls[call.key]
            self.unseen[call.path] = None
        return outputs

    def observe_loss(self, loss: Callable[[Any], Any], y_pred: Any, name: str, variables: Sequence[Any] = ()) -> None:
        """Record the loss as one more call, with the predictions as its input. `variables` are those that it reads besides."""
        arrays: list[Observation] = []
        arguments = arguments_to_json(((y_pred,), {}), arrays)
        masked = keras.tree.flatten(y_pred)

        def loss_of_masked(predictions: Any) -> Any:
            leaves = [copy_mask(source, leaf) for source, leaf in zip(masked, keras.tree.flatten(predictions), strict=True)]
            return loss(keras.tree.pack_sequence_as(y_pred, leaves))

        self.operations[LOSS] = loss_of_masked
        self.variables[LOSS] = ()
        self.loss_variables = tuple(variables)
        precision = self.trace.lowest_precision or arrays[0].precision
        self._add_call(LOSS, path=LOSS, type=name, arguments=arguments, precision=precision)
        self.add_arrays(LOSS, INPUT, arrays)
        with self.trace.stage(RecordingStage.LOSS):
            try:
                self.add_outputs(LOSS, OUTPUT, loss_of_masked(y_pred))
                self.add_arrays(LOSS, UPSTREAM, [value_of(np.ones((), np.float32))])
            except Exception as error:
                self._add_raised(LOSS, error)
                raise

    def observe_upstream(self, under_test: ModelUnderTest, data: Mapping[str, Any]) -> None:
        """Record the gradient of the loss by every output: outputs are shifted by zeros, and differentiated by the shifts."""
        if parts(self.trace.observations, LOSS, OUTPUT) == {}:
            return
        shifts: dict[str, list[Any]] = {}
        for key in self.calls:
            if key != LOSS:
                shifts[key] = [_shift(output) for output in parts(self.trace.observations, key, OUTPUT).values()]

        def shifted_call(call: Call, proceed: Callable[[], Any]) -> Any:
            outputs = proceed()
            if call.key not in shifts:
                return outputs
            remaining = iter(shifts[call.key])
            shifted = []
            for leaf in keras.tree.flatten(outputs):
                shift = next(remaining) if leaf is not None else None
                shifted.append(leaf if shift is None else copy_mask(leaf, leaf + shift.value))
            return keras.tree.pack_sequence_as(outputs, shifted)

        def predict(data: Any) -> Any:
            with watched(shifted_call):
                return under_test.model(data["x"], training=False)

        flat = [
            (key, number, shift) for key, of_call in shifts.items() for number, shift in enumerate(of_call) if shift is not None
        ]
        # The weights as well, because a backend that computes on values alone passes them to regularizers from here.
        variables = [*(shift for *_, shift in flat), *under_test.model.trainable_variables]
        _, by_variable = GradientFunction(predict, under_test.total_loss, variables, compiled=False)(data)
        for (key, number, _), gradient in zip(flat, by_variable, strict=False):
            if isinstance(gradient, NotTaken):
                self.trace.notes.append(f"gradient of the loss by output {number} of {key} is missing: {gradient.reason}")
            else:
                self.trace.observations[named(key, UPSTREAM, number)] = value_of(gradient)

    # --- adding to the trace ----------------------------------------------------------------------------------

    def add_arrays(self, key: str, part: str, arrays: Sequence[Observation]) -> None:
        """Add the arrays of one part of a call."""
        for number, observation in enumerate(arrays):
            self.trace.observations[named(key, part, number)] = observation

    def add_outputs(self, key: str, part: str, outputs: Any) -> None:
        """Add the leaves of what a call returned.

        Raises:
            Traced: if one of them has no value.
        """
        self.add_arrays(key, part, [value_of(leaf) for leaf in keras.tree.flatten(outputs) if leaf is not None])

    def update_trace(
        self, source_backend: str = "", replays: Mapping[str, str] | None = None, raised_in_replay: Sequence[str] = ()
    ) -> None:
        """Write the calls to the trace."""
        self.trace.layers = LayerTrace(
            calls=tuple(self.calls.values()), source=source_backend, replays=replays or {},
            raised_in_replay=tuple(raised_in_replay), unseen=tuple(self.unseen),
        )  # fmt: skip

    def _add_call(self, key: str, **fields: Any) -> None:
        self.calls[key] = LayerCall(key=key, **fields)
        self.update_trace()

    def _add_raised(self, key: str, error: BaseException) -> None:
        self.calls[key] = replace(self.calls[key], raised=exception_line(error))
        self.update_trace()


def _shift(output: Observation) -> Any:
    """Zeros to add to an output; None for an output without a gradient. They are -0.0, which leaves every float as it is."""
    if not output.is_float:
        return None
    return keras.Variable(np.full(output.value.shape, -0.0, np.float32), dtype=output.dtype, autocast=False)


def _precision(operation: Any) -> str:
    """The coarsest float type that a layer, or a layer inside it, computes in."""
    layers = operation._flatten_layers() if hasattr(operation, "_flatten_layers") else ()  # noqa: SLF001 - nested layers, too
    dtypes = {getattr(layer, "compute_dtype", None) for layer in layers}
    return coarsest(*dtypes) or keras.config.floatx()


def exception_line(error: BaseException) -> str:
    """An exception in one line, without the frame that Keras puts around its message."""
    lines = [_COLORS.sub("", line).strip() for line in as_raised("", error).message.splitlines()]
    lines = [line for line in lines if line and not line.startswith("Exception encountered when calling")]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
