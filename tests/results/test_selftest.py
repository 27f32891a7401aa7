"""How injected faults are judged and counted: a fault that is missed, a false alarm and a missing recording all fail."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forked import backendcheck
from make import divergence, environment, everywhere, leg, legs, recording, results

from backendcheck.case_files import case_functions, find_case_files
from backendcheck.diagnose import CODES
from backendcheck.diagnose.detectors import refusals
from backendcheck.errors import UsageError
from backendcheck.recordings.files import write_environment, write_recording
from backendcheck.recordings.recording import Recording, Variant
from backendcheck.report.formats.selftest import as_dict, listed_faults, table
from backendcheck.results.selftest import SelfTest, compare_again, false_alarms, furthest_moved, moved_plainly, try_fault
from backendcheck.results.selftest_legs import judge
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS, DEFAULT_NAMES
from backendcheck.vocabulary.faults import FAULTS, NO_FAULT, Fault, faults_named, leg_of
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.leg_names import parse_leg, parse_legs

CASE = "a/b"
ROOT = Path(__file__).parents[2]
ALTERED = {"n_altered": 3, "n_same": 0, "n_traced": 0, "n_unsettled": 0}
ORDER = ["tumor", "age"]


def fault(*codes: str, cases: tuple[str, ...] = (CASE,)) -> Fault:
    return Fault(name="injected", what="something is wrong", codes=codes or ("output-order",), cases=cases)


def outputs(order: list[str], nudge: float = 0.0) -> dict[str, Any]:
    """Two named outputs, returned in this order."""
    values = {"predictions/tumor": [[0.25 + nudge]], "predictions/age": [[40.0]]}
    return {"output_order": order, "observations": values}


def tried(
    faulty: Mapping[str, Any] | None,
    clean: Mapping[str, Any] | None = None,
    *,
    notes: Mapping[str, int] = ALTERED,
    codes: tuple[str, ...] = (),
    **analysis: Any,
) -> SelfTest:
    """A self-test of one fault on JAX, `faulty` being what JAX records with it injected."""
    clean = everywhere(**outputs(ORDER)) if clean is None else clean
    clean_results = results({CASE: clean}, **analysis)
    with_fault = leg("jax", recording(CASE, "jax", **faulty)) if faulty is not None else None
    trials = try_fault(
        fault(*codes), with_fault, {CASE: notes}, clean_results, backend="jax", known=analysis.get("known", ())
    )  # fmt: skip
    problems = tuple(map(str, clean_results.problems))
    return SelfTest(trials=tuple(trials), false_alarms=tuple(false_alarms(clean_results)), problems=problems, n_clean=1)


def test_a_fault_that_is_detected_and_named() -> None:
    ended = tried(outputs(ORDER[::-1]))
    (trial,) = ended.trials
    assert (trial.reached, trial.visible, trial.detected, trial.named, trial.first) == (True,) * 5
    assert trial.diagnoses == ("output-order",)
    assert (ended.detection_rate, ended.naming_rate, ended.first_rate) == (1.0, 1.0, 1.0)
    assert ended.exit_code == 0


def test_a_fault_that_is_not_detected_fails() -> None:
    """A known divergence that is drawn too wide swallows it."""
    excuse = [divergence(CASE, "jax", "order")]
    ended = tried(outputs(ORDER[::-1]), known=excuse, clean=everywhere(**outputs(ORDER)))
    (trial,) = ended.trials
    assert (trial.visible, trial.detected, trial.verdict) == (True, False, "XFAILED")
    assert ended.detection_rate == 0.0
    assert ended.exit_code == 1


def test_a_fault_under_a_wrong_name_is_detected_and_not_named() -> None:
    ended = tried(outputs(ORDER[::-1]), codes=("class-order",))
    assert (ended.detection_rate, ended.naming_rate) == (1.0, 0.0)
    assert ended.exit_code == 0


def test_a_fault_without_a_name_is_detected_and_not_named() -> None:
    ended = tried(outputs(ORDER, nudge=0.5), codes=("scale",))
    assert ended.trials[0].detected
    assert not ended.trials[0].named
    assert (ended.naming_rate, ended.exit_code) == (0.0, 0)


def test_what_was_found_before_is_not_detection() -> None:
    """JAX is the odd one out already; that it stays so says nothing about the fault."""
    clean = everywhere(**outputs(ORDER)) | {"jax": outputs(ORDER, nudge=0.5)}
    ended = tried(outputs(ORDER, nudge=0.25), clean)
    assert ended.trials[0].visible
    assert not ended.trials[0].detected


def test_an_invented_alarm_fails() -> None:
    clean = everywhere(**outputs(ORDER)) | {"torch": outputs(ORDER, nudge=0.5)}
    ended = tried(outputs(ORDER[::-1]), clean)
    assert ended.detection_rate == 1.0
    assert len(ended.false_alarms) == 1
    assert ended.false_alarms[0].startswith("a/b: FAILED")
    assert ended.exit_code == 1


def test_a_known_divergence_is_no_false_alarm() -> None:
    clean = everywhere(**outputs(ORDER)) | {"torch": outputs(ORDER, nudge=0.5)}
    assert false_alarms(results({CASE: clean}, known=[divergence(CASE, "torch", "value")])) == []


def test_a_known_divergence_that_is_gone_is_an_alarm() -> None:
    (alarm,) = false_alarms(results({CASE: everywhere(loss=0.5)}, known=[divergence(CASE, "torch", "value")]))
    assert "XPASSED" in alarm


def test_what_moves_less_than_twice_the_tolerance_is_not_owed() -> None:
    ended = tried(outputs(ORDER, nudge=4e-6))  # 1.2 times what is allowed of 0.25
    (trial,) = ended.trials
    assert not trial.visible
    assert "predictions/tumor" in trial.moved
    assert ended.incomplete == ("injected: was not visible on any of its cases",)
    assert ended.exit_code == 3


def test_what_was_not_reached_is_not_owed() -> None:
    ended = tried(outputs(ORDER[::-1]), notes=ALTERED | {"n_altered": 0, "n_same": 3})
    assert not ended.trials[0].reached
    assert not ended.owed
    assert ended.exit_code == 3


def test_a_compiled_function_counts_as_reached() -> None:
    assert tried(outputs(ORDER[::-1]), notes=ALTERED | {"n_altered": 0, "n_traced": 1}).exit_code == 0


@pytest.mark.parametrize(
    ("faulty", "notes", "problem"),
    [
        (None, ALTERED, "has no recording with the fault injected"),
        ({"status": "error", "problem": "why"}, ALTERED, "was not recorded with the fault injected (error): why"),
        (
            outputs(ORDER[::-1]), ALTERED | {"n_unsettled": 1},
            "the fault could not be removed: other code had replaced the function",
        ),
    ],
    ids=["missing", "error", "unsettled"],
)  # fmt: skip
def test_what_could_not_be_tried_is_incomplete(faulty: Any, notes: Any, problem: str) -> None:
    ended = tried(faulty, notes=notes)
    assert ended.trials[0].problem == problem
    assert any(problem in line for line in ended.incomplete)
    assert ended.exit_code == 3


def test_a_case_that_is_gone_is_incomplete() -> None:
    clean = results({CASE: everywhere(loss=0.5)})
    (trial,) = try_fault(fault(cases=("a/gone",)), None, {}, clean, backend="jax")
    assert trial.problem.startswith("has no clean recording")


def test_a_case_that_cannot_be_judged_is_incomplete() -> None:
    clean = everywhere(loss=0.5) | {"torch": {"status": "crashed", "problem": "signal 11"}}
    ended = tried({"loss": 0.7}, clean)
    assert "cannot be judged even without a fault" in ended.trials[0].problem
    assert ended.exit_code == 3


def test_nothing_tried_is_incomplete() -> None:
    assert SelfTest(trials=()).exit_code == 3


def test_visible_whatever_the_comparison_says() -> None:
    """A tolerance so wide that the comparison sees nothing does not make a fault unseen."""
    before = recording(CASE, "jax", loss=0.5, tolerance={"*": (1.0, 1.0)})
    after = replace(before, observations=recording(CASE, "jax", loss=0.6).observations)
    moved = furthest_moved(before, after)
    assert moved is not None
    assert moved.excess is not None
    assert moved.excess < 1
    assert moved_plainly(before, after)
    assert not moved_plainly(before, before)


def test_a_change_on_another_path_only_is_visible() -> None:
    def with_path(loss: float) -> Recording:
        observations = recording(CASE, "jax", loss=loss).observations
        variant = Variant(oracle=Oracle.PATHS, path="evaluate", observations=observations)
        return replace(recording(CASE, "jax", loss=0.5), variants=(variant,))

    moved = furthest_moved(with_path(0.5), with_path(0.6))
    assert moved is not None
    assert moved.kind == "value"
    assert furthest_moved(with_path(0.5), with_path(0.5)) is None


def test_a_backend_against_itself() -> None:
    (first,) = legs({CASE: {"jax": {"loss": 0.5, "per_example_loss": [0.5, float("nan")]}}})
    assert compare_again(first, first) == ([], [])
    (rounded,) = legs({CASE: {"jax": {"loss": np.float32(0.5) + np.float32(1e-7), "per_example_loss": [0.5, float("nan")]}}})
    alarms, changed = compare_again(first, rounded)
    assert alarms == []
    assert changed == ["a/b on jax: not the same bit for bit after the faults: loss"]
    (other,) = legs({CASE: {"jax": {"loss": 0.6, "per_example_loss": [0.5, float("nan")]}}})
    alarms, changed = compare_again(first, other)
    assert alarms[0].startswith("a/b: jax differs from itself: loss: ")
    assert len(changed) == 1


def test_once_is_not_twice() -> None:
    (first,) = legs({CASE: {"jax": {"loss": 0.5}}})
    (failed,) = legs({CASE: {"jax": {"status": "error"}}})
    assert compare_again(first, failed)[1] == ["a/b on jax: was not recorded twice"]


def test_the_table_says_what_was_missed() -> None:
    text = "\n".join(table(tried(outputs(ORDER[::-1]), codes=("class-order",))))
    assert "injected  jax             1        1         1      0      0  output-order" in text
    assert "not named:\n  injected on jax, a/b:" in text
    assert "expected class-order" in text
    assert "detected 1 of 1 (100.0%)" in text
    assert "also     output-order 1 times" in text


def test_json_has_everything() -> None:
    content = as_dict(tried(outputs(ORDER[::-1])))
    assert (content["schema"], content["exit_code"], content["detection_rate"], content["n_faults"]) == (1, 0, 1.0, 1)
    assert content["trials"][0]["diagnoses"] == ("output-order",)


def kept(folder: Path, *, run: str = "run of jax") -> Path:
    """What a self-test of one fault on JAX leaves on disk."""

    def write(leg_folder: Path, backend: str, observed: dict[str, Any], run: str) -> None:
        one = recording(CASE_OF_REORDERED, backend, run=run, **observed)
        digests = {one.case: write_recording(leg_folder, one)}
        write_environment(leg_folder, environment(backend, (one.case,), run=run, digests=digests))

    for backend in ("jax", "torch"):
        write(folder / backend, backend, outputs(ORDER), f"run of {backend}")
        write(folder / "faults" / NO_FAULT / backend, backend, outputs(ORDER), f"run of {backend}")
    write(folder / "faults" / REORDERED.name / "jax", "jax", outputs(ORDER[::-1]), run)
    notes = json.dumps({"case": CASE_OF_REORDERED} | ALTERED)
    (folder / "faults" / REORDERED.name / "jax" / "planted-gw0.jsonl").write_text(notes + "\n")
    return folder


REORDERED = faults_named(["outputs-reordered"])[0]
CASE_OF_REORDERED = REORDERED.cases[0]


def test_what_was_kept_is_judged_once_more(tmp_path: Path) -> None:
    ended = judge(kept(tmp_path), [(REORDERED, parse_leg("jax"))])
    assert ended.false_alarms == ()
    assert ended.problems == ()
    assert [trial.first for trial in ended.trials] == [True, False, False]
    assert [bool(trial.problem) for trial in ended.trials] == [False, True, True]  # two of its cases are not there
    assert ended.exit_code == 3


def test_legs_of_two_runs_are_not_judged_together(tmp_path: Path) -> None:
    (problem,) = judge(kept(tmp_path, run="another"), [(REORDERED, parse_leg("jax"))]).problems
    assert "is not of the run that recorded" in problem


def test_without_a_second_clean_recording_it_is_incomplete(tmp_path: Path) -> None:
    shutil.rmtree(kept(tmp_path) / "faults" / NO_FAULT / "torch")
    assert judge(tmp_path, [(REORDERED, parse_leg("jax"))]).problems == ("torch: was not recorded twice",)


def test_the_command_judges_what_was_kept(tmp_path: Path) -> None:
    ended = backendcheck("selftest", "--judge", kept(tmp_path / "kept"), "--json", cwd=tmp_path)
    content = json.loads(ended.out)
    assert ended.exit_code == content["exit_code"] == 3
    assert (content["n_visible"], content["detection_rate"], content["left_out"]) == (1, 1.0, [])


# --- the table of faults ---------------------------------------------------------------------------------------


def test_every_fault_is_tried_on_cases_that_there_are() -> None:
    there = {case.id for file in find_case_files([str(ROOT / "cases")]) for case in case_functions(file)}
    for one in FAULTS:
        assert one.cases, one.name
        assert {case.partition("[")[0] for case in one.cases} <= there, one.name
        assert len(set(one.cases)) == len(one.cases), one.name
    assert len({one.name for one in FAULTS}) == len(FAULTS)
    assert NO_FAULT not in {one.name for one in FAULTS}


def test_every_diagnosis_has_a_fault_that_it_fits() -> None:
    """But those of dtypes, of what a saved model brings along, of TensorFlow's own gradients, of what has no name, and of limits:
    what a backend refuses or leaves open by itself is in its clean recordings.
    """
    fitting = {code for one in FAULTS for code in one.codes}
    assert fitting <= set(CODES)
    refused = {*refusals.CODES}
    left_open = {
        "cast-out-of-range", "denormal", "half-way", "index-out-of-range", "infinite-scores", "label-rounded", "nan-order",
    }  # fmt: skip
    assert set(CODES) - fitting == refused | left_open | {
        "chosen-function", "dropped-mask", "foreign-optimizer", "label-dtype", "label-mass", "nan-everywhere",
        "refused-everywhere", "sparse-gradient", "undiagnosed", "unexplained", "wrong-everywhere",
    }  # fmt: skip


def test_the_legs_take_turns() -> None:
    on = [leg_of(one, list(parse_legs(DEFAULT_NAMES))) for one in FAULTS]
    assert {leg.backend for leg in on if leg} == set(DEFAULT_BACKENDS)
    assert all(leg is not None and leg.backend in one.backends for one, leg in zip(FAULTS, on, strict=True))
    rejecting = faults_named(["range-clipped"])[0]
    assert leg_of(rejecting, [parse_leg("jax+eager")]) is None


def test_faults_by_name() -> None:
    assert [one.name for one in faults_named(["loss-scaled", "loss-scaled"])] == ["loss-scaled"]
    assert faults_named([]) == FAULTS
    with pytest.raises(UsageError, match=r"loss-scaledd: no such fault; expected some of .* Did you mean loss-scaled"):
        faults_named(["loss-scaledd"])
    assert len(listed_faults(FAULTS)) == len(FAULTS)


# --- on live backends ------------------------------------------------------------------------------------------


def test_the_list_starts_nothing(tmp_path: Path) -> None:
    ended = backendcheck("selftest", "--list", cwd=tmp_path)
    assert ended.exit_code == 0
    assert len(ended.out.splitlines()) == len(FAULTS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--faults", "nonsense"), "nonsense: no such fault"),
        (("--faults", "range-clipped", "--backend", "jax"), "range-clipped: cannot be injected on jax"),
        (("--backend", "torch", "--backends", "jax"), "--backend: torch is not in --backends jax"),
    ],
)
def test_wrong_usage(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    ended = backendcheck("selftest", *options, cwd=tmp_path)
    assert ended.exit_code == 2
    assert words in ended.err
