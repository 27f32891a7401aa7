"""What `locate` records: the outputs and gradients of every layer, and each layer replayed alone with the inputs of one backend.

One forward pass in inference mode, op by op, and the gradient of the loss by every output, as the recording of a case has them. A
replay is teacher-forced: every layer is given what the layers before it returned on the *teacher*, the backend that all are held
against, so that nothing that went wrong earlier reaches it. The teacher replays its own calls, which shows what is no function of
its inputs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from backendcheck.case import LossCase, ModelCase
from backendcheck.record.backends import backend_module
from backendcheck.record.backends.masks import copy_mask
from backendcheck.record.layers.arguments import NotReplayable, Traced, as_tensor, put_together, taken_apart, value_of
from backendcheck.record.layers.hook import Call, watched
from backendcheck.record.observe import losses
from backendcheck.record.observe.arrays import or_zeros, scalar, to_tensor
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.model import built
from backendcheck.record.observe.model_under_test import Subject
from backendcheck.record.observe.perturbation import Perturbation
from backendcheck.record.observe.trace import Trace, as_raised
from backendcheck.record.observe.values import loss_arrays
from backendcheck.record.observe.weights import named_weights
from backendcheck.recordings.layer_calls import (
    AGAIN,
    INPUT,
    LOSS,
    OUTPUT,
    REPLAYED_BY_INPUT,
    REPLAYED_BY_WEIGHT,
    REPLAYED_OUTPUT,
    UPSTREAM,
    LayerCall,
    LayerTrace,
    named,
    parts,
)
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.observations import Observation

_COLOURS = re.compile(r"\x1b\[\d*m")
_NO_LAYERS = "has no layers, only values; expected a ModelCase or a LossCase."


def observe_layers(case: Any, trace: Trace, *, seed: int, teacher: Recording | None) -> None:
    """Fill `trace` with the calls of every layer of `case`; `teacher` is whose inputs to replay, this pass itself if None.

    Raises:
        InvalidCase: if the case has neither a model nor a loss.
    """
    if isinstance(case, ModelCase):
        subject = built(case, trace, seed, Perturbation())
        if subject is not None:
            _observe_model(subject, trace, teacher)
    elif isinstance(case, LossCase):
        _observe_loss(case, trace, teacher)
    else:
        message = f"{type(case).__name__} {_NO_LAYERS}"
        raise InvalidCase(message)


def _observe_model(subject: Subject, trace: Trace, teacher: Recording | None) -> None:
    seen = Pass(trace)
    data = subject.tensors(subject.arrays)
    y_pred: Any = None
    with trace.stage("forward"), watched(seen.visit):
        y_pred = subject.model(data["x"], training=False)
    if y_pred is not None:

        def total(tensors: Any) -> Any:
            return subject.total(tensors, data)

        seen.see_loss(total, y_pred, "compute_loss", subject.model.trainable_variables)
        with trace.stage("gradient"):
            seen.see_upstream(subject, data)
        with trace.stage("forward"):  # penalties that layers add to the loss are those of the last pass
            subject.model(data["x"], training=False)
    paths = {id(variable): path for path, variable in named_weights(subject.model)}
    seen.replay_all(teacher, paths)


def _observe_loss(case: LossCase, trace: Trace, teacher: Recording | None) -> None:
    arrays = loss_arrays(case, trace)
    seen = Pass(trace)
    with trace.stage("loss"):
        loss = losses.resolve(case.loss)
        labels, y_pred, weight = map(to_tensor, arrays)
        seen.see_loss(lambda tensor: scalar(loss(labels, tensor, sample_weight=weight)), y_pred, type(loss).__name__)
    seen.replay_all(teacher, {})


class Pass:
    """The calls of one forward pass, and what each can be replayed with."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.calls: dict[str, LayerCall] = {}
        self.operations: dict[str, Any] = {}
        self.unseen: dict[str, None] = {}
        self._variables: dict[str, Sequence[Any]] = {}
        self._beside_loss: Sequence[Any] = ()

    # --- as the model runs ------------------------------------------------------------------------------------

    def visit(self, call: Call, proceed: Callable[[], Any]) -> Any:
        """Record the inputs and outputs of a call; see `layer_hook.watched`."""
        if call.path.rpartition("/")[0] in self.unseen:
            self.unseen[call.path] = None
            return proceed()
        arrays: list[Observation] = []
        arguments, problem = None, ""
        try:
            arguments = taken_apart((call.args, call.kwargs), arrays)
        except NotReplayable as error:
            problem = str(error)
        except Traced:
            self.unseen[call.path] = None
            return proceed()
        operation = call.operation
        self.operations[call.key] = operation
        self._variables[call.key] = tuple(getattr(operation, "trainable_variables", ()))
        self._note(
            call.key, path=call.path, type=type(operation).__name__, within=call.within, arguments=arguments, problem=problem,
            precision=_precision(operation),
        )  # fmt: skip
        self._see(call.key, INPUT, arrays)
        try:
            outputs = proceed()
        except Exception as error:
            self._raised(call.key, error)
            raise
        try:
            self._see_outputs(call.key, OUTPUT, outputs)
        except Traced:
            del self.calls[call.key]
            self.unseen[call.path] = None
        return outputs

    def _note(self, key: str, **fields: Any) -> None:
        self.calls[key] = LayerCall(key=key, **fields)
        self._tell()

    def _raised(self, key: str, error: BaseException) -> None:
        self.calls[key] = replace(self.calls[key], raised=_in_words(error))
        self._tell()

    def _tell(self, teacher: str = "", replays: Mapping[str, str] | None = None) -> None:
        self.trace.layers = LayerTrace(
            calls=tuple(self.calls.values()), teacher=teacher, replays=replays or {}, unseen=tuple(self.unseen)
        )

    def _see(self, key: str, part: str, arrays: Sequence[Observation]) -> None:
        for number, seen in enumerate(arrays):
            self.trace.observations[named(key, part, number)] = seen

    def _see_outputs(self, key: str, part: str, outputs: Any) -> None:
        self._see(key, part, [value_of(leaf) for leaf in keras.tree.flatten(outputs) if leaf is not None])

    # --- the loss, and the gradients of it --------------------------------------------------------------------

    def see_loss(self, total: Callable[[Any], Any], y_pred: Any, name: str, beside: Sequence[Any] = ()) -> None:
        """Record the loss as one more call, whose input is the predictions; `beside` are variables that it reads besides."""
        arrays: list[Observation] = []
        arguments = taken_apart(((y_pred,), {}), arrays)
        masked = keras.tree.flatten(y_pred)

        def again(given: Any) -> Any:
            leaves = [copy_mask(own, leaf) for own, leaf in zip(masked, keras.tree.flatten(given), strict=True)]
            return total(keras.tree.pack_sequence_as(y_pred, leaves))

        self.operations[LOSS] = again
        self._variables[LOSS] = ()
        self._beside_loss = tuple(beside)
        self._note(LOSS, path=LOSS, type=name, arguments=arguments, precision=self.trace.lowest_precision or arrays[0].precision)
        self._see(LOSS, INPUT, arrays)
        with self.trace.stage("loss"):
            try:
                self._see_outputs(LOSS, OUTPUT, again(y_pred))
                self._see(LOSS, UPSTREAM, [value_of(np.ones((), np.float32))])
            except Exception as error:
                self._raised(LOSS, error)
                raise

    def see_upstream(self, subject: Subject, data: Mapping[str, Any]) -> None:
        """Record the gradient of the loss by every output: outputs are shifted by zeros, and differentiated by the shifts."""
        if parts(self.trace.observations, LOSS, OUTPUT) == {}:
            return
        shifts: dict[str, list[Any]] = {}
        for key in self.calls:
            if key != LOSS:
                shifts[key] = [_shift(seen) for seen in parts(self.trace.observations, key, OUTPUT).values()]

        def shifted(call: Call, proceed: Callable[[], Any]) -> Any:
            outputs = proceed()
            if call.key not in shifts:
                return outputs
            flat, own = keras.tree.flatten(outputs), iter(shifts[call.key])
            moved = []
            for leaf in flat:
                shift = next(own) if leaf is not None else None
                moved.append(leaf if shift is None else copy_mask(leaf, leaf + shift.value))
            return keras.tree.pack_sequence_as(outputs, moved)

        def predict(data: Any) -> Any:
            with watched(shifted):
                return subject.model(data["x"], training=False)

        flat = [(key, number, shift) for key, own in shifts.items() for number, shift in enumerate(own) if shift is not None]
        # The weights as well: a backend that computes on values alone has those that regularizers read from here.
        variables = [*(shift for *_, shift in flat), *subject.model.trainable_variables]
        gradients = backend_module().gradient_function(predict, subject.total, variables, compiled=False)
        for (key, number, shift), gradient in zip(flat, gradients(data)[2], strict=False):
            self.trace.observations[named(key, UPSTREAM, number)] = value_of(or_zeros(gradient, shift))

    # --- each call alone --------------------------------------------------------------------------------------

    def replay_all(self, teacher: Recording | None, paths: Mapping[int, str]) -> None:
        """Replay the calls of `teacher`, and of this pass, so far as this pass has made the same ones."""
        own = tuple(self.calls.values())
        lessons = own if teacher is None or teacher.layers is None else teacher.layers.calls
        taught = self.trace.observations if teacher is None else teacher.observations
        replays: dict[str, str] = {}
        for loss in (True, False):  # the loss first, while the penalties of the whole pass are still there
            for call in own:
                if (call.key == LOSS) is loss and not (call.problem or call.raised):
                    self._again(call)
            replays |= {call.key: self._replay(call, taught, paths) for call in lessons if (call.key == LOSS) is loss}
        self._tell(keras.backend.backend() if teacher is None else teacher.backend, replays)

    def _again(self, call: LayerCall) -> None:
        try:
            tensors = [as_tensor(seen) for seen in parts(self.trace.observations, call.key, INPUT).values()]
            self._see_outputs(call.key, AGAIN, self._called(call, tensors))
        except Exception as error:  # noqa: BLE001 - whatever it is, this call says nothing when replayed
            self.trace.notes.append(f"{call.key}: cannot be called again: {_in_words(error)}")

    def _called(self, call: LayerCall, tensors: Sequence[Any]) -> Any:
        args, kwargs = put_together(call.arguments, tensors)
        return self.operations[call.key](*args, **kwargs)

    def _replay(self, call: LayerCall, taught: Mapping[str, Observation], paths: Mapping[int, str]) -> str:
        """Replay one call of the teacher, forward and, given the teacher's gradient by its outputs, backward."""
        if call.problem or call.raised:
            return call.problem or f"it raised {call.raised} on the teacher"
        if call.key not in self.operations:
            return "this backend did not call it"
        arrays = list(parts(taught, call.key, INPUT).values())
        try:
            self._see_outputs(call.key, REPLAYED_OUTPUT, self._called(call, [as_tensor(seen) for seen in arrays]))
            upstream = parts(taught, call.key, UPSTREAM)
            if upstream:
                self._replay_gradient(call, arrays, upstream, paths)
        except Exception as error:  # noqa: BLE001 - that it raises is what is to be seen
            return f"raised {_in_words(error)}"
        return ""

    def _replay_gradient(
        self, call: LayerCall, arrays: Sequence[Observation], upstream: Mapping[str, Observation], paths: Mapping[int, str]
    ) -> None:
        inputs = {number: keras.Variable(as_tensor(seen), dtype=seen.dtype, autocast=False)
                  for number, seen in enumerate(arrays) if seen.is_float}  # fmt: skip
        plain = {number: as_tensor(seen) for number, seen in enumerate(arrays) if not seen.is_float}
        factors = {int(number): as_tensor(seen) for number, seen in upstream.items()}

        def floats() -> list[Any]:
            # The zero is negative, for -0.0 leaves every float as it is; a variable itself is not what layers are called with.
            return [variable.value + (-0.0) for variable in inputs.values()]

        def returned(tensors: Sequence[Any]) -> dict[str, Any]:
            given = plain | dict(zip(inputs, tensors, strict=True))
            flat = keras.tree.flatten(self._called(call, [given[number] for number in range(len(arrays))]))
            there = [leaf for leaf in flat if leaf is not None]
            return {str(number): there[number] for number in factors}

        def weighted(outputs: Mapping[str, Any], _: Any = None) -> Any:
            terms = [
                keras.ops.sum(outputs[str(number)] * keras.ops.cast(factor, outputs[str(number)].dtype))
                for number, factor in factors.items()
            ]
            return sum(terms)

        predict: Callable[[Any], Any] = lambda _: returned(floats())  # noqa: E731
        total: Callable[[Any, Any], Any] = weighted
        if call.key == LOSS:  # which is to be called where variables may be read
            predict, total = lambda _: floats(), lambda tensors, _: weighted(returned(tensors))
        weights = self._variables[call.key]
        if call.key == LOSS and keras.backend.backend() == "jax":
            weights = self._beside_loss  # to be read; elsewhere they would be differentiated by, through passes that are over
        variables = [*inputs.values(), *weights]
        found = backend_module().gradient_function(predict, total, variables, compiled=False)({})[2]
        for number, gradient in zip(inputs, found, strict=False):
            gradient = or_zeros(gradient, inputs[number])  # noqa: PLW2901 - the same, where the layer does not depend on it
            self.trace.observations[named(call.key, REPLAYED_BY_INPUT, number)] = value_of(gradient)
        for variable, gradient in zip(self._variables[call.key], found[len(inputs) :], strict=False):
            name = paths.get(id(variable), variable.path)
            self.trace.observations[named(call.key, REPLAYED_BY_WEIGHT, name)] = value_of(or_zeros(gradient, variable))


def _shift(seen: Observation) -> Any:
    """Zeros to be added to an output; None for one that has no gradient."""
    if not seen.is_float:
        return None
    return keras.Variable(np.full(seen.value.shape, -0.0, np.float32), dtype=seen.dtype, autocast=False)


def _precision(operation: Any) -> str:
    """The coarsest float type that a layer, or one inside it, computes in."""
    inside = operation._flatten_layers() if hasattr(operation, "_flatten_layers") else ()  # noqa: SLF001 - nested ones, too
    computed = {getattr(layer, "compute_dtype", None) for layer in inside}
    return next((dtype for dtype in ("bfloat16", "float16", "float32", "float64") if dtype in computed), keras.config.floatx())


def _in_words(error: BaseException) -> str:
    """An exception in a line, without the frame that Keras puts around its message."""
    lines = [_COLOURS.sub("", line).strip() for line in as_raised("", error).message.splitlines()]
    lines = [line for line in lines if line and not line.startswith("Exception encountered when calling")]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
