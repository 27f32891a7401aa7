"""A whole run: counted, ordered, and given its exit code."""

from __future__ import annotations

import datetime as dt

import make
import numpy as np
import pytest
from make import BACKENDS, divergence, everywhere

from backendcheck.results.results import Results, analyze
from backendcheck.verdicts.verdict import Verdict

RAISED = "ValueError: no"
PASSES = everywhere(loss=1.0)
FAILS = everywhere(loss=1.0) | {"jax": {"loss": 2.0}}
BREAKS = everywhere(loss=1.0) | {"jax": {"status": "crashed", "problem": "signal 11"}}
REJECTED = everywhere(raised=RAISED, expect={})


def verdicts(results: Results) -> dict[str, str]:
    return {one.case: str(one.verdict) for one in results.cases}


# --- exit codes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cases", "known", "exit_code"),
    [
        ({"a/1": PASSES}, [], 0),
        ({"a/1": PASSES, "a/2": FAILS}, [divergence("a/2", "jax")], 0),
        ({"a/1": REJECTED}, [], 0),
        ({"a/1": PASSES, "a/2": FAILS}, [], 1),
        ({"a/1": PASSES}, [divergence("a/1", "jax")], 1),
        ({"a/1": PASSES, "a/2": BREAKS}, [], 3),
        ({"a/1": FAILS, "a/2": BREAKS}, [], 3),
        ({"a/1": BREAKS}, [divergence("a/1", "jax")], 3),
        ({"a/1": everywhere(loss=np.zeros(0, np.float32))}, [], 3),
    ],
    ids=[
        "passed", "xfailed", "rejected as asked", "failed", "xpassed", "error", "failed and error", "known error",
        "nothing compared",
    ],
)  # fmt: skip
def test_the_exit_code_says_the_worst(cases: dict[str, dict], known: list, exit_code: int) -> None:
    assert make.results(cases, known=known).exit_code == exit_code


def test_no_leg_at_all_is_incomplete() -> None:
    assert analyze([]).exit_code == 3
    assert analyze([], expected=BACKENDS).exit_code == 3


def test_legs_without_cases_are_incomplete() -> None:
    results = analyze([make.leg(backend) for backend in BACKENDS])
    assert results.exit_code == 3
    assert "holds no case" in str(results.problems[0])


def test_a_missing_leg_is_incomplete_even_if_there_is_no_case_to_miss() -> None:
    results = analyze([make.leg("jax"), make.leg("torch")], expected=BACKENDS)
    assert results.exit_code == 3
    assert any(str(problem).startswith("tensorflow: its leg is missing") for problem in results.problems)


def test_a_missing_leg_makes_every_case_an_error() -> None:
    results = make.results({f"a/{n}": everywhere(("jax", "torch"), loss=1.0) for n in (1, 2)}, expected=BACKENDS)
    assert set(verdicts(results).values()) == {"ERROR"}
    assert results.exit_code == 3


def test_by_default_the_legs_that_are_there_suffice() -> None:
    results = make.results({"a/1": everywhere(("jax", "torch"), loss=1.0)})
    assert (results.exit_code, results.backends) == (0, ("jax", "torch"))


def test_one_leg_alone_is_incomplete() -> None:
    results = make.results({"a/1": everywhere(("jax",), loss=1.0)})
    assert (verdicts(results), results.exit_code) == ({"a/1": "ERROR"}, 3)


@pytest.mark.parametrize("state", ["running", "interrupted"])
def test_a_leg_that_did_not_end_is_incomplete_even_if_all_its_cases_passed(state: str) -> None:
    legs = make.legs({"a/1": PASSES})
    legs[1] = make.leg("jax", *legs[1].recordings.values(), exit_state=state)
    results = analyze(legs)
    assert verdicts(results) == {"a/1": "PASSED"}
    assert results.exit_code == 3
    assert str(results.problems[0]).startswith("jax: its recording was ")


def test_a_case_that_one_leg_collected_and_another_did_not_is_an_error() -> None:
    legs = [make.leg("jax", make.recording("a/1", "jax", loss=1.0)), make.leg("torch", make.recording("a/2", "torch", loss=1.0))]
    assert verdicts(analyze(legs)) == {"a/1": "ERROR", "a/2": "ERROR"}


def test_a_case_collected_on_all_legs_and_recorded_on_none_is_an_error() -> None:
    legs = [make.leg(backend, make.recording("a/1", backend, loss=1.0), cases=("a/1", "a/2")) for backend in BACKENDS]
    results = analyze(legs)
    assert verdicts(results) == {"a/2": "ERROR", "a/1": "PASSED"}
    assert results.exit_code == 3


def test_a_recording_that_no_list_names_is_judged_too() -> None:
    legs = [make.leg(backend, make.recording("a/1", backend, loss=float(n)), cases=()) for n, backend in enumerate(BACKENDS)]
    assert verdicts(analyze(legs)) == {"a/1": "FAILED"}


def test_a_file_that_did_not_import_is_incomplete_and_reported_once_for_all_legs() -> None:
    problem = {"file": "cases/x.py", "line": 3, "message": "does not import (NameError: foo)"}
    legs = [make.leg(one.label, *one.recordings.values(), problems=(problem,)) for one in make.legs({"a/1": PASSES})]
    results = analyze(legs)
    assert tuple(map(str, results.problems)) == ("cases/x.py:3: does not import (NameError: foo). (tensorflow, jax, torch)",)
    assert results.exit_code == 3


def test_expected_cases_that_are_missing_are_incomplete() -> None:
    results = make.results({"a/b[1]": PASSES}, expected_cases=["a/b[1]", "a/*", "c/*", "a/d"])
    assert [str(problem).partition(":")[0] for problem in results.problems] == ["c/*", "a/d"]
    assert results.exit_code == 3


# --- legs ------------------------------------------------------------------------------------------------------


def test_the_same_backend_twice_is_compared_with_itself() -> None:
    results = make.results({"a/1": {"jax#1": {"loss": 1.0}, "jax#2": {"loss": 2.0}}}, expected=["jax"])
    assert (verdicts(results), results.problems) == ({"a/1": "FAILED"}, ())


def test_a_leg_more_than_expected_has_to_agree_too() -> None:
    assert verdicts(make.results({"a/1": FAILS}, expected=["tensorflow", "torch"])) == {"a/1": "FAILED"}
    results = make.results({"a/1": everywhere(("tensorflow", "torch"), loss=1.0), "a/2": FAILS}, expected=["tensorflow", "torch"])
    assert verdicts(results)["a/1"] == "ERROR"


def test_the_order_of_the_legs_does_not_change_a_verdict() -> None:
    legs = make.legs({"a/1": PASSES, "a/2": FAILS, "a/3": BREAKS, "a/4": REJECTED})
    first, last = analyze(legs), analyze(legs[::-1])
    assert verdicts(first) == verdicts(last)
    assert [one.odd_one_out for one in first.cases] == [one.odd_one_out for one in last.cases]


# --- order and counts ------------------------------------------------------------------------------------------


def test_the_worst_case_comes_first() -> None:
    cases = {"a/1": PASSES, "a/2": FAILS, "a/3": BREAKS, "a/4": FAILS, "a/5": PASSES}
    results = make.results(cases, known=[divergence("a/4", "jax"), divergence("a/5", "jax")])
    assert list(verdicts(results).values()) == ["ERROR", "FAILED", "XPASSED", "XFAILED", "PASSED"]
    assert results.counts == {"PASSED": 1, "FAILED": 1, "ERROR": 1, "XFAILED": 1, "XPASSED": 1}


def test_of_one_verdict_the_largest_excess_comes_first() -> None:
    cases = {f"a/{n}": everywhere(loss=1.0) | {"jax": {"loss": 1.0 + n}} for n in (1, 3, 2)}
    assert list(verdicts(make.results(cases))) == ["a/3", "a/2", "a/1"]


def test_the_excess_of_a_passed_case_shows_its_head_room() -> None:
    result = make.results({"a/1": everywhere(loss=1.0) | {"jax": {"loss": 1.000005}}}).cases[0]
    assert result.verdict is Verdict.PASSED
    assert 0.1 < result.worst_excess < 1.0


def test_a_verdict_that_has_no_case_is_counted_as_zero() -> None:
    assert make.results({"a/1": PASSES}).counts == {"PASSED": 1, "FAILED": 0, "ERROR": 0, "XFAILED": 0, "XPASSED": 0}


def test_comparisons_are_counted_if_something_was_compared() -> None:
    assert make.results({"a/1": PASSES}).n_comparisons == 3
    assert make.results({"a/1": everywhere(loss=np.zeros(0, np.float32))}).n_comparisons == 0


def test_a_result_is_found_by_its_case() -> None:
    results = make.results({"a/1": PASSES, "a/2": FAILS})
    assert results.result("a/2").verdict is Verdict.FAILED
    assert results.result("a/3") is None


def test_a_result_names_claim_file_and_line() -> None:
    result = make.results({"a/1": PASSES}).cases[0]
    assert (result.claim, result.file, result.line) == ("What 1 claims.", "cases/a.py", 7)


def test_hostile_case_ids_are_ordinary_cases() -> None:
    cases = {"../etc\0": PASSES, "<script>": FAILS, "a/\udcff": PASSES, "A/1": FAILS, "a/1": PASSES}
    expected = {case: "FAILED" if by_leg is FAILS else "PASSED" for case, by_leg in cases.items()}
    assert verdicts(make.results(cases)) == expected


def test_a_diagnosis_never_changes_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = {"a/1": PASSES, "a/2": FAILS, "a/3": everywhere(raised="ValueError: label out of range") | {"jax": {"loss": 0.0}}}
    told = make.results(cases)
    monkeypatch.setattr("backendcheck.results.case_result.diagnose", lambda *_: [])
    silent = make.results(cases)
    assert any(one.diagnoses for one in told.cases)
    assert verdicts(told) == verdicts(silent)
    assert told.exit_code == silent.exit_code


def test_today_is_what_counts_if_no_day_is_given() -> None:
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    legs = make.legs({"a/1": FAILS})
    assert verdicts(analyze(legs, known=[divergence("a/1", "jax", expires=yesterday)])) == {"a/1": "FAILED"}
    tomorrow = yesterday + dt.timedelta(days=2)
    assert verdicts(analyze(legs, known=[divergence("a/1", "jax", expires=tomorrow)])) == {"a/1": "XFAILED"}
