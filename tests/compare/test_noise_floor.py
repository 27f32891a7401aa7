"""The noise floor: measured inside each leg, shown beside tolerances, and of no say in any verdict."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import make
import numpy as np
import pytest

from backendcheck.errors import UnreadableInput
from backendcheck.files import file_sha256
from backendcheck.recordings.files import write_environment, write_recording
from backendcheck.recordings.legs import Leg, find_legs, read_legs
from backendcheck.recordings.noise import MEASURES, Noise, NoiseFloor, headroom, multiple, noise_path, recordings_for
from backendcheck.recordings.paths import recording_path
from backendcheck.report.formats import github, text
from backendcheck.report.formats import json as json_report
from backendcheck.report.html import page as html_report
from backendcheck.report.views.noise import noise_words
from backendcheck.results.results import Results, analyze

CASE = "a/b"
MOVED = {"jittered/x": "other", "x": "same"}


def single(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def leg(backend: str, observed: dict[str, Any], noise: dict[str, Any] | None = None, **fields: Any) -> Leg:
    """A leg with one case; `noise` maps the names of noise recordings to a recording, or to what it observed."""
    base = make.recording(CASE, backend, digests={"x": "same"}, **observed, **fields)
    made = {
        name: {CASE: given if not isinstance(given, dict) else noise_recording(name, backend, given, **fields)}
        for name, given in (noise or {}).items()
    }
    return replace(make.leg(backend, base), noise=made)


def noise_recording(name: str, backend: str, given: dict[str, Any], **fields: Any) -> Any:
    digests = MOVED if name.startswith("jitter") else {"x": "same"}
    return make.recording(CASE, backend, **({"digests": digests} | fields | given))


def judged(*legs: Leg, **analysis: Any) -> Results:
    return analyze(legs, today=make.TODAY, **analysis)


def floor(results: Results, observation: str = "loss", left: str = "jax", right: str = "torch") -> NoiseFloor | None:
    (found,) = (c for c in results.cases[0].comparisons if (c.observation, c.left, c.right) == (observation, left, right))
    return found.noise


def two(noise: dict[str, Any], observed: dict[str, Any] | None = None, other: dict[str, Any] | None = None) -> Results:
    """JAX with `noise`, PyTorch without."""
    observed = observed or {"loss": single(1.0)}
    return judged(leg("jax", observed, noise), leg("torch", other or observed))


# --- how large it is -------------------------------------------------------------------------------------------------


def test_the_floor_is_the_share_of_the_tolerance_that_noise_takes() -> None:
    measured = floor(two({"repeat": {"loss": single(1.0)}, "jitter-1": {"loss": single(1.0 + 2.0**-20)}}))
    assert measured is not None
    assert measured.by_source["repeat"] == Noise(source="repeat", leg="jax", max_abs=0.0, excess=0.0, n_elements=1, n_different=0)
    jitter = measured.by_source["jitter"]
    assert jitter is not None
    assert jitter.max_abs == 2.0**-20
    assert jitter.excess == pytest.approx(2.0**-20 / (1e-6 + 1e-5 * (1 + 2.0**-20)))
    assert measured.by_source["float64"] is None
    assert measured.largest is jitter


def test_the_floor_of_a_gradient_is_norm_wise_as_its_tolerance_is() -> None:
    gradient, moved = single(100.0, 1e-3), single(100.0, 2e-3)
    both = {"observations": {"gradient/w": gradient, "predictions": gradient}}
    results = two({"jitter-1": {"observations": {"gradient/w": moved, "predictions": moved}}}, both)
    by_name = {name: floor(results, name).largest.excess for name in ("gradient/w", "predictions")}  # type: ignore[union-attr]
    assert by_name["gradient/w"] == pytest.approx(1e-3 / (1e-7 + 1e-4 * 100), rel=1e-3)
    assert by_name["predictions"] == pytest.approx(1e-3 / (1e-6 + 1e-5 * 2e-3), rel=1e-3)


def test_of_two_jitters_and_two_legs_the_noisier_counts() -> None:
    quiet, loud, louder = ({"loss": single(1.0 + n * 2.0**-22)} for n in (1, 2, 3))
    results = judged(
        leg("jax", {"loss": single(1.0)}, {"jitter-1": quiet, "jitter-2": loud}),
        leg("torch", {"loss": single(1.0)}, {"jitter-1": quiet, "jitter-2": louder}),
    )
    largest = floor(results).largest  # type: ignore[union-attr]
    assert largest is not None
    assert (largest.leg, largest.max_abs) == ("torch", 3 * 2.0**-22)


def test_the_tolerance_of_the_case_is_the_measure() -> None:
    noise = {"jitter-1": {"loss": single(1.5)}}
    results = judged(leg("jax", {"loss": single(1.0)}, noise, tolerance={"*": (0.0, 2.0)}), leg("torch", {"loss": single(1.0)}))
    assert floor(results).largest.excess == 0.25  # type: ignore[union-attr]


def test_variants_and_references_have_the_floor_of_their_leg() -> None:
    noise = {"jitter-1": {"loss": single(1.25)}}
    results = judged(leg("jax", {"loss": single(1.0)}, noise, reference={"loss": 1.0}), expected=["jax"])
    assert floor(results, left="jax", right="reference").largest.max_abs == 0.25  # type: ignore[union-attr]


def test_float64_counts_only_where_it_was_computed_in_float64() -> None:
    close = make.observation(np.array([1.0 + 1e-9]), "float64")
    legs = [leg("tensorflow", {"loss": single(1.0)}, {"float64": {"loss": close}}), leg("torch", {"loss": single(1.0)})]
    measured = floor(judged(*legs), left="tensorflow")
    assert measured is not None
    assert measured.by_source["float64"].max_abs == pytest.approx(1e-9)  # type: ignore[union-attr]
    legs[0] = leg("tensorflow", {"loss": single(1.0)}, {"float64": {"loss": single(1.5)}, "repeat": {"loss": single(1.0)}})
    assert floor(judged(*legs), left="tensorflow").by_source["float64"] is None  # type: ignore[union-attr]


def test_classes_that_flip_under_jitter_are_counted() -> None:
    results = two({"jitter-1": {"predicted_class": [0, 1, 1]}}, {"predicted_class": [0, 1, 2]})
    largest = floor(results, "predicted_class").largest  # type: ignore[union-attr]
    assert largest is not None
    assert (largest.n_different, largest.n_elements, largest.excess, largest.message) == (1, 3, None, "")
    (comparison,) = results.cases[0].comparisons
    assert noise_words(comparison) == "noise floor 1 of 3 elements (jitter on jax)"


def test_nan_that_comes_with_the_noise_is_said_and_nan_that_was_there_is_none() -> None:
    nan = float("nan")
    same = two({"jitter-1": {"loss": single(nan, 1.5)}}, {"loss": single(nan, 1.0)})
    assert floor(same).largest.max_abs == 0.5  # type: ignore[union-attr]
    new = two({"jitter-1": {"loss": single(nan, 1.0)}}, {"loss": single(1.0, 1.0)})
    largest = floor(new).largest  # type: ignore[union-attr]
    assert largest is not None
    assert (largest.excess, headroom(largest)) == (None, None)
    assert "NaN" in largest.message


def test_without_noise_recordings_no_noise_floor_is_shown() -> None:
    results = two({})
    assert floor(results) is None
    assert results.noise_problems == ()
    assert "noise" not in json_report.render(results)
    assert "noise" not in "\n".join([*text.summary(results), *text.case(results.cases[0], results, verbose=True)])


# --- what is no measurement ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noisy", "words"),
    [
        ({"status": "crashed", "problem": "signal 11"}, "repeat on jax crashed: signal 11"),
        ({"raised": "ValueError: no such thing", "loss": 1.0}, "repeat on jax raised ValueError in stage loss"),
        ({"loss": 1.0, "file_digest": "other"}, "another version of the case file"),
        ({"loss": 1.0, "digests": {"x": "other"}}, "had other inputs: x"),
        ({"loss": 1.0, "digests": {"x": "same", "weights/w": "other"}}, "had other inputs: weights/w"),
    ],
    ids=["crashed", "raised", "other file", "other inputs", "other weights"],
)
def test_a_recording_of_something_else_measures_nothing_and_says_so(noisy: dict[str, Any], words: str) -> None:
    results = two({"repeat": noisy})
    assert floor(results) is None
    (note,) = results.cases[0].noise_notes
    assert words in note
    assert words in " ".join(" ".join(text.case(results.cases[0], results)).split())
    assert words in json.loads(json_report.render(results))["results"][0]["noise_notes"][0]
    assert results.exit_code == 0


def test_a_case_that_the_noise_recording_lacks_is_reported() -> None:
    jax = replace(leg("jax", {"loss": single(1.0)}), noise={"repeat": {}})
    assert judged(jax, leg("torch", {"loss": single(1.0)})).cases[0].noise_notes == (
        "noise floor: repeat on jax has no recording of it",
    )


def test_an_observation_that_the_noise_recording_lacks_is_said_and_the_others_are_measured() -> None:
    observed = {"loss": single(1.0), "predictions": single(1.0)}
    results = two({"repeat": {"predictions": single(1.0)}}, observed)
    assert results.cases[0].noise_notes == ("noise floor: repeat on jax lacks loss",)
    assert floor(results) is None
    assert floor(results, "predictions") is not None


def test_the_names_in_a_saved_file_have_no_noise() -> None:
    observed = {"loss": single(1.0), "saved/variables": np.array(["dense/kernel"], dtype=object)}
    assert two({"repeat": {"loss": single(1.0)}}, observed).cases[0].noise_notes == ()


def test_jitter_that_moved_no_input_is_no_jitter() -> None:
    still = {"loss": single(1.0), "digests": {"x": "same"}}
    measured = floor(two({"repeat": {"loss": single(1.0)}, "jitter-1": still}))
    assert measured is not None
    assert measured.by_source["jitter"] is None


def test_a_case_that_raises_has_no_floor_and_no_complaint() -> None:
    raised = {"raised": "ValueError: no", "expect": {}}
    results = two({"repeat": raised}, raised)
    assert results.counts["PASSED"] == 1
    assert results.cases[0].noise_notes == ()


# --- it decides nothing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e3])
@pytest.mark.parametrize(("other", "verdict"), [(1.0, "PASSED"), (2.0, "FAILED")])
def test_noise_of_any_size_changes_no_verdict(noise: float, other: float, verdict: str) -> None:
    results = two({name: {"loss": single(1.0 + noise)} for name in ("repeat", "jitter-1")}, None, {"loss": single(other)})
    assert floor(results) is not None
    assert results.cases[0].verdict.value == verdict
    assert results.exit_code == (verdict == "FAILED")


# --- how it is shown -------------------------------------------------------------------------------------------------


def noisy_results() -> Results:
    noise = {"repeat": {"loss": single(1.0)}, "jitter-1": {"loss": single(1.0 + 2.0**-22)}}
    return two(noise, None, {"loss": single(1.0 + 2.0**-12)})


def test_a_difference_and_its_tolerance_are_shown_as_multiples() -> None:
    results = noisy_results()
    # 2**-22 of noise, 2**-12 of difference, 1.1e-5 allowed: 46 and 1024 times.
    words = "noise floor 2.4e-07 (jitter on jax), the tolerance is 46 x that, the difference 1024 x"
    words = words.replace("1024", "1000")  # in two digits
    assert noise_words(results.cases[0].findings[0]) == words
    assert words in "\n".join(text.case(results.cases[0], results, None))
    assert words in html_report.render(results)
    assert "noise floor of 1 case, least headroom: a/b loss: 2.4e-07 (jitter on jax)" in "\n".join(text.summary(results, None))


def test_report_json_keeps_the_kinds_apart_and_is_as_its_schema_says() -> None:
    read = json.loads(json_report.render(noisy_results()))
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(resources.files("backendcheck.report.formats").joinpath("report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(read, schema)
    (finding,) = read["results"][0]["findings"]
    assert finding["noise_floor"] == read["results"][0]["comparisons"][0]["noise_floor"]
    measured = finding["noise_floor"]
    assert (measured["largest"], measured["max_abs"], measured["float64"]) == ("jitter", 2.0**-22, None)
    assert measured["repeat"] == {"leg": "jax", "max_abs": 0.0, "excess": 0.0, "n_different": 0, "message": None}
    assert measured["head_room"] == pytest.approx(1.1e-5 * 2**22, rel=1e-3)
    assert measured["multiple"] == pytest.approx(1024, rel=1e-3)
    assert read["noise_floor"] == {"recordings": {"jax": ["repeat", "jitter-1"]}, "problems": []}


def test_no_noise_is_not_divided_by() -> None:
    results = two({"repeat": {"loss": single(1.0)}}, None, {"loss": single(2.0)})
    assert noise_words(results.cases[0].findings[0]) == "noise floor 0"
    noise = floor(results).largest  # type: ignore[union-attr]
    assert noise is not None
    assert (headroom(noise), multiple(5.0, noise)) == (None, None)


def test_a_tolerance_of_nothing_allows_no_noise() -> None:
    exact = {"tolerance": {"*": (0.0, 0.0)}}
    noise = {"jitter-1": {"loss": single(1.0 + 2.0**-22)}}
    results = judged(leg("jax", {"loss": single(1.0)}, noise, **exact), leg("torch", {"loss": single(1.0)}, **exact))
    assert noise_words(results.cases[0].comparisons[0]) == "noise floor 2.4e-07 (jitter on jax), and the tolerance allows none"
    json_report.render(results)


# --- on disk ---------------------------------------------------------------------------------------------------------


def write(path: Path, backend: str, run: str, loss: float = 1.0, digests: dict[str, str] | None = None, **fields: Any) -> Path:
    recording = make.recording(CASE, backend, loss=single(loss), run=run, digests=digests or {"x": "same"})
    write_recording(path, recording)
    on_list = {CASE: file_sha256(recording_path(path, CASE))}
    write_environment(path, make.environment(backend, [CASE], run=run, digests=on_list, **fields))
    return path


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A directory with two legs, each with the noise recordings that it is to have."""
    for backend in ("tensorflow", "jax"):
        path = write(tmp_path / backend, backend, f"run of {backend}")
        for name in recordings_for(backend):
            digests = MOVED if MEASURES[name] == "jitter" else None
            selection = {"noise": name, "noise_of": f"run of {backend}"}
            write(noise_path(path, name), backend, f"{name} of {backend}", 1.0, digests, selection=selection)
    return tmp_path


def problems(folder: Path) -> tuple[str, ...]:
    return judged(*read_legs(find_legs([folder]))).noise_problems


def test_legs_are_read_with_the_noise_that_lies_beside_them(measured: Path) -> None:
    legs = read_legs(find_legs([measured]))
    assert [leg.label for leg in legs] == ["tensorflow", "jax"]
    assert [list(leg.noise) for leg in legs] == [list(MEASURES), ["repeat", "jitter-1", "jitter-2"]]
    assert problems(measured) == ()
    assert [list(leg.noise) for leg in read_legs([measured / "jax"])] == [["repeat", "jitter-1", "jitter-2"]]


def test_noise_that_was_never_recorded_is_said_but_decides_nothing(measured: Path) -> None:
    shutil.rmtree(measured / ".noise" / "jitter-1" / "jax")
    (problem,) = problems(measured)
    assert problem == "noise floor: jitter-1 on jax was not recorded. Run again with --noise-floor."
    results = judged(*read_legs(find_legs([measured])))
    assert results.exit_code == 0
    for shown in ("\n".join(text.summary(results, None)), github.render(results), html_report.render(results)):
        assert "jitter-1 on jax was not recorded" in shown
    assert json.loads(json_report.render(results))["noise_floor"]["problems"] == [problem]


def test_noise_of_an_earlier_run_is_not_taken_for_that_of_this_one(measured: Path) -> None:
    shutil.rmtree(measured / "jax")
    write(measured / "jax", "jax", "another run")
    assert [problem.partition(".")[0] for problem in problems(measured)] == [
        f"noise floor: {name} on jax belongs to another run" for name in ("repeat", "jitter-1", "jitter-2")
    ]
    assert read_legs([measured / "jax"])[0].noise == {}


def test_damaged_noise_is_said_and_the_leg_is_read_all_the_same(measured: Path) -> None:
    file = recording_path(measured / ".noise" / "repeat" / "jax", CASE)
    file.write_bytes(file.read_bytes()[:-1])
    (problem,) = problems(measured)
    assert "repeat on jax cannot be used" in problem
    assert str(file) in problem
    file = recording_path(measured / "jax", CASE)
    file.write_bytes(b"")
    with pytest.raises(UnreadableInput):
        read_legs([measured / "jax"])


def test_an_unfinished_noise_recording_is_reported(measured: Path) -> None:
    path = measured / ".noise" / "repeat" / "jax"
    selection = {"noise": "repeat", "noise_of": "run of jax"}
    write_environment(path, make.environment("jax", [CASE], run="repeat of jax", exit_state="running", selection=selection))
    (problem,) = problems(measured)
    assert "repeat on jax did not end; 1 of its cases are there" in problem
