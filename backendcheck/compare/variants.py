"""The two oracles that need no other backend: paths and order. Each variant is held against its own recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from backendcheck.compare.arrays import Comparison, compare_observations
from backendcheck.compare.backends import not_compared
from backendcheck.compare.findings import what_came_instead
from backendcheck.compare.tolerances import Override, allowed, coarser
from backendcheck.recordings.recording import Recording, Variant
from backendcheck.vocabulary.findings import FindingKind


def compare_variants(recordings: Mapping[str, Recording], overrides: Sequence[Override] = ()) -> list[Comparison]:
    """Hold every variant of each leg against what the leg recorded; the right side is named ``jax:evaluate``."""
    found: list[Comparison] = []
    for leg, recording in recordings.items():
        for variant in recording.variants:
            found += _compare_raised(leg, recording, variant)
            found += _compare_observations(leg, recording, variant, overrides)
    return found


def _compare_observations(
    leg: str, recording: Recording, variant: Variant, overrides: Sequence[Override]
) -> Iterator[Comparison]:
    sides = (leg, f"{leg}:{variant.path}")
    for name, seen in variant.observations.items():
        base = recording.observations.get(name)
        if base is None or not_compared(name, recording):
            continue  # what is missing was raised, and is told as such
        precision = coarser(base.precision, seen.precision)
        allowance = allowed(recording.case, name, precision, recording.tolerance, overrides)
        found = compare_observations(variant.oracle, name, sides, (base, seen), allowance, recording.reference.get(name))
        for comparison in found:
            # NaN through every door is the business of the agreement oracle, and figures that Keras hands out as Python
            # floats have no dtype of their own.
            alike = comparison.kind == FindingKind.NON_FINITE and _same_non_finite(base.value, seen.value)
            if comparison.kind != FindingKind.DTYPE and not alike:
                yield comparison


def _same_non_finite(left: object, right: object) -> bool:
    return bool(np.array_equal(np.asarray(left, np.float64), np.asarray(right, np.float64), equal_nan=True))


def _compare_raised(leg: str, recording: Recording, variant: Variant) -> Iterator[Comparison]:
    """An error through one door and a number through the other."""
    raised, base_raised = variant.raised, recording.raised
    if raised is not None and not base_raised:
        message = f"{raised.type} through {variant.path}; {what_came_instead(recording)} as recorded"
    elif raised is None and base_raised and variant.observations and _covers_what_raised(recording, variant):
        message = f"{base_raised[0].type} in stage {base_raised[0].stage}; a number through {variant.path}"
    else:
        return
    yield Comparison(
        oracle=variant.oracle, observation="raised", left=leg, right=f"{leg}:{variant.path}", kind=FindingKind.RAISED,
        message=message, origin="structure",
    )  # fmt: skip


_STAGE_OF = {"loss": "loss", "metric": "metrics", "gradient": "gradient", "predictions": "forward", "train": "train"}


def _covers_what_raised(recording: Recording, variant: Variant) -> bool:
    """Whether the variant has a figure whose stage raised in the recording: otherwise both went well where they went."""
    stages = {raised.stage for raised in recording.raised}
    seen = {_STAGE_OF.get(name.partition("/")[0], "") for name in variant.observations if name not in recording.observations}
    return bool(stages & seen)
