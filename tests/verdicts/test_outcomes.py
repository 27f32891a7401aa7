"""An outcome says what each backend does, and any change of it is FAILED, whatever the kind of the finding."""

from __future__ import annotations

import math

import make
import pytest
from make import divergence, everywhere, recording

from backendcheck.compare.tolerances import Override, Tolerance
from backendcheck.results.results import CaseResult
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.outcomes import changed_outcomes, observed_outcome, parse_outcome
from backendcheck.verdicts.verdict import Verdict

RAISED = "IndexError: Target 3 is out of bounds."
SILENT = {"tensorflow": {"raised": "InvalidArgumentError: no"}, "jax": {"loss": -0.0}, "torch": {"raised": RAISED}}


def known(backends: str = "jax", kind: str = "raised", /, *, observation: str = "", **outcome: str) -> Divergence:
    parsed = {backend: made for backend, text in outcome.items() if (made := parse_outcome(text))}
    return divergence("a/b", backends, kind, outcome=parsed, observation=observation)


AS_SEEN = {"tensorflow": "raises InvalidArgumentError", "jax": "0.0", "torch": "raises IndexError"}


def judged(by_leg: dict[str, dict[str, object]], entry: Divergence, **analysis: object) -> CaseResult:
    return make.results({"a/b": by_leg}, known=[entry], **analysis).cases[0]


def changed(recorded: dict[str, object], text: str, observation: str = "", overrides: tuple[Override, ...] = ()) -> list[str]:
    outcome = parse_outcome(text)
    assert outcome is not None
    return changed_outcomes({"jax": outcome}, observation, {"jax": recording("a/b", "jax", **recorded)}, overrides)


# --- the verdict -----------------------------------------------------------------------------------------------


def test_the_outcome_as_described_is_expected() -> None:
    result = judged(SILENT, known(**AS_SEEN))
    assert (result.verdict, result.changed) == (Verdict.XFAILED, ())


def test_a_silent_backend_whose_loss_changes_is_failed_again() -> None:
    """JAX goes from -0.0 to 0.77. That it alone does not raise is as before."""
    by_leg = SILENT | {"jax": {"loss": 0.77}}
    assert judged(by_leg, known()).verdict is Verdict.XFAILED
    result = judged(by_leg, known(**AS_SEEN))
    assert result.verdict is Verdict.FAILED
    assert result.changed == ("the outcome on jax (loss) was 0.0, it is 0.77",)
    assert "[changed: the outcome on jax" in result.headline


def test_another_exception_is_failed_again() -> None:
    result = judged(SILENT | {"torch": {"raised": "RuntimeError: no"}}, known(**AS_SEEN))
    assert result.verdict is Verdict.FAILED
    assert result.changed == ("the outcome on torch was raises IndexError, it is raises RuntimeError",)


def test_an_exception_instead_of_a_number_is_changed_and_the_other_way_round() -> None:
    assert changed({"raised": RAISED}, "0.0") == ["the outcome on jax was 0.0, it is raises IndexError"]
    assert changed({"loss": 0.5}, "raises IndexError") == ["the outcome on jax (loss) was raises IndexError, it is 0.5"]
    assert changed({"loss": math.nan}, "raises IndexError") == ["the outcome on jax (loss) was raises IndexError, it is nan"]


def test_what_a_case_recorded_before_it_raised_is_not_its_outcome() -> None:
    recorded = {"raised": RAISED, "loss": 0.0, "status": "raised"}
    assert changed(recorded, "0.0") == ["the outcome on jax was 0.0, it is raises IndexError"]
    assert changed(recorded, "raises IndexError") == []


def test_a_backend_that_is_left_out_or_did_not_run_may_do_anything() -> None:
    entry = known(jax="0.0")
    assert judged(SILENT | {"torch": {"raised": "RuntimeError: no"}}, entry).verdict is Verdict.XFAILED
    two = {leg: SILENT[leg] for leg in ("jax", "torch")}
    assert judged(two, known(**AS_SEEN | {"tensorflow": "raises TypeError"})).verdict is Verdict.XFAILED


def test_each_of_two_legs_of_one_backend_has_to_have_the_outcome() -> None:
    outcome = parse_outcome("0.5")
    assert outcome is not None
    recordings = {"jax#1": recording("a/b", "jax", loss=0.5), "jax#2": recording("a/b", "jax", loss=0.75)}
    assert changed_outcomes({"jax": outcome}, "", recordings) == ["the outcome on jax#2 (loss) was 0.5, it is 0.75"]


def test_a_divergence_that_is_gone_is_xpassed_whatever_its_outcome() -> None:
    assert judged(everywhere(loss=1.0), known("jax", "value", jax="2.0")).verdict is Verdict.XPASSED


def test_an_outcome_of_an_entry_for_an_oracle_that_was_not_asked_says_nothing() -> None:
    legs = everywhere(loss=1.0, oracles=("agreement",)) | {"jax": {"loss": 2.0, "oracles": ("agreement",)}}
    first, second = known("jax", "value"), known("jax", "value", jax="7")
    second = make.divergence("a/b", "jax", oracles=frozenset({"reference"}), outcome=second.outcome, number=2)
    assert make.results({"a/b": legs}, known=[first, second]).cases[0].verdict is Verdict.XFAILED


# --- numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "same"), [(0.77, True), (0.770005, True), (0.7702, False), (math.nan, False), (math.inf, False)]
)
def test_a_number_is_compared_within_the_tolerance_of_its_observation(loss: float, same: bool) -> None:
    assert (changed({"loss": loss}, "0.77") == []) is same


def test_the_tolerance_is_that_of_the_case_or_of_the_project() -> None:
    assert changed({"loss": 0.78, "tolerance": {"loss": (0.1, 0.0)}}, "0.77") == []
    wide = Override(observation="loss", tolerance=Tolerance(rtol=0.1, atol=0.0))
    assert changed({"loss": 0.78}, "0.77", overrides=(wide,)) == []
    entry, by_leg = known("jax", "value", jax="2"), everywhere(loss=1.0) | {"jax": {"loss": 2.05}}
    assert judged(by_leg, entry).verdict is Verdict.FAILED
    assert judged(by_leg, entry, overrides=[wide]).verdict is Verdict.XFAILED


def test_integers_are_exact() -> None:
    assert changed({"observations": {"value/label": 100000}}, "100000") == []
    assert changed({"observations": {"value/label": 100001}}, "100000") != []


def test_nan_and_infinity_are_outcomes() -> None:
    assert changed({"loss": math.nan}, "nan") == []
    assert changed({"loss": 1.0}, "nan") != []
    assert changed({"loss": math.inf}, "inf") == []
    assert changed({"loss": -math.inf}, "inf") != []
    assert changed({"loss": -math.inf}, "-inf") == []


# --- observations ----------------------------------------------------------------------------------------------


def test_an_outcome_speaks_of_the_loss_or_of_the_only_value() -> None:
    assert changed({"loss": 1.0, "observations": {"value/x": 5.0}}, "1.0") == []
    assert changed({"observations": {"value/x": 5.0, "predicted_class": [1]}}, "5.0") == []
    two = {"observations": {"value/x": 5.0, "value/y": 5.0}}
    assert changed(two, "5.0") == ["the outcome on jax was 5.0, it is something else"]


def test_the_entry_may_name_another_observation() -> None:
    recorded = {"loss": 1.0, "observations": {"metric/recall": 0.25}}
    assert changed(recorded, "0.25", "metric/recall") == []
    assert changed(recorded, "1.0", "metric/recall") == ["the outcome on jax (metric/recall) was 1.0, it is 0.25"]
    assert changed(recorded, "0.25", "metric/auc") == ["the outcome on jax (metric/auc) was 0.25, it is something else"]


def test_a_number_for_an_array_says_that_every_element_is_that_number() -> None:
    observation = "gradient/y_pred"
    assert changed({"observations": {observation: [[0.0, -0.0], [0.0, 0.0]]}}, "0.0", observation) == []
    assert changed({"observations": {observation: [[0.0, 0.0], [0.0, 0.5]]}}, "0.0", observation) != []


def test_nan_or_infinity_for_an_array_says_that_some_element_is() -> None:
    assert changed({"observations": {"value/x": [1.0, math.nan]}}, "nan") == []
    assert changed({"observations": {"value/x": [1.0, math.inf]}}, "inf") == []
    assert changed({"observations": {"value/x": [math.nan, math.inf]}}, "inf") != []


def test_one_element_may_be_named() -> None:
    recorded = {"observations": {"gradient/y_pred": [[0.25, 0.5], [0.75, 1.0]]}}
    assert changed(recorded, "0.75", "gradient/y_pred[1, 0]") == []
    assert changed(recorded, "0.75", "gradient/y_pred[1,0]") == []
    assert changed(recorded, "0.75", "gradient/y_pred[0, 1]") != []
    beyond = "gradient/y_pred[2, 0]"
    assert changed(recorded, "0.75", beyond) == [f"the outcome on jax ({beyond}) was 0.75, it is something else"]
    assert changed(recorded, "0.75", "gradient/y_pred[1]") != []


def test_a_name_that_holds_brackets_is_taken_as_it_is() -> None:
    assert changed({"observations": {"value/x[0]": 3.0, "value/x": [7.0]}}, "3.0", "value/x[0]") == []


def test_one_element_of_a_gradient_has_the_tolerance_of_the_whole_gradient() -> None:
    large = {"observations": {"gradient/y_pred": [1000.0, 0.05]}}
    assert changed(large, "0.0", "gradient/y_pred[1]") == []  # 5e-5 of the largest element
    assert changed({"observations": {"gradient/y_pred": [1.0, 0.05]}}, "0.0", "gradient/y_pred[1]") != []


def test_text_has_no_outcome() -> None:
    text = {"observations": {"value/names": ["a", "b"]}}
    assert changed(text, "1") == ["the outcome on jax (value/names) was 1, it is something else"]


# --- as text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "raises", "raises two words", "about 3", "IndexError", "raises 3"])
def test_what_is_not_an_outcome(text: str) -> None:
    assert parse_outcome(text) is None


@pytest.mark.parametrize(
    ("recorded", "text"),
    [
        ({"raised": RAISED}, "raises IndexError"),
        ({"loss": -0.0}, "0.0"),
        ({"loss": 0.1}, "0.1"),
        ({"loss": math.nan}, "nan"),
        ({"observations": {"value/x": [1.0, math.nan, math.inf]}}, "nan"),
        ({"observations": {"value/x": [1.0, math.inf]}}, "inf"),
        ({"observations": {"value/x": [-math.inf, math.inf]}}, ""),
        ({"observations": {"value/x": [2, 2]}}, "2"),
        ({"observations": {"value/x": [2, 3]}}, ""),
        ({"observations": {"value/x": True}}, "1"),
        ({"observations": {"value/x": []}}, ""),
        ({"observations": {"value/x": 0.0, "value/y": 0.0}}, ""),
    ],
)
def test_the_outcome_of_a_recording_is_what_a_file_would_say(recorded: dict[str, object], text: str) -> None:
    assert observed_outcome(recording("a/b", "jax", **recorded)) == text
    assert not text or changed(recorded, text) == []
