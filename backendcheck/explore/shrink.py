"""Make the situation of a finding smaller: toward valid labels, no weights, float32, a plain call, one example, two classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from backendcheck.explore.situation import DIMENSIONS, Situation
from backendcheck.explore.targets import Target

# Only a model has these, so they are left out together, with the model, or each before the path.
_OF_MODEL: dict[str, Any] = {"optimizer": "none", "outputs": "one", "policy": "float32", "mask": "none"}
# Those that matter to a reader come first. The labels and the head stay as they are.
_ORDER = (
    "outputs", "policy", "mask", "path", "sample_weight", "batch", "predictions", "label_values", "label_shape", "label_dtype",
)  # fmt: skip
# What is special there may be the finding. It is left out or stays, and does not become something else that is special.
_SPECIAL = ("label_values", "predictions", "sample_weight", "mask")
_SIMPLE_DTYPES = {"integer": ("int32", "int64", "float32", "uint8"), "sequence": ("int32", "float32")}
_FEW_EXAMPLES = (1, 2, 3)
_FEW_CLASSES = (2, 3)

FirstThatShows = Callable[[list[Situation]], Situation | None]


def smaller(situation: Situation, target: Target) -> Iterator[list[Situation]]:
    """Situations that are simpler in one dimension, dimension by dimension; of each, the simplest first."""
    called = replace(situation, **_OF_MODEL, path="call")
    yield [called] if situation.path != "call" else []
    yield [replace(situation, optimizer="none")] if situation.optimizer != "none" else []
    for name in _ORDER:
        choices = DIMENSIONS[name]
        if name == "label_dtype":
            choices = (*_SIMPLE_DTYPES.get(situation.labels, ("float32", "int32")),)
        value = getattr(situation, name)
        simpler = choices[: choices.index(value)] if value in choices else choices
        if name in _SPECIAL:
            simpler = simpler[:1]
        yield [_with(situation, name, choice) for choice in simpler]
    for name, value in situation.options:
        kept = {option for form in target.forms for option in form.options} | set(target.required)
        if name not in kept and value is not ... and ... in target.options.get(name, (...,)):
            yield [situation.with_option(name, ...)]
    yield [replace(situation, n_classes=n) for n in _FEW_CLASSES if n < situation.n_classes]
    yield [replace(situation, n_examples=n) for n in _FEW_EXAMPLES if n < situation.n_examples]
    yield [replace(situation, numbers=0)] if situation.numbers else []


def _with(situation: Situation, name: str, choice: str) -> Situation:
    changes: dict[str, Any] = {name: choice}
    return replace(situation, **changes)


def shrink(situation: Situation, target: Target, first_that_shows: FirstThatShows) -> Situation:
    """The smallest situation on the way down that still shows the finding. `first_that_shows` chooses one of several, or none."""
    is_smaller = True
    while is_smaller:
        is_smaller = False
        n_steps = sum(1 for _ in smaller(situation, target))
        for number in range(n_steps):
            steps = list(smaller(situation, target))
            if number >= len(steps):
                break
            candidates = [candidate for candidate in steps[number] if target.is_sensible(candidate)]
            chosen = first_that_shows(candidates) if candidates else None
            if chosen is not None:
                situation, is_smaller = chosen, True
    return situation
