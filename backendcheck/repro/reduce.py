"""Make a program smaller while it shows the same finding. The search is greedy and bounded in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from backendcheck.compare.tolerances import Override
from backendcheck.recordings.recording import Recording
from backendcheck.repro.program import Program, write_program
from backendcheck.repro.reduce_data import fewer_classes, fewer_examples, fewer_options, simpler_numbers
from backendcheck.repro.reduce_model import fewer_layers, fewer_outputs, narrower, weights_by_rule, without_names
from backendcheck.repro.reduce_source import smaller_source
from backendcheck.repro.target_finding import TargetFinding, target_finding_of
from backendcheck.text.literals import NotWritable
from backendcheck.vocabulary.findings import Oracle

_STEPS: Mapping[tuple[str, str], Sequence[Callable[[Program], Iterator[Program]]]] = {
    ("loss", "objects"): (fewer_options, fewer_examples, fewer_classes, simpler_numbers),
    ("model", "objects"): (
        fewer_options, weights_by_rule, fewer_examples, fewer_outputs, fewer_layers, narrower, simpler_numbers, without_names,
    ),
}  # fmt: skip


class Recorder(Protocol):
    """Records a program on every backend."""

    broken: str

    def observe(self, program: Program, source: str, options: Mapping[str, Any]) -> dict[str, Recording] | None: ...


@dataclass(slots=True, eq=False)
class Reduction:
    """A reduction: what must stay the same, the smallest program so far with its recordings, and what was tried."""

    recorder: Recorder
    options: Mapping[str, Any]
    overrides: Sequence[Override] = ()
    program: Program | None = None
    target: TargetFinding | None = None
    recordings: Mapping[str, Recording] = field(default_factory=dict)
    n_tried: int = 0
    ended: str = ""
    _tried: set[str] = field(default_factory=set)
    _fixed: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)

    def begin(self, program: Program, like: TargetFinding, *, any_diagnosis: bool = False) -> bool:
        """Start from `program` if it shows the finding `like`; returns whether it does."""
        try:
            source = write_program(program).source
        except NotWritable:
            return False
        recordings = self.recorder.observe(program, source, self.options)
        target = target_finding_of(recordings, self.overrides, like) if recordings else None
        if recordings is None or target is None or target.sides != like.sides or target.raised.keys() != like.raised.keys():
            return False
        if target.diagnosis != like.diagnosis and not any_diagnosis:
            return False
        self.program, self.target, self.recordings = program, target, recordings
        self._fixed = _fixed_values(target, recordings)
        return True

    def run(self, seconds: float) -> None:
        """Make the program smaller until no step helps or the time is up. Ctrl-C ends the reduction and keeps its result."""
        deadline = time.monotonic() + seconds
        try:
            while self._pass(deadline):
                pass
        except KeyboardInterrupt:
            self.ended = "interrupted"

    def _pass(self, deadline: float) -> bool:
        """Try all steps once; returns whether one of them made the program smaller."""
        changed = False
        if self.program is None:
            return False
        for step in _STEPS.get((self.program.case_type, self.program.form), (smaller_source,)):
            while self._step(step, deadline):
                changed = True
            if self.ended:
                return False
        return changed

    def _step(self, step: Callable[[Program], Iterator[Program]], deadline: float) -> bool:
        assert self.program is not None  # noqa: S101 - set by begin
        for candidate in step(self.program):
            if time.monotonic() > deadline:
                self.ended = "out of time"
                return False
            if self._try(candidate):
                return True
            if self.recorder.broken:
                self.ended = self.recorder.broken
                return False
        return False

    def _try(self, candidate: Program) -> bool:
        try:
            source = write_program(candidate).source
        except (NotWritable, SyntaxError):
            return False
        if source in self._tried:
            return False
        self._tried.add(source)
        self.n_tried += 1
        recordings = self.recorder.observe(candidate, source, self.options)
        if not recordings or self.target is None:
            return False
        target = target_finding_of(recordings, self.overrides, self.target)
        if target is None or not target.same_as(self.target) or not _has_values(self._fixed, recordings):
            return False
        self.program, self.recordings = candidate, recordings
        self.target = target
        return True


def _fixed_values(target: TargetFinding, recordings: Mapping[str, Recording]) -> dict[str, dict[str, np.ndarray]]:
    """Values that must not change, because the correct value is known for these numbers only."""
    name = target.finding.observation
    if target.finding.oracle == Oracle.REFERENCE and any(name in recording.reference for recording in recordings.values()):
        names = [name]
    elif not target.grounded:
        names = list(next(iter(recordings.values())).observations)[:2]
    else:
        return {}
    return {
        leg: {fixed: recording.observations[fixed].value for fixed in names if fixed in recording.observations}
        for leg, recording in recordings.items()
    }


def _has_values(fixed: Mapping[str, Mapping[str, np.ndarray]], recordings: Mapping[str, Recording]) -> bool:
    for leg, values in fixed.items():
        for name, value in values.items():
            observation = recordings[leg].observations.get(name)
            if observation is None or observation.value.shape != value.shape:
                return False
            now = observation.value
            if object in (now.dtype, value.dtype):
                if not np.array_equal(now, value):
                    return False
            elif not np.allclose(now.astype(np.float64), value.astype(np.float64), rtol=1e-6, atol=1e-7, equal_nan=True):
                return False
    return True
