"""Whatever a case, a case file or a pytest configuration does: it is recorded as what it was, and every other case as well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from front_door import Session, backendcheck, line_of, project, record

FINE = """
    def case_fine():
        \"\"\"Nothing is the matter.\"\"\"
        return {"v": 1}
"""


# --- cases that end their process, or never end ----------------------------------------------------------------

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
    return record(folder, "deaths.py", "-n", 2, "--timeout", 3)


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
        ("hangs_in_python", "took longer than 3 s"),
        ("hangs_in_c_with_the_lock", "took longer than 3 s"),
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


# --- case files --------------------------------------------------------------------------------------------------

HOSTILE_IDS = [
    "a/b", "..", "../..", "<script>alert(1)</script>", "new\nline", "x" * 300, "ünï😀", "::", "[", "]", "[bold]", "a\\b", "\x00",
    "\x1b[31m", "$HOME", "%s", "{}", "a b", "", "\u202e", "A", "a",
]  # fmt: skip

FILES = {
    "cases/good.py": FINE,
    "cases/hostile.py": f"""
        import functools
        import numpy as np
        import pytest
        from good import case_fine  # a case of that file, not of this one

        @pytest.mark.parametrize("text", {HOSTILE_IDS!r}, ids={HOSTILE_IDS!r})
        def case_hostile(text): return {{"v": text, text: 1}}

        def made(number):
            def inner(): return {{"v": number}}
            return inner

        case_by_assignment = made(7)
        case_by_lambda = lambda: {{"v": 8}}
        case_by_partial = functools.partial(made(9))
        case_no_function = 3

        async def case_async(): return {{"v": 1}}
        def case_generator(): yield {{"v": 1}}
        def case_missing_fixture(nothing_of_the_kind): return {{"v": 1}}
        def case_none(): pass
        def case_list(): return [1, 2]
        def case_tensor(): return np.ones(3)
        def case_nested_none(): return {{"a": {{"b": None}}}}
        def case_objects(): return {{"a": np.array([{{}}, 1], dtype=object)}}
        def case_empty(): return {{}}
        def case_strange_docstring(): return {{"v": 1}}
        case_strange_docstring.__doc__ = 3

        @pytest.mark.backendcheck(seed=-1)
        def case_strange_seed(rng): return {{"v": 1}}

        def case_raises(): raise ValueError("\\udc80\\x00" + "x" * 100_000)

        def case_of_its_own_kind():
            class Odd(BaseException): pass
            raise Odd("odd")

        @pytest.mark.parametrize("text", [])
        def case_without_parameters(text): return {{"v": 1}}

        @pytest.mark.parametrize("one, two", [1, 2])
        def case_wrong_parameters(one, two): return {{"v": 1}}

        def case_twice(): return {{"v": 1}}
        def case_twice(): return {{"v": 2}}

        def test_something_else(): assert False
        def helper(): assert False
    """,
    "cases/marks.py": """
        import pytest

        @pytest.mark.skip(reason="not today")
        def case_skip(): return {"v": 1}
        @pytest.mark.skipif(True, reason="not here")
        def case_skipif(): return {"v": 1}
        def case_skips_itself(): pytest.skip("not now")
        @pytest.mark.xfail(reason="known")
        def case_xfail(): return {"v": 1}
        @pytest.mark.xfail(reason="known", run=False)
        def case_xfail_not_run(): return {"v": 1}
        def case_fails_itself(): pytest.fail("given up")
        @pytest.mark.invented
        def case_with_an_invented_mark(): return {"v": 1}
    """,
    "cases/random.py": "from _here import NUMBER\ndef case_named_like_a_library(): return {'v': NUMBER}\n",
    "cases/json.py": "raise RuntimeError('a helper that was not asked for')\n",
    "cases/jax.py": "def case_named_like_the_backend(): return {'v': 1}\n",
    "cases/_here.py": "NUMBER = 3\n",
    "cases/package/__init__.py": "",
    "cases/package/inside.py": "from .beside import NUMBER\nfrom . import beside\ndef case_relative(): return {'v': NUMBER}\n",
    "cases/package/beside.py": "NUMBER = 4\n",
    "cases/a/same.py": "def case_same(): return {'v': 1}\n",
    "cases/b/same.py": "def case_same(): return {'v': 2}\ndef case_other(): return {'v': 3}\n",
    "cases/with space.py": "def case_in_a_file_with_a_space(): return {'v': 1}\n",
    "cases/no_cases.py": "VALUE = 'case_ is only mentioned'\n",
    "cases/imports_nothing.py": "import os\nimport nothing_of_the_kind\ndef case_lost(): return {'v': 1}\n",
    "cases/does_not_parse.py": "import os\n\ndef case_lost(: return {'v': 1}\n",
    "cases/exits.py": "import sys\nsys.exit(3)\ndef case_lost(): return {'v': 1}\n",
    "cases/interrupts.py": "raise KeyboardInterrupt\ndef case_lost(): return {'v': 1}\n",
    "cases/skips.py": "import pytest\npytest.skip('not here', allow_module_level=True)\ndef case_lost(): return {'v': 1}\n",
    "cases/segfaults.py": "import ctypes\nctypes.string_at(0)\ndef case_lost(): return {'v': 1}\n",
    "cases/hangs.py": "import time\ntime.sleep(1000)\ndef case_lost(): return {'v': 1}\n",
    "cases/below/conftest.py": "import nothing_of_the_kind\n",
    "cases/below/lost.py": FINE,
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return record(project(tmp_path_factory.mktemp("files"), FILES), "cases", "--timeout", 4)


@pytest.mark.parametrize(
    "problem",
    [
        "cases/b/same.py:1: its case id same/same is taken by cases/a/same.py:1; expected one case to an id",
        "cases/below/conftest.py:1: does not import: ModuleNotFoundError: No module named 'nothing_of_the_kind'",
        "cases/does_not_parse.py:3: does not import: SyntaxError: invalid syntax",
        "cases/exits.py:2: does not import: SystemExit: 3",
        "cases/hangs.py:1: does not import: importing it took longer than 4 s",
        "cases/hostile.py:17: case_no_function: not a function but int",
        "cases/hostile.py:20: case_generator cannot be collected: 'yield' keyword is allowed in fixtures, but not in tests",
        "cases/hostile.py:43: case_wrong_parameters cannot be collected: ",
        "cases/hostile.py:47: case_twice is defined twice, at lines 46 and 47",
        "cases/imports_nothing.py:2: does not import: ModuleNotFoundError: No module named 'nothing_of_the_kind'",
        "cases/interrupts.py:1: does not import: KeyboardInterrupt",
        "cases/segfaults.py:1: does not import: importing it killed its process (the process was killed by signal 11 (SIGSEGV))",
        "cases/skips.py:1: is skipped: not here. A file that is skipped is not compared",
    ],
)
def test_what_cannot_be_collected_is_named_with_file_and_line(files: Session, problem: str) -> None:
    assert any(one.startswith(problem) for one in files.problems), "\n".join(files.problems)
    assert problem in files.ended.err


def test_nothing_else_is_a_problem_and_every_other_case_is_recorded(files: Session) -> None:
    assert len(files.problems) == 13
    expected = {
        "good/fine", "hostile/by_assignment", "hostile/by_lambda", "hostile/by_partial", "hostile/strange_docstring",
        "hostile/twice", "marks/xfail", "marks/with_an_invented_mark", "random/named_like_a_library",
        "jax/named_like_the_backend", "inside/relative", "same/same", "same/other", "with space/in_a_file_with_a_space",
    }  # fmt: skip
    recorded = {case for case, status in files.statuses.items() if status == "recorded"}
    assert {case for case in recorded if not case.startswith("hostile/hostile[")} == expected
    assert len(recorded) == len(expected) + len(HOSTILE_IDS)
    assert files.environment.exit_state == "complete"
    assert files.ended.exit_code == 3


@pytest.mark.parametrize(
    ("case", "status", "problem"),
    [
        ("hostile/async", "error", "returned coroutine; expected a dict of arrays"),
        ("hostile/missing_fixture", "error", "setup failed: fixture 'nothing_of_the_kind' not found"),
        ("hostile/none", "error", "Is a return statement missing?"),
        ("hostile/list", "error", "returned list; expected a dict of arrays"),
        ("hostile/tensor", "error", "returned ndarray; expected a dict of arrays"),
        ("hostile/nested_none", "error", "value/a/b: holds NoneType; expected"),
        ("hostile/objects", "error", "value/a: holds dict; expected"),
        ("hostile/empty", "error", "nothing to compare"),
        ("hostile/strange_seed", "error", "@pytest.mark.backendcheck(seed=-1): expected (seed=N)"),
        ("hostile/of_its_own_kind", "error", "call failed: Odd: odd"),
        ("hostile/raises", "raised", ""),
        ("hostile/without_parameters[NOTSET]", "skipped", "empty parameter set"),
        ("marks/skip", "skipped", "skipped: not today"),
        ("marks/skipif", "skipped", "skipped: not here"),
        ("marks/skips_itself", "skipped", "skipped: not now"),
        ("marks/xfail_not_run", "skipped", "skipped: expected to fail: [NOTRUN] known"),
        ("marks/fails_itself", "error", "call failed: Failed: given up"),
    ],
)
def test_a_case_that_is_none_says_why(files: Session, case: str, status: str, problem: str) -> None:
    recording = files.recordings[case]
    assert recording.status == status
    assert problem in recording.problem


def test_a_docstring_that_is_not_the_cases_own_is_no_claim(files: Session) -> None:
    assert files.recordings["good/fine"].claim == "Nothing is the matter."
    assert files.recordings["hostile/by_partial"].claim == ""


def test_of_two_files_of_one_stem_the_first_has_the_id(files: Session) -> None:
    assert files.value("same/same") == 1


def test_hostile_ids_stay_inside_the_directory_and_can_be_shown(files: Session) -> None:
    inside = set(files.leg.rglob("*.safetensors"))
    assert len(inside) == len(files.recordings)
    assert all(path.parent.parent == files.leg / "recordings" for path in inside)
    shown = backendcheck("show", "hostile/hostile[<script>alert(1)</script>]", "--out", files.leg.parent, cwd=files.leg.parent)
    assert shown.exit_code == 0
    assert "hostile/hostile[<script>alert(1)</script>]" in shown.out


def test_the_report_of_hostile_ids_escapes_them(files: Session, tmp_path: Path) -> None:
    ended = backendcheck("compare", files.leg, "--out", tmp_path / "report", cwd=tmp_path)
    assert ended.exit_code == 3
    assert "\x1b" not in ended.out
    assert "<script>alert(1)" not in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


# --- what is selected ---------------------------------------------------------------------------------------------

SELECTION = {
    "cases/one.py": """
        import pytest

        @pytest.mark.parametrize("n", [1, 2])
        def case_p(n): return {"v": n}

        @pytest.mark.slow
        def case_slow(rng): return {"v": rng.integers(0, 1000, 3)}
    """,
    "cases/two.py": FINE,
    "conftest.py": "def pytest_configure(config): config.addinivalue_line('markers', 'slow: it is')\n",
}


@pytest.mark.parametrize(
    ("arguments", "cases"),
    [
        (["cases/one.py::case_p[2]"], ["one/p[2]"]),
        (["cases/one.py::case_p", "cases/two.py", "cases"], ["one/p[1]", "one/p[2]", "one/slow", "two/fine"]),
        (["cases", "-k", "fine or slow", "-m", "not slow"], ["two/fine"]),
    ],
)
def test_cases_are_chosen_as_in_pytest(tmp_path: Path, arguments: list[str], cases: list[str]) -> None:
    session = record(project(tmp_path, SELECTION), *arguments)
    assert sorted(session.recordings) == cases
    assert sorted(session.environment.cases) == cases
    assert session.ended.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cases/one.py::case_nothing"], "case_nothing"),
        (["cases", "-k", "nothing_at_all"], "cases: no case is selected by -k 'nothing_at_all'"),
        (["cases", "-k", "not (("], "-k 'not ((': not an expression"),
        (["cases", "-m", "a b"], "-m 'a b': not an expression"),
    ],
)
def test_a_choice_of_nothing_is_wrong_usage(tmp_path: Path, arguments: list[str], words: str) -> None:
    ended = backendcheck("record", *arguments, "--backend", "jax", cwd=project(tmp_path, SELECTION))
    assert ended.exit_code == 2
    assert words in ended.err


# --- a user's own pytest configuration ------------------------------------------------------------------------------

OPTIONS = {
    "addopts": ["-n", "auto", "--cov=.", "-x", "--strict-markers", "-p", "no:cacheprovider"],
    "collect_imported_tests": "false",
    "filterwarnings": ["error"],
    "log_cli": "true",
    "markers": ["slow: it is slow"],
    "minversion": "100",
    "norecursedirs": ["cases"],
    "python_files": ["*.py"],
    "python_functions": ["nothing_*"],
    "pythonpath": ["src"],
    "required_plugins": ["pytest-nothing-of-the-kind>=3"],
    "strict": "true",
    "testpaths": ["nowhere"],
    "timeout": "1",
    "unknown_key": "3",
    "xfail_strict": "true",
}


def ini(section: str) -> str:
    lines = [f"{name} = {value if isinstance(value, str) else ' '.join(value)}" for name, value in OPTIONS.items()]
    return f"[{section}]\n" + "\n".join(lines) + "\n"


def toml(section: str) -> str:
    return f"[{section}]\n" + "\n".join(f"{name} = {value!r}" for name, value in OPTIONS.items()) + "\n"


CONFIGURED = {
    "src/mine.py": "NUMBER = 5\n",
    "cases/one.py": """
        import time, warnings
        import mine
        import pytest

        @pytest.mark.slow
        def case_slow():
            warnings.warn("a library has become older")
            time.sleep(1.2)
            return {"v": mine.NUMBER}

        @pytest.mark.xfail
        def case_not_strict(): return {"v": 1}
    """,
    "conftest.py": """
        import random, warnings
        import numpy as np
        import pytest

        @pytest.fixture(autouse=True)
        def everything(tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            monkeypatch.setenv("KERAS_BACKEND", "torch")
            warnings.simplefilter("error")
            np.random.seed(1)
            random.seed(1)

        def pytest_addoption(parser): parser.addoption("--mine", action="store_true")
        def pytest_collection_modifyitems(items): items.reverse()
        def pytest_runtest_logreport(report): print(report)
    """,
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", ini("pytest")),
        ("setup.cfg", ini("tool:pytest")),
        ("tox.ini", ini("pytest")),
        ("pyproject.toml", toml("tool.pytest.ini_options")),
        ("pyproject.toml", toml("tool.pytest").replace("'true'", "true").replace("'false'", "false")),
    ],
)
def test_a_pytest_configuration_neither_breaks_a_recording_nor_changes_it(tmp_path: Path, name: str, text: str) -> None:
    folder = project(tmp_path, CONFIGURED | {name: text})
    env = {"PYTEST_ADDOPTS": "-n 7 --cov -x", "PYTEST_PLUGINS": "nothing_of_the_kind", "PYTEST_DEBUG": "1"}
    session = record(folder, "cases", env=env)
    assert session.statuses == {"one/slow": "recorded", "one/not_strict": "recorded"}, session.ended.words
    assert session.value("one/slow") == 5
    assert session.ended.exit_code == 0
    assert session.ended.err == ""


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"conftest.py": "import nothing_of_the_kind\n"}, "No module named 'nothing_of_the_kind'"),
        ({"conftest.py": "def broken(:\n"}, "SyntaxError"),
        ({"conftest.py": "import sys\nsys.exit('not on this machine')\n"}, "SystemExit: not on this machine"),
        ({"conftest.py": "pytest_plugins = ['nothing_of_the_kind']\n"}, 'Error importing plugin "nothing_of_the_kind"'),
        ({"conftest.py": "def pytest_configure(config): raise ValueError('a hook')\n"}, "ValueError: a hook"),
        ({"conftest.py": "import ctypes, os\nif 'PYTEST_XDIST_WORKER' in os.environ: ctypes.string_at(0)\n"}, "SIGSEGV"),
        ({"pytest.ini": "[pytest\naddopts = x\n"}, "pytest.ini:1"),
        ({"pyproject.toml": "[tool.pytest.ini_options\n"}, "pyproject.toml"),
    ],
)
def test_a_session_that_cannot_start_says_why(tmp_path: Path, files: dict[str, str], words: str) -> None:
    session = record(project(tmp_path, {"cases.py": FINE} | files), "cases.py")
    assert session.ended.exit_code == 2
    assert words in session.ended.err
    assert session.environment.exit_state != "complete"


@pytest.mark.parametrize(
    ("hook", "place"),
    [
        ("pytest_collection_modifyitems(items)", "conftest.py:1: "),
        ("pytest_nothing_of_the_kind()", ""),
        ("pytest_runtest_logreport(report)", "cases.py:1: "),
        ("pytest_sessionfinish(session)", "cases.py:1: "),
    ],
)
def test_a_hook_that_fails_is_never_a_recording_of_nothing(tmp_path: Path, hook: str, place: str) -> None:
    conftest = f"def {hook}: raise ValueError('a hook')\n"
    session = record(project(tmp_path, {"cases.py": FINE, "conftest.py": conftest}), "cases.py")
    assert session.ended.exit_code == 3
    assert session.environment.exit_state == "interrupted"
    assert any(one.startswith(place) and ("a hook" in one or "unknown hook" in one) for one in session.problems)


def test_what_differs_from_worker_to_worker_is_not_recorded_in_part(tmp_path: Path) -> None:
    cases = """
        import os
        import pytest

        @pytest.mark.parametrize("n", [os.getpid()])
        def case_p(n): return {"v": n}
    """
    session = record(project(tmp_path, {"cases.py": cases}), "cases.py", "-n", 2)
    assert session.ended.exit_code == 3
    assert any("Different tests were collected" in one for one in session.problems)


# --- Python and Keras as the user has them ----------------------------------------------------------------------------


def test_sitecustomize_and_keras_json_are_in_force_and_keras_backend_wins(tmp_path: Path) -> None:
    files = {
        "cases.py": """
            import keras, os
            def case_seen(): return {"v": [os.environ["SEEN"], keras.backend.backend(), keras.config.floatx()]}
        """,
        "site/sitecustomize.py": "import os\nos.environ['SEEN'] = 'sitecustomize'\n",
        "home/.keras/keras.json": """
            {"floatx": "float64", "epsilon": 1e-06, "backend": "torch", "image_data_format": "channels_first"}
        """,
    }
    folder = project(tmp_path, files)
    env = {"PYTHONPATH": str(folder / "site"), "HOME": str(folder / "home"), "JAX_COMPILATION_CACHE_DIR": str(folder / "cache")}
    session = record(folder, "cases.py", env=env)
    assert session.value("cases/seen") == ["sitecustomize", "jax", "float64"]
    settings = {"floatx": "float64", "epsilon": "1e-06", "image_data_format": "channels_first", "dtype_policy": "float64"}
    assert session.recordings["cases/seen"].settings == session.environment.settings == settings


@pytest.mark.parametrize("version", ["3.5.0", "3.8.0", "3.13.0"])
def test_an_older_keras_in_front_on_the_path_is_the_one_recorded(tmp_path: Path, version: str) -> None:
    """How history is replayed. BACKENDCHECK_OLD_KERAS may name a folder with k3.5.0 and so on; otherwise pip fetches them."""
    older = Path(os.environ.get("BACKENDCHECK_OLD_KERAS", tmp_path)) / f"k{version}"
    if not older.is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(older), f"keras=={version}"]
        if subprocess.run(pip, check=False, capture_output=True).returncode != 0:
            pytest.skip(f"Keras {version} cannot be fetched here")
    cases = """
        import keras
        from backendcheck import LossCase
        def case_seen(): return {"v": keras.__version__}
        def case_loss(): return LossCase("mean_squared_error", [[0.0, 1.0]], [[0.2, 0.8]])
    """
    conftest = "import jax\njax.spmd_mode = lambda *_: __import__('contextlib').nullcontext()\n"
    session = record(project(tmp_path, {"cases.py": cases, "conftest.py": conftest}), "cases.py", env={"PYTHONPATH": str(older)})
    assert session.statuses == {"cases/seen": "recorded", "cases/loss": "recorded"}, session.ended.words
    assert session.value("cases/seen") == session.environment.versions["keras"] == version


def test_a_dtype_policy_of_a_conftest_and_of_a_fixture_is_in_force(tmp_path: Path) -> None:
    conftest = """
        import keras
        import pytest
        keras.config.set_dtype_policy("mixed_bfloat16")

        @pytest.fixture
        def float64():
            keras.config.set_dtype_policy("float64")
            yield
            keras.config.set_dtype_policy("mixed_bfloat16")
    """
    cases = """
        import keras
        def case_a(): return {"v": keras.config.dtype_policy().name}
        def case_b(float64): return {"v": keras.config.dtype_policy().name}
        def case_c(): return {"v": keras.config.dtype_policy().name}
    """
    session = record(project(tmp_path, {"cases.py": cases, "conftest.py": conftest}), "cases.py")
    seen = {case: (session.value(case), one.settings["dtype_policy"]) for case, one in session.recordings.items()}
    mixed, double = ("mixed_bfloat16",) * 2, ("float64",) * 2
    assert seen == {"cases/a": mixed, "cases/b": double, "cases/c": mixed}


def test_tensorflow_is_not_imported_for_another_backend_and_is_seeded_if_a_case_imports_it(tmp_path: Path) -> None:
    cases = """
        import sys
        import pytest

        def case_a(): return {"v": "tensorflow" in sys.modules}

        @pytest.mark.backendcheck(seed=3)
        def case_b():
            import tensorflow
            return {"v": tensorflow.random.uniform((2,)).numpy()}

        @pytest.mark.backendcheck(seed=3)
        def case_c():
            import tensorflow
            return {"v": tensorflow.random.uniform((2,)).numpy()}
    """
    pytest.importorskip("tensorflow")
    session = record(project(tmp_path, {"cases.py": cases}), "cases.py")
    assert session.value("cases/a") is False
    assert session.value("cases/b") == session.value("cases/c")


def test_the_same_backend_twice_agrees_with_itself(tmp_path: Path) -> None:
    cases = """
        import keras
        from backendcheck import LossCase, ModelCase

        def case_loss(rng):
            return LossCase("sparse_categorical_crossentropy", [0, 1, 2], keras.ops.softmax(rng.normal(size=(3, 3))))

        def case_model(rng):
            layers = [keras.layers.Dense(4, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
            model = keras.Sequential([keras.Input((3,)), *layers])
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            return ModelCase(model, loss, rng.normal(size=(6, 3)), rng.integers(0, 2, 6), batch_size=3)
    """
    project(tmp_path, {"cases.py": cases})
    for folder in ("first", "second"):
        assert backendcheck("record", "cases.py", "--backend", "jax", "--out", folder, cwd=tmp_path).exit_code == 0
    ended = backendcheck("compare", "first/jax", "second/jax", "--out", "report", cwd=tmp_path)
    assert ended.exit_code == 0, ended.out
    assert "jax#1" in (tmp_path / "report" / "report.json").read_text(encoding="utf-8")


def test_a_directory_may_be_named_by_way_of_its_parent(tmp_path: Path) -> None:
    folder = project(tmp_path / "inside", {"values.py": "import numpy as np\ndef case_v(): return {'v': np.ones(2)}\n"})
    ended = backendcheck("record", "values.py", "--backend", "jax", "--out", "../legs", cwd=folder)
    assert ended.exit_code == 0, ended.words
    assert (tmp_path / "legs" / "jax" / "environment.json").is_file()
