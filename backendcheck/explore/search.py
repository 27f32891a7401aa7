"""The order of search: first a covering array of each target, which has every pair of choices, then random situations."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from backendcheck.explore.situation import Situation
from backendcheck.explore.targets import Target, fits, fits_dtype

_FIELDS = ("label_values", "label_dtype", "label_shape", "sample_weight", "predictions", "mask")
_SIZES = ((4, 3), (4, 3), (4, 3), (1, 2), (3, 2), (2, 5))  # examples and classes; few, so that compiled programs serve again
_MOST_TRIES = 50


def covering_rows(target: Target, seed: int) -> list[dict[str, Any]]:
    """Rows of choices in which each sensible pair of choices occurs at least once."""
    import covertable

    factors = target.factors()
    varied = {name: list(range(len(choices))) for name, choices in factors.items() if len(choices) > 1}
    if len(varied) < 2:  # noqa: PLR2004 - a pair
        return [
            {name: choices[number % len(choices)] for name, choices in factors.items()}
            for number in range(max(map(len, factors.values())))
        ]
    rows: list[dict[str, int]] = covertable.make(
        varied, strength=2, salt=str(seed), constraints=_constraints(target, factors, varied)
    )
    return [{name: choices[row.get(name, 0)] for name, choices in factors.items()} for row in rows]


def _constraints(
    target: Target, factors: Mapping[str, Sequence[Any]], varied: Mapping[str, Sequence[int]]
) -> list[dict[str, Any]]:
    """What `fits` forbids, as covertable takes it: a condition on a few factors that vary."""

    def chosen(name: str, row: Mapping[str, int]) -> Any:
        return factors[name][row.get(name, 0)]

    def form_takes(name: str, row: Mapping[str, int]) -> bool:
        form, choice = target.forms[chosen("form", row)], chosen(name, row)
        in_shape = name != "label_shape" or choice in form.label_shapes
        return in_shape and fits(form.labels, form.head, {name: choice})

    def weight_fits(row: Mapping[str, int]) -> bool:
        form = target.forms[chosen("form", row)]
        return fits(form.labels, form.head, {name: chosen(name, row) for name in ("label_shape", "sample_weight")})

    def values_fit(row: Mapping[str, int]) -> bool:
        return fits_dtype(chosen("label_values", row), chosen("label_dtype", row))

    def mask_fits(row: Mapping[str, int]) -> bool:
        return fits_dtype(None, chosen("label_dtype", row), chosen("mask", row))

    conditions: list[tuple[tuple[str, ...], Callable[[Mapping[str, int]], bool]]] = [
        (("form", name), partial(form_takes, name)) for name in _FIELDS if name in factors
    ]
    conditions.append((("form", "label_shape", "sample_weight"), weight_fits))
    conditions.append((("label_values", "label_dtype"), values_fit))
    if "mask" in factors:
        conditions.append((("mask", "label_dtype"), mask_fits))
    return [
        {"operator": "fn", "requires": required, "evaluate": evaluate}
        for names, evaluate in conditions
        if (required := [name for name in names if name in varied])
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The order of a search over some targets. The same targets and seed give the same one.

    covering: the covering array of each target, as situations.
    """

    targets: Sequence[Target]
    seed: int
    covering: Sequence[Sequence[Situation]]

    @classmethod
    def of(cls, targets: Sequence[Target], seed: int) -> Self:
        rows: dict[str, list[dict[str, Any]]] = {}
        covering = []
        for target in targets:
            key = repr((target.kind, target.forms, target.factors()))  # many targets take the same
            if key not in rows:
                rows[key] = covering_rows(target, seed)
            covering.append([target.situation(row) for row in rows[key]])
        return cls(targets, seed, covering)

    def situations(self) -> Iterator[Situation]:
        """All situations in their order, without an end. Targets take turns, so that a short search has something of each."""
        for turn in itertools.zip_longest(*self.covering):
            yield from (situation for situation in turn if situation is not None)
        generator = random.Random(self.seed)  # noqa: S311 - a repeatable search
        while self.targets:
            for target in self.targets:
                situation = _random_situation(target, generator)
                if situation is not None:
                    yield situation


def _random_situation(target: Target, generator: random.Random) -> Situation | None:
    factors = target.factors()
    for _ in range(_MOST_TRIES):
        row = {name: generator.choice(choices) for name, choices in factors.items()}
        n_examples, n_classes = generator.choice(_SIZES)
        situation = target.situation({**row, "n_examples": n_examples, "n_classes": n_classes}, generator.randrange(1, 1000))
        if target.is_sensible(situation):
            return situation
    return None


class Pairs:
    """The pairs of choices that a search has covered, of all that are sensible."""

    def __init__(self, plan: Plan) -> None:
        self.wanted = {pair for situations in plan.covering for situation in situations for pair in _pairs(situation)}
        self.covered: set[Any] = set()

    def note(self, situation: Situation) -> None:
        self.covered |= _pairs(situation) & self.wanted

    @property
    def share(self) -> float:
        """The covered part, from 0 to 1."""
        return len(self.covered) / len(self.wanted) if self.wanted else 1.0


def _pairs(situation: Situation) -> set[Any]:
    return {(situation.target, *pair) for pair in itertools.combinations(situation.choices(), 2)}
