"""What has been seen of one case so far: filled stage by stage, whatever a stage throws."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from backendcheck.record.observe.arrays import observed
from backendcheck.record.observe.errors import InvalidCase, NotRecordable, OutOfMemory
from backendcheck.recordings.layer_calls import LayerTrace
from backendcheck.recordings.recording import Raised, Recording, Variant
from backendcheck.text.words import first_line
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import Observation, ReferenceValue, flow_key
from backendcheck.vocabulary.states import Status

# What the backends raise for it besides MemoryError: TensorFlow ResourceExhaustedError, JAX XlaRuntimeError, torch RuntimeError.
_OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "can't allocate memory", "out of memory", "OOM when allocating")


@dataclass(slots=True, eq=False)
class Trace:
    """Observations, exceptions and digests of one case, in the making."""

    lowest_precision: str | None = None
    observations: dict[str, Observation] = field(default_factory=dict)
    raised: list[Raised] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    state: dict[str, tuple[float, float]] = field(default_factory=dict)
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    losses: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    reference_values: dict[str, ReferenceValue] = field(default_factory=dict)
    not_compared: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)
    optimizer: str = ""
    layers: LayerTrace | None = None
    status: Status | None = None
    problem: str = ""

    @contextmanager
    def ended_by_problems(self) -> Iterator[None]:
        """The observation of a case; what cannot be observed ends it, and becomes the problem of the recording."""
        try:
            yield
        except (InvalidCase, NotRecordable) as error:
            self.status, self.problem = Status.ERROR, str(error)
        except OutOfMemory as error:
            self.status, self.problem = Status.CRASHED, str(error)

    def recording(self, **identity: Any) -> Recording:
        """What was observed, as a recording. `identity` has the fields that a trace does not know, such as the case."""
        observed = {name: getattr(self, name) for name in _RECORDED}
        if self.layers is None:
            observed["observations"] = {name: self.observations[name] for name in sorted(self.observations, key=flow_key)}
        observed |= {name: tuple(value) for name, value in observed.items() if isinstance(value, list)}
        observed["status"] = self.status or (Status.RAISED if self.raised else Status.RECORDED)
        return Recording(**observed | identity)

    def see(self, name: str, value: Any, like: Observation | None = None) -> None:
        """Record `value` as the observation `name`; `like` is the observation that it was computed from, if it was.

        Raises:
            NotRecordable: if it is no array, number, bool or text.
        """
        seen = observed(value, where=name)
        if self.lowest_precision and seen.is_float:
            seen = Observation(value=seen.value, dtype=seen.dtype, precision=self.lowest_precision)
        if like is not None:
            seen = Observation(value=seen.value, dtype=like.dtype, precision=like.precision)
        self.observations[name] = seen

    @contextmanager
    def variant(self, oracle: Oracle, path: str) -> Iterator[Trace]:
        """A trace of the same quantities on another path; what it sees, or what it raises, becomes a variant of this one."""
        other = Trace(lowest_precision=self.lowest_precision)
        with other.stage(oracle):
            yield other
        self.timings_s[oracle] = self.timings_s.get(oracle, 0.0) + sum(other.timings_s.values())
        if other.observations or other.raised:
            raised = other.raised[0] if other.raised else None
            self.variants.append(Variant(oracle=oracle, path=path, observations=other.observations, raised=raised))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A part of the observation; what the backend throws in it is recorded under `name` and ends this part only."""
        began = time.perf_counter()
        try:
            yield
        except (NotRecordable, InvalidCase, OutOfMemory):
            raise
        except (Exception, SystemExit) as error:
            raised = as_raised(name, error)
            if isinstance(error, MemoryError) or any(sign in raised.message for sign in _OUT_OF_MEMORY):
                message = f"ran out of memory in stage {name}: {first_line(raised.message) or raised.type}"
                raise OutOfMemory(message) from error
            self.raised.append(raised)
        finally:
            self.timings_s[name] = self.timings_s.get(name, 0.0) + time.perf_counter() - began


# The fields that a trace fills have the same names in a recording.
_RECORDED = frozenset(field.name for field in fields(Trace)) & frozenset(field.name for field in fields(Recording))


def as_raised(stage: str, error: BaseException) -> Raised:
    """The record of an exception: its class, the names of its bases, its message."""
    names = tuple(one.__name__ for one in type(error).__mro__ if one not in (object, BaseException))
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - an exception of the user's own may not even say what it is
        message = "(its message cannot be had)"
    return Raised(stage=stage, type=type(error).__name__, type_names=names, message=message)
