"""Make a program smaller while it shows the same: greedy, bounded in time, the smallest so far wins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from backendcheck.compare.tolerances import Override
from backendcheck.recordings.recording import Recording
from backendcheck.repro.program import Program, written
from backendcheck.repro.reduce_data import fewer_classes, fewer_examples, fewer_options, simpler_numbers
from backendcheck.repro.reduce_model import fewer_layers, fewer_outputs, narrower, weights_by_rule, without_names
from backendcheck.repro.reduce_source import smaller_source
from backendcheck.repro.target_finding import Symptom, symptom_of
from backendcheck.text.literals import NotWritable
from backendcheck.vocabulary.findings import Oracle

_STEPS: Mapping[tuple[str, str], Sequence[Callable[[Program], Iterator[Program]]]] = {
    ("loss", "objects"): (fewer_options, fewer_examples, fewer_classes, simpler_numbers),
    ("model", "objects"): (
        fewer_options, weights_by_rule, fewer_examples, fewer_outputs, fewer_layers, narrower, simpler_numbers, without_names,
    ),
}  # fmt: skip


class Records(Protocol):
    """Whoever records a program on every backend."""

    broken: str

    def observe(self, program: Program, source: str, wanted: Mapping[str, Any]) -> dict[str, Recording] | None: ...


@dataclass(slots=True, eq=False)
class Reduction:
    """A reduction under way: what has to stay, the smallest program so far with its recordings, what was tried."""

    bench: Records
    wanted: Mapping[str, Any]
    overrides: Sequence[Override] = ()
    program: Program | None = None
    symptom: Symptom | None = None
    recordings: Mapping[str, Recording] = field(default_factory=dict)
    n_tried: int = 0
    ended: str = ""
    _seen: set[str] = field(default_factory=set)
    _held: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)

    def begin(self, program: Program, like: Symptom, *, any_diagnosis: bool = False) -> bool:
        """Whether `program`, as it is, shows what `like` says; if so, it is what gets smaller."""
        try:
            source = written(program).source
        except NotWritable:
            return False
        recordings = self.bench.observe(program, source, self.wanted)
        found = symptom_of(recordings, self.overrides, like) if recordings else None
        if recordings is None or found is None or found.sides != like.sides or found.raised.keys() != like.raised.keys():
            return False
        if found.diagnosis != like.diagnosis and not any_diagnosis:
            return False
        self.program, self.symptom, self.recordings = program, found, recordings
        self._held = _held(found, recordings)
        return True

    def run(self, seconds: float) -> None:
        """Make the program smaller until nothing helps or the time is up. Ctrl-C ends it, and what there is stays."""
        deadline = time.monotonic() + seconds
        try:
            while self._pass(deadline):
                pass
        except KeyboardInterrupt:
            self.ended = "interrupted"

    def _pass(self, deadline: float) -> bool:
        """One round of all steps; whether any of them made it smaller."""
        changed = False
        if self.program is None:
            return False
        for step in _STEPS.get((self.program.kind, self.program.form), (smaller_source,)):
            while self._step(step, deadline):
                changed = True
            if self.ended:
                return False
        return changed

    def _step(self, step: Callable[[Program], Iterator[Program]], deadline: float) -> bool:
        assert self.program is not None  # noqa: S101 - begin has seen to it
        for candidate in step(self.program):
            if time.monotonic() > deadline:
                self.ended = "out of time"
                return False
            if self._try(candidate):
                return True
            if self.bench.broken:
                self.ended = self.bench.broken
                return False
        return False

    def _try(self, candidate: Program) -> bool:
        try:
            source = written(candidate).source
        except (NotWritable, SyntaxError):
            return False
        if source in self._seen:
            return False
        self._seen.add(source)
        self.n_tried += 1
        recordings = self.bench.observe(candidate, source, self.wanted)
        if not recordings or self.symptom is None:
            return False
        found = symptom_of(recordings, self.overrides, self.symptom)
        if found is None or not found.same_as(self.symptom) or not _holds(self._held, recordings):
            return False
        self.program, self.recordings = candidate, recordings
        self.symptom = found
        return True


def _held(symptom: Symptom, recordings: Mapping[str, Recording]) -> dict[str, dict[str, np.ndarray]]:
    """Values that have to stay, because what is right of them is known for these very numbers and no others."""
    name = symptom.finding.observation
    if symptom.finding.oracle == Oracle.REFERENCE and any(name in one.reference for one in recordings.values()):
        names = [name]
    elif not symptom.grounded:
        names = list(next(iter(recordings.values())).observations)[:2]
    else:
        return {}
    return {
        leg: {one: recording.observations[one].value for one in names if one in recording.observations}
        for leg, recording in recordings.items()
    }


def _holds(held: Mapping[str, Mapping[str, np.ndarray]], recordings: Mapping[str, Recording]) -> bool:
    for leg, values in held.items():
        for name, value in values.items():
            seen = recordings[leg].observations.get(name)
            if seen is None or seen.value.shape != value.shape:
                return False
            if object in (seen.value.dtype, value.dtype):
                if not np.array_equal(seen.value, value):
                    return False
            elif not np.allclose(seen.value.astype(np.float64), value.astype(np.float64), rtol=1e-6, atol=1e-7, equal_nan=True):
                return False
    return True
