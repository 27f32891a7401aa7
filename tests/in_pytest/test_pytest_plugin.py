"""The pytest plugin in a user's session: what it collects, what becomes of a verdict, what else it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from front_door import variables
from make import HOSTILE, everywhere
from plugin_session import BACKENDS, outcomes, report
from stand_in import World, world

pytest_plugins = ["pytester"]
__all__ = ["world"]

Worlds = Callable[..., World]
DIFFERENT = {"jax": {"loss": 0.5}, "torch": {"loss": 0.7}}
SUITE = """
    import pytest

    def test_ordinary():
        assert [1, 2, 3][0] == 1

    @pytest.mark.parametrize("n", [2, 3])
    def case_powers(n):
        \"\"\"Powers are powers.\"\"\"

    @pytest.mark.slow
    def case_other(rng): ...
"""


def ids(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if "::" in line]


# --- without the option --------------------------------------------------------------------------------------------


def test_without_backends_cases_are_no_items_and_nothing_is_written(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = world()
    pytester.makepyfile(test_x=SUITE, labels="def case_elsewhere(): ...")
    result = pytester.runpytest_inprocess("-v", "-W", "ignore")
    assert outcomes(result) == {"passed": 1}
    assert "backendcheck:" not in result.stdout.str()
    assert not seen.sessions
    assert not (pytester.path / "reports").exists()


def test_without_backends_nothing_of_weight_is_imported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_x="def test_a(): ...")
    heavy = "('backendcheck', 'numpy', 'keras')"
    code = f"import sys, pytest; pytest.main(['-q']); print(sorted(m for m in sys.modules if m.startswith({heavy})))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=pytester.path, env=variables(), capture_output=True, text=True, check=True, timeout=60
    )
    light = ("", ".argument_types", ".case", ".in_pytest", ".in_pytest.names", ".pytest_plugin")
    imported = {f"backendcheck{name}" for name in light}
    assert eval(done.stdout.strip().splitlines()[-1]) == sorted(imported)


def test_the_list_may_be_an_argument_of_its_own(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makepyfile(test_x="def case_a(): ...")
    assert outcomes(pytester.runpytest_inprocess("--backends", "jax,torch")) == {"passed": 1}


def test_backends_none_takes_back_what_addopts_says(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = world()
    pytester.makepyfile(test_x=SUITE)
    pytester.makeini(f"[pytest]\naddopts = {BACKENDS}\nmarkers = slow\n")
    assert outcomes(pytester.runpytest_inprocess("--backends=none")) == {"passed": 1}
    assert not seen.sessions
    assert outcomes(pytester.runpytest_inprocess()) == {"passed": 4}
    assert len(seen.sessions) == 1


@pytest.mark.parametrize("more", ["", ", choices=['mine']"])
def test_an_option_of_the_same_name_stays_with_its_plugin(pytester: pytest.Pytester, world: Worlds, more: str) -> None:
    seen = world()
    pytester.makeconftest(f"def pytest_addoption(parser): parser.addoption('--backends'{more})")
    pytester.makepyfile(test_x="def test_a(request): assert request.config.getoption('--backends') == 'mine'\ndef case_a(): ...")
    assert outcomes(pytester.runpytest_inprocess("--backends=mine")) == {"passed": 1}
    assert not seen.sessions
    result = pytester.runpytest_inprocess("--backends=mine", "--backendcheck-backends=jax,torch")
    assert outcomes(result) == {"passed": 2}


def test_assertions_of_ordinary_tests_are_explained_as_ever(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makepyfile(test_x="def test_a():\n    left = [1, 2]\n    assert left == [1, 3]\ndef case_a(): ...")
    plain, compared = (pytester.runpytest_inprocess(*options).outlines for options in ((), (BACKENDS,)))

    def explained(lines: list[str]) -> list[str]:
        return [line for line in lines if line.startswith(("E ", ">"))]

    assert any("At index 1 diff: 2 != 3" in line for line in plain)
    assert explained(plain) == explained(compared)


# --- what is collected -------------------------------------------------------------------------------------------


def test_cases_are_items_beside_the_tests_by_their_node_ids(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = world()
    pytester.makepyfile(test_x=SUITE, **{"sub/labels": "def case_elsewhere(): ...\ndef test_no_test_file(): ..."})
    pytester.makeini("[pytest]\nmarkers = slow\n")
    result = pytester.runpytest_inprocess(BACKENDS, "--collect-only", "-q")
    expected = [
        "sub/labels.py::case_elsewhere", "test_x.py::test_ordinary", "test_x.py::case_powers[2]", "test_x.py::case_powers[3]",
        "test_x.py::case_other",
    ]  # fmt: skip
    assert ids(result) == expected
    assert result.ret == 0
    assert not seen.sessions, "to list items needs no recording"


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (["-k", "powers and 3"], ["case_powers[3]"]),
        (["-m", "slow"], ["case_other"]),
        (["-m", "not slow", "-k", "case"], ["case_powers[2]", "case_powers[3]"]),
        (["test_x.py::case_powers[2]"], ["case_powers[2]"]),
        (["test_x.py::case_other", "test_x.py::test_ordinary"], ["case_other"]),
        (["--deselect", "test_x.py::case_powers"], ["case_other"]),
    ],
)
def test_only_what_is_selected_is_recorded(
    pytester: pytest.Pytester, world: Worlds, arguments: list[str], chosen: list[str]
) -> None:
    seen = world()
    pytester.makepyfile(test_x=SUITE)
    pytester.makeini("[pytest]\nmarkers = slow\n")
    result = pytester.runpytest_inprocess(BACKENDS, *arguments)
    assert result.ret == 0
    assert [[item.names[-1] for item in session.items] for session in seen.sessions] == [
        [name.partition("[")[0] for name in chosen]
    ]
    assert [item.nodeid.partition("::")[2] for item in seen.sessions[0].items] == chosen


def test_a_case_that_is_imported_from_another_file_is_a_case_of_that_file_only(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makepyfile(test_x="from labels import case_a\ndef case_b(): ...", labels="def case_a(): ...")
    pytester.makeini("[pytest]\npythonpath = .\n")
    result = pytester.runpytest_inprocess(BACKENDS, "--collect-only", "-q")
    assert ids(result) == ["labels.py::case_a", "test_x.py::case_b"]


def test_what_lies_beside_a_case_file_is_found_as_where_it_is_recorded(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makepyfile(**{"cases/_shared": "N = 3", "cases/labels": "from _shared import N\ndef case_a(): ..."})
    for arguments in ([], ["cases/labels.py"]):
        assert outcomes(pytester.runpytest_inprocess(BACKENDS, "--import-mode=importlib", *arguments)) == {"passed": 1}


def test_collecting_cases_imports_no_more_than_their_files_do(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(labels="import json\ndef case_a(): ...")
    code = (
        f"import sys, pytest; pytest.main(['-q', '{BACKENDS}', '--collect-only']);"
        "print(sorted({'keras', 'jax', 'tensorflow', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=pytester.path, env=variables(), capture_output=True, text=True, check=True, timeout=60
    )
    assert "labels.py::case_a" in done.stdout
    assert done.stdout.strip().endswith("[]")


def test_where_the_project_says_in_which_paths_cases_are_they_are_looked_for_there(
    pytester: pytest.Pytester, world: Worlds
) -> None:
    # A suite may call other things case_*: pytest-cases does.
    world()
    pytester.makepyfile(test_x="def case_data(): ...\ndef test_a(): ...", **{"cases/labels": "def case_a(): ..."})
    pytester.makepyprojecttoml('[tool.backendcheck]\npaths = ["cases"]\n[tool.pytest.ini_options]\n')
    assert ids(pytester.runpytest_inprocess(BACKENDS, "--collect-only", "-q")) == ["cases/labels.py::case_a", "test_x.py::test_a"]
    assert ids(pytester.runpytest_inprocess(BACKENDS, "--collect-only", "-q", "test_x.py")) == [
        "test_x.py::case_data", "test_x.py::test_a",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("case_count = 3", "case_count: not a function but int"),
        ("case_a = dict", "case_a: not a function but type"),
        ("import pytest\n@pytest.mark.parametrize('n', [1])\ndef case_a(): ...", "case_a cannot be collected"),
        ("def case_a():\n    yield 1", "case_a yields; expected a function that returns a case"),
    ],
)
def test_what_is_called_like_a_case_and_is_none_fails(pytester: pytest.Pytester, world: Worlds, source: str, words: str) -> None:
    world()
    pytester.makepyfile(test_x=source)
    result = pytester.runpytest_inprocess(BACKENDS)
    assert result.ret == 1
    assert words in result.stdout.str()


def test_hostile_names_are_items_like_others(pytester: pytest.Pytester, world: Worlds) -> None:
    names = ["<script>alert(1)</script>", "a::b", "#2", "x" * 300, "\u202etxt", "line\nbreak", "[", "äöü/..\\"]
    world()
    pytester.makepyfile(test_x=f"import pytest\n@pytest.mark.parametrize('n', {names!r}, ids=str)\ndef case_a(n): ...")
    result = pytester.runpytest_inprocess(BACKENDS, "-v")
    assert outcomes(result) == {"passed": len(names)}
    assert report(pytester)["counts"]["PASSED"] == len(names)
    assert "<script>alert" not in (pytester.path / "reports/pytest/index.html").read_text(encoding="utf-8").split("<body", 1)[1]


def test_two_files_of_one_name_in_different_folders_have_tests_of_their_own(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = world()
    test = "def test_a(backends_agree): backends_agree(abs, 1.0)"
    pytester.makepyfile(**{"a/test_x": test, "b/test_x": test, "a/__init__": "", "b/__init__": ""})
    assert outcomes(pytester.runpytest_inprocess("--import-mode=importlib")) == {"passed": 2}
    assert sorted(result["case"] for result in report(pytester)["results"]) == ["a.test_x/test_a", "b.test_x/test_a"]
    assert seen.sessions[0].import_mode == "importlib"


# --- verdicts ----------------------------------------------------------------------------------------------------


def test_each_verdict_has_its_outcome_and_its_words(pytester: pytest.Pytester, world: Worlds) -> None:
    crashed = {"status": "crashed", "problem": "the process exited with code 3"}
    world(
        {
            "test_x/differs": DIFFERENT,
            "test_x/known": DIFFERENT,
            "test_x/gone": everywhere(("jax", "torch"), loss=0.5),
            "test_x/crash": DIFFERENT | {"jax": crashed},
            "test_x/lost": {"jax": {"loss": 0.5}},
        }
    )
    names = ("fine", "differs", "known", "gone", "crash", "lost")
    pytester.makepyfile(test_x="\n".join(f"def case_{name}(): ..." for name in names))
    pytester.path.joinpath("known_divergences.toml").write_text(
        "".join(
            f"[[divergence]]\ncase = 'test_x/{name}'\nbackends = ['jax']\nkind = 'value'\nreason = 'jax folds the mask'\n"
            for name in ("known", "gone")
        ),
        encoding="utf-8",
    )
    result = pytester.runpytest_inprocess(BACKENDS, "-rA", "--junitxml=junit.xml")
    assert outcomes(result) == {"passed": 1, "failed": 4, "xfailed": 1}
    text = result.stdout.str()
    for words in (
        "FAILED test_x/differs   VALUE: loss is 0.5 on jax; 0.7 on torch",
        "ERROR test_x/crash   CRASHED: jax crashed: the process exited with code 3",
        "ERROR test_x/lost   MISSING: torch has no recording of it",
        "XPASSED test_x/gone   GONE: the known divergence does not occur any more",
        "XFAIL test_x.py::case_known - jax folds the mask",
        "next        backendcheck show test_x/differs --run reports/pytest",
        "2 backends, 6 cases",
        "report: reports/pytest/index.html",
        "backendcheck: jax, torch; report: reports/pytest/index.html",
    ):
        assert words in text, words
    counts = report(pytester)["counts"]
    assert counts == {"PASSED": 1, "FAILED": 1, "ERROR": 2, "XFAILED": 1, "XPASSED": 1}
    failures = {
        case.get("name"): failure.get("message") for case in ET.parse(pytester.path / "junit.xml").iter("testcase")
        for failure in case.iter("failure")
    }  # fmt: skip
    assert set(failures) == {"case_differs", "case_crash", "case_lost", "case_gone"}
    assert failures["case_differs"].startswith("FAILED VALUE: loss is 0.5 on jax")


def test_with_runxfail_known_divergences_fail(pytester: pytest.Pytester, world: Worlds) -> None:
    world({"test_x/known": DIFFERENT})
    pytester.makepyfile(test_x="def case_known(): ...")
    entry = "[[divergence]]\ncase = 'test_x/known'\nbackends = ['jax']\nkind = 'value'\nreason = 'so'\n"
    pytester.path.joinpath("known_divergences.toml").write_text(entry, encoding="utf-8")
    assert outcomes(pytester.runpytest_inprocess(BACKENDS)) == {"xfailed": 1}
    result = pytester.runpytest_inprocess(BACKENDS, "--runxfail")
    assert outcomes(result) == {"failed": 1}
    assert "XFAILED test_x/known" in result.stdout.str()


def test_the_tolerances_of_the_project_are_in_force(pytester: pytest.Pytester, world: Worlds) -> None:
    world({"test_x/a": DIFFERENT})
    pytester.makepyfile(test_x="def case_a(): ...")
    pytester.makepyprojecttoml(
        "[tool.pytest.ini_options]\n[[tool.backendcheck.tolerance]]\nobservation = 'loss'\nrtol = 0.5\natol = 0.5\n"
    )
    assert outcomes(pytester.runpytest_inprocess(BACKENDS)) == {"passed": 1}


@pytest.mark.parametrize(
    "mark", ["skip(reason='no')", "skipif(True, reason='no')", "xfail", "xfail(run=False)", "timeout(0.001)"]
)
def test_marks_that_would_keep_a_case_from_failing_do_not(pytester: pytest.Pytester, world: Worlds, mark: str) -> None:
    world({"test_x/a": {"jax": {"loss": 0.5}, "torch": {"status": "skipped", "problem": "skipped: no"}}})
    pytester.makepyfile(test_x=f"import pytest\npytestmark = pytest.mark.{mark}\n@pytest.mark.{mark}\ndef case_a(): ...")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"failed": 1}
    assert "ERROR test_x/a   SKIPPED: torch skipped it: no" in result.stdout.str()


def test_what_the_session_makes_of_warnings_is_about_its_tests(pytester: pytest.Pytester, world: Worlds) -> None:
    half = {backend: {"loss": np.float16(value)} for backend, value in (("jax", 6e4), ("torch", 5e4))}
    world({"test_x/a": half, "test_x/b": {"jax": {"loss": np.inf}, "torch": {"loss": np.nan}}})
    pytester.makeconftest("import numpy\ndef pytest_configure(): numpy.seterr(all='raise')")
    pytester.makepyfile(test_x="def case_a(): ...\ndef case_b(): ...\ndef case_c(): ...")
    before = np.geterr()
    result = pytester.runpytest_inprocess(BACKENDS, "-W", "error")
    np.seterr(**before)
    assert outcomes(result) == {"passed": 1, "failed": 2}
    assert "FAILED test_x/a   VALUE: loss is 60000 on jax" in result.stdout.str()
    assert "Error" not in result.stdout.str()


def test_fixtures_of_a_case_are_not_set_up_here(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(autouse=True)
        def every_test(request): request.config.n_set_up = getattr(request.config, "n_set_up", 0) + 1

        @pytest.fixture(scope="module")
        def heavy(): raise RuntimeError("set up")

        def pytest_sessionfinish(session): print("SET UP", session.config.n_set_up)
        """
    )
    pytester.makepyfile(test_x="def case_a(heavy, unknown_fixture): ...\ndef test_a(): ...\ndef case_b(): ...")
    result = pytester.runpytest_inprocess(BACKENDS, "-s")
    assert outcomes(result) == {"passed": 3}
    assert "SET UP 1" in result.stdout.str()


def test_fixtures_of_tests_between_cases_live_as_long_as_ever(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makepyfile(
        test_x="""
        import pytest

        @pytest.fixture(scope="module")
        def once():
            print("BEGIN")
            yield
            print("END")

        def test_a(once): ...
        def case_a(): ...
        def test_b(once): ...
        """,
        test_y="def test_c(): print('NEXT')",
    )
    lines = pytester.runpytest_inprocess(BACKENDS, "-s", "-q").stdout.str()
    assert [word for word in lines.replace(".", " ").split() if word in ("BEGIN", "END", "NEXT")] == ["BEGIN", "END", "NEXT"]


# --- how a session ends ------------------------------------------------------------------------------------------


def test_stopping_at_the_first_failure_ends_the_recorders(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = world({"test_x/a": DIFFERENT})
    seen.cases["test_x/b"] = {"torch": seen.hangs}
    pytester.makepyfile(test_x="def case_a(): ...\ndef case_b(): ...\ndef case_c(): ...")
    result = pytester.runpytest_inprocess(BACKENDS, "-x")
    assert outcomes(result) == {"failed": 1}
    assert seen.stopped.is_set()
    assert [one["case"] for one in report(pytester)["results"]] == ["test_x/a"]
    assert not list(pytester.path.glob("reports/pytest/.session-*"))


def test_what_failed_last_can_be_run_again_alone(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = world({"test_x/b": DIFFERENT, "labels/d": DIFFERENT})
    pytester.makepyfile(test_x="def case_a(): ...\ndef case_b(): ...\ndef test_c(): ...", labels="def case_d(): ...")
    assert outcomes(pytester.runpytest_inprocess(BACKENDS)) == {"passed": 2, "failed": 2}
    seen.cases = {}
    assert outcomes(pytester.runpytest_inprocess(BACKENDS, "--lf")) == {"passed": 2}
    assert [item.nodeid for item in seen.sessions[1].items] == ["labels.py::case_d", "test_x.py::case_b"]


@pytest.mark.parametrize("distribution", ["load", "loadgroup", "worksteal", "loadfile"])
def test_workers_of_xdist_share_one_recording_session(pytester: pytest.Pytester, world: Worlds, distribution: str) -> None:
    seen = world({"test_x/b[1]": DIFFERENT})
    pytester.makepyfile(
        test_x="""
        import pytest

        def case_a(): ...
        def test_ordinary(): ...
        @pytest.mark.xdist_group("g@1")
        @pytest.mark.parametrize("n", [0, 1, 2])
        def case_b(n): ...
        def test_fixture(backends_agree): assert backends_agree(abs, -1.0) == 1.0
        """
    )
    result = pytester.runpytest_inprocess(BACKENDS, "-n", "2", "--dist", distribution, "--junitxml=junit.xml")
    assert outcomes(result) == {"passed": 5, "failed": 1}
    assert "FAILED test_x/b[1]   VALUE: loss is 0.5 on jax; 0.7 on torch" in result.stdout.str()
    assert len(seen.sessions) == 1
    assert len(seen.sessions[0].items) == 5
    assert report(pytester)["counts"] == {"PASSED": 4, "FAILED": 1, "ERROR": 0, "XFAILED": 0, "XPASSED": 0}
    assert not list(pytester.path.glob("reports/pytest/.session-*"))


def test_workers_of_xdist_stop_at_the_first_failure(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = world({"test_x/a": DIFFERENT})
    seen.cases["test_x/b"] = {"jax": {"loss": 0.5}, "torch": seen.hangs}
    pytester.makepyfile(test_x="def case_a(): ...\ndef case_b(): ...\ndef case_c(): ...")
    result = pytester.runpytest_inprocess(BACKENDS, "-n", "1", "-x", "--dist=load")
    assert result.ret != 0
    assert seen.stopped.is_set()
    assert "FAILED test_x/a   VALUE" in result.stdout.str()


def test_xdist_without_anything_to_compare_records_nothing(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = world()
    pytester.makepyfile(test_x="def test_a(): ...\ndef case_a(): ...")
    assert outcomes(pytester.runpytest_inprocess("-n", "1")) == {"passed": 1}
    assert outcomes(pytester.runpytest_inprocess("-n", "1", BACKENDS, "-k", "test_a")) == {"passed": 1}
    assert not seen.sessions
    assert not (pytester.path / "reports").exists()


def test_a_leg_that_never_came_fails_every_item_with_its_reason(pytester: pytest.Pytester, world: Worlds) -> None:
    world(torch=(-9, ""), jax=(2, "jax cannot be used here: ImportError: no libfoo"))
    pytester.makepyfile(test_x="def case_a(): ...\ndef test_b(backends_agree): backends_agree(abs, 1.0)")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"failed": 2}
    text = result.stdout.str()
    assert text.count("jax has no recording of it: jax cannot be used here: ImportError: no libfoo") == 2
    assert text.count("torch has no recording of it: its recording process was killed by signal 9 (SIGKILL; ") == 2
    assert "PROBLEM" in text


def test_a_backend_that_is_not_installed_is_a_failure(
    pytester: pytest.Pytester, world: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backendcheck.vocabulary.backends import Backend

    world()
    monkeypatch.setattr(Backend, "missing_modules", lambda self: ["torch"] if self.value == "torch" else [])
    pytester.makepyfile(test_x="def case_a(): ...")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"failed": 1}
    assert "torch has no recording of it: torch is not installed here. Install with: pip install" in result.stdout.str()


def test_recorders_that_break_are_a_failure_and_no_hang(pytester: pytest.Pytester, world: Worlds) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    world({"test_x/a": {"jax": breaks}})
    pytester.makepyfile(test_x="def case_a(): ...")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"failed": 1}
    assert "could not be followed (ZeroDivisionError" in result.stdout.str()


def test_a_damaged_recording_fails_by_name(pytester: pytest.Pytester, world: Worlds) -> None:
    def damaged(leg: Path, _stop: object) -> None:
        path = leg / "recordings/test_x/a.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"\x00" * 40)

    world({"test_x/a": {"jax": damaged, "torch": {"loss": 0.5}}})
    pytester.makepyfile(test_x="def case_a(): ...\ndef case_b(): ...")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"passed": 1, "failed": 1}
    assert "a.safetensors: is damaged or truncated" in result.stdout.str()
    assert "PROBLEM" in result.stdout.str()


def test_known_divergences_that_cannot_be_read_fail(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makepyfile(test_x="def case_a(): ...")
    pytester.path.joinpath("known_divergences.toml").write_text("[[divergence", encoding="utf-8")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert result.ret == 1
    assert "known_divergences.toml: is not TOML" in result.stdout.str()


def test_a_problem_that_no_item_stands_for_fails_the_session(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makepyfile(test_x="def case_a(): ...")
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\n[tool.backendcheck]\ncases = ["labels/*"]\n')
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"passed": 1}
    assert result.ret == 1
    assert "PROBLEM labels/*: no case has this id" in result.stdout.str()
    assert pytester.runpytest_inprocess(BACKENDS, "test_x.py").ret == 0, "of some paths not all cases are expected"


def test_asking_for_backends_where_there_is_nothing_to_compare_fails(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makepyfile(test_x="def test_a(): ...")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert (result.ret, outcomes(result)) == (1, {"passed": 1})
    assert "nothing was compared" in result.stdout.str()
    assert pytester.runpytest_inprocess(BACKENDS, "--collect-only").ret == 0
    pytester.makeini(f"[pytest]\naddopts = {BACKENDS}\n")
    assert pytester.runpytest_inprocess().ret == 0, "addopts is for all runs, those of a part of the tests too"


# --- rubbish -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--backends=tensorflow,theano"], "backend 'theano': not a backend"),
        (["--backends="], "names none"),
        (["--backends=jax,jax"], "names one twice"),
        ([BACKENDS, "--backendcheck-oracles=magic"], "unknown oracle magic"),
        ([BACKENDS, "--backendcheck-timeout=nan"], "--backendcheck-timeout: nan is out of range"),
        ([BACKENDS, "--backendcheck-workers=0"], "--backendcheck-workers: 0 is out of range"),
        ([BACKENDS, "--backendcheck-device=tpu"], "invalid choice: 'tpu'"),
    ],
)
def test_a_wrong_option_is_reported_and_ends_the_session(
    pytester: pytest.Pytester, world: Worlds, options: list[str], words: str
) -> None:
    seen = world()
    pytester.makepyfile(test_x=SUITE)
    result = pytester.runpytest_inprocess(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in result.stderr.str()
    assert not seen.sessions


def test_a_wrong_configuration_is_reported_and_ends_the_session(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makepyfile(test_x=SUITE)
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\n[tool.backendcheck]\nbackend = 'jax'\n")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "has unknown keys backend" in result.stderr.str()
    assert pytester.runpytest_inprocess("-W", "ignore").ret == 0, "it has no effect before backends are asked for"


@pytest.mark.parametrize("there", ["another run", "no recording", "a file"])
def test_what_no_session_of_pytest_has_left_is_not_overwritten(pytester: pytest.Pytester, world: Worlds, there: str) -> None:
    from make import environment

    from backendcheck.recordings.files import write_environment

    seen = world()
    pytester.makepyfile(test_x="def case_a(): ...")
    leg = pytester.path / "out/torch"
    if there == "a file":
        leg.parent.mkdir()
        leg.write_text("mine", encoding="utf-8")
    elif there == "another run":
        write_environment(leg, environment("torch", ["a/b"], selection={"paths": ["cases"]}))
    else:
        leg.mkdir(parents=True)
        (leg / "diary.txt").write_text("mine", encoding="utf-8")
    before = {path: path.read_bytes() for path in pytester.path.glob("out/**/*") if path.is_file()}
    result = pytester.runpytest_inprocess(BACKENDS, "--backendcheck-out=out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Choose another --backendcheck-out" in result.stderr.str()
    assert before
    assert {path: path.read_bytes() for path in pytester.path.glob("out/**/*") if path.is_file()} == before
    assert not seen.sessions


def test_two_sessions_do_not_record_into_the_same_directory(pytester: pytest.Pytester, world: Worlds) -> None:
    fcntl = pytest.importorskip("fcntl")
    world()
    pytester.makepyfile(test_x="def case_a(): ...")
    out = pytester.path / "reports/pytest"
    out.mkdir(parents=True)
    with out.joinpath("x").open("w"):
        handle = os.open(out, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        result = pytester.runpytest_inprocess(BACKENDS)
        os.close(handle)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "is being recorded into by another pytest session" in result.stderr.str()
    assert pytester.runpytest_inprocess(BACKENDS).ret == 0


def test_what_a_killed_session_has_left_is_put_away(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makepyfile(test_x="def case_a(): ...")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name, process in (("dead", ended.pid), ("alive", os.getpid())):
        folder = pytester.path / f"reports/pytest/.session-{name}"
        folder.mkdir(parents=True)
        folder.joinpath("recorders.json").write_text(json.dumps({"process": process}), encoding="utf-8")
    assert pytester.runpytest_inprocess(BACKENDS).ret == 0
    assert [path.name for path in pytester.path.glob("reports/pytest/.session-*")] == [".session-alive"]


def test_a_directory_that_cannot_be_written_is_reported(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makepyfile(test_x="def case_a(): ...")
    (pytester.path / "out").write_text("a file", encoding="utf-8")
    result = pytester.runpytest_inprocess(BACKENDS, "--backendcheck-out=out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "out" in result.stderr.str()
    assert "cannot be written" in result.stderr.str()


def test_a_test_file_that_does_not_import_is_pytests_error_and_nothing_is_recorded(
    pytester: pytest.Pytester, world: Worlds
) -> None:
    seen = world()
    pytester.makepyfile(test_x="def case_a(): ...", labels="import no_such_module\ndef case_b(): ...")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"error": 1}
    assert not seen.sessions
    result = pytester.runpytest_inprocess(BACKENDS, "--continue-on-collection-errors")
    assert outcomes(result) == {"error": 1, "passed": 1}


def test_names_from_outside_cannot_command_the_terminal(pytester: pytest.Pytester, world: Worlds) -> None:
    world({"test_x/a": {"jax": {"raised": f"ValueError: {HOSTILE}"}, "torch": {"loss": 0.5}}})
    pytester.makepyfile(test_x="def case_a(): ...")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"failed": 1}
    assert "\x1b[31m" not in result.stdout.str()
    assert "\u202e" not in result.stdout.str()


def test_the_record_command_refuses_what_is_no_choice(tmp_path: Path) -> None:
    from forked import backendcheck

    from backendcheck.sessions.request import RecordingRequest
    from backendcheck.vocabulary.leg_names import parse_leg

    for name, content in (("empty", ""), ("text", "no json"), ("other", "[1]"), ("missing", '{"items": [{}]}')):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        request = RecordingRequest(backend=parse_leg("jax"), out=tmp_path / "out", selected_items=path)
        request.save(tmp_path / "request.json")
        ended = backendcheck("record", "--request", tmp_path / "request.json", cwd=tmp_path)
        assert ended.exit_code == 2, name
        assert "not a file of selected items" in ended.out, name
