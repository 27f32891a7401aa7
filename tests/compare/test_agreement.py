"""Backends against each other and against the case's own reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import make
import numpy as np
import pytest
from make import BACKENDS, everywhere, recording

from backendcheck.case import Tolerance
from backendcheck.compare.backends import compare_backends, compare_reference
from backendcheck.compare.findings import Comparison, what_came_instead
from backendcheck.compare.tolerances import Override, default_tolerance
from backendcheck.recordings.recording import Recording
from backendcheck.reference.directions import of_unit_length, random_directions, slopes
from backendcheck.results.results import CaseResult
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.observations import Observation, Quantity, ReferenceValue


def legs(**by_leg: dict[str, object]) -> dict[str, Recording]:
    return {label: recording("a/b", label, **fields) for label, fields in by_leg.items()}


def findings(comparisons: list[Comparison]) -> list[tuple[str, str, str, str | None]]:
    return [(one.observation, one.left, one.right, make.kind(one)) for one in comparisons if make.kind(one) is not None]


# --- pairs -----------------------------------------------------------------------------------------------------


def test_all_pairs_are_compared() -> None:
    sides = [one.sides for one in compare_backends(legs(tensorflow={"loss": 1.0}, jax={"loss": 1.0}, torch={"loss": 1.0}))]
    assert sides == [("tensorflow", "jax"), ("tensorflow", "torch"), ("jax", "torch")]


def test_one_leg_cannot_be_compared() -> None:
    assert compare_backends(legs(jax={"loss": 1.0})) == []


def test_comparisons_that_pass_are_kept_with_their_excess_and_the_origin_of_their_tolerance() -> None:
    (one,) = compare_backends(legs(jax={"loss": 1.0}, torch={"loss": 1.000001}))
    assert make.kind(one) is None
    assert 0 < one.excess < 1
    assert one.origin == "default float32 loss"


def test_the_difference_that_comes_first_in_the_computation_is_reported_first() -> None:
    left = {"loss": 1.0, "predictions": [1.0], "observations": {"train/loss": [1.0], "gradient/w": [1.0]}}
    right = {"loss": 2.0, "predictions": [2.0], "observations": {"train/loss": [2.0], "gradient/w": [2.0]}}
    names = [name for name, *_ in findings(compare_backends(legs(jax=left, torch=right)))]
    assert names == ["predictions", "loss", "gradient/w", "train/loss"]


def test_a_correct_loss_does_not_hide_a_wrong_gradient() -> None:
    left = {"loss": 0.5, "observations": {"gradient/y_pred": [[0.1, -0.1]]}}
    right = {"loss": 0.5, "observations": {"gradient/y_pred": [[np.nan, -0.1]]}}
    assert findings(compare_backends(legs(jax=left, torch=right))) == [("gradient/y_pred", "jax", "torch", "non-finite")]


def test_the_coarser_precision_of_a_pair_sets_the_tolerance() -> None:
    fine, coarse = make.observation(np.array(1.0, np.float32)), make.observation(np.array(1.05, np.float32), "bfloat16")
    found = compare_backends(legs(jax={"loss": fine}, torch={"loss": coarse}))
    assert [make.kind(one) for one in found] == ["dtype", None]
    assert found[1].origin == "default bfloat16 loss"


def test_tolerances_of_the_case_and_of_the_project_are_in_force() -> None:
    pair = legs(jax={"loss": 1.0}, torch={"loss": 1.1})
    assert findings(compare_backends(pair))
    assert not findings(compare_backends(pair, [Override(observation="loss", tolerance=Tolerance(rtol=0.2, atol=0.0))]))
    by_case = {"tolerance": {"loss": (0.2, 0.0)}}
    assert not findings(compare_backends(legs(jax={"loss": 1.0, **by_case}, torch={"loss": 1.1, **by_case})))


def test_tolerances_of_legs_are_for_pairs_of_them_alone() -> None:
    wide = [Override(observation="loss", legs=("torch", "jax*"), tolerance=Tolerance(rtol=0.2, atol=0.0))]
    trio = legs(tensorflow={"loss": 1.0}, jax={"loss": 1.1}, torch={"loss": 1.0})
    assert findings(compare_backends(trio, wide)) == [("loss", "tensorflow", "jax", "value")]
    assert wide[0].covers(["jax+eager", "torch"])
    assert not wide[0].covers(["torch", "torch@gpu"])


def test_what_cannot_agree_is_compared_on_no_pair() -> None:
    random = {"not_compared": {"train/*": "dropout"}}
    pair = legs(
        jax={"loss": 1.0, "observations": {"train/loss": [1.0]}, **random},
        torch={"loss": 1.0, "observations": {"train/loss": [9.0]}, **random},
    )
    assert [one.observation for one in compare_backends(pair)] == ["loss"]


def test_what_one_side_alone_declares_random_is_compared() -> None:
    pair = legs(jax={"loss": 1.0, "not_compared": {"*": "dropout"}}, torch={"loss": 9.0})
    assert findings(compare_backends(pair)) == [("loss", "jax", "torch", "value")]


def test_random_numbers_of_another_type_or_on_one_leg_only_are_a_finding() -> None:
    random = {"not_compared": {"value/x": "the function draws random numbers"}}
    wide = legs(
        jax={"observations": {"value/x": np.ones(2, np.float32)}, **random},
        torch={"observations": {"value/x": np.zeros(3, np.float64)}, **random},
    )
    assert findings(compare_backends(wide)) == [("value/x", "jax", "torch", "dtype")]
    absent = legs(jax={"observations": {"value/x": [1.0]}, **random}, torch=random | {"loss": 1.0})
    assert ("value/x", "jax", "torch", "missing") in findings(compare_backends(absent))


def test_the_gradient_of_another_draw_is_compared_with_what_the_case_asks_for_only() -> None:
    random = {"not_compared": {"*": "inference draws random numbers"}, "loss": 1.0, "observations": {"gradient/y_pred": [1.0]}}
    # The loss is that of the recorded predictions.
    built_in = {"gradient/y_pred": ReferenceValue(value=np.array([2.0])), "loss": ReferenceValue(value=np.array(2.0))}
    assert findings(compare_reference(legs(jax={**random, "reference_values": built_in}))) == [
        ("loss", "jax", "reference", "value")
    ]
    asked = compare_reference(legs(jax={**random, "reference": {"loss": 2.0}}))
    assert findings(asked) == [("loss", "jax", "reference", "value")]


# --- absence and exceptions ------------------------------------------------------------------------------------


def test_an_observation_on_one_side_only_is_a_finding() -> None:
    found = compare_backends(legs(jax={"loss": 1.0, "predictions": [1.0]}, torch={"loss": 1.0}))
    assert findings(found) == [("predictions", "jax", "torch", "missing")]
    assert found[0].message == "recorded on jax, missing on torch"


def test_raising_on_one_side_only_is_one_finding_not_one_per_missing_observation() -> None:
    found = compare_backends(legs(jax={"loss": 1.0, "predictions": [1.0]}, torch={"raised": "IndexError: out of bounds"}))
    assert findings(found) == [("raised", "jax", "torch", "raised")]
    assert found[0].message == "IndexError in stage loss on torch: out of bounds; loss 1 on jax"


def test_what_was_recorded_before_an_exception_is_still_compared() -> None:
    pair = legs(jax={"predictions": [1.0], "loss": 1.0}, torch={"predictions": [2.0], "raised": "ValueError: no"})
    assert findings(compare_backends(pair)) == [("raised", "jax", "torch", "raised"), ("predictions", "jax", "torch", "value")]


def test_other_classes_of_exception_are_no_finding() -> None:
    assert findings(compare_backends(legs(jax={"raised": "ValueError: a"}, torch={"raised": "IndexError: b"}))) == []


def test_the_side_that_did_not_raise_is_quoted_with_its_loss() -> None:
    assert what_came_instead(recording(value=np.arange(3), loss=0.25)) == "loss 0.25"
    assert what_came_instead(recording(per_example_loss=[0.5, 1.0])) == "per_example_loss 0.5 (first of 2)"
    assert what_came_instead(recording(output_order=["a"])) == "1 observation and no error"


# --- predicted classes -----------------------------------------------------------------------------------------


def with_classes(scores: list[list[float]]) -> dict[str, object]:
    predictions = np.array(scores, np.float32)
    return {"predictions": predictions, "predicted_class": predictions.argmax(-1)}


def test_another_class_where_two_classes_tie_within_tolerance_is_no_finding() -> None:
    pair = legs(jax=with_classes([[0.5, 0.5000001, 0.1]]), torch=with_classes([[0.5000001, 0.5, 0.1]]))
    found = compare_backends(pair)
    assert findings(found) == []
    assert found[-1].evidence == {"ties": 1}


def test_another_class_that_was_decided_is_a_finding() -> None:
    pair = legs(jax=with_classes([[0.2, 0.8, 0.1]]), torch=with_classes([[0.8, 0.2, 0.1]]))
    assert ("predicted_class", "jax", "torch", "value") in findings(compare_backends(pair))


def test_a_class_decided_on_one_side_only_is_a_finding() -> None:
    pair = legs(jax=with_classes([[0.5, 0.5000001]]), torch=with_classes([[0.9, 0.1]]))
    assert ("predicted_class", "jax", "torch", "value") in findings(compare_backends(pair))


def test_one_real_flip_among_ties_is_a_finding() -> None:
    pair = legs(
        jax=with_classes([[0.5, 0.5000001], [0.9, 0.1]]),
        torch=with_classes([[0.5000001, 0.5], [0.1, 0.9]]),
    )
    assert ("predicted_class", "jax", "torch", "value") in findings(compare_backends(pair))


def test_another_class_without_scores_to_excuse_it_is_a_finding() -> None:
    pair = legs(jax={"predicted_class": [1]}, torch={"predicted_class": [0]})
    assert findings(compare_backends(pair)) == [("predicted_class", "jax", "torch", "value")]


def test_nan_scores_are_no_tie() -> None:
    nan = {"predictions": np.full((1, 2), np.nan, np.float32)}
    pair = legs(jax={"predicted_class": [1], **nan}, torch={"predicted_class": [0], **nan})
    assert ("predicted_class", "jax", "torch", "value") in findings(compare_backends(pair))


def test_classes_of_a_named_output_are_compared_with_the_scores_of_that_output() -> None:
    def output(scores: list[float], other: list[float]) -> dict[str, object]:
        both = {"predictions/age": np.array([scores], np.float32), "predictions/stage": np.array([other], np.float32)}
        return {"observations": both | {"predicted_class/age": both["predictions/age"].argmax(-1)}}

    tied = legs(jax=output([0.5, 0.5000001], [1.0, 0.0]), torch=output([0.5000001, 0.5], [1.0, 0.0]))
    decided = legs(jax=output([0.4, 0.6], [0.5, 0.5]), torch=output([0.6, 0.4], [0.5, 0.5]))
    assert findings(compare_backends(tied)) == []
    assert ("predicted_class/age", "jax", "torch", "value") in findings(compare_backends(decided))


def test_classes_of_another_dtype_do_not_hide_other_classes() -> None:
    pair = legs(
        jax={**with_classes([[0.2, 0.8]]), "predicted_class": np.array([1], np.int32)},
        torch=with_classes([[0.8, 0.2]]),
    )
    kinds = [kind for name, _, _, kind in findings(compare_backends(pair)) if name == "predicted_class"]
    assert kinds == ["dtype", "value"]


def test_classes_per_pixel_may_tie_too() -> None:
    left = np.array([[[[0.5, 0.5000001], [0.9, 0.1]]]], np.float32)  # (N, H, W, C)
    right = np.array([[[[0.5000001, 0.5], [0.9, 0.1]]]], np.float32)
    pair = legs(
        jax={"predictions": left, "predicted_class": left.argmax(-1)},
        torch={"predictions": right, "predicted_class": right.argmax(-1)},
    )
    assert findings(compare_backends(pair)) == []


def test_what_fit_says_of_its_validation_is_for_the_paths_oracle_alone() -> None:
    def seen(accuracy: float) -> dict[str, object]:
        return {"observations": {"train/metric/val_accuracy": [accuracy], "train/metric/accuracy": [accuracy]}}

    found = compare_backends(legs(jax=seen(0.5), torch=seen(0.625)))
    assert [one.observation for one in found] == ["train/metric/accuracy"]


# --- reference -------------------------------------------------------------------------------------------------


def against(reference: object, **fields: object) -> list[Comparison]:
    return compare_reference(legs(jax={**fields, "reference": reference}))


def test_each_leg_is_compared_with_the_reference() -> None:
    reference = {"reference": {"loss": 1.0}}
    found = compare_reference(legs(jax={"loss": 1.0, **reference}, torch={"loss": 2.0, **reference}))
    kinds = [(one.left, one.right, make.kind(one)) for one in found]
    assert kinds == [("jax", "reference", None), ("torch", "reference", "value")]


@pytest.mark.parametrize(
    ("dtype", "asked", "differs"),
    [
        ("float32", "uint8", True), ("int32", "uint8", True), ("uint8", "uint8", False),
        ("int32", "int64", False), ("uint8", "int64", False), ("float32", "int64", True), ("bool", "int64", True),
        ("float32", "bool", True), ("bool", "bool", False), ("float16", "float32", True), ("float32", "", False),
    ],
)  # fmt: skip
def test_the_dtype_that_a_reference_asks_for(dtype: str, asked: str, differs: bool) -> None:
    asks = {"reference": {"value/x": np.ones(2)}, "reference_dtypes": {"value/x": asked} if asked else {}}
    recorded = legs(jax={"observations": {"value/x": np.ones(2, dtype)}, **asks})
    kinds = [kind for *_, kind in findings(compare_reference(recorded))]
    assert kinds == (["dtype"] if differs else [])


def test_a_number_of_python_has_no_dtype_of_its_own() -> None:
    asks = {"reference": {"value/x": np.ones(())}, "reference_dtypes": {"value/x": "float32"}}
    value = Observation(value=np.ones(()), dtype="float64", precision="float32")
    recorded = replace(legs(jax=asks)["jax"], observations={"value/x": value})
    assert not findings(compare_reference({"jax": recorded}))


def test_all_backends_wrong_together_is_a_finding_on_each() -> None:
    result = make.results({"a/b": everywhere(loss=2.0, reference={"loss": 1.0})}).cases[0]
    assert result.verdict is Verdict.FAILED
    assert [(one.oracle, one.left) for one in result.findings] == [("reference", backend) for backend in BACKENDS]


def test_a_reference_for_what_was_not_recorded_is_a_finding() -> None:
    found = against({"loss": 1.0, "accuracy": 1.0}, loss=1.0)
    assert findings(found) == [("accuracy", "jax", "reference", "missing")]


def test_a_reference_for_what_an_exception_prevented_is_no_second_finding() -> None:
    assert against({"loss": 1.0}, raised="ValueError: no") == []


def test_a_reference_may_expect_nan() -> None:
    assert findings(against({"loss": np.nan}, loss=np.float32(np.nan))) == []
    assert findings(against({"loss": np.nan}, loss=1.0)) == [("loss", "jax", "reference", "non-finite")]
    assert findings(against({"loss": 1.0}, loss=np.float32(np.nan))) == [("loss", "jax", "reference", "non-finite")]


def test_nan_that_the_reference_expects_is_no_finding_between_backends_either() -> None:
    result = make.results({"a/b": everywhere(loss=np.float32(np.nan), reference={"loss": np.nan})}).cases[0]
    assert result.verdict is Verdict.PASSED


def test_a_scalar_reference_fits_a_single_number_of_any_shape() -> None:
    assert findings(against({"loss": [1.0]}, loss=1.0)) == []
    assert findings(against({"train/loss": 1.0}, observations={"train/loss": [1.0]})) == []


def test_nan_expected_by_a_scalar_reference_is_no_finding_between_backends() -> None:
    seen = {"observations": {"train/loss": np.full(1, np.nan, np.float32)}, "reference": {"train/loss": np.nan}}
    assert make.results({"a/b": everywhere(**seen)}).cases[0].verdict is Verdict.PASSED


def test_a_reference_of_another_shape_is_a_finding() -> None:
    assert findings(against({"loss": [1.0, 1.0]}, loss=1.0)) == [("loss", "jax", "reference", "shape")]


def test_a_gradient_in_float64_is_held_to_what_finite_differences_are_good_to() -> None:
    def excess(error: float, **fields: object) -> float | None:
        gradient = {"gradient/y_pred": np.array([1.0, -0.5]) + error}
        return compare_reference(legs(jax={"observations": gradient, **fields}))[0].excess

    built_in = {"reference_values": {"gradient/y_pred": ReferenceValue(value=np.array([1.0, -0.5]))}}
    own = {"reference": {"gradient/y_pred": np.array([1.0, -0.5])}}
    assert excess(5e-11, **built_in) < 1 < excess(5e-10, **built_in)
    assert excess(5e-11, **own) > 1


# --- gradients by weights, of which the reference has slopes along a few directions


GRADIENT = np.random.default_rng(2).uniform(-1e-2, 1e-2, (6, 5)).astype(np.float32)
KERNEL = "gradient/dense/kernel"


def against_slopes(seen: np.ndarray, right: np.ndarray = GRADIENT, **fields: object) -> list[Comparison]:
    ways = random_directions(0, "dense/kernel", right.shape)
    expected = {KERNEL: ReferenceValue(value=slopes(right, ways), directions=ways)}
    return compare_reference(legs(jax={"observations": {KERNEL: seen}, "reference_values": expected, **fields}))


def test_a_gradient_with_the_right_slopes_is_no_finding() -> None:
    (found,) = against_slopes(GRADIENT)
    assert (make.kind(found), found.n_elements, found.compared) == (None, 3, True)
    assert found.tolerance == default_tolerance(Quantity.GRADIENT, "float32")


@pytest.mark.parametrize("fault", [
    lambda g: 1.01 * g,
    lambda g: g[:, [1, 0, 2, 3, 4]],
    lambda g: np.where(g == g[2, 3], np.float32(0.0), g),
    lambda g: -g,
    np.zeros_like,
])  # fmt: skip
def test_a_gradient_with_wrong_slopes_is_a_finding_of_the_reference(fault: Callable[[np.ndarray], np.ndarray]) -> None:
    found = against_slopes(fault(GRADIENT).astype(np.float32))
    assert findings(found) == [(KERNEL, "jax", "reference", "value")]
    assert found[0].oracle == "reference"
    assert found[0].worst_index is None  # it would be read as an index into the gradient
    assert "slopes along 3 directions" in found[0].message


def test_slopes_are_measured_by_the_magnitude_of_the_gradient() -> None:
    """Its elements cancel along a direction, and what they are rounded to does not."""
    ways = random_directions(0, "dense/kernel", (6, 5))
    unit = of_unit_length(ways).reshape(3, -1)
    flat = np.random.default_rng(3).normal(size=30)
    flat -= np.linalg.pinv(unit) @ (unit @ flat)  # orthogonal to every direction
    gradient = flat.reshape(6, 5).astype(np.float32)
    (found,) = against_slopes(gradient * (1 + np.float32(1e-6)), right=flat.reshape(6, 5))
    assert make.kind(found) is None
    assert found.excess < 0.1


def test_a_gradient_that_is_not_finite_or_of_another_shape_is_a_finding() -> None:
    assert findings(against_slopes(np.where(GRADIENT > 0, GRADIENT, np.float32(np.nan)))) == [
        (KERNEL, "jax", "reference", "non-finite")
    ]
    assert findings(against_slopes(GRADIENT.T)) == [(KERNEL, "jax", "reference", "shape")]


def test_the_tolerance_of_a_case_is_in_force_for_slopes_and_its_own_reference_wins() -> None:
    assert findings(against_slopes(np.float32(1.01) * GRADIENT, tolerance={"gradient/*": (0.1, 0.0)})) == []
    assert [one.evidence["reference"] for one in against_slopes(2 * GRADIENT, reference={KERNEL: 2 * GRADIENT})] == [
        "the case's reference"
    ]


def test_a_reference_for_text_is_exact() -> None:
    assert findings(against({"value/words": ["a", "b"]}, observations={"value/words": ["a", "b"]})) == []
    assert findings(against({"value/words": ["a", "c"]}, observations={"value/words": ["a", "b"]}))[0][3] == "value"
    assert findings(against({"value/words": ["b", "a"]}, observations={"value/words": ["a", "b"]}))[0][3] == "order"


def test_integers_are_exact_against_a_reference_of_floats() -> None:
    assert findings(against({"value/n": [1.0, 2.0]}, observations={"value/n": [1, 2]})) == []
    assert findings(against({"value/n": [1.0, 2.000001]}, observations={"value/n": [1, 2]}))[0][3] == "value"


@pytest.mark.parametrize(("seen", "expected"), [([1.0, 2.0], ["a", "b"]), ([1, 2], ["1", "2"]), (["1", "2"], [1, 2])])
def test_a_reference_of_text_for_numbers_is_a_finding(seen: list[object], expected: list[object]) -> None:
    assert [kind for *_, kind in findings(against({"value/x": expected}, observations={"value/x": seen}))] == ["dtype"]


def test_a_reference_of_text_for_nan_is_a_finding() -> None:
    nan = {"observations": {"value/x": np.array([np.nan], np.float32)}, "reference": {"value/x": ["a"]}}
    assert make.results({"a/b": everywhere(**nan)}).cases[0].verdict is Verdict.FAILED


# --- seeded faults: whatever one leg does to a healthy result is found and the leg is named --------------------

RNG = np.random.default_rng(20260301)
N, C = 6, 4
HEALTHY = {
    "predictions": RNG.dirichlet(np.ones(C), N).astype(np.float32),
    "per_example_loss": RNG.uniform(0.2, 2.0, N).astype(np.float32),
    "gradient/y_pred": RNG.normal(size=(N, C)).astype(np.float32) / N,
    "gradient/dense/kernel": RNG.normal(size=(5, C)).astype(np.float32),
    "train/weight/dense/kernel": RNG.normal(size=(5, C)).astype(np.float32),
    "value/class_index": np.array([2, 0, 1, 3, 1, 0]),
    "value/vocabulary": np.array(["cat", "dog", "fox", "eel"], object),
    "output_order": np.array(["stage", "age", "tumor"], object),
}


def permuted_examples(x: np.ndarray) -> np.ndarray:
    return x[np.roll(np.arange(len(x)), 1)]


def reversed_classes(x: np.ndarray) -> np.ndarray:
    return x[..., ::-1]


def two_classes_swapped(x: np.ndarray) -> np.ndarray:
    return x[..., [1, 0, *range(2, x.shape[-1])]]


def flipped_sign(x: np.ndarray) -> np.ndarray:
    return -x


def summed_instead_of_averaged(x: np.ndarray) -> np.ndarray:
    return x * N


def one_example_dropped(x: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1)) == 2, 0, x).astype(x.dtype)


def last_example_missing(x: np.ndarray) -> np.ndarray:
    return x[:-1]


def one_nan(x: np.ndarray) -> np.ndarray:
    return np.where(np.arange(x.size).reshape(x.shape) == 0, np.float32("nan"), x)


def a_thousandth_off(x: np.ndarray) -> np.ndarray:
    return x * np.float32(1.002)


def shifted_by_one(x: np.ndarray) -> np.ndarray:
    return x + 1


def narrower(x: np.ndarray) -> np.ndarray:
    return x.astype(np.int8 if x.dtype.kind == "i" else np.float16)


ON_NUMBERS = (
    permuted_examples, reversed_classes, two_classes_swapped, flipped_sign, summed_instead_of_averaged, one_example_dropped,
    last_example_missing, one_nan, a_thousandth_off, narrower,
)  # fmt: skip
FAULTS = [
    *[(name, fault) for name in HEALTHY if HEALTHY[name].dtype == np.float32 for fault in ON_NUMBERS],
    *[("value/class_index", fault) for fault in (permuted_examples, shifted_by_one, one_example_dropped)],
    *[("value/class_index", fault) for fault in (last_example_missing, narrower)],
    *[(name, fault) for name in ("value/vocabulary", "output_order") for fault in (permuted_examples, last_example_missing)],
]  # fmt: skip


def rounded(seed: int) -> dict[str, np.ndarray]:
    """What a healthy backend returns: the same up to a few units of float32 rounding."""
    rng = np.random.default_rng(seed)
    return {
        name: (x * (1 + rng.uniform(-2e-7, 2e-7, x.shape))).astype(np.float32) if x.dtype == np.float32 else x
        for name, x in HEALTHY.items()
    }


def with_fault(backend: str, name: str, fault: Callable[[np.ndarray], np.ndarray]) -> CaseResult:
    observed = {label: rounded(seed) for seed, label in enumerate(BACKENDS)}
    observed[backend][name] = fault(observed[backend][name])
    return make.results({"a/b": {label: {"observations": seen} for label, seen in observed.items()}}).cases[0]


def test_rounding_alone_is_no_finding() -> None:
    result = make.results({"a/b": {label: {"observations": rounded(seed)} for seed, label in enumerate(BACKENDS)}}).cases[0]
    assert result.verdict is Verdict.PASSED
    assert 0 < result.worst_excess < 0.5


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "fault"), FAULTS, ids=lambda one: getattr(one, "__name__", one))
def test_a_fault_in_one_leg_is_found_in_that_observation_and_blamed_on_that_leg(
    backend: str, name: str, fault: Callable[[np.ndarray], np.ndarray]
) -> None:
    result = with_fault(backend, name, fault)
    assert result.verdict is Verdict.FAILED
    assert {one.observation for one in result.findings} == {name}
    assert result.odd_one_out == backend
    assert all(backend in one.sides for one in result.findings)


@pytest.mark.parametrize(
    ("name", "fault", "kind"),
    [
        ("predictions", permuted_examples, "value"),
        ("predictions", last_example_missing, "shape"),
        ("predictions", one_nan, "non-finite"),
        ("value/class_index", narrower, "dtype"),
        ("value/vocabulary", permuted_examples, "order"),
        ("output_order", permuted_examples, "order"),
    ],
)
def test_the_kind_of_finding_says_what_sort_of_fault_it_is(
    name: str, fault: Callable[[np.ndarray], np.ndarray], kind: str
) -> None:
    assert {make.kind(one) for one in with_fault("torch", name, fault).findings} == {kind}


def test_an_observation_that_one_leg_lacks_is_blamed_on_that_leg() -> None:
    seen = {label: rounded(0) for label in BACKENDS}
    del seen["jax"]["gradient/y_pred"]
    result = make.results({"a/b": {label: {"observations": one} for label, one in seen.items()}}).cases[0]
    assert result.verdict is Verdict.FAILED
    assert [make.kind(one) for one in result.findings] == ["missing", "missing"]
    assert result.odd_one_out == "jax"


def test_validation_is_compared_between_backends_where_the_case_declares_it() -> None:
    name = "train/metric/val_loss"
    values = {"jax": {"observations": {name: [1.0, 2.0]}}, "torch": {"observations": {name: [1.0, 3.0]}}}
    assert compare_backends(legs(**values)) == []
    declared = {leg: {**fields, "digests": {"validation/x": "1"}} for leg, fields in values.items()}
    assert [make.kind(comparison) for comparison in compare_backends(legs(**declared))] == ["value"]
