"""What a case leaves behind in its process: put back or told, and the next case is the same bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from front_door import backendcheck

from backendcheck.recordings.files import read_recording
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.states import Status

CODE = Path(__file__).parent / "left_behind" / "state.py"
# Settings of Keras are restored around each case anyway, and a guard that is not held ends by itself.
UNTOLD = {"directory", "environment", "floatx", "epsilon", "inference"}
# What is said of each plant after which its worker is replaced.
PATCHES = {
    "json": "functions of json (put back)",
    "numpy_function": "functions of numpy (put back)",
    "keras_function": "functions of keras.ops (put back)",
}
KEPT_OPEN = {
    "thread": "threads (cannot be put back)",
    "process": "child processes (cannot be put back)",
    "file": "open files (cannot be put back)",
    "module": "modules that were imported (cannot be put back)",
}
TOGETHER = {"functions": {*PATCHES.values()}, "kept_open": {*KEPT_OPEN.values()}}  # where a start takes longest
ALONE = {name: {words} for name, words in (PATCHES | KEPT_OPEN).items()}
REPLACED = {
    "tensorflow": TOGETHER | {"like_numpy": {"tensorflow tensors like NumPy arrays (cannot be put back)"}},
    "jax": ALONE,
    "torch": TOGETHER,
}


@pytest.fixture(scope="module", params=["tensorflow", "jax", "torch"])
def recordings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    folder = tmp_path_factory.mktemp("left")
    shutil.copy(CODE, folder / "state.py")
    backendcheck("record", "--backend", request.param, "state.py", "--out", "out", cwd=folder, timeout=400)
    found = [read_recording(path) for path in (folder / "out").rglob("*.safetensors")]
    return {recording.case.removeprefix("state/"): recording for recording in found}


def test_the_next_case_is_the_same_bit_for_bit(recordings: dict[str, Recording]) -> None:
    innocent = [recording for case, recording in recordings.items() if case.endswith("-innocent]")]
    contents = [
        {name: (observation.value.dtype.str, observation.value.tobytes()) for name, observation in recording.observations.items()}
        for recording in innocent
    ]
    assert len(innocent) == sum(case.startswith("plant[") for case in recordings) / 2 > 20
    assert all(recording.status == Status.RECORDED for recording in innocent)
    assert contents[0]
    assert all(content == contents[0] for content in contents)
    assert not any("left" in note for recording in innocent for note in recording.notes)


def test_what_was_left_is_told_in_one_line_and_its_worker_replaced_where_need_be(recordings: dict[str, Recording]) -> None:
    expected = REPLACED[recordings["uses_tmp_path"].backend]
    plants = {case[6:-1]: recording for case, recording in recordings.items() if case.startswith("plant[") and "-inn" not in case}
    told = {name: [note for note in recording.notes if note.startswith("left changed")] for name, recording in plants.items()}
    assert all(recording.status == Status.RECORDED for recording in plants.values())
    assert {name for name, notes in told.items() if len(notes) != 1} <= UNTOLD
    replaced = {name for name, notes in told.items() if notes and "its worker runs no other case" in notes[0]}
    assert replaced >= expected.keys()
    for name, words in expected.items():
        (line,) = told[name]
        assert words <= set(line.removeprefix("left changed: ").partition(";")[0].split(", ")), line


def test_a_removed_directory_of_tmp_path_is_made_again(recordings: dict[str, Recording]) -> None:
    assert recordings["uses_tmp_path"].observations["value/v"].value == 1.0
