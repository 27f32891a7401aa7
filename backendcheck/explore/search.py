"""The order of search: first a covering array of each target, which has every pair of choices, then random situations."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from backendcheck.explore.paths import OF_LOSSES, RULES, fits_path, shares_program
from backendcheck.explore.situation import DIMENSIONS, Situation
from backendcheck.explore.targets import Target, fits, fits_dtype

_FIELDS = ("label_values", "label_dtype", "label_shape", "sample_weight", "predictions", "mask")
_SIZES = ((4, 3), (4, 3), (4, 3), (1, 2), (3, 2), (2, 5))  # examples and classes; few, so that compiled programs serve again
_MOST_TRIES = 50
_MOST_NEIGHBORS = 12
# In a random situation of a model, each of these is usually the plainest. So what a model shows has few possible causes.
_USUALLY_PLAIN = ("mask", "outputs", "policy", "optimizer", "batch", "sample_weight", "predictions")
_PLAIN_SHARE = 0.6
_MOST_ALIKE = 7
# What changes nothing but the numbers that a model gets. Weights and masks do so among themselves, where there are some.
_OF_NUMBERS = ("label_values", "predictions")
_AMONG_THEMSELVES = {"sample_weight": ("per-example", "zero", "one-zero", "negative"), "mask": ("some", "all")}


def covering_rows(target: Target, seed: int, *, of_model: bool = False) -> list[dict[str, Any]]:
    """Rows of choices in which each sensible pair of choices occurs at least once; `of_model` as in `Target.factors`."""
    factors = target.factors(of_model=of_model)
    return [_named(row, factors) for row in _covering_numbers(target, factors, seed)]


def _named(row: Mapping[str, int], factors: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {name: choices[row.get(name, 0)] for name, choices in factors.items()}


def _covering_numbers(target: Target, factors: Mapping[str, Sequence[Any]], seed: int) -> list[dict[str, int]]:
    """The rows, with the place of each choice among those of its factor."""
    import covertable

    if not factors:
        return []
    varied = {name: list(range(len(choices))) for name, choices in factors.items() if len(choices) > 1}
    if len(varied) < 2:  # noqa: PLR2004 - a pair
        most = max(map(len, factors.values()))
        return [{name: number % len(choices) for name, choices in factors.items()} for number in range(most)]
    rows: list[dict[str, int]] = covertable.make(
        varied, strength=2, salt=str(seed), constraints=_constraints(target, factors, varied)
    )
    return rows


def _constraints(
    target: Target, factors: Mapping[str, Sequence[Any]], varied: Mapping[str, Sequence[int]]
) -> list[dict[str, Any]]:
    """What `fits` forbids, as covertable takes it: a condition on a few factors that vary."""

    def chosen(name: str, row: Mapping[str, int]) -> Any:
        return factors[name][row.get(name, 0)]

    def form_takes(name: str, row: Mapping[str, int]) -> bool:
        form, choice = target.forms[chosen("form", row)], chosen(name, row)
        in_shape = name != "label_shape" or choice in form.label_shapes
        has_value = name != "label_values" or choice not in form.without
        return in_shape and has_value and fits(form.labels, form.head, {name: choice}, of_elements=target.of_elements)

    def weight_fits(row: Mapping[str, int]) -> bool:
        form = target.forms[chosen("form", row)]
        choices = {name: chosen(name, row) for name in ("label_shape", "sample_weight")}
        return fits(form.labels, form.head, choices, of_elements=target.of_elements)

    def values_fit(row: Mapping[str, int]) -> bool:
        return fits_dtype(chosen("label_values", row), chosen("label_dtype", row))

    def mask_fits(row: Mapping[str, int]) -> bool:
        return fits_dtype(None, chosen("label_dtype", row), chosen("mask", row))

    def path_fits(names: tuple[str, str], row: Mapping[str, int]) -> bool:
        first, second = names
        return allowed[names][row.get(first, 0)][row.get(second, 0)]

    rules: list[tuple[str, str]] = [names for names, _ in RULES if "path" in factors and set(names) <= set(factors)]
    allowed = {
        names: [[fits_path(dict(zip(names, pair, strict=True))) for pair in itertools.product([choice], factors[names[1]])]
                for choice in factors[names[0]]]
        for names in rules
    }  # fmt: skip

    conditions: list[tuple[tuple[str, ...], Callable[[Mapping[str, int]], bool]]] = [
        (("form", name), partial(form_takes, name)) for name in _FIELDS if name in factors
    ]
    conditions.append((("form", "label_shape", "sample_weight"), weight_fits))
    conditions.append((("label_values", "label_dtype"), values_fit))
    if "mask" in factors:
        conditions.append((("mask", "label_dtype"), mask_fits))
    conditions += [(names, partial(path_fits, names)) for names in rules]
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
        rows: dict[str, list[dict[str, int]]] = {}
        covering = []
        generator = random.Random(seed)  # noqa: S311 - a repeatable search
        for target, of_model in itertools.product(targets, (False, True)):
            choices = target.factors(of_model=of_model)
            # Calls have each pair with an option. In a model options are drawn, so that many targets have the same rows.
            options = {name: choices[name] for name in choices if of_model and name.startswith("options.")}
            factors = {name: choices[name] for name in choices if name not in options}
            key = repr((target.forms, {**factors, "optimizer": len(factors.get("optimizer", ()))}))
            if key not in rows:
                rows[key] = _covering_numbers(target, factors, seed)
            covering.append([
                target.situation(_named(row, factors) | {name: _option(values, generator) for name, values in options.items()})
                for row in rows[key]
            ])
        return cls(targets, seed, [*covering, list(_triples(targets, seed))])

    def situations(self) -> Iterator[Situation]:
        """All situations in their order, without an end. Targets take turns, so that a short search has something of each."""
        for turn in itertools.zip_longest(*self.covering):
            yield from (situation for situation in turn if situation is not None)
        generator = random.Random(self.seed)  # noqa: S311 - a repeatable search
        while self.targets:
            for target, of_model in itertools.product(self.targets, (False, True)):
                situation = _random_situation(target, target.factors(of_model=of_model), generator)
                if situation is not None:
                    yield situation
                    yield from _alike(situation, target, generator) if of_model else ()


def _triples(targets: Sequence[Target], seed: int) -> Iterator[Situation]:
    """Situations with each sensible combination of sample weights, mask and path. The losses take turns."""
    generator = random.Random(seed)  # noqa: S311 - a repeatable search
    losses = [target for target in targets if {"mask", "path"} <= set(target.factors(of_model=True))]
    masks = [mask for mask in DIMENSIONS["mask"] if mask != "none"]
    for number, triple in enumerate(itertools.product(DIMENSIONS["sample_weight"], masks, OF_LOSSES)):
        fixed = {name: (choice,) for name, choice in zip(("sample_weight", "mask", "path"), triple, strict=True)}
        for turn in range(len(losses)):
            target = losses[(number + turn) % len(losses)]
            factors = target.factors(of_model=True)
            if any(choice not in factors[name] for name, (choice,) in fixed.items()):
                continue
            situation = _random_situation(target, {**factors, **fixed}, generator)
            if situation is not None:
                yield situation
                break


def _option(choices: Sequence[Any], generator: random.Random) -> Any:
    return choices[0] if generator.random() < _PLAIN_SHARE else generator.choice(choices)


def _random_choice(name: str, choices: Sequence[Any], generator: random.Random, *, of_model: bool) -> Any:
    usually_plain = of_model and (name in _USUALLY_PLAIN or name.startswith("options."))
    return _option(choices, generator) if usually_plain else generator.choice(choices)


def _random_situation(
    target: Target, factors: Mapping[str, Sequence[Any]], generator: random.Random
) -> Situation | None:
    of_model = "path" in factors
    for _ in range(_MOST_TRIES if factors else 0):
        row = {name: _random_choice(name, choices, generator, of_model=of_model) for name, choices in factors.items()}
        n_examples, n_classes = generator.choice(_SIZES)
        situation = target.situation({**row, "n_examples": n_examples, "n_classes": n_classes}, generator.randrange(1, 1000))
        if target.is_sensible(situation):
            return situation
    return None


def _alike(situation: Situation, target: Target, generator: random.Random) -> list[Situation]:
    """Some situations with the model of one, and other labels, weights and predictions. A leg need not compile it again."""
    if not shares_program(situation):
        return []
    factors = target.factors(of_model=True)
    varied = {name: factors[name] for name in _OF_NUMBERS}
    for name, choices in _AMONG_THEMSELVES.items():
        if getattr(situation, name) in choices:
            varied[name] = tuple(choice for choice in choices if choice in factors[name])
    alike: dict[Situation, None] = {}
    for _ in range(_MOST_TRIES):
        drawn: dict[str, Any] = {name: generator.choice(choices) for name, choices in varied.items()}
        other = replace(situation, **drawn, numbers=generator.randrange(1, 1000))
        if other != situation and target.is_sensible(other):
            alike[other] = None
        if len(alike) == _MOST_ALIKE:
            break
    return list(alike)


def neighbors(situation: Situation, target: Target) -> list[Situation]:
    """Some situations that differ from one in a single choice, the same ones each time."""
    near: dict[Situation, None] = {}
    for of_model in (False, True):
        for name, choices in target.factors(of_model=of_model).items():
            for choice in choices if name != "form" else ():
                changed = _changed(situation, name, choice)
                if changed != situation and target.is_sensible(changed):
                    near[changed] = None
    generator = random.Random(situation.key)  # noqa: S311 - a repeatable search
    return generator.sample(list(near), min(len(near), _MOST_NEIGHBORS))


def _changed(situation: Situation, name: str, choice: Any) -> Situation:
    if name.startswith("options."):
        return situation.with_option(name.removeprefix("options."), choice)
    changes: dict[str, Any] = {name: choice}
    changed = replace(situation, **changes)
    if name != "mask":
        return changed
    return changed.with_option("ignore_class", -1 if choice == "ignore-class" else ...)


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
