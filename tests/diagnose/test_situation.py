"""Who is suspected, and how far apart is far."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosing import cross_entropy, scores
from make import BACKENDS, recording

from backendcheck.case import Tolerance
from backendcheck.compare.tolerances import Allowed
from backendcheck.diagnose.evidence.difference import excess, is_margin
from backendcheck.diagnose.evidence.situation import Situation
from backendcheck.verdicts.verdict import judge
from backendcheck.vocabulary.observations import ObservationName

YARD = Allowed(tolerance=Tolerance(rtol=0.0, atol=0.1), origin="test", norm_wise=False)


def situation(by_leg: dict[str, dict[str, object]]) -> Situation:
    recordings = {leg: recording("a/b", leg, **fields) for leg, fields in by_leg.items()}
    return Situation(findings=judge(recordings, list(recordings)).findings, recordings=recordings)


@pytest.mark.parametrize("odd", BACKENDS)
def test_the_minority_is_suspected(odd: str) -> None:
    (one,) = situation({leg: {"loss": 2.0 if leg == odd else 1.0} for leg in BACKENDS}).differences
    assert one.suspects == (odd,)
    assert one.reference_side != odd
    assert len(one.orientations) == 1


def test_noise_between_two_does_not_make_the_third_one_trusted() -> None:
    figures = {"tensorflow": 2.0, "jax": 1.0, "torch": 1.00004}  # jax and torch differ by four times what is allowed
    first = situation({leg: {"loss": figure} for leg, figure in figures.items()}).differences
    assert {one.reference_side for one in first} == {"jax"}
    assert ("tensorflow",) in {one.suspects for one in first}


def test_of_two_the_one_that_the_reference_contradicts_is_suspected() -> None:
    reference = {"loss": 1.0}
    by_leg = {"jax": {"loss": 2.0, "reference": reference}, "torch": {"loss": 1.0, "reference": reference}}
    (one, against) = situation(by_leg).differences
    assert (one.suspects, one.reference_side, against.reference_side) == (("jax",), "torch", "reference")


def test_the_declared_loss_is_evidence_though_no_reference_was_asked() -> None:
    z, y = scores()
    given = {"jax": cross_entropy(z, y, targets=np.eye(4)[y] * 1.5), "torch": cross_entropy(z, y)}
    one = situation({leg: fields | {"oracles": ("agreement",)} for leg, fields in given.items()}).differences[0]
    assert one.suspects == ("jax",)


def test_of_two_equal_suspects_both_orientations_are_examined() -> None:
    (one,) = situation({"jax": {"loss": 2.0}, "torch": {"loss": 1.0}}).differences
    assert [side.suspects for side in one.orientations] == [("torch",), ("jax",)]
    assert [(float(side.left), float(side.right)) for side in one.orientations] == [(1.0, 2.0), (2.0, 1.0)]


def test_nan_is_never_trusted() -> None:
    (one,) = situation({"jax": {"loss": np.float32(np.nan)}, "torch": {"loss": 1.0}}).differences
    assert (one.suspects, one.reference_side) == (("jax",), "torch")


@pytest.mark.parametrize(
    ("before", "after", "holds"),
    [(19.0, 0.0, False), (20.0, 1.0, True), (20.0, 1.1, False), (500.0, 5.0, True), (500.0, 5.1, False), (1e9, 10.0, True)],
)
def test_a_margin_is_far_as_recorded_and_near_as_explained(before: float, after: float, holds: bool) -> None:
    assert is_margin(before, after) == holds


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.5], 5.0),
        ([1.0], [[1.0]], np.inf),
        ([np.nan], [np.nan], 0.0),
        ([np.nan], [1.0], np.inf),
        ([np.inf, 1.0], [np.inf, 1.1], 1.0),
        ([], [], 0.0),
    ],
)
def test_the_excess_counts_what_is_allowed(left: object, right: object, expected: float) -> None:
    assert excess(np.array(left, float), np.array(right, float), YARD) == pytest.approx(expected)


def test_what_is_apart_leaves_noise_out_where_others_are_far() -> None:
    noisy = {"tensorflow": [0.0, 1.0, 2.0], "jax": [0.00005, 1.0, 3.0], "torch": [0.0, 1.0, 2.0]}
    one = situation({leg: {"per_example_loss": values} for leg, values in noisy.items()}).differences[0]
    assert one.apart().tolist() == [True, False, True]
    noisy["jax"] = [0.000005, 1.0, 3.0]
    one = situation({leg: {"per_example_loss": values} for leg, values in noisy.items()}).differences[0]
    assert one.apart().tolist() == [False, False, True]


def test_an_observation_names_its_output() -> None:
    names = ("loss/age", "gradient/y_pred/age", "loss", "gradient/dense/kernel")
    assert [ObservationName.parse(name).output for name in names] == ["age", "age", "", ""]
