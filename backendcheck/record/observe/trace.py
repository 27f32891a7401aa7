"""The trace of one case: its observations so far. Each stage adds to it, also when another stage raised."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from backendcheck.record.backends import backend_module, lacking_ability
from backendcheck.record.observe.arrays import as_observation
from backendcheck.record.observe.errors import InvalidCase, NotRecordable, NotSupported, OutOfMemory
from backendcheck.record.observe.precision import below_session, coarsest
from backendcheck.record.observe.raised import as_raised, whole_tracebacks
from backendcheck.recordings.layer_calls import LayerTrace
from backendcheck.recordings.operation_calls import OperationCall
from backendcheck.recordings.recording import WHOLE, Raised, Recording, Variant
from backendcheck.text.words import first_line
from backendcheck.vocabulary.backends import Ability
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Observation, Quantity, ReferenceValue, flow_key, quantity_of
from backendcheck.vocabulary.stages import RecordingStage
from backendcheck.vocabulary.states import Status

# Backends raise more than MemoryError: TensorFlow ResourceExhaustedError, JAX XlaRuntimeError, torch RuntimeError.
_OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "can't allocate memory", "out of memory", "OOM when allocating")


@dataclass(slots=True, eq=False)
class Trace:
    """What has been recorded of one case so far.

    lowest_precision: coarsest float type of what floats are computed from, if below that of the session; none is more precise.
    lowest_of_metrics: the same for metrics alone.
    observations: arrays by observation name, such as ``gradient/y_pred`` (N, C). See `vocabulary.observations`.
    raised: one entry for each stage that raised, in order.
    variants: the same quantities on another path, or with something permuted and put back.
    digests: by ``x``, ``y``, … and ``weights/<variable path>``. Recordings with different digests are not comparable.
    state: mean and root mean square of each weight that the case built and that was not drawn by NumPy.
    labels: by ``y_true``, ``sample_weight``, ``mask``, ``output`` and an output suffix: the arrays that a reference needs.
    losses: the declared loss of each output, as a dict that JSON can hold. The single unnamed output is ``""``.
    metrics: the declared metrics of Keras by the name that is reported, as dicts that JSON can hold.
    reference_values: built-in float64 reference values by observation name.
    not_compared: the reason why backends cannot agree, by observation pattern.
    not_supported: what the backend cannot do of the case, in a few words, by ability. Its observations are not missing.
    notes: sentences for the reader of a report.
    timings_s: seconds by stage.
    optimizer: the class of the optimizer, with its module.
    layers: the calls of every layer; only where `locate` records them.
    operations: the calls of operations that diagnoses read.
    status, problem: set if the case could not be observed; see `ended_by_problems`.
    """

    lowest_precision: str | None = None
    lowest_of_metrics: str | None = None
    observations: dict[str, Observation] = field(default_factory=dict)
    raised: list[Raised] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    state: dict[str, tuple[float, float]] = field(default_factory=dict)
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    losses: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    metrics: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    reference_values: dict[str, ReferenceValue] = field(default_factory=dict)
    not_compared: dict[str, str] = field(default_factory=dict)
    not_supported: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)
    optimizer: str = ""
    layers: LayerTrace | None = None
    operations: list[OperationCall] = field(default_factory=list)
    status: Status | None = None
    problem: str = ""

    @contextmanager
    def ended_by_problems(self) -> Iterator[None]:
        """The whole observation of a case. If the case cannot be observed, it ends here, and the recording gets the problem."""
        try:
            yield
        except (InvalidCase, NotRecordable) as error:
            self.status, self.problem = Status.ERROR, str(error)
        except NotSupported as error:
            self.status, self.problem = Status.NOT_SUPPORTED, str(error)
        except OutOfMemory as error:
            self.status, self.problem = Status.CRASHED, str(error)

    def recording(self, **identity: Any) -> Recording:
        """The recording of this trace. `identity` has the fields that a trace does not have, such as the case."""
        values = {name: getattr(self, name) for name in _RECORDED}
        if self.layers is None:
            values["observations"] = {name: self.observations[name] for name in sorted(self.observations, key=flow_key)}
        values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        values["status"] = self.status or (Status.RAISED if self.raised else Status.RECORDED)
        return Recording(**values | identity)

    def can(self, ability: Ability) -> bool:
        """Whether the backend can do what the case needs next. If not, that is noted."""
        if reason := lacking_ability(ability):
            self.not_supported[ability] = reason
        return not reason

    def add(self, name: str, value: Any, like: Observation | None = None) -> None:
        """Record `value` as the observation `name`. With `like`, it gets the dtype and the precision of that observation.

        Raises:
            NotRecordable: unless `value` is an array, a number, a bool or text.
        """
        observation = as_observation(value, where=name)
        if like is not None:
            observation = Observation(value=observation.value, dtype=like.dtype, precision=like.precision)
        if observation.is_float:
            of_metrics = self.lowest_of_metrics if quantity_of(name) in (Quantity.METRIC, Quantity.TRAIN_METRIC) else None
            precision = coarsest(observation.precision, self.lowest_precision, of_metrics) or observation.precision
            observation = replace(observation, precision=precision)
        self.observations[name] = observation

    def lower_precision(self, *dtypes: str | None) -> None:
        """Note the float types of what all further observations are computed from. No float then has a finer precision."""
        self.lowest_precision = below_session(self.lowest_precision, *dtypes)

    def lower_precision_by(self, *quantities: Quantity) -> None:
        """The same for the float types of the observations of these quantities."""
        self.lower_precision(*(
            observation.precision for name, observation in self.observations.items() if quantity_of(name) in quantities
        ))

    @contextmanager
    def variant(self, oracle: Oracle, path: str) -> Iterator[Trace]:
        """A trace of the same quantities on another path. Its observations, or its exception, become a variant of this trace."""
        trace = Trace(lowest_precision=self.lowest_precision, lowest_of_metrics=self.lowest_of_metrics)
        with trace.stage(oracle):
            yield trace
        self.timings_s[oracle] = self.timings_s.get(oracle, 0.0) + sum(trace.timings_s.values())
        if refusal := trace.not_supported.get(oracle):
            self.notes.append(f"not compared through {path}: {refusal}")
        if trace.observations or trace.raised:
            raised = trace.raised[0] if trace.raised else None
            self.variants.append(Variant(oracle=oracle, path=path, observations=trace.observations, raised=raised))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """One stage of the observation. An exception of the backend is recorded under `name` and ends only this stage."""
        began = time.perf_counter()
        with whole_tracebacks():
            try:
                yield
            except (NotRecordable, InvalidCase, NotSupported, OutOfMemory):
                raise
            except (Exception, SystemExit) as error:
                if refusal := _refusal(error):
                    self._refused(name, refusal, error)
                    return
                raised = as_raised(name, error)
                if isinstance(error, MemoryError) or any(sign in raised.message for sign in _OUT_OF_MEMORY):
                    message = f"ran out of memory in stage {name}: {first_line(raised.message) or raised.type}"
                    raise OutOfMemory(message) from error
                self.raised.append(raised)
            finally:
                self.timings_s[name] = self.timings_s.get(name, 0.0) + time.perf_counter() - began


    def _refused(self, stage: str, refusal: str, error: BaseException) -> None:
        """Note that the backend has refused a stage. Without a forward pass there is nothing else to observe."""
        reason = f"{keras.backend.backend()} does not support {refusal}"
        if stage in (RecordingStage.CASE, RecordingStage.COMPUTE, RecordingStage.BUILD, RecordingStage.FORWARD):
            self.not_supported = {WHOLE: reason}
            raise NotSupported(reason) from error
        self.not_supported[stage] = reason


def _refusal(error: BaseException) -> str:
    """What a backend says that it does not support, where it does not have all abilities; empty for any other exception.

    Such a backend says so by NotImplementedError in its own module of Keras, or has no function of that name there.
    """
    backend = keras.backend.backend()
    if set(Ability) <= backend_module().ABILITIES:
        return ""
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        return str(error.name) if error.obj.__name__.startswith(f"keras.src.backend.{backend}") else ""
    if not isinstance(error, NotImplementedError):
        return ""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if Path(frame.filename).parent.parts[-4:] != ("keras", "src", "backend", backend):
        return ""
    return " ".join(filter(None, [frame.name, f"({text})" if (text := first_line(str(error)).rstrip(".")) else ""]))


# The fields that a trace fills have the same names in a recording.
_RECORDED = frozenset(field.name for field in fields(Trace)) & frozenset(field.name for field in fields(Recording))
