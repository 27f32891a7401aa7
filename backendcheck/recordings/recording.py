"""Recordings: one case on one backend, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.recordings.codec import LATER, stored_as
from backendcheck.recordings.layer_calls import LayerTrace
from backendcheck.recordings.operation_calls import OperationCall
from backendcheck.vocabulary.findings import ORACLES, Oracle
from backendcheck.vocabulary.observations import Observation, ObservationName, Quantity, ReferenceValue
from backendcheck.vocabulary.states import Status

WHOLE = "case"  # in `not_supported`: the backend cannot do anything of the case


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A line of the author's own code that was running when an exception was raised."""

    file: str
    """Its file, relative to where the session was started, if it is below."""
    line: int
    """Its number."""
    function: str
    """The function that it is in."""
    source: str
    """The line."""
    before: tuple[str, ...] = ()
    """The lines of the function above it, at most eight."""

    @property
    def place(self) -> str:
        """``cases/labels.py:12``."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """An exception that a backend threw at the case."""

    stage: str
    """Where: case, compute, build, forward, loss, gradient, metrics or train."""
    type: str
    """The name of its class."""
    type_names: tuple[str, ...]
    """The names of its class and of the bases of that, so that an expectation can be checked without the class."""
    message: str
    """Its message."""
    frame: Frame | None = field(default=None, metadata=LATER)
    """The last frame in the author's own code."""
    by_author: bool = field(default=False, metadata=LATER)
    """Whether it comes from the author's own code: neither Keras nor a backend ran below the last frame of that."""
    traceback: str = field(default="", metadata=LATER)
    """The traceback as Python prints it, without the frames of backendcheck, cut to 8,000 characters."""
    suggestion: str = field(default="", metadata=LATER)
    """A name that exists, close to the one in the author's code that does not."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Variant:
    """The same quantities once more, inside one backend: on another path, or with something permuted and put back.

    Its observations are to equal those of the recording by name.
    """

    oracle: Oracle
    """`paths` or `order`."""
    path: str = field(metadata=stored_as("door"))
    """The name of the variant, such as `evaluate` or `examples permuted`."""
    observations: Mapping[str, Observation] = field(default_factory=dict)
    """Its observations by name."""
    raised: Raised | None = None
    """The exception that was raised in place of observations, if there was one."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Recording:
    """One case on one backend, in a file of its own.

    A new field is declared here, given its value where the case is recorded, and marked `LATER`. Its type decides how
    it is written.
    """

    case: str
    """The id of the case."""
    backend: str
    """The name of the leg."""
    run: str
    """The id of the recording session."""
    status: Status
    """How the recording ended."""
    claim: str = ""
    """The docstring of the case."""
    file: str = ""
    """The case file, relative to where the session was started. A built-in case elsewhere has its path in the repository."""
    line: int = 0
    """The line of the case in its file."""
    file_digest: str = ""
    """A digest of the case file."""
    observations: Mapping[str, Observation] = field(default_factory=dict)
    """What was observed, by the name of the observation."""
    reference: Mapping[str, np.ndarray] = field(default_factory=dict)
    """The reference values that the case gives, by observation."""
    reference_values: Mapping[str, ReferenceValue] = field(default_factory=dict, metadata=stored_as("expected"))
    """The built-in reference values, by observation."""
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    """`y_true`, `sample_weight` and, of a LossCase, `y_pred`, by output."""
    losses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The declared loss of each output."""
    variants: tuple[Variant, ...] = ()
    """What the paths and order oracles have observed."""
    oracles: tuple[Oracle, ...] = ORACLES
    """The oracles that were requested."""
    raised: tuple[Raised, ...] = ()
    """The exceptions that the backend has raised, in order."""
    problem: str = ""
    """Why the case was not observed; empty if it was."""
    stderr_tail: str = ""
    """The end of what the process wrote, if it died."""
    expect: Mapping[str, Any] | None = None
    """The exception that the case expects: `type_names` and `match`."""
    class_names: Any = None
    """The names of the classes: a list, or lists by output."""
    tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    """The tolerances of the case, by observation or kind of observation."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Digests of `x`, `y`, … and of `weights/<variable path>`. Recordings that differ there are not comparable."""
    state: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Mean and root mean square of each weight that the case built itself."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The settings of Keras that decide what a number means."""
    not_compared: Mapping[str, str] = field(default_factory=dict)
    """Why backends cannot agree on an observation, by its name."""
    not_supported: Mapping[str, str] = field(default_factory=dict, metadata=LATER)
    """What the backend cannot do, in a few words, by `loss`, `gradient`, `metrics` or `train`; all of the case by `case`."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
    timings_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage."""
    optimizer: str = field(default="", metadata=LATER)
    """The class of the optimizer that trained."""
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, metadata=LATER)
    """The declared metrics of Keras by reported name: `class`, `options`, `output`, `weighted` and `batch_size`."""
    reference_dtypes: Mapping[str, str] = field(default_factory=dict, metadata=LATER)
    """The dtypes that reference values of the case ask for, by observation; `int64` stands for all whole numbers."""
    source: str = field(default="", metadata=LATER)
    """The source of the case function, cut to 4,000 characters."""
    failure: Raised | None = field(default=None, metadata=LATER)
    """The exception that kept the case from being observed, of a fixture for example."""
    layers: LayerTrace | None = field(default=None, metadata=LATER)
    """The calls of layers, if they were recorded in place of the case."""
    operations: tuple[OperationCall, ...] = field(default=(), metadata=LATER)
    """The calls of operations that diagnoses read, of a ValueCase, a FunctionCase or a dict."""

    @property
    def was_observed(self) -> bool:
        """Whether the case was observed to its end. Raising is an observation like any other."""
        return self.status in (Status.RECORDED, Status.RAISED)


def lacks(recording: Recording, stage: str) -> bool:
    """Whether the backend has declared that it cannot do a stage of the case: what is not observed there is not missing."""
    return stage in recording.not_supported


def returned(recording: Recording) -> Any:
    """What the function returned on one backend: an array, or a dict of arrays by path where it returned a nest of them."""
    values: dict[str, np.ndarray] = {
        ObservationName.parse(name).part: observation.value
        for name, observation in recording.observations.items()
        if ObservationName.parse(name).quantity is Quantity.VALUE and not ObservationName.parse(name).is_order
    }
    return values["result"] if set(values) == {"result"} else values
