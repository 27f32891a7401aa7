"""The relations of the order oracle between a loss and the same loss in another form: their names, and what they say when broken.

A variant that checks a relation has a path such as ``example 3 with weight 0``, followed by `` (age)`` for the output of that
name. Permutations have paths of their own, which end in ``permuted`` or are about outputs in reverse.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Relation(StrEnum):
    """What must not change a loss. The value is the name under which a case may opt out."""

    BATCH_TWICE = "batch twice"
    WEIGHT_ZERO = "weight 0"
    WEIGHT_TWO = "weight 2"
    LABEL_FORM = "label form"
    FROM_LOGITS = "from_logits"
    NEW_CLASS = "new class"
    MASKED_STEP = "masked step"


# By relation: the path of its variant, in which # stands for the number of an example, and the sentence if it is broken, with
# the observation in place of {}.
_FORMS: tuple[tuple[Relation, str, str], ...] = (
    (Relation.BATCH_TWICE, "batch twice", "{} of the batch repeated twice differs from that of the batch"),
    (Relation.WEIGHT_ZERO, "example # with weight 0", "example # with weight 0 still changes {}"),
    (Relation.WEIGHT_TWO, "example # twice, weights halved", "{} counts example # differently than twice with half the weight"),
    (Relation.LABEL_FORM, "one-hot labels", "{} differs between integer labels and the same labels as one-hot rows"),
    (Relation.LABEL_FORM, "integer labels", "{} differs between one-hot rows and the same labels as integers"),
    (Relation.FROM_LOGITS, "probabilities", "{} differs between from_logits=True and the probabilities of the same logits"),
    (Relation.FROM_LOGITS, "logits", "{} differs between probabilities and from_logits=True on their logits"),
    (Relation.NEW_CLASS, "new class", "a new class that no label names changes {}"),
    (Relation.MASKED_STEP, "masked step", "a masked step still changes {}"),
)  # fmt: skip
_TOGETHER = "together: "
_OF_OUTPUT = re.compile(r" \((?P<output>.*)\)$", re.DOTALL)


def path_of(form: str, output: str = "", example: int = 0) -> str:
    """The path of the variant that checks a form, one of ``example # with weight 0``, …, ``masked step``."""
    return form.replace("#", str(example)) + (f" ({output})" if output else "")


def together(forms: list[str], output: str = "", example: int = 0) -> str:
    """The path of a variant that checks several forms with one call."""
    return _TOGETHER + path_of("; ".join(forms), output, example)


def is_relation(path: str) -> bool:
    """Whether a variant of the order oracle checks a relation, and not a permutation."""
    return bool(broken(path, ""))


def broken(path: str, observation: str) -> str:
    """What is wrong if the variant with this path differs in an observation; empty if the path is not that of a relation."""
    if path.startswith(_TOGETHER):
        forms = _OF_OUTPUT.sub("", path.removeprefix(_TOGETHER))
        return f"{observation} differs in another form that must have the same value ({forms})"
    for _, form, sentence in _FORMS:
        match = re.fullmatch(re.escape(form).replace(r"\#", r"(\d+)"), _OF_OUTPUT.sub("", path))
        if match:
            return sentence.replace("#", match[1] if match.groups() else "").format(observation)
    return ""
