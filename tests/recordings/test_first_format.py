"""Recordings that the first version wrote are read, and judged as that version judged them.

`first_format` holds recordings of each status and of each kind of case on three backends, and one of layers. They were made from
`cases.txt` and must never be written again. `verdicts.json` is from the report of that version.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors

from backendcheck.recordings.files import read_environment, read_recording, write_environment, write_recording
from backendcheck.recordings.legs import find_legs, read_legs
from backendcheck.recordings.paths import recording_path
from backendcheck.report.formats.json import render
from backendcheck.results.results import analyze
from backendcheck.vocabulary.states import Status

FOLDER = Path(__file__).parent / "first_format"
LEGS = ("tensorflow", "jax", "torch", "layers/jax")
RECORDINGS = sorted(FOLDER.rglob("*.safetensors"))
VERDICTS = json.loads((FOLDER / "verdicts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    results = analyze(read_legs(find_legs([FOLDER])), expected=("tensorflow", "jax", "torch"))
    return {result["case"]: result for result in json.loads(render(results))["results"]}


def test_each_status_is_among_them() -> None:
    later = {Status.NOT_SUPPORTED}
    assert {read_recording(path).status for path in RECORDINGS} == {*Status} - later


@pytest.mark.parametrize("case", VERDICTS)
def test_a_case_is_judged_as_it_was(case: str, report: dict[str, Any]) -> None:
    result, then = report[case], VERDICTS[case]
    assert (result["verdict"], result["odd_one_out"]) == (then["verdict"], then["odd_one_out"])
    keys = ("oracle", "observation", "left", "right", "kind", "excess", "tolerance")
    assert [{key: finding[key] for key in keys} for finding in result["findings"]] == then["findings"]
    assert [diagnosis["code"] for diagnosis in result["diagnoses"]] == then["diagnoses"]
    assert len(result["problems"]) == then["n_problems"]


def test_no_case_is_lost_or_new(report: dict[str, Any]) -> None:
    assert {*report} == {*VERDICTS}


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_recording_is_written_again_with_the_same_keys_and_values(path: Path, tmp_path: Path) -> None:
    recording = read_recording(path)
    write_recording(tmp_path, recording)
    assert content(recording_path(tmp_path, recording.case)) == content(path)


@pytest.mark.parametrize("leg", LEGS)
def test_an_environment_is_written_again_as_it_was(leg: str, tmp_path: Path) -> None:
    write_environment(tmp_path, read_environment(FOLDER / leg))
    assert (tmp_path / "environment.json").read_text() == (FOLDER / leg / "environment.json").read_text()


def content(path: Path) -> dict[str, Any]:
    """The metadata of a recording with its arrays in place of their keys, which depend on the order of writing."""
    with safetensors.safe_open(str(path), framework="numpy") as file:
        header: dict[str, Any] = json.loads(file.metadata()["backendcheck"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping

    def with_arrays(entry: Any) -> Any:
        if isinstance(entry, list):
            return [with_arrays(item) for item in entry]
        if not isinstance(entry, dict):
            return entry
        entry = {key: with_arrays(value) for key, value in entry.items()}
        if isinstance(entry.get("tensor"), str):
            array = tensors[entry["tensor"]]
            entry["tensor"] = (array.dtype.str, array.shape, array.tobytes())
        return entry

    return {key: with_arrays(value) for key, value in header.items()}
