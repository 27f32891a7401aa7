"""The first line about a case says what differs and who is on which side."""

from __future__ import annotations

import make
import numpy as np
import pytest
from make import everywhere

from backendcheck.compare.findings import leading, partition
from backendcheck.recordings.recording import Variant
from backendcheck.results.headline import headline as words_of
from backendcheck.text.words import listed
from backendcheck.verdicts.verdict import Judgement, Verdict
from backendcheck.vocabulary.findings import Oracle

RAISED = "IndexError: Target 3 is out of bounds."


def headline(by_leg: dict[str, dict[str, object]], **analysis: object) -> str:
    return make.results({"a/b": by_leg}, **analysis).cases[0].headline


def test_a_passed_case_has_none() -> None:
    assert headline(everywhere(loss=1.0)) == ""


def test_a_passed_case_says_what_was_not_compared_because_it_draws_random_numbers() -> None:
    random = {"not_compared": dict.fromkeys(("metric/x", "train/metric/x"), "the metric x draws random numbers")}
    found = make.results({"a/b": everywhere(loss=1.0, **random)}).cases[0]
    assert (str(found.verdict), found.headline) == ("PASSED", "NOT COMPARED: the metric x draws random numbers")


def test_random_numbers_that_miss_the_reference_of_the_case_accuse_no_backend() -> None:
    random = {"not_compared": {"loss": "the loss draws random numbers"}, "reference": {"loss": 1.0}}
    found = make.results({"a/b": everywhere(loss=1.0, **random) | {"jax": {"loss": 2.0, **random}}}).cases[0]
    assert (str(found.verdict), found.odd_one_out) == ("FAILED", None)


# --- findings --------------------------------------------------------------------------------------------------


def test_one_number_is_given_for_each_group_of_backends() -> None:
    found = headline(everywhere(loss=0.5) | {"jax": {"loss": 0.75}})
    assert found == "VALUE: loss is 0.75 on jax; 0.5 on tensorflow and torch"


def test_numbers_that_differ_late_are_given_in_full() -> None:
    found = headline(everywhere(("jax", "torch"), loss=np.float64(0.1)) | {"torch": {"loss": np.float64(0.1) + 1e-10}})
    assert found == "VALUE: loss is 0.1 on jax; 0.1000000001 on torch"


def test_many_numbers_are_summed_up_at_the_worst() -> None:
    found = headline(everywhere(predictions=[1.0, 2.0]) | {"jax": {"predictions": [1.0, 3.0]}})
    assert found.startswith("VALUE: predictions: 1 of 2 differ, worst at [1]: 2 on tensorflow, 3 on jax")


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (True, False, "x is False on jax; True on tensorflow and torch"),
        (12345678, 12345679, "x is 12345679 on jax; 12345678 on tensorflow and torch"),
        ("dog", "fox", "x is 'fox' on jax; 'dog' on tensorflow and torch"),
    ],
)
def test_exact_values_are_written_in_full(one: object, other: object, words: str) -> None:
    assert headline(everywhere(x=one) | {"jax": {"x": other}}) == f"VALUE: {words}"


def test_what_wrapped_around_is_written_in_full() -> None:
    found = headline(everywhere(x=2147483648) | {"jax": {"x": -2147483648}})
    assert found == "LABEL WRAPPED: x on jax has wrapped around in int32 (2147483648 is -2147483648), against tensorflow"


def test_raising_on_some_says_what_the_others_returned() -> None:
    found = headline({"tensorflow": {"raised": RAISED}, "jax": {"loss": -0.0}, "torch": {"raised": RAISED}})
    assert found == "RAISED: tensorflow and torch raise IndexError: Target 3 is out of bounds; jax returns loss -0"


def test_exceptions_of_different_classes_are_all_named() -> None:
    by_leg = {"tensorflow": {"raised": "InvalidArgumentError: x"}, "jax": {"loss": 1.0}, "torch": {"raised": RAISED}}
    raising = "tensorflow raises InvalidArgumentError: x; torch raises IndexError: Target 3 is out of bounds"
    assert headline(by_leg) == f"RAISED: {raising}; jax returns loss 1"


def test_raising_everywhere_unasked_says_what() -> None:
    found = headline(everywhere(raised=RAISED))
    assert found == "RAISED: every backend refuses this: IndexError: Target 3 is out of bounds."


def test_raising_everywhere_in_different_words_tells_each_of_them() -> None:
    found = headline(everywhere(raised=RAISED) | {"jax": {"raised": "TypeError: no"}})
    words = "IndexError: Target 3 is out of bounds on tensorflow and torch; TypeError: no on jax"
    assert found == f"RAISED: every backend refuses this: {words}"


def test_raising_through_another_path_names_all_legs_and_keeps_the_words() -> None:
    def through_fit(text: str) -> dict[str, object]:
        variant = Variant(oracle=Oracle.PATHS, path="fit (jit)", raised=make.raised(text, "paths"))
        return {"loss": 0.5, "variants": (variant,)}

    by_leg = {"tensorflow": through_fit("ValueError: no such class."), "jax": through_fit("ValueError: no such class.")}
    words = "ValueError through fit (jit): no such class; loss 0.5 as recorded"
    assert headline(by_leg) == f"RAISED: tensorflow and jax: {words}"
    other = headline(by_leg | {"torch": through_fit("TypeError: no")})
    assert other == f"RAISED: tensorflow and jax: {words}; torch: TypeError through fit (jit): no; loss 0.5 as recorded"


def test_a_difference_between_paths_names_every_leg_that_has_it() -> None:
    def differs(loss: float) -> dict[str, object]:
        variant = Variant(oracle=Oracle.PATHS, path="evaluate", observations={"loss": make.observation(loss)})
        return {"loss": 0.5, "variants": (variant,)}

    found = headline({"tensorflow": differs(0.5), "jax": differs(0.75), "torch": differs(0.75)})
    assert found.startswith("PATHS DIFFER: loss: 0.5 on jax, 0.75 on jax:evaluate")
    assert found.endswith(", also on torch")


NAN = float("nan")


@pytest.mark.parametrize(
    ("by_leg", "words"),
    [
        (everywhere(per_example_loss=[1.0, NAN]), "per_example_loss: every backend returns NaN for example 1"),
        (everywhere(predictions=[[NAN, 1.0], [1.0, NAN]]), "predictions: every backend returns NaN for every example"),
        (everywhere(loss=np.float32(NAN)), "loss: every backend returns NaN"),
        (
            everywhere(per_example_loss=[np.inf, NAN, 1.0]) | {"jax": {"per_example_loss": [np.inf, 1.0, NAN]}},
            "per_example_loss: NaN and Inf for examples 0 and 1 on tensorflow and torch; NaN and Inf for examples 0 and 2 on jax",
        ),
    ],
)
def test_nan_everywhere_is_told_of_every_backend_and_by_example(by_leg: dict[str, dict[str, object]], words: str) -> None:
    result = make.results({"a/b": by_leg}).cases[0]
    judged = Judgement(verdict=Verdict.FAILED, comparisons=result.comparisons)
    assert words_of(judged, result.recordings) == f"NON-FINITE: {words}"


def test_raising_nowhere_though_asked_says_what_came_instead() -> None:
    found = headline(everywhere(("jax", "torch"), loss=0.5, expect={}))
    assert found == "RAISED: expected every backend to reject this, none did: loss 0.5 on jax; loss 0.5 on torch"


def test_another_exception_than_asked_names_backend_and_both_classes() -> None:
    asked = {"type_names": ["IndexError"]}
    by_leg = everywhere(raised=RAISED, expect=asked) | {"torch": {"raised": "OSError: disk", "expect": asked}}
    assert headline(by_leg) == "RAISED: torch raised OSError; expected IndexError"


def test_a_missing_observation_names_who_has_it_and_who_has_not() -> None:
    by_leg = everywhere(loss=1.0, predictions=[1.0]) | {"jax": {"loss": 1.0}}
    assert headline(by_leg) == "MISSING: predictions recorded on tensorflow and torch, missing on jax"


def test_shapes_and_dtypes_are_given_by_group() -> None:
    assert headline(everywhere(x=[1, 2]) | {"jax": {"x": [1]}}) == "SHAPE: x is (1,) on jax; (2,) on tensorflow and torch"
    narrow = {"jax": {"x": np.array([1, 2], np.int32)}}
    assert headline(everywhere(x=[1, 2]) | narrow) == "DTYPE: x is int32 on jax; int64 on tensorflow and torch"


def test_the_order_of_outputs_is_listed_by_group() -> None:
    by_leg = everywhere(output_order=["Stage", "age", "tumor"]) | {"tensorflow": {"output_order": ["tumor", "age", "Stage"]}}
    assert headline(by_leg) == "OUTPUT ORDER: predict returns tumor, age, Stage on tensorflow; Stage, age, tumor on jax and torch"


def test_a_long_order_is_cut() -> None:
    names = [f"word{n}" for n in range(50)]
    found = headline(everywhere(vocabulary=names) | {"jax": {"vocabulary": names[::-1]}})
    assert found.startswith("ORDER: vocabulary is word49, ")
    assert "… (50) on jax" in found
    assert len(found) < 250


def test_a_wrong_value_everywhere_names_the_reference() -> None:
    found = headline(everywhere(loss=1.0, reference={"loss": 2.0}))
    assert found == "WRONG VALUE: loss is 1 on every backend; the reference says 2"


def test_wrong_values_everywhere_are_summed_up_at_the_worst() -> None:
    wrong = headline(everywhere(predictions=[1.0, 2.0], reference={"predictions": [1.0, 3.0]}))
    assert wrong.startswith("WRONG VALUE: predictions: 1 of 2 differ, worst at [1]: 2 on every backend, 3 on reference")


def test_nan_says_where() -> None:
    found = headline(everywhere(loss=1.0) | {"jax": {"loss": np.float32(np.nan)}})
    assert found == "NAN: NaN first appears in loss on jax (1 of 1), where tensorflow has a number"


def test_structure_goes_before_values_and_early_before_late() -> None:
    by_leg = everywhere(loss=1.0, predictions=[1.0], observations={"train/loss": [1.0]})
    other = {"jax": {"loss": 2.0, "predictions": [2.0], "observations": {"train/loss": [1.0, 2.0]}}}
    findings = make.results({"a/b": by_leg | other}).cases[0].findings
    assert (leading(findings).observation, leading(findings).kind) == ("train/loss", "shape")
    values = [one for one in findings if one.kind == "value"]
    assert leading(values).observation == "predictions"


# --- problems --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jax", "words"),
    [
        ({"status": "crashed", "problem": "signal 11"}, "CRASHED: jax crashed: signal 11"),
        ({"status": "timed out", "problem": "after 300 s"}, "TIMED OUT: jax timed out: after 300 s"),
        ({"status": "skipped", "problem": "no GPU"}, "SKIPPED: jax skipped it: no GPU"),
        ({"status": "error", "problem": "case_x returned None"}, "ERROR: jax could not observe it: case_x returned None"),
        ({"loss": 1.0, "digests": {"y": "2"}}, "NOT COMPARABLE: tensorflow and jax were fed different inputs: y"),
    ],
)
def test_a_problem_goes_before_any_finding(jax: dict[str, object], words: str) -> None:
    by_leg = {"tensorflow": {"loss": 1.0, "digests": {"y": "1"}}, "jax": jax, "torch": {"loss": 5.0, "digests": {"y": "1"}}}
    assert headline(by_leg) == words


def test_what_a_backend_does_not_support_is_said_of_a_case_that_passes() -> None:
    jax = {"status": "not supported", "problem": "jax does not support text inputs (x)"}
    passes = {"tensorflow": {"loss": 1.0}, "jax": jax, "torch": {"loss": 1.0}}
    assert headline(passes) == "NOT SUPPORTED: jax does not support text inputs (x)"
    assert headline(passes | {"torch": {"loss": 5.0}}) == "VALUE: loss is 1 on tensorflow; 5 on torch"


def test_several_problems_are_counted() -> None:
    assert headline({"jax": {"loss": 1.0}}, expected=make.BACKENDS) == "MISSING: tensorflow has no recording of it (and 1 more)"


def test_a_comparison_of_nothing_says_so() -> None:
    assert headline(everywhere(loss=np.zeros(0, np.float32))) == "NOTHING COMPARED: nothing could be compared"


# --- parts -----------------------------------------------------------------------------------------------------


def test_names_are_listed_as_in_a_sentence() -> None:
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["no backend", "a", "a and b", "a, b and c"]


def test_legs_that_agree_are_one_group_and_the_largest_is_last() -> None:
    findings = make.results({"a/b": everywhere(loss=1.0) | {"torch": {"loss": 2.0}}}).cases[0].findings
    assert partition("loss", findings, make.BACKENDS) == [["torch"], ["tensorflow", "jax"]]
    assert partition("predictions", findings, make.BACKENDS) == [["tensorflow", "jax", "torch"]]


def test_a_leg_that_misses_the_reference_in_two_ways_is_named_once() -> None:
    reference = {"reference": {"value/mask": np.array([0.0, 1.0, 0.0])}, "reference_dtypes": {"value/mask": "uint8"}}
    by_leg = {leg: {"observations": {"value/mask": np.float32([1, 1, 0])}, **reference} for leg in make.BACKENDS}
    words = headline(by_leg)
    assert words.startswith("WRONG VALUE: value/mask: 1 of 3 differ, worst at [0]: 1 on every backend, 0 on reference"), words


def test_each_value_that_misses_the_reference_stands_with_its_legs() -> None:
    by_leg = {
        leg: {"observations": {"value/r2": value}, "reference": {"value/r2": 0.5}, "tolerance": {"*": (0.0, 0.1)}}
        for leg, value in (("tensorflow", 0.25), ("jax", 0.250000001), ("torch", 0.3))
    }
    assert headline(by_leg) == "WRONG VALUE: value/r2 is 0.25 on tensorflow and jax; 0.3 on torch; the reference says 0.5"
