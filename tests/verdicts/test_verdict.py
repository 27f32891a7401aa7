"""The truth table, row by row, and what makes recordings incomparable."""

from __future__ import annotations

from dataclasses import replace

import make
import numpy as np
import pytest
from make import BACKENDS, everywhere, recording

from backendcheck.compare.findings import odd_one_out
from backendcheck.recordings.recording import Raised, Recording
from backendcheck.text.words import first_line
from backendcheck.verdicts.verdict import Judgement, Verdict, incomparable, judge, not_supported, raised_as_asked

THREE = list(BACKENDS)
RAISED = "IndexError: Target 3 is out of bounds."


def judged(by_leg: dict[str, dict[str, object] | Recording], expected: list[str] | None = None) -> Judgement:
    recordings = {leg: given if isinstance(given, Recording) else recording("a/b", leg, **given) for leg, given in by_leg.items()}
    return judge(recordings, THREE if expected is None else expected)


def verdict(by_leg: dict[str, dict[str, object] | Recording], expected: list[str] | None = None) -> Verdict:
    return judged(by_leg, expected).verdict


# --- row 1: ERROR ----------------------------------------------------------------------------------------------


def test_a_missing_leg_is_an_error_even_if_the_others_agree() -> None:
    found = judged(everywhere(("jax", "torch"), loss=1.0))
    assert found.verdict is Verdict.ERROR
    assert tuple(map(str, found.problems)) == ("tensorflow has no recording of it",)


def test_a_case_recorded_nowhere_is_an_error() -> None:
    assert verdict({}) is Verdict.ERROR
    assert verdict({}, expected=[]) is Verdict.ERROR


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("crashed", "jax crashed: signal 11"),
        ("timed out", "jax timed out: signal 11"),
        ("error", "jax could not observe it: signal 11"),
        ("skipped", "jax skipped it: signal 11"),
    ],
)
def test_a_leg_that_did_not_get_through_the_case_is_an_error(status: str, words: str) -> None:
    found = judged(everywhere(loss=1.0) | {"jax": {"status": status, "problem": "signal 11"}})
    assert (found.verdict, tuple(map(str, found.problems))) == (Verdict.ERROR, (words,))


NOT_SUPPORTED = {"status": "not supported", "problem": "jax does not support text inputs (x)"}


@pytest.mark.parametrize(("of_torch", "expected"), [(1.0, Verdict.PASSED), (2.0, Verdict.FAILED)])
def test_a_leg_that_declares_a_case_as_not_supported_leaves_the_verdict_to_the_others(of_torch: float, expected: Verdict) -> None:
    judgement = judged({"tensorflow": {"loss": 1.0}, "jax": NOT_SUPPORTED, "torch": {"loss": of_torch}})
    assert (judgement.verdict, judgement.problems) == (expected, ())
    assert {side.leg for comparison in judgement.comparisons for side in comparison.sides} == {"tensorflow", "torch"}


def test_legs_that_do_not_support_the_same_are_one_sentence() -> None:
    problems = {leg: f"{leg} does not support text (x)" for leg in ("jax", "torch")}
    legs = {leg: recording("a/b", leg, status="not supported", problem=problem) for leg, problem in problems.items()}
    assert not_supported(legs) == ["jax and torch do not support text (x)"]


def test_a_case_that_no_leg_supports_or_that_one_leg_alone_supports_is_an_error_without_comparisons() -> None:
    alone = judged({"tensorflow": {"loss": 1.0}, "jax": NOT_SUPPORTED}, expected=["tensorflow", "jax"])
    assert (alone.verdict, str(alone.problems[0])) == (
        Verdict.ERROR, "nothing could be compared: jax does not support text inputs (x)"
    )  # fmt: skip
    nowhere = judged({"jax": NOT_SUPPORTED}, expected=["jax"])
    assert nowhere.verdict is Verdict.ERROR
    assert "does not support text inputs" in str(nowhere.problems[0])


@pytest.mark.parametrize("status", ["crashed", "timed out", "error", "skipped"])
def test_a_leg_that_did_not_get_through_is_an_error_even_if_the_others_differ(status: str) -> None:
    assert verdict({"tensorflow": {"loss": 1.0}, "jax": {"status": status}, "torch": {"loss": 2.0}}) is Verdict.ERROR


def test_a_crash_is_no_exception_as_asked() -> None:
    asked = everywhere(raised=RAISED, expect={})
    assert verdict(asked) is Verdict.PASSED
    assert verdict(asked | {"jax": {"status": "crashed", "expect": {}}}) is Verdict.ERROR


def test_a_leg_missing_is_an_error_even_if_the_others_raised_as_asked() -> None:
    assert verdict(everywhere(("jax", "torch"), raised=RAISED, expect={})) is Verdict.ERROR


def test_different_inputs_are_an_error_and_not_a_finding() -> None:
    by_leg = {leg: {"loss": float(n), "digests": {"y": leg}} for n, leg in enumerate(THREE)}
    found = judged(by_leg)
    assert (found.verdict, found.findings) == (Verdict.ERROR, ())
    assert str(found.problems[0]) == "not comparable: tensorflow and jax were fed different inputs: y"


def test_different_initial_weights_are_an_error() -> None:
    by_leg = everywhere(loss=1.0, digests={"weights/dense/kernel": "a", "x": "b"})
    assert verdict(by_leg) is Verdict.PASSED
    by_leg["torch"] = {"loss": 1.0, "digests": {"weights/dense/kernel": "c", "x": "b"}}
    found = judged(by_leg)
    assert found.verdict is Verdict.ERROR
    assert "started from different initial weights: dense/kernel" in str(found.problems[0])


def test_empty_arrays_alone_are_an_error() -> None:
    found = judged(everywhere(loss=np.zeros(0, np.float32)))
    assert (found.verdict, tuple(map(str, found.problems))) == (Verdict.ERROR, ("nothing could be compared",))


def test_no_observation_at_all_is_an_error() -> None:
    assert verdict(everywhere(status="recorded")) is Verdict.ERROR


def test_observations_that_cannot_agree_alone_are_an_error() -> None:
    assert verdict(everywhere(loss=1.0, not_compared={"*": "random"})) is Verdict.ERROR


def test_the_problem_says_what_draws_random_numbers() -> None:
    found = judged(everywhere(loss=1.0, not_compared=dict.fromkeys(("loss", "train/*"), "the loss x draws random numbers")))
    assert str(found.problems[0]) == "nothing could be compared: the loss x draws random numbers"


def test_the_rest_of_what_draws_random_numbers_is_compared() -> None:
    random = {"not_compared": {"metric/x": "the metric x draws random numbers"}}
    legs = {leg: {"loss": 1.0, "observations": {"metric/x": float(n)}, **random} for n, leg in enumerate(("jax", "torch"))}
    assert verdict(legs, expected=["jax", "torch"]) is Verdict.PASSED
    legs["torch"] = {**legs["torch"], "loss": 2.0}
    assert verdict(legs, expected=["jax", "torch"]) is Verdict.FAILED


def test_one_leg_with_nothing_to_be_compared_with_is_an_error() -> None:
    found = judged({"jax": {"loss": 1.0}}, expected=["jax"])
    problems = tuple(map(str, found.problems))
    assert (found.verdict, problems) == (Verdict.ERROR, ("nothing could be compared: there is one leg only",))


# --- row 2: PASSED, raised as asked ----------------------------------------------------------------------------


def test_every_backend_raised_as_asked_is_passed() -> None:
    found = judged(everywhere(raised=RAISED, expect={}))
    assert (found.verdict, found.problems, found.findings) == (Verdict.PASSED, (), ())


def test_exceptions_of_different_classes_are_as_asked_if_none_is_asked_for() -> None:
    by_leg = {leg: {"raised": f"{kind}: no", "expect": {}} for leg, kind in zip(THREE, ["A", "B", "C"], strict=True)}
    assert verdict(by_leg) is Verdict.PASSED


def test_a_subclass_of_the_class_asked_for_is_as_asked() -> None:
    raised = Raised(stage="loss", type="IndexError", type_names=("IndexError", "LookupError", "Exception"), message="no")
    for name, passes in (("LookupError", True), ("IndexError", True), ("ValueError", False)):
        seen = recording(raised=raised, expect={"type_names": ["KeyError", name]})
        assert raised_as_asked(seen) is passes


def test_the_message_asked_for_is_searched_for() -> None:
    for match, passes in (("out of", True), (r"Target \d", True), ("^out", False)):
        assert raised_as_asked(recording(raised=RAISED, expect={"match": match})) is passes


# --- row 3: FAILED, exceptions ---------------------------------------------------------------------------------


def test_some_raised_and_some_did_not_is_failed() -> None:
    found = judged({"tensorflow": {"raised": RAISED}, "jax": {"loss": -0.0}, "torch": {"raised": RAISED}})
    assert found.verdict is Verdict.FAILED
    assert {(one.left, one.right, one.kind) for one in found.findings} == {
        ("tensorflow", "jax", "raised"),
        ("jax", "torch", "raised"),
    }


def test_some_raised_as_asked_and_some_did_not_is_failed() -> None:
    found = judged(everywhere(raised=RAISED, expect={}) | {"jax": {"loss": 0.0, "expect": {}}})
    assert found.verdict is Verdict.FAILED
    assert [one.left for one in found.findings if one.oracle == "expectation"] == ["jax"]
    assert odd_one_out(THREE, found.findings) == "jax"


def test_all_raised_unasked_is_failed() -> None:
    found = judged(everywhere(raised=RAISED))
    assert found.verdict is Verdict.FAILED
    assert [one.oracle for one in found.findings] == ["expectation"] * 3
    assert "unasked" in found.findings[0].message


def test_none_raised_though_asked_is_failed() -> None:
    found = judged(everywhere(loss=1.0, expect={}))
    assert found.verdict is Verdict.FAILED
    assert [one.message for one in found.findings] == ["raised nothing; expected every backend to reject this"] * 3


def test_one_backend_that_raised_another_class_than_asked_is_failed() -> None:
    asked = everywhere(raised=RAISED, expect={"type_names": ["IndexError"]})
    asked["torch"] = {"raised": "RuntimeError: CUDA", "expect": {"type_names": ["IndexError"]}}
    found = judged(asked)
    assert found.verdict is Verdict.FAILED
    assert [(one.left, one.message) for one in found.findings] == [("torch", "raised RuntimeError; expected IndexError")]


def test_one_backend_that_raised_with_another_message_than_asked_is_failed() -> None:
    asked = everywhere(raised=RAISED, expect={"match": "Target"})
    asked["jax"] = {"raised": "IndexError: list index", "expect": {"match": "Target"}}
    found = judged(asked)
    assert found.verdict is Verdict.FAILED
    assert [one.left for one in found.findings] == ["jax"]


# --- row 4: FAILED, findings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "kind"),
    [
        ({"loss": 2.0}, "value"),
        ({"loss": [1.0]}, "shape"),
        ({"loss": np.float64(1.0)}, "dtype"),
        ({"loss": np.float32(np.nan)}, "non-finite"),
        ({"loss": 1.0, "predictions": [1.0]}, "missing"),
        ({"raised": RAISED}, "raised"),
    ],
)
def test_any_kind_of_finding_between_backends_is_failed(right: dict[str, object], kind: str) -> None:
    found = judged({"jax": {"loss": 1.0}, "torch": right}, expected=["jax", "torch"])
    assert found.verdict is Verdict.FAILED
    assert [one.kind for one in found.findings] == [kind]


def test_a_finding_against_the_reference_alone_is_failed() -> None:
    found = judged(everywhere(loss=1.0, reference={"loss": 2.0}))
    assert (found.verdict, {one.oracle for one in found.findings}) == (Verdict.FAILED, {"reference"})


def test_nan_on_every_backend_is_failed_and_never_passed() -> None:
    assert verdict(everywhere(loss=np.float32(np.nan))) is Verdict.FAILED
    assert verdict(everywhere(loss=np.full(3, np.inf, np.float32))) is Verdict.FAILED


def test_one_finding_among_many_agreements_is_failed() -> None:
    by_leg = everywhere(loss=1.0, observations={f"gradient/{n}": [1.0, 2.0] for n in range(20)})
    by_leg["jax"] = {"loss": 1.0, "observations": by_leg["jax"]["observations"] | {"gradient/7": [1.0, 2.1]}}
    found = judged(by_leg)
    assert found.verdict is Verdict.FAILED
    assert {one.observation for one in found.findings} == {"gradient/7"}


def test_a_missing_observation_is_failed_and_never_skipped() -> None:
    assert verdict(everywhere(loss=1.0) | {"jax": {"status": "recorded"}}) is Verdict.FAILED


# --- row 5: PASSED ---------------------------------------------------------------------------------------------


def test_everything_within_tolerance_is_passed_with_its_comparisons_kept() -> None:
    found = judged({"tensorflow": {"loss": 1.0}, "jax": {"loss": 1.000001}, "torch": {"loss": 0.999999}})
    assert (found.verdict, found.findings) == (Verdict.PASSED, ())
    assert len(found.comparisons) == 3
    assert all(one.excess is not None for one in found.comparisons)


def test_two_legs_are_enough() -> None:
    assert verdict(everywhere(("jax", "torch"), loss=1.0), expected=["jax", "torch"]) is Verdict.PASSED


def test_empty_arrays_beside_others_do_not_fail() -> None:
    assert verdict(everywhere(loss=1.0, per_example_loss=np.zeros(0, np.float32))) is Verdict.PASSED


# --- comparability ---------------------------------------------------------------------------------------------


def comparability(*recordings: Recording) -> list[str]:
    return list(map(str, incomparable(dict(zip(THREE, recordings, strict=False)))))


def test_other_settings_are_named_with_both_values() -> None:
    found = comparability(recording(settings={"floatx": "float32"}), recording(settings={"floatx": "float64"}))
    assert found == ["not comparable: tensorflow and jax ran under different settings: floatx float32 and float64"]


def test_a_setting_on_one_side_only_is_another_setting() -> None:
    assert comparability(recording(settings={"floatx": "float32"}), recording(settings={}))


def test_other_versions_of_the_case_file_are_the_only_problem() -> None:
    found = comparability(recording(file_digest="a", digests={"x": "1"}), recording(file_digest="b", digests={"x": "2"}))
    assert found == ["not comparable: tensorflow and jax recorded different versions of cases/a.py"]


def test_a_leg_that_raised_before_it_saw_the_inputs_is_comparable() -> None:
    assert not comparability(recording(digests={"x": "1"}), recording(raised="ValueError: no"))
    assert not comparability(recording(digests={"x": "1", "y": "2"}), recording(raised="ValueError: no", digests={"x": "1"}))


def test_a_leg_that_did_not_raise_and_saw_fewer_inputs_is_not_comparable() -> None:
    assert comparability(recording(digests={"x": "1", "y": "2"}), recording(digests={"x": "1"}))
    assert comparability(recording(digests={"x": "1"}), recording(digests={}))


def test_different_inputs_are_seen_behind_a_first_leg_that_raised_early() -> None:
    early = recording(raised="ValueError: no")
    assert comparability(early, recording(digests={"x": "1"}), recording(digests={"x": "2"}))


def test_a_leg_with_other_inputs_is_reported_once() -> None:
    same, other = recording(digests={"x": "1"}), recording(digests={"x": "2"})
    assert len(comparability(same, same, other)) == 1
    assert len(comparability(same, other, same)) == 1


@pytest.mark.parametrize(
    ("left", "right", "differs"),
    [
        ((0.0, 1.0), (0.0, 1.0), False),
        ((0.5, 1.0), (0.5001, 1.0001), False),  # rounding of adapted statistics
        ((0.5, 1.0), (0.7, 1.0), True),  # another random draw
        ((0.0, 1.0), (0.0, 1.1), True),
        ((0.0, 0.0), (0.0, 1e-3), True),
        ((float("nan"), float("nan")), (0.0, 1.0), True),
        ((0.0, 1.0), (float("nan"), 1.0), True),
        ((float("inf"), float("inf")), (float("inf"), float("inf")), False),
        ((float("inf"), float("inf")), (0.0, 1.0), True),
    ],
)
def test_state_that_the_case_built_differently_is_not_comparable(
    left: tuple[float, float], right: tuple[float, float], differs: bool
) -> None:
    sides = [recording(state={"normalization/mean": one}) for one in (left, right)]
    assert bool(comparability(*sides)) is bool(comparability(*sides[::-1])) is differs


# --- odd one out -----------------------------------------------------------------------------------------------


def odd(by_leg: dict[str, dict[str, object]]) -> str | None:
    return odd_one_out(list(by_leg), judged(by_leg, expected=list(by_leg)).findings)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_leg_that_differs_from_two_that_agree_is_the_odd_one_out(backend: str) -> None:
    assert odd(everywhere(loss=1.0) | {backend: {"loss": 2.0}}) == backend


def test_of_two_legs_neither_is_the_odd_one() -> None:
    assert odd({"jax": {"loss": 1.0}, "torch": {"loss": 2.0}}) is None


def test_of_three_that_all_differ_none_is_the_odd_one() -> None:
    assert odd({leg: {"loss": float(n)} for n, leg in enumerate(BACKENDS)}) is None


def test_a_leg_between_two_others_is_not_the_odd_one() -> None:
    # tensorflow and torch differ, jax lies within tolerance of both.
    assert odd({"tensorflow": {"loss": 1.0}, "jax": {"loss": 1.000009}, "torch": {"loss": 1.000018}}) is None


def test_a_leg_that_one_of_four_agrees_with_is_not_the_odd_one() -> None:
    legs = {"tensorflow": 1.0, "jax#1": 1.000018, "jax#2": 1.00001, "torch": 1.0}
    by_leg = {leg: {"loss": loss} for leg, loss in legs.items()}
    assert odd(by_leg) is None
    assert odd(by_leg | {"jax#2": {"loss": 1.0}}) == "jax#1"


def test_without_a_finding_there_is_no_odd_one() -> None:
    assert odd(everywhere(loss=1.0)) is None


def test_the_one_leg_that_misses_the_reference_is_the_odd_one() -> None:
    near = {leg: {"loss": loss, "reference": {"loss": 1.0}} for leg, loss in zip(BACKENDS, (1.0, 1.0, 1.000012), strict=True)}
    findings = judged(near).findings
    assert [one.oracle for one in findings] == ["agreement", "agreement", "reference"]
    assert odd_one_out(THREE, findings) == "torch"
    assert odd_one_out(["jax", "torch"], [one for one in findings if one.oracle == "reference"]) == "torch"


def test_a_disagreement_on_one_observation_spoils_the_blame_from_another() -> None:
    by_leg = {
        "tensorflow": {"loss": 1.0, "predictions": [1.0]},
        "jax": {"loss": 2.0, "predictions": [1.0]},
        "torch": {"loss": 1.0, "predictions": [2.0]},
    }
    assert odd(by_leg) is None


# --- words -----------------------------------------------------------------------------------------------------


def test_the_verdicts_are_the_five_words_of_pytest() -> None:
    assert [str(one) for one in Verdict] == ["PASSED", "FAILED", "ERROR", "XFAILED", "XPASSED"]


def test_the_first_line_that_says_something_is_quoted() -> None:
    assert first_line("\n  \n  Target 3 is out of bounds.\nStack:") == "Target 3 is out of bounds."
    assert first_line("") == ""
    assert len(first_line("x" * 1000)) == 200


def test_judging_changes_no_recording() -> None:
    seen = recording("a/b", "jax", loss=np.float32(1.0), predictions=np.array([2.0, 1.0], np.float32))
    before = replace(seen, observations={name: replace(o, value=o.value.copy()) for name, o in seen.observations.items()})
    judge({"jax": seen, "torch": make.recording("a/b", "torch", loss=2.0)}, THREE)
    for name, one in before.observations.items():
        np.testing.assert_array_equal(seen.observations[name].value, one.value)
