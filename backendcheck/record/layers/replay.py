"""What `locate` records: the calls of every layer in one pass, and each call replayed with inputs from one backend.

A replay is teacher-forced: the inputs of each layer are those recorded on the *source backend*, which all others are compared
with. So a difference in an earlier layer does not reach it. The source backend replays its own calls as well, which shows the
layers whose output is not a function of their inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from backendcheck.case import LossCase, ModelCase
from backendcheck.record.layers.arguments import arguments_from_json, as_tensor, value_of
from backendcheck.record.layers.hook import watched
from backendcheck.record.layers.watch import LayerWatch, exception_line
from backendcheck.record.observe import losses
from backendcheck.record.observe.arrays import scalar, to_tensor
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.gradients import GradientFunction, NotTaken
from backendcheck.record.observe.model import build_model
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.perturbation import Perturbation
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import named_weights
from backendcheck.recordings.layer_calls import (
    AGAIN,
    INPUT,
    LOSS,
    REPLAYED_BY_INPUT,
    REPLAYED_BY_WEIGHT,
    REPLAYED_OUTPUT,
    UPSTREAM,
    LayerCall,
    named,
    parts,
)
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.observations import Observation
from backendcheck.vocabulary.stages import RecordingStage


def observe_layers(case: Any, trace: Trace, *, seed: int, source: Recording | None) -> None:
    """Fill `trace` with the calls of every layer of `case`, and with replays of the calls in `source`, or else of its own.

    Raises:
        InvalidCase: if the case has neither a model nor a loss.
    """
    if isinstance(case, ModelCase):
        under_test = build_model(case, trace, seed, Perturbation())
        if under_test is not None:
            _observe_model(under_test, trace, source)
    elif isinstance(case, LossCase):
        _observe_loss(case, trace, source)
    else:
        message = f"{type(case).__name__} has no layers, only values; expected a ModelCase or a LossCase."
        raise InvalidCase(message)


def _observe_model(under_test: ModelUnderTest, trace: Trace, source: Recording | None) -> None:
    watch = LayerWatch(trace)
    data = under_test.tensors(under_test.arrays)
    y_pred: Any = None
    with trace.stage(RecordingStage.FORWARD), watched(watch.visit):
        y_pred = under_test.model(data["x"], training=False)
    if y_pred is not None:

        def loss(predictions: Any) -> Any:
            return under_test.total_loss(predictions, data)

        watch.observe_loss(loss, y_pred, "compute_loss", under_test.model.trainable_variables)
        with trace.stage(RecordingStage.GRADIENT):
            watch.observe_upstream(under_test, data)
        with trace.stage(RecordingStage.FORWARD):  # the penalties that layers add to the loss are those of the last pass
            under_test.model(data["x"], training=False)
    paths = {id(variable): path for path, variable in named_weights(under_test.model)}
    Replay(watch, source, paths).run()


def _observe_loss(case: LossCase, trace: Trace, source: Recording | None) -> None:
    arrays = losses.loss_arrays(case, trace)
    watch = LayerWatch(trace)
    with trace.stage(RecordingStage.LOSS):
        loss = losses.resolve(case.loss, *arrays[:2])
        labels, y_pred, weight = map(to_tensor, arrays)
        watch.observe_loss(lambda tensor: scalar(loss(labels, tensor, sample_weight=weight)), y_pred, type(loss).__name__)
    Replay(watch, source, {}).run()


class Replay:
    """The calls of a pass, each repeated alone.

    watch: the pass, and the operations to call.
    source: the recording whose calls are replayed; None for those of the pass itself.
    paths: the path of each weight, by id.
    """

    def __init__(self, watch: LayerWatch, source: Recording | None, paths: Mapping[int, str]) -> None:
        self.watch = watch
        self.paths = paths
        self.source_calls = tuple(watch.calls.values())
        self.source_arrays: Mapping[str, Observation] = watch.trace.observations
        self.source_backend = keras.backend.backend()
        self.raised_in_replay: list[str] = []
        if source is not None:
            self.source_arrays, self.source_backend = source.observations, source.backend
        if source is not None and source.layers is not None:
            self.source_calls = source.layers.calls

    def run(self) -> None:
        """Repeat the calls of this pass, and replay those of the source backend as far as this pass has made the same ones."""
        replays: dict[str, str] = {}
        calls = tuple(self.watch.calls.values())
        for is_loss in (True, False):  # the loss first, while the penalties of the whole pass are still in force
            for call in calls:
                if (call.key == LOSS) is is_loss and not (call.problem or call.raised):
                    self._repeat(call)
            replays |= {call.key: self._replay(call) for call in self.source_calls if (call.key == LOSS) is is_loss}
        self.watch.update_trace(self.source_backend, replays, self.raised_in_replay)

    def _repeat(self, call: LayerCall) -> None:
        """Call a layer a second time with its own inputs."""
        trace = self.watch.trace
        try:
            tensors = [as_tensor(observation) for observation in parts(trace.observations, call.key, INPUT).values()]
            self.watch.add_outputs(call.key, AGAIN, self._output(call, tensors))
        except Exception as error:  # noqa: BLE001 - a layer that cannot be called again cannot be replayed either
            trace.notes.append(f"{call.key}: cannot be called again: {exception_line(error)}")

    def _output(self, call: LayerCall, tensors: Sequence[Any]) -> Any:
        args, kwargs = arguments_from_json(call.arguments, tensors)
        return self.watch.operations[call.key](*args, **kwargs)

    def _replay(self, call: LayerCall) -> str:
        """Replay a call of the source backend, forward and backward. Returns why that failed, or an empty string.

        Backward needs the gradient by its outputs that was recorded on the source backend.
        """
        if call.problem or call.raised:
            return call.problem or f"it raised {call.raised} on the source backend"
        if call.key not in self.watch.operations:
            return "this backend did not call it"
        inputs = list(parts(self.source_arrays, call.key, INPUT).values())
        try:
            output = self._output(call, [as_tensor(observation) for observation in inputs])
            self.watch.add_outputs(call.key, REPLAYED_OUTPUT, output)
            upstream = parts(self.source_arrays, call.key, UPSTREAM)
            if upstream:
                self._replay_gradient(call, inputs, upstream)
        except Exception as error:  # noqa: BLE001 - the exception is what this replay shows
            self.raised_in_replay.append(call.key)
            return f"raised {exception_line(error)}"
        return ""

    def _replay_gradient(self, call: LayerCall, inputs: Sequence[Observation], upstream: Mapping[str, Observation]) -> None:
        floats = {number: keras.Variable(as_tensor(observation), dtype=observation.dtype, autocast=False)
                  for number, observation in enumerate(inputs) if observation.is_float}  # fmt: skip
        constants = {number: as_tensor(observation) for number, observation in enumerate(inputs) if not observation.is_float}
        factors = {int(number): as_tensor(observation) for number, observation in upstream.items()}

        def float_tensors() -> list[Any]:
            # Adding -0.0 leaves every float as it is, and gives a tensor: layers are not called with variables.
            return [variable.value + (-0.0) for variable in floats.values()]

        def outputs_of(tensors: Sequence[Any]) -> dict[str, Any]:
            arguments = constants | dict(zip(floats, tensors, strict=True))
            flat = keras.tree.flatten(self._output(call, [arguments[number] for number in range(len(inputs))]))
            leaves = [leaf for leaf in flat if leaf is not None]
            return {str(number): leaves[number] for number in factors}

        def weighted_sum(outputs: Mapping[str, Any], _: Any = None) -> Any:
            terms = [
                keras.ops.sum(outputs[str(number)] * keras.ops.cast(factor, outputs[str(number)].dtype))
                for number, factor in factors.items()
            ]
            return sum(terms)

        predict: Callable[[Any], Any] = lambda _: outputs_of(float_tensors())  # noqa: E731
        total: Callable[[Any, Any], Any] = weighted_sum
        if call.key == LOSS:  # which must be called where variables can be read
            predict, total = lambda _: float_tensors(), lambda tensors, _: weighted_sum(outputs_of(tensors))
        weights = self.watch.variables[call.key]
        if call.key == LOSS and keras.backend.backend() == "jax":
            weights = self.watch.loss_variables  # so that they can be read; other backends would differentiate passes that ended
        _, gradients = GradientFunction(predict, total, [*floats.values(), *weights], compiled=False)({})
        names = [named(call.key, REPLAYED_BY_INPUT, number) for number in floats]
        names += [
            named(call.key, REPLAYED_BY_WEIGHT, self.paths.get(id(variable), variable.path))
            for variable in self.watch.variables[call.key]
        ]
        trace = self.watch.trace
        for name, gradient in zip(names, gradients, strict=False):
            if isinstance(gradient, NotTaken):
                trace.notes.append(f"{name} is missing: {gradient.reason}")
            else:
                trace.observations[name] = value_of(gradient)
