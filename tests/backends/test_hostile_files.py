"""Whatever is in a case file: what cannot be collected is named, and every other case is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from front_door import Session, backendcheck, project, record

FINE = """
    def case_fine():
        \"\"\"Nothing is the matter.\"\"\"
        return {"v": 1}
"""

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
