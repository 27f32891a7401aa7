"""What a case leaves behind in its process: put back or told, and the next case is the same bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from front_door import backendcheck

from backendcheck.recordings.files import read_recording
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.states import Status

FILES = Path(__file__).parent / "left_behind"
# Settings of Keras and filters of warnings are restored around each case anyway. A guard that is not held ends by itself.
# The first use of asyncio is not a change.
UNTOLD = {"directory", "environment", "floatx", "policy", "epsilon", "warnings", "asyncio_used", "inference"}
# What is said of some plants that change nothing else.
PUT_BACK = {
    "limits": "limits of the process",
    "hook_of_exceptions": "sys.excepthook",
    "hook_of_threads": "threading.excepthook",
    "hook_of_imports": "sys.meta_path",
    "event_loop": "asyncio event loop",
    "running_loop": "asyncio event loop",
    "loop_policy": "asyncio event loop policy",
    "logger": "loggers",
    "handler_of_logger": "loggers",
    "root_logger": "logging",
    "exit_function": "functions registered with atexit",
    "pools": "threads of BLAS and OpenMP",
    "hook_of_modules": "torch hooks of all modules and optimizers",
    "hook_of_optimizers": "torch hooks of all modules and optimizers",
    "hook_of_tensors": "torch hooks of saved tensors",
    "eager_functions": "tensorflow functions run eagerly",
}
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
    "tensorflow": TOGETHER | {"modes": {
        "tensorflow tensors like NumPy arrays (cannot be put back)", "tensorflow eager execution (cannot be put back)",
    }},
    "jax": ALONE,
    "torch": TOGETHER,
}


@pytest.fixture(scope="module", params=["tensorflow", "jax", "torch"])
def recordings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    folder = tmp_path_factory.mktemp("left")
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    arguments = ("--oracles", "agreement", "--out", "out")  # the observations are compared, and nothing else
    backendcheck("record", "--backend", request.param, ".", *arguments, cwd=folder, timeout=400)
    recordings = [read_recording(path) for path in (folder / "out").rglob("*.safetensors")]
    return {recording.case.removeprefix("state/"): recording for recording in recordings}


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
    for name in PUT_BACK.keys() & plants.keys():
        assert told[name] == [f"left changed: {PUT_BACK[name]} (put back)"]
    replaced = {name for name, notes in told.items() if notes and "its worker runs no other case" in notes[0]}
    assert replaced >= expected.keys()
    for name, words in expected.items():
        (line,) = told[name]
        assert words <= set(line.removeprefix("left changed: ").partition(";")[0].split(", ")), line


def test_a_removed_directory_of_tmp_path_is_made_again(recordings: dict[str, Recording]) -> None:
    assert recordings["uses_tmp_path"].observations["value/v"].value == 1.0


def test_a_case_sees_the_float_type_that_it_sets_and_the_next_one_does_not(recordings: dict[str, Recording]) -> None:
    """As in a plain script: layers follow `set_floatx` where no dtype policy was set."""
    assert recordings["float64_layers"].observations["value/v"].value == "float64 float64"
    assert recordings["layers_after_float64"].observations["value/v"].value == "float32 float32"
    assert recordings["float64_layers"].settings["dtype_policy"] == "float64"
    assert recordings["layers_after_float64"].settings["dtype_policy"] == "float32"


def test_what_a_fixture_leaves_is_told_of_its_case_and_put_back(recordings: dict[str, Recording]) -> None:
    case = recordings["plant_of_a_fixture"]
    assert case.observations["value/v"].value == "mixed_bfloat16"
    left = ("NumPy's treatment of floating-point errors", "NumPy's print options", "keras dtype policy")
    assert f"left changed: {', '.join(f'{name} (put back)' for name in left)}" in case.notes
    after = recordings["after_a_fixture"].observations["value/v"].value
    assert after.tolist() == ["8", "warn", "float32", "float32 float32"]


def test_what_a_fixture_of_a_file_leaves_ends_with_the_file(recordings: dict[str, Recording]) -> None:
    assert recordings["kept_fixture/uses_it"].observations["value/v"].value == 16384
    assert recordings["importing/buffer"].observations["value/v"].value == 8192


def test_what_an_import_changes_is_told_of_every_case(recordings: dict[str, Recording]) -> None:
    note = "changed by what is imported, for all cases: NumPy's treatment of floating-point errors"
    assert recordings["importing/errors"].observations["value/v"].value == "warn"
    assert all(note in recording.notes for recording in recordings.values())
