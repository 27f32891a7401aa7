"""Cases that end their process, or never end: each is recorded as what it was, and every other case as well."""

from __future__ import annotations

from pathlib import Path

import pytest
from front_door import Session, line_of, project, record

DEATHS = """
    import ctypes, os, resource, signal, sys, threading, time

    import keras
    import numpy as np
    import pytest

    def case_a_fine(): return {"v": 1}

    def case_segfault():
        \"\"\"It reads where nothing is.\"\"\"
        print("last words", file=sys.stderr)
        ctypes.string_at(0)

    def case_exits_with_0(): os._exit(0)
    def case_exits_with_3(): os._exit(3)
    def case_killed(): os.kill(os.getpid(), signal.SIGKILL)
    def case_memory_error(): raise MemoryError("no more")

    def case_allocates_too_much():
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (64 << 30, hard))
        try:
            return {"v": np.ones(1 << 40)}
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

    def case_hangs_in_python(): time.sleep(1000)
    def case_hangs_in_c_with_the_lock(): ctypes.PyDLL(None).sleep(1000)

    @pytest.mark.timeout(1)
    def case_hangs_with_a_limit_of_its_own(): time.sleep(1000)

    def case_system_exit(): raise SystemExit(2)
    def case_keyboard_interrupt(): raise KeyboardInterrupt
    def case_interrupts_itself():
        os.kill(os.getpid(), signal.SIGINT)
        return {"v": 1}

    def case_leaves_threads_behind():
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        threading.Thread(target=print, args=("x",)).start()
        return {"v": 1}

    def case_closes_descriptors():
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        return {"v": 1}

    def case_closes_streams():
        sys.stdout.close(); sys.stderr.close(); sys.stdout = None
        return {"v": 1}

    def case_prints_a_lot():
        print("x" * 10_000_000)
        print("y" * 10_000_000, file=sys.stderr)
        os.write(1, b"z" * 1_000_000)
        return {"v": 1}

    def case_changes_the_process(tmp_path):
        os.chdir(tmp_path)
        os.environ["KERAS_BACKEND"] = "nothing"
        os.environ.pop("PATH")
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("mixed_bfloat16")
        return {"v": 1}

    def case_later_sees_the_process_as_it_was():
        policy = keras.config.dtype_policy().name
        where = os.path.basename(os.getcwd())
        return {"v": [os.environ["KERAS_BACKEND"], keras.config.floatx(), policy, str("PATH" in os.environ), where]}

    @pytest.fixture
    def crash(): ctypes.string_at(0)

    @pytest.fixture
    def hang(): time.sleep(1000)

    @pytest.fixture
    def interrupt(): raise KeyboardInterrupt

    @pytest.fixture
    def crash_after():
        yield
        ctypes.string_at(0)

    @pytest.fixture
    def raise_after():
        yield
        raise ValueError("afterwards")

    def case_with_a_fixture_that_crashes(crash): return {"v": 1}
    def case_with_a_fixture_that_hangs(hang): return {"v": 1}
    def case_with_a_fixture_that_interrupts(interrupt): return {"v": 1}
    def case_with_a_fixture_that_crashes_afterwards(crash_after): return {"v": 1}
    def case_with_a_fixture_that_raises_afterwards(raise_after): return {"v": 1}

    def case_y_fine(): return {"v": 1}
    def case_z_last_of_all(): os.abort()
"""


@pytest.fixture(scope="module")
def deaths(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = project(tmp_path_factory.mktemp("deaths"), {"deaths.py": DEATHS})
    return record(folder, "deaths.py", "-n", 2, "--timeout", 8)


def test_every_case_is_recorded_whatever_the_others_did_to_their_process(deaths: Session) -> None:
    assert deaths.statuses == {
        "deaths/a_fine": "recorded",
        "deaths/segfault": "crashed",
        "deaths/exits_with_0": "crashed",
        "deaths/exits_with_3": "crashed",
        "deaths/killed": "crashed",
        "deaths/memory_error": "crashed",
        "deaths/allocates_too_much": "crashed",
        "deaths/hangs_in_python": "timed out",
        "deaths/hangs_in_c_with_the_lock": "timed out",
        "deaths/hangs_with_a_limit_of_its_own": "timed out",
        "deaths/system_exit": "raised",
        "deaths/keyboard_interrupt": "error",
        "deaths/interrupts_itself": "recorded",
        "deaths/leaves_threads_behind": "recorded",
        "deaths/closes_descriptors": "recorded",
        "deaths/closes_streams": "recorded",
        "deaths/prints_a_lot": "recorded",
        "deaths/changes_the_process": "recorded",
        "deaths/later_sees_the_process_as_it_was": "recorded",
        "deaths/with_a_fixture_that_crashes": "crashed",
        "deaths/with_a_fixture_that_hangs": "timed out",
        "deaths/with_a_fixture_that_interrupts": "error",
        "deaths/with_a_fixture_that_crashes_afterwards": "crashed",
        "deaths/with_a_fixture_that_raises_afterwards": "error",
        "deaths/y_fine": "recorded",
        "deaths/z_last_of_all": "crashed",
    }, deaths.ended.words
    assert set(deaths.environment.cases) == set(deaths.recordings) == set(deaths.environment.digests)
    assert deaths.environment.exit_state == "complete"
    assert deaths.ended.exit_code == 3


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("segfault", "killed by signal 11 (SIGSEGV)"),
        ("exits_with_0", "exited with code 0"),
        ("exits_with_3", "exited with code 3"),
        ("killed", "killed by signal 9 (SIGKILL; the system kills a process so when memory runs out)"),
        ("memory_error", "ran out of memory in stage case: no more"),
        ("allocates_too_much", "ran out of memory in stage case: Unable to allocate 8.00 TiB"),
        ("hangs_in_python", "took longer than 8 s"),
        ("hangs_in_c_with_the_lock", "took longer than 8 s"),
        ("hangs_with_a_limit_of_its_own", "took longer than 1 s"),
        ("keyboard_interrupt", "call failed: it raised KeyboardInterrupt"),
        ("with_a_fixture_that_interrupts", "setup failed: it raised KeyboardInterrupt"),
        ("with_a_fixture_that_raises_afterwards", "teardown failed: ValueError: afterwards"),
        ("z_last_of_all", "killed by signal 6 (SIGABRT)"),
    ],
)
def test_a_recording_says_what_became_of_its_process(deaths: Session, case: str, words: str) -> None:
    assert words in deaths.recordings[f"deaths/{case}"].problem


def test_a_recording_of_a_crash_has_claim_line_and_last_words(deaths: Session) -> None:
    segfault = deaths.recordings["deaths/segfault"]
    line = line_of(DEATHS, "def case_segfault")
    assert (segfault.claim, segfault.line) == ("It reads where nothing is.", line)
    assert segfault.stderr_tail.startswith("last words\nFatal Python error: Segmentation fault")
    assert f'deaths.py", line {line + 3} in case_segfault' in segfault.stderr_tail
    assert "Extension modules" not in segfault.stderr_tail
    assert "site-packages/pluggy" not in segfault.stderr_tail


@pytest.mark.parametrize(
    ("case", "place"),
    [
        ("hangs_in_python", "def case_hangs_in_python"),
        ("hangs_in_c_with_the_lock", "def case_hangs_in_c_with_the_lock"),
        ("with_a_fixture_that_hangs", "def hang()"),
    ],
)
def test_a_recording_of_a_hang_says_where_it_hung(deaths: Session, case: str, place: str) -> None:
    assert f'deaths.py", line {line_of(DEATHS, place)} in ' in deaths.recordings[f"deaths/{case}"].stderr_tail


def test_what_a_case_changes_of_its_process_is_put_back(deaths: Session) -> None:
    folder = deaths.leg.parent.parent.name
    assert deaths.value("deaths/later_sees_the_process_as_it_was") == ["jax", "float32", "float32", "True", folder]


def test_with_one_worker_several_crashes_in_a_row_and_the_very_last_case(tmp_path: Path) -> None:
    cases = "import os\ndef case_4(): return {'v': 4}\n" + "".join(f"def case_{n}(): os._exit({n})\n" for n in (1, 2, 3))
    session = record(project(tmp_path, {"row.py": cases}), "row.py")
    assert session.statuses == {"row/1": "crashed", "row/2": "crashed", "row/3": "crashed", "row/4": "recorded"}
    assert session.ended.exit_code == 3


def test_what_a_case_file_has_left_open_is_written_and_temporary_files_go(tmp_path: Path) -> None:
    left_open = """
        import tempfile
        LOG = open("log.txt", "w")
        TEMPORARY = tempfile.NamedTemporaryFile(dir=".", suffix=".temporary")

        def case_a():
            print("seen", file=LOG)
            return {"v": 1}
    """
    record(project(tmp_path, {"a.py": left_open}), "a.py")
    assert (tmp_path / "log.txt").read_text() == "seen\n"
    assert not [*tmp_path.glob("*.temporary")]
