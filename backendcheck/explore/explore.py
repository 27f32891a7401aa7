"""The search: situations in batches, judged as they come, one finding for each signature, made small as soon as it is new."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backendcheck.explore.causes import cause_of
from backendcheck.explore.judging import Judge, Sighting, Signature
from backendcheck.explore.legs import BATCH, Legs
from backendcheck.explore.search import Pairs, Plan, neighbors
from backendcheck.explore.shrink import shrink
from backendcheck.explore.situation import DIMENSIONS, Situation
from backendcheck.recordings.recording import Recording

_CONTROL = "keras.losses.MeanSquaredError"  # takes most labels


@dataclass(slots=True, eq=False)
class Found:
    """A finding: the smallest sighting of one signature, how often it was seen, and when first.

    since: the first release of Keras in which it shows, of those tried. not_in: the release before, if it does not show there.
    """

    sighting: Sighting
    hits: int = 1
    first_s: float = 0.0
    script: str = ""
    case: str = ""
    confirmed: int = 0
    known: str | None = None
    since: str | None = None
    not_in: str | None = None


@dataclass(slots=True, eq=False)
class Exploration:
    """What a search has found so far.

    found: by signature. One that became another in the smallest situation stands beside that one, with the same finding.
    """

    seed: int
    n_situations: int = 0
    found: dict[Signature, Found] = field(default_factory=dict)
    seconds: float = 0.0
    n_unconfirmed: int = 0
    n_neighbors: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[Found]:
        """Each finding once."""
        return list({id(finding): finding for finding in self.found.values()}.values())

    def drop(self, dropped: Found) -> None:
        """Leave a finding out."""
        self.found = {signature: finding for signature, finding in self.found.items() if finding is not dropped}
        self.n_unconfirmed += 1


class Search:
    """Goes through the situations of a plan, until a number of situations or of seconds is reached."""

    def __init__(self, legs: Legs, plan: Plan, exploration: Exploration, report: Callable[[str], None]) -> None:
        self.legs = legs
        self.plan = plan
        self.judge = Judge(legs, {target.name: target.kind for target in plan.targets})
        self.pairs = Pairs(plan)
        self.exploration = exploration
        self.report = report
        self.targets = {target.name: target for target in plan.targets}
        self.n_restarts_before = 0
        self.ends_at = math.inf
        self.started_at = time.monotonic()  # less the seconds of earlier sessions
        self.near: list[Situation] = []  # neighbors of new findings, to be tried next

    def run(self, *, n_situations: int | None, budget_s: float | None) -> None:
        """Search from where the exploration is."""
        began, before = time.monotonic(), self.exploration.seconds
        self.started_at = began - before
        self.ends_at = math.inf if budget_s is None else began + budget_s - before
        done = self.exploration.n_situations
        order = self.plan.situations()
        for situation in itertools.islice(order, done):
            self.pairs.note(situation)
        coming = _batches(itertools.islice(order, None if n_situations is None else max(0, n_situations - done)))
        batch = next(coming, [])
        self._submit(batch)
        while batch:
            recordings = [self.legs.next_recordings() for _ in batch]
            following = self._next_after(coming, budget_s, before, began)
            self._submit(following)
            seen = self._judged(batch, recordings)
            if seen and following:  # a second look needs the legs, which have this batch to answer first
                answered = [self.legs.next_recordings() for _ in following]
                self._note(seen, len(batch))
                self._note(self._judged(following, answered), len(following))
                self._look_around()
                batch = self._next_after(coming, budget_s, before, began)
                self._submit(batch)
            else:
                self._note(seen, len(batch))
                self._look_around()
                batch = following
        self.exploration.seconds = before + time.monotonic() - began

    def _next_after(
        self, coming: Iterator[list[Situation]], budget_s: float | None, before: float, began: float
    ) -> list[Situation]:
        self.exploration.seconds = before + time.monotonic() - began
        return [] if budget_s is not None and self.exploration.seconds >= budget_s else next(coming, [])

    def _judged(self, batch: Sequence[Situation], recordings: Sequence[Mapping[str, Recording]]) -> list[Sighting]:
        """What a batch shows at a first look."""
        for situation in batch:
            self.pairs.note(situation)
        return self._first_looks(batch, recordings)

    def _first_looks(self, situations: Sequence[Situation], recordings: Sequence[Mapping[str, Recording]]) -> list[Sighting]:
        looks = [
            self.judge.sighting(situation, of_legs, look_again=False)
            for situation, of_legs in zip(situations, recordings, strict=True)
        ]
        return [sighting for sighting in looks if sighting is not None]

    def _submit(self, batch: Sequence[Situation]) -> None:
        for situation in batch:
            self.legs.submit(self.judge.request(situation))

    def _note(self, sightings: Sequence[Sighting], n_situations: int) -> None:
        """Count what is known, look again at what is new, and make that small. The legs have nothing else to answer.

        The situations of the batch then count as done, so that a search that goes on misses none.
        """
        for first in sightings:
            if (known := self.exploration.found.get(first.signature)) is not None:
                known.hits += 1
                continue
            sighting = self._looked_at_again(first)
            if sighting is None:
                continue
            if (known := self.exploration.found.get(sighting.signature)) is not None:
                known.hits += 1
                continue
            known = self._with_the_cause_of(sighting)
            if known is not None and not _has_simpler_path(sighting, known.sighting):
                known.hits += 1
                self.exploration.found[sighting.signature] = known
                continue
            small = self._shrunk(sighting) if sighting.result is not None else sighting
            if self._is_of_keras(small):
                self.judge.counts.dismissed["a loss of Keras shows the same"] += 1
                continue
            alike = self.exploration.found.get(small.signature) or self._with_the_cause_of(small)
            if alike is not None and _has_simpler_path(small, alike.sighting):
                alike.sighting = small
            if alike is None:
                alike = Found(sighting=small, hits=0, first_s=time.monotonic() - self.started_at)
                self.report(f"{small.situation.target}: {small.headline}")
                self.near += neighbors(small.situation, self.targets[small.situation.target])
            alike.hits += 1
            self.exploration.found[small.signature] = self.exploration.found[sighting.signature] = alike
        self.exploration.n_situations += n_situations

    def _looked_at_again(self, first: Sighting) -> Sighting | None:
        """What a sighting is at a second look; of a crash or a hang, in the process that was started anew."""
        if first.result is not None:
            return self.judge.sighting(first.situation, first.recordings)
        with self.judge.not_counting():
            (again,) = self.judge.sightings([first.situation])
        if again is None or again.signature != first.signature:
            self.judge.counts.dismissed["crashed or hung once"] += 1
            return None
        return again

    def _with_the_cause_of(self, sighting: Sighting) -> Found | None:
        """The finding with the same cause, of another signature."""
        cause = cause_of(sighting)
        alike = (finding for finding in self.exploration.findings if cause is not None and cause_of(finding.sighting) == cause)
        return next(alike, None)

    def _look_around(self) -> None:
        """Judge the neighbors of new findings, but not the neighbors of those. The legs have nothing else to answer."""
        near = list(dict.fromkeys(self.near))
        if not near or time.monotonic() > self.ends_at:
            return
        self.exploration.n_neighbors += len(near)
        recordings = self.legs.observe([self.judge.request(situation) for situation in near])
        with self.judge.not_counting():
            self._note(self._first_looks(near, recordings), 0)
        self.near = []

    def _is_of_keras(self, sighting: Sighting) -> bool:
        """Whether a loss of Keras shows, on the same path, what a model with a loss of the user's own shows."""
        situation, signature = sighting.situation, sighting.signature
        if situation.target.startswith("keras.") or situation.path == "call":
            return False
        control = replace(situation, target=_CONTROL, options=())
        (seen,) = self.judge.sightings([control])
        return seen is not None and replace(seen.signature, target=signature.target) == signature

    def _shrunk(self, sighting: Sighting) -> Sighting:
        smallest = {sighting.situation: sighting}
        tried: set[Situation] = set()

        def first_that_shows(candidates: list[Situation]) -> Situation | None:
            untried = [candidate for candidate in candidates if candidate not in tried]
            for several in _at_once(untried):
                if time.monotonic() > self.ends_at:
                    return None
                tried.update(several)
                recordings = self.legs.observe([self.judge.request(each) for each in several])
                for seen in self._first_looks(several, recordings):
                    if not sighting.signature.is_like(seen.signature):
                        continue
                    again = self.judge.sighting(seen.situation, seen.recordings)  # the second look, which costs most
                    if again is not None and sighting.signature.is_like(again.signature):
                        smallest[again.situation] = again
                        return again.situation
            return None

        with self.judge.not_counting():
            return smallest[shrink(sighting.situation, self.targets[sighting.situation.target], first_that_shows)]


def _has_simpler_path(sighting: Sighting, other: Sighting) -> bool:
    paths = DIMENSIONS["path"]
    return paths.index(sighting.situation.path) < paths.index(other.situation.path)


def _at_once(candidates: Sequence[Situation]) -> list[list[Situation]]:
    """Candidates that are recorded before the first is judged: calls all at once, and models, which cost most, one by one."""
    calls = [candidate for candidate in candidates if candidate.path == "call"]
    return [*([calls] if calls else []), *([candidate] for candidate in candidates if candidate.path != "call")]


def _batches(situations: Iterator[Situation]) -> Iterator[list[Situation]]:
    while batch := list(itertools.islice(situations, BATCH)):
        yield batch


def go_on_counting(search: Search, earlier: Mapping[str, Any]) -> None:
    """Count on from the summary of an earlier search."""
    counts = search.judge.counts
    counts.unsupported, counts.crashed = earlier["unsupported"], earlier["crashed"]
    counts.dismissed = Counter(earlier["dismissed"])
    search.n_restarts_before = earlier["restarts"]


def summary(search: Search) -> dict[str, Any]:
    """What a search has done, in numbers."""
    counts = search.judge.counts
    return {
        "compared": max(0, search.exploration.n_situations - counts.not_compared),
        "pairs_covered": round(search.pairs.share, 4), "unsupported": counts.unsupported, "crashed": counts.crashed,
        "dismissed": dict(counts.dismissed), "restarts": search.n_restarts_before + search.legs.n_restarts,
    }  # fmt: skip
