"""What the predictions of an output decide on two legs: a class, or yes and no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backendcheck.recordings.recording import Recording
from backendcheck.report.views.examples import label_words
from backendcheck.report.views.values import class_names
from backendcheck.vocabulary.observations import Quantity, of_output

MOST_EXAMPLES = 12
_BINARY = ("binary_crossentropy", "binary_focal_crossentropy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The decisions of one output: of how many elements, how many are the same, and those that change.

    `rule` is how they are taken from the predictions. `changed` has the place, and the decision on the old and the new leg.
    """

    output: str
    rule: str
    n: int
    n_same: int
    changed: tuple[tuple[str, str, str], ...] = ()

    @property
    def share(self) -> str:
        """``254 of 256 (99.2 %)``. Only all of them are 100 %."""
        percent = 100.0 if self.n_same == self.n else min(99.9, 100 * self.n_same / self.n)
        return f"{self.n_same} of {self.n} ({percent:.3g} %)"


def decisions_of(old: Recording, new: Recording, output: str) -> Decisions | None:
    """The decisions of an output; None for one that decides nothing, such as a regression."""
    classes = of_output(Quantity.PREDICTED_CLASS, output)
    name = of_output(Quantity.PREDICTIONS, output)
    words: Sequence[str] = ()
    if classes in old.observations and classes in new.observations:
        left, right, rule = old.observations[classes].value, new.observations[classes].value, "the class with the largest score"
        words = class_names(classes, old)
    else:
        threshold = _threshold(old.losses.get(output, {}))
        if threshold is None:
            return None
        left, right = (recording.observations[name].value > threshold for recording in (old, new))
        rule = f"predictions above {threshold:g}"
    if left.shape != right.shape or not left.size:
        return None
    differing = np.argwhere(left != right)
    changed = tuple(
        (", ".join(map(str, place)), _decided(words, left[tuple(place)]), _decided(words, right[tuple(place)]))
        for place in differing[:MOST_EXAMPLES].tolist()
    )
    return Decisions(output=output, rule=rule, n=left.size, n_same=left.size - len(differing), changed=changed)


def _threshold(loss: Mapping[str, Any]) -> float | None:
    """Where a binary output is decided: 0 for logits, 0.5 for probabilities; None if the loss is no binary one."""
    if loss.get("name") not in _BINARY:
        return None
    return 0.0 if loss.get("options", {}).get("from_logits") else 0.5


def _decided(words: Sequence[str], value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool | np.bool_) else label_words(words, value)
