"""`silent-acceptance`: some backends reject the labels, others go on. `never-rejected`: none rejects what should be."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from backendcheck.agreement import what_came_instead
from backendcheck.diagnose.diagnosis import Diagnosis
from backendcheck.diagnose.situation import Situation
from backendcheck.headline import listed
from backendcheck.recording import Recording

_REJECTION = re.compile(r"label|target|class|out of (bounds|range)|indices|indexing|valid range", re.IGNORECASE)


def detect(situation: Situation) -> list[Diagnosis]:
    """Claims it where one leg rejected the labels and another returned, and says what became of the labels there.

    An error counts as a rejection if the case asks for one, or if its message speaks of labels and ranges: a backend that fails
    on valid input is something else.
    """
    findings, recordings = situation.findings, situation.recordings
    throwers = [leg for leg, recording in recordings.items() if recording.raised]
    accepting = [leg for leg in recordings if leg not in throwers]
    asked = any(recording.expect is not None for recording in recordings.values())
    if not accepting or not any(
        finding.kind == "raised" and finding.oracle in ("agreement", "expectation") for finding in findings
    ):
        return []
    if not asked and not any(_REJECTION.search(recordings[leg].raised[0].message) for leg in throwers):
        return []
    evidence = {f"{leg} returned": what_came_instead(recordings[leg]) for leg in accepting}
    for leg in accepting:
        if (fate := _fate(recordings[leg])) is not None:
            evidence[f"{leg} examples"] = fate
    diagnosis = Diagnosis(
        code="silent-acceptance" if throwers else "never-rejected",
        backends=tuple(accepting),
        message=(
            f"{_who_rejects(throwers)}, {listed(accepting)} "
            f"{'goes' if len(accepting) == 1 else 'go'} on with a number. Check the data before training: "
            "a backend that accepts it trains on something else than what was meant."
        ),
        evidence=evidence,
    )
    return [diagnosis]


def _who_rejects(throwers: Sequence[str]) -> str:
    if not throwers:
        return "No backend rejects this"
    return f"{listed(throwers)} {'rejects' if len(throwers) == 1 else 'reject'} this"


def _fate(recording: Recording) -> str | None:
    """What became of single examples: no loss, no gradient, NaN, negative loss; by their positions."""
    losses = recording.observations.get("per_example_loss")
    gradient = recording.observations.get("gradient/y_pred")
    if losses is None or losses.value.ndim != 1:
        return None
    fates = []
    values = losses.value.astype(np.float64)
    for what, places in (
        ("loss NaN", np.isnan(values)), ("negative loss", values < 0), ("no loss", values == 0),
        ("no gradient", _without_gradient(gradient, len(values))),
    ):  # fmt: skip
        if places.any() and not places.all():
            fates.append(f"{what} at {', '.join(map(str, np.flatnonzero(places)[:8]))}")
    return "; ".join(fates) or None


def _without_gradient(gradient: object, n: int) -> np.ndarray:
    value = getattr(gradient, "value", None)
    if value is None or value.ndim < 1 or len(value) != n:
        return np.zeros(n, bool)
    without: np.ndarray = np.all(value.reshape(n, -1) == 0, axis=1)
    return without
