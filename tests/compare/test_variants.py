"""Paths and order: one backend compared with itself."""

from __future__ import annotations

import make
import numpy as np
import pytest
from make import BACKENDS, divergence, everywhere

from backendcheck.case import Tolerance
from backendcheck.compare.findings import Comparison
from backendcheck.compare.tolerances import Override
from backendcheck.compare.variants import compare_variants
from backendcheck.recordings.recording import Recording, Variant
from backendcheck.verdicts.verdict import Verdict
from backendcheck.vocabulary.findings import Oracle

RAISED = "ValueError: no"


def variant(path: str = "evaluate", oracle: Oracle = Oracle.PATHS, raised: str | None = None, **observed: object) -> Variant:
    return Variant(
        oracle=oracle, path=path, observations={name: make.observation(value) for name, value in observed.items()},
        raised=make.raised(raised) if raised else None,
    )  # fmt: skip


def compared(*variants: Variant, overrides: tuple[Override, ...] = (), **fields: object) -> list[Comparison]:
    recording: Recording = make.recording("a/b", "jax", variants=variants, **fields)
    return compare_variants({"jax": recording}, overrides)


def kinds(*variants: Variant, **fields: object) -> list[str | None]:
    return [make.kind(one) for one in compared(*variants, **fields)]


# --- values ----------------------------------------------------------------------------------------------------


def test_the_same_value_on_another_path_is_not_a_finding() -> None:
    (found,) = compared(variant(loss=1.000001), loss=1.0)
    assert (make.kind(found), found.oracle, found.sides) == (None, "paths", ("jax", "jax:evaluate"))
    assert 0 < found.excess < 1


@pytest.mark.parametrize("oracle", [Oracle.PATHS, Oracle.ORDER])
def test_another_value_on_another_path_is_a_finding_of_its_oracle(oracle: Oracle) -> None:
    (found,) = compared(variant(oracle=oracle, loss=2.0), loss=1.0)
    assert (make.kind(found), found.oracle) == ("value", oracle)


def test_every_leg_and_every_path_is_compared_with_its_own_recording_only() -> None:
    recordings = {
        backend: make.recording("a/b", backend, loss=float(n), variants=(variant(loss=float(n)), variant("fit", loss=9.0)))
        for n, backend in enumerate(BACKENDS)
    }
    findings = [one for one in compare_variants(recordings) if make.kind(one)]
    assert [(one.left, one.right) for one in findings] == [(backend, f"{backend}:fit") for backend in BACKENDS]


def test_another_shape_or_text_on_another_path_is_a_finding() -> None:
    assert kinds(variant(predictions=[1.0, 2.0]), predictions=[[1.0, 2.0]]) == ["shape"]
    assert kinds(variant(output_order=["b", "a"]), output_order=["a", "b"]) == ["order"]


def test_a_python_float_from_keras_is_compared_by_value_alone() -> None:
    assert kinds(variant(loss=np.float64(1.0)), loss=np.float32(1.0)) == [None]
    assert kinds(variant(loss=np.float64(2.0)), loss=np.float32(1.0)) == ["value"]


def test_the_tolerance_of_the_case_and_of_the_project_is_in_force() -> None:
    wide = Override(observation="loss", tolerance=Tolerance(rtol=0.5, atol=0.0))
    assert [make.kind(one) for one in compared(variant(loss=1.1), overrides=(wide,), loss=1.0)] == [None]
    assert kinds(variant(loss=1.1), loss=1.0, tolerance={"loss": (0.5, 0.0)}) == [None]


def test_what_cannot_agree_is_not_compared_inside_a_backend_either() -> None:
    assert kinds(variant(loss=2.0), loss=1.0, not_compared={"*": "dropout"}) == []


# --- NaN -------------------------------------------------------------------------------------------------------


def test_nan_on_one_path_only_is_a_finding() -> None:
    nan = np.float32(np.nan)
    assert kinds(variant(loss=nan), loss=1.0) == ["non-finite"]
    assert kinds(variant(loss=1.0), loss=nan) == ["non-finite"]


def test_nan_on_every_path_is_left_to_the_comparison_of_backends() -> None:
    nan = np.float32(np.nan)
    assert kinds(variant(loss=nan), loss=nan) == []
    result = make.results({"a/b": everywhere(loss=nan, variants=(variant(loss=nan),))}).cases[0]
    assert (result.verdict, {one.oracle for one in result.findings}) == (Verdict.FAILED, {"agreement"})


def test_nan_at_another_place_is_a_finding() -> None:
    left, right = np.array([np.nan, 1.0], np.float32), np.array([1.0, np.nan], np.float32)
    assert kinds(variant(per_example_loss=right), per_example_loss=left) == ["non-finite"]


def test_nan_where_the_reference_is_text_is_still_a_finding() -> None:
    assert kinds(variant(x=np.float32(np.nan)), x=1.0, reference={"x": "a"}) == ["non-finite"]


# --- exceptions ------------------------------------------------------------------------------------------------


def test_an_exception_on_another_path_is_a_finding() -> None:
    (found,) = compared(variant(raised=RAISED), loss=1.0)
    assert (make.kind(found), found.observation) == ("raised", "raised")
    assert found.message == "ValueError through evaluate: no; loss 1 as recorded"


def test_an_exception_on_every_path_is_reported_once_by_the_expectation() -> None:
    assert kinds(variant(raised=RAISED), raised=RAISED) == []


def test_a_number_where_the_recording_raised_is_a_finding() -> None:
    assert kinds(variant(loss=1.0), raised=make.raised(RAISED, stage="loss")) == ["raised"]


def test_a_number_of_a_stage_that_did_not_raise_is_no_finding() -> None:
    assert kinds(variant(predictions=[1.0]), predictions=[1.0], raised=make.raised(RAISED, stage="loss")) == [None]


# --- verdicts --------------------------------------------------------------------------------------------------


def test_all_backends_that_agree_but_disagree_with_themselves_are_failed() -> None:
    result = make.results({"a/b": everywhere(loss=1.0, variants=(variant(loss=2.0),))}).cases[0]
    assert result.verdict is Verdict.FAILED
    assert {(one.oracle, one.left, one.right) for one in result.findings} == {
        ("paths", backend, f"{backend}:evaluate") for backend in BACKENDS
    }


def test_one_backend_that_disagrees_with_itself_is_the_odd_one_out() -> None:
    by_leg = everywhere(loss=1.0) | {"jax": {"loss": 1.0, "variants": (variant("examples permuted", Oracle.ORDER, loss=2.0),)}}
    result = make.results({"a/b": by_leg}).cases[0]
    assert (result.verdict, result.odd_one_out) == (Verdict.FAILED, "jax")


def test_one_leg_that_is_consistent_with_itself_is_not_a_complete_run() -> None:
    results = make.results({"a/b": everywhere(("jax",), loss=1.0, variants=(variant(loss=1.0),))})
    assert results.exit_code == 3


def test_a_backend_that_disagrees_with_itself_may_be_known() -> None:
    by_leg = everywhere(loss=1.0) | {"jax": {"loss": 1.0, "variants": (variant(loss=2.0),)}}
    entry = divergence("a/b", "jax", oracles=frozenset({"paths"}))
    assert make.results({"a/b": by_leg}, known=[entry]).cases[0].verdict is Verdict.XFAILED
    other = divergence("a/b", "torch", oracles=frozenset({"paths"}))
    assert make.results({"a/b": by_leg}, known=[other]).cases[0].verdict is Verdict.FAILED
