import itertools
from dataclasses import replace

import pytest

from backendcheck.explore.judging import request_of
from backendcheck.explore.keras_targets import keras_targets
from backendcheck.explore.search import Pairs, Plan, covering_rows, neighbors
from backendcheck.explore.shrink import shrink
from backendcheck.explore.situation import Situation
from backendcheck.explore.targets import fits, fits_dtype
from backendcheck.reference import covered, covered_metrics

_BY_NAME = {target.name: target for target in keras_targets()}


def test_every_loss_and_metric_with_a_reference_is_a_target():
    names = {name.rpartition(".")[2] for name in _BY_NAME}
    assert len([name for name in _BY_NAME if name.startswith("keras.losses.")]) == len(covered()) == 22
    assert set(covered_metrics()) - names == {"MeanMetricWrapper"}


@pytest.mark.parametrize("name", ["keras.losses.SparseCategoricalCrossentropy", "keras.losses.Circle", "keras.metrics.Sum"])
def test_the_covering_array_has_every_sensible_pair_of_choices(name):
    target = _BY_NAME[name]
    rows = covering_rows(target, seed=0)
    assert all(target.is_sensible(target.situation(row)) for row in rows)
    factors = target.factors()
    present = {(pair, tuple(row[factor] for factor in pair)) for row in rows for pair in itertools.combinations(factors, 2)}
    for pair in itertools.combinations(factors, 2):
        for choices in itertools.product(*(factors[factor] for factor in pair)):
            if _can_occur(target, dict(zip(pair, choices, strict=True))):
                assert (pair, choices) in present


def _can_occur(target, chosen):
    """Whether some form takes both choices, whatever the other dimensions are."""
    numbers = [chosen["form"]] if "form" in chosen else range(len(target.forms))
    factors = target.factors()
    names = ("label_values", "label_dtype", "label_shape", "sample_weight", "predictions", "mask")
    choices = {name: chosen[name] for name in names if name in chosen}
    dtypes = [choices["label_dtype"]] if "label_dtype" in choices else factors["label_dtype"]
    values = [choices["label_values"]] if "label_values" in choices else factors["label_values"]
    for number in numbers:
        form = target.forms[number]
        shapes = [choices["label_shape"]] if "label_shape" in choices else form.label_shapes
        for shape in shapes:
            here = {**choices, "label_shape": shape}
            if shape not in form.label_shapes or not fits(form.labels, form.head, here, of_elements=target.of_elements):
                continue
            if any(
                fits_dtype(value, dtype, choices.get("mask")) and fits(form.labels, form.head, {"label_dtype": dtype})
                and fits(form.labels, form.head, {"label_values": value})
                for dtype in dtypes for value in values
            ):  # fmt: skip
                return True
    return False


def test_the_same_seed_gives_the_same_situations_and_another_seed_others():
    targets = [_BY_NAME["keras.losses.Hinge"], _BY_NAME["keras.metrics.Mean"]]

    def first(seed):
        return list(itertools.islice(Plan.of(targets, seed).situations(), 400))

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert all(_BY_NAME[situation.target].is_sensible(situation) for situation in first(1))


def test_the_share_of_covered_pairs_grows_to_one_with_the_covering_array():
    plan = Plan.of([_BY_NAME["keras.losses.Poisson"]], seed=0)
    pairs = Pairs(plan)
    assert pairs.share == 0
    for number, situation in enumerate(itertools.chain.from_iterable(plan.covering)):
        pairs.note(situation)
        assert 0 < pairs.share <= 1 or number
    assert pairs.share == 1


def test_neighbors_differ_in_one_choice_and_are_the_same_each_time():
    target = _BY_NAME["keras.losses.SparseCategoricalCrossentropy"]
    start = Situation(target=target.name, labels="integer", head="softmax", label_values="negative", label_dtype="int32")
    near = neighbors(start, target)
    assert len(near) == len(set(near)) == 12
    assert near == neighbors(start, target)
    for situation in near:
        assert target.is_sensible(situation)
        differing = {name for (name, choice) in situation.choices() if (name, choice) not in start.choices()}
        assert len(differing - {"options.ignore_class"}) <= 1


@pytest.mark.parametrize("name", ["keras.metrics.Mean", "keras.metrics.Sum"])
def test_no_model_has_a_metric_that_takes_values_alone(name):
    target = _BY_NAME[name]
    assert target.factors(of_model=True) == {}
    situations = list(itertools.islice(Plan.of([target], seed=0).situations(), 300))
    assert {situation.path for situation in situations} == {"call"}


# --- shrinking ---------------------------------------------------------------------------------------------------

_LARGE = Situation(
    target="keras.losses.SparseCategoricalCrossentropy", labels="integer", head="softmax", label_values="negative",
    label_dtype="int64", label_shape="(N,T)", sample_weight="one-zero", predictions="saturated", numbers=7,
    options=(("reduction", "sum"),),
)  # fmt: skip


def _shrunk(shows):
    def first_that_shows(candidates):
        return next((candidate for candidate in candidates if shows(candidate)), None)

    return shrink(_LARGE, _BY_NAME[_LARGE.target], first_that_shows)


def test_what_always_shows_shrinks_to_one_plain_example_of_two_classes():
    small = _shrunk(lambda _: True)
    assert small == Situation(
        target=_LARGE.target, labels="integer", head="softmax", label_dtype="int32", n_examples=1, n_classes=2,
    )  # fmt: skip


def test_what_the_finding_needs_stays():
    small = _shrunk(lambda candidate: candidate.label_values == "negative" and candidate.n_examples >= 2)
    assert (small.label_values, small.n_examples, small.sample_weight, small.options) == ("negative", 2, "none", ())


def test_what_never_shows_again_stays_as_it_was():
    assert _shrunk(lambda _: False) == _LARGE


def test_a_special_value_never_becomes_another_special_value():
    tried = []
    _shrunk(lambda candidate: tried.append(candidate) or False)
    assert {candidate.label_values for candidate in tried} == {"negative", "valid"}


def test_only_sensible_situations_are_tried():
    tried = []
    _shrunk(lambda candidate: tried.append(candidate) or True)
    assert all(_BY_NAME[_LARGE.target].is_sensible(candidate) for candidate in tried)


def test_random_models_come_in_groups_that_share_their_program():
    target = next(target for target in keras_targets() if target.name == "keras.losses.Huber")
    order = replace(Plan.of([target], seed=5), covering=()).situations()
    models = [situation for situation in itertools.islice(order, 120) if situation.path != "call"]
    programs = {request_of(situation, kind="loss")["source"] for situation in models}
    assert len(set(models)) == len(models)
    assert len(programs) < len(models) / 3
