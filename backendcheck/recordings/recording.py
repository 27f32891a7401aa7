"""Recordings and environments: one case on one backend, and one backend's part of a run, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backendcheck.case import Tolerance
from backendcheck.recordings.codec import LATER, stored_as
from backendcheck.recordings.layer_calls import LayerTrace
from backendcheck.vocabulary.findings import ORACLES, Oracle
from backendcheck.vocabulary.observations import Observation, ObservationName, Quantity, ReferenceValue
from backendcheck.vocabulary.states import ExitState, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """An exception that a backend threw at the case.

    `stage` is where: case, compute, build, forward, loss, gradient, metrics or train. `type_names` holds the names of the
    class and of its bases, so that an expectation can be checked without the class.
    """

    stage: str
    type: str
    type_names: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Variant:
    """The same quantities once more, inside one backend: on another path, or with something permuted and put back.

    `oracle` is ``paths`` or ``order``, `path` names the variant (``evaluate``, ``examples permuted``). Its observations are to
    equal those of the recording by name. `raised` is what came instead of them.
    """

    oracle: Oracle
    path: str = field(metadata=stored_as("door"))
    observations: Mapping[str, Observation] = field(default_factory=dict)
    raised: Raised | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Recording:
    """One case on one backend.

    `digests` maps ``x``, ``y``, … and ``weights/<variable path>`` to a digest of what the case was fed; recordings that
    differ there are not comparable. `state` holds fingerprints (mean, root mean square) of weights that the case built and
    the harness did not draw. `reference` holds the reference values of the case, `reference_values` the built-in ones. `labels`
    holds ``y_true``, ``sample_weight`` (and ``y_pred`` of a LossCase) by output, `losses` describes the declared loss of each
    output. `not_compared` maps an observation's name to the reason why backends cannot agree on it. `oracles` names those
    that were asked for; `notes` says what was left out and why. `optimizer` is the class of the one that trained. `layers` is
    there only where the calls of layers were recorded instead of the case (see `layer_call`).
    """

    case: str
    backend: str
    run: str
    status: Status
    claim: str = ""
    file: str = ""
    line: int = 0
    file_digest: str = ""
    observations: Mapping[str, Observation] = field(default_factory=dict)
    reference: Mapping[str, np.ndarray] = field(default_factory=dict)
    reference_values: Mapping[str, ReferenceValue] = field(default_factory=dict, metadata=stored_as("expected"))
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    losses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    oracles: tuple[Oracle, ...] = ORACLES
    raised: tuple[Raised, ...] = ()
    problem: str = ""
    stderr_tail: str = ""
    expect: Mapping[str, Any] | None = None
    class_names: Any = None
    tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    state: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    not_compared: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)
    optimizer: str = field(default="", metadata=LATER)
    layers: LayerTrace | None = field(default=None, metadata=LATER)

    @property
    def was_observed(self) -> bool:
        """Whether the case was observed to its end. Raising is an observation like any other."""
        return self.status in (Status.RECORDED, Status.RAISED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What `environment.json` holds: one backend's leg of a run.

    `exit_state` is ``running`` until the leg has ended, then ``complete`` or ``interrupted``; a leg that was killed
    stays ``running``. `cases` are the ids collected, `digests` maps each to the SHA-256 of its file.

    `seconds` is how long each case took. Of a shard `all_cases` are the ids of all shards. `sources` maps the source files
    that the cases come from, and those that they import beside them, to their SHA-256. `sessions` are the earlier sessions of a
    leg that was resumed: when each was started and `resumed`, its exit_state, and n_recordings that were kept. `pieces` are
    what a merged leg was joined of, see `merge`.
    """

    backend: str
    run: str
    exit_state: ExitState
    versions: Mapping[str, str] = field(default_factory=dict)
    platform: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    determinism: Mapping[str, str] = field(default_factory=dict)
    selection: Mapping[str, Any] = field(default_factory=dict)
    cases: tuple[str, ...] = ()
    problems: tuple[Mapping[str, Any], ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    started: str = ""
    duration_s: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)
    all_cases: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    sessions: tuple[Mapping[str, Any], ...] = ()
    pieces: tuple[Mapping[str, Any], ...] = ()

    @property
    def runs(self) -> frozenset[str]:
        """The ids that the recordings of this leg may carry: its own, or those of its pieces."""
        return frozenset(str(piece["run"]) for piece in self.pieces if piece.get("run")) or frozenset({self.run})


def returned(recording: Recording) -> Any:
    """What the function returned on one backend: an array, or a dict of arrays by path where it returned a nest of them."""
    values: dict[str, np.ndarray] = {
        ObservationName.parse(name).part: seen.value
        for name, seen in recording.observations.items()
        if ObservationName.parse(name).quantity is Quantity.VALUE and not name.endswith(" (order)")
    }
    return values["result"] if set(values) == {"result"} else values
