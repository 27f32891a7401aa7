"""Matching columns, and permutations in words."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from backendcheck.case import Tolerance
from backendcheck.compare.tolerances import Allowed
from backendcheck.diagnose.evidence.permutation import cycles, in_arrows, match_columns, naming

ALLOWANCE = Allowed(tolerance=Tolerance(rtol=1e-5, atol=1e-6), origin="test", norm_wise=False)


@pytest.mark.parametrize(("n", "c"), [(2, 2), (3, 5), (64, 30), (4096, 3), (2, 500), (17, 200)])
def test_a_random_permutation_is_matched(n: int, c: int) -> None:
    rng = np.random.default_rng(n + c)
    right, p = rng.standard_normal((n, c)), np.roll(rng.permutation(c), 1) if c > 2 else np.array([1, 0])
    found = match_columns(right[:, p], right, ALLOWANCE)
    assert found is not None
    assert (found == p).all()


def test_ten_thousand_classes_take_less_than_two_seconds() -> None:
    rng = np.random.default_rng(0)
    right, p = rng.standard_normal((4, 10_000)), rng.permutation(10_000)
    start = time.process_time()
    found = match_columns(right[:, p], right, ALLOWANCE)
    assert found is not None
    assert (found == p).all()
    assert time.process_time() - start < 2.0


def test_columns_that_do_not_differ_stay_where_they_are() -> None:
    right = np.array([[0.5, 0.5, 1.0, 2.0], [0.1, 0.1, 3.0, 4.0]])
    assert list(match_columns(right[:, [0, 1, 3, 2]], right, ALLOWANCE)) == [0, 1, 3, 2]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([[1.0, 2.0]], [[1.0, 2.0]]),
        ([[1.0, 2.0]], [[1.0, 3.0]]),
        ([[np.nan, np.nan]], [[1.0, 2.0]]),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        ([[1.0]], [[2.0]]),
        ([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], [[3.0, 1.0, 2.0], [2.0, 3.0, 1.0]]),
    ],
    ids=["equal", "other values", "NaN", "empty", "one column", "rows permuted differently"],
)
def test_what_is_no_permutation_is_not_matched(left: object, right: object) -> None:
    left, right = np.asarray(left, float), np.asarray(right, float)
    found = match_columns(left, right, ALLOWANCE)
    assert found is None or not np.allclose(left, right[:, found])


def test_few_columns_need_no_scipy() -> None:
    before = {name for name in sys.modules if name.startswith("scipy")}
    right = np.random.default_rng(0).standard_normal((4, 100))
    match_columns(right[:, ::-1], right, ALLOWANCE)
    assert {name for name in sys.modules if name.startswith("scipy")} == before


def test_cycles_say_where_each_class_went() -> None:
    assert cycles(np.array([2, 0, 1, 4, 3])) == [[0, 1, 2], [3, 4]]


def test_long_cycles_and_many_of_them_are_cut_with_their_number() -> None:
    assert in_arrows([list(range(20))], str).endswith("7 → … (20)")
    assert in_arrows([[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]], str).endswith("2 more cycles")


@pytest.mark.parametrize("names", [None, ["cat"], "cat dog", {"other": ["cat", "dog"]}, {"age": 7}, 3])
def test_names_that_do_not_fit_are_left_out(names: object) -> None:
    assert naming(names, "age", 2)(1) == "1"


def test_names_may_be_anything_and_come_by_output() -> None:
    assert naming({"age": [3, None]}, "age", 2)(1) == "None"
