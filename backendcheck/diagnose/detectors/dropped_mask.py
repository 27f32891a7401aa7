"""`dropped-mask`: a mask that layers compute does not arrive at the prediction, the loss or the metrics, or on one leg.

Only masks that were recorded are compared, entry by entry. A mask is dropped where every entry counts, and the same mask seen
elsewhere leaves entries out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backendcheck.compare.findings import Finding
from backendcheck.diagnose.evidence.diagnosis import Diagnosis, sentence
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.recordings.recording import Recording
from backendcheck.text.words import listed
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import ObservationName, Quantity

CODES = ("dropped-mask",)
_REMEDY = "Pass the mask as sample weights, or apply it inside the loss and the metric."


def detect(situation: Situation) -> list[Diagnosis]:
    """One diagnosis for each leg that drops a mask: on which paths, and how many entries then count that should not."""
    dropped: dict[str, dict[str, tuple[str, np.ndarray]]] = {}
    for finding in situation.findings:
        if ObservationName.parse(finding.observation).quantity in (Quantity.MASK, Quantity.LAYER_MASK):
            for leg, where, mask in _dropped(finding, situation):
                dropped.setdefault(leg, {}).setdefault(where, (finding.observation, mask))
    return [_diagnosis(leg, places) for leg, places in dropped.items()]


def _dropped(finding: Finding, situation: Situation) -> Iterator[tuple[str, str, np.ndarray]]:
    """Where a finding shows that a mask is dropped: the leg, the place in words, and the mask."""
    recording = situation.recordings[finding.left.leg]
    left = _mask(recording, finding.observation)
    name = ObservationName.parse(finding.observation)
    of = f" of {name.output or name.part}" if name.output or name.part else ""
    if finding.oracle is Oracle.PATHS:
        right = next(
            (
                variant.observations[finding.observation].value
                for variant in recording.variants
                if variant.path == finding.right.path and finding.observation in variant.observations
            ),
            None,
        )  # fmt: skip
        if _counts_all(right) and _leaves_out(left):
            layer = name.part.removesuffix("/input")
            place = f"{finding.right.path} {layer}" if name.part else f"{finding.right.path}{of}"
            yield finding.left.leg, f"does not reach the {place}", _array(left)
        elif _counts_all(left) and _leaves_out(right):
            yield finding.left.leg, f"{of.strip()} is lost in the precision of its layers".strip(), _array(right)
    elif finding.oracle is Oracle.AGREEMENT:
        right = _mask(situation.recordings[finding.right.leg], finding.observation)
        for leg, mask, other in ((finding.left.leg, left, right), (finding.right.leg, right, left)):
            if (mask is None or _counts_all(mask)) and _leaves_out(other):
                yield leg, f"{of.strip()} is missing".strip(), _array(other)


def _mask(recording: Recording, name: str) -> np.ndarray | None:
    observation = recording.observations.get(name)
    return None if observation is None else observation.value


def _counts_all(mask: np.ndarray | None) -> bool:
    return mask is not None and bool(mask.astype(np.bool_).all())


def _leaves_out(mask: np.ndarray | None) -> bool:
    return mask is not None and not mask.astype(np.bool_).all()


def _array(mask: np.ndarray | None) -> np.ndarray:
    return np.asarray(mask).astype(np.bool_)


def _diagnosis(leg: str, places: dict[str, tuple[str, np.ndarray]]) -> Diagnosis:
    observation, mask = next(iter(places.values()))
    text = f"on {leg} the mask {listed(list(places))} ({int((~mask).sum())} of {mask.size} entries are masked)"
    return Diagnosis(
        code="dropped-mask",
        backends=(leg,),
        message=f"{sentence(text)}. Padding then counts as labels. {_REMEDY}",
        evidence={"observation": observation, "masked": int((~mask).sum()), "of": mask.size},
        headline=f"DROPPED MASK: {text}",
        remedy=_REMEDY,
    )
