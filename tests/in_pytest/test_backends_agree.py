"""The fixture `backends_agree`, judged: recordings are what a test says they are, no backend is started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from plugin_session import BACKENDS, outcomes, report
from stand_in import World, world

pytest_plugins = ["pytester"]
__all__ = ["world"]

Worlds = Callable[..., World]
NEVER_CALLED = "import pytest\ndef never(x): raise AssertionError('called here')\n"


def values(**by_backend: Any) -> dict[str, Any]:
    return {backend: {"observations": {"value/result": value}} for backend, value in by_backend.items()}


def entry(case: str, reason: str) -> str:
    return f"[[divergence]]\ncase = '{case}'\nbackends = ['jax']\nkind = 'value'\nreason = '{reason}'\n"


def test_a_call_passes_where_backends_agree_and_returns_what_they_computed(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = world({"test_x/test_a": values(jax=[1.0, 2.0], torch=[1.0, 2.0])})
    pytester.makepyfile(
        test_x=NEVER_CALLED + "def test_a(backends_agree): assert backends_agree(never, [1.0, 2.0]).tolist() == [1.0, 2.0]"
    )
    assert outcomes(pytester.runpytest_inprocess(BACKENDS)) == {"passed": 1}
    assert [(item.nodeid, item.is_case) for item in seen.sessions[0].items] == [("test_x.py::test_a", False)]


def test_a_call_that_fails_shows_the_line_and_the_verdict(pytester: pytest.Pytester, world: Worlds) -> None:
    world({"test_x/TestLoss::test_a[1]": values(jax=1.0, torch=2.0)})
    pytester.makepyfile(
        test_x=NEVER_CALLED
        + """
class TestLoss:
    @pytest.mark.parametrize("n", [1, 2])
    def test_a(self, n, backends_agree):
        backends_agree(never, 1.0)
"""
    )
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(
        [
            ">       backends_agree(never, 1.0)",
            "E       Failed: FAILED test_x/TestLoss::test_a[[]1[]]   VALUE: value/result is 1 on jax; 2 on torch",
            "FAILED test_x.py::TestLoss::test_a[[]1[]] - FAILED VALUE: value/result*",
        ]
    )


def test_without_backends_a_test_that_takes_the_fixture_is_compared_on_those_of_the_project(
    pytester: pytest.Pytester, world: Worlds
) -> None:
    seen = world()
    pytester.makepyfile(test_x=NEVER_CALLED + "def test_a(backends_agree): backends_agree(never)\ndef case_b(): ...")
    assert outcomes(pytester.runpytest_inprocess()) == {"passed": 1}
    assert report(pytester)["backends"] == ["tensorflow", "jax", "torch"]
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\n[tool.backendcheck]\nbackends = ["jax", "torch"]\n')
    assert outcomes(pytester.runpytest_inprocess()) == {"passed": 1}
    assert report(pytester)["backends"] == ["jax", "torch"]
    assert outcomes(pytester.runpytest_inprocess("-n", "2")) == {"passed": 1}
    assert [len(session.items) for session in seen.sessions] == [1, 1, 1]


def test_calls_are_judged_one_by_one(pytester: pytest.Pytester, world: Worlds) -> None:
    world({"test_x/test_a#2": values(jax=1.0, torch=1.0), "test_x/test_a#3": values(jax=1.0, torch=2.0)})
    pytester.makepyfile(
        test_x=NEVER_CALLED
        + "def test_a(backends_agree):\n    for n in range(4):\n        print('CALL', n)\n        backends_agree(never, n)"
    )
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"failed": 1}
    text = result.stdout.str()
    assert "FAILED test_x/test_a#3   VALUE" in text
    assert "CALL 2" in text
    assert "CALL 3" not in text
    cases = {one["case"]: one["verdict"] for one in report(pytester)["results"]}
    assert cases == {"test_x/test_a": "PASSED", "test_x/test_a#2": "PASSED", "test_x/test_a#3": "FAILED"}


def test_a_known_divergence_in_a_call_does_not_hide_the_calls_after_it(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = world({"test_x/test_a": values(jax=1.0, torch=2.0), "test_x/test_a#2": values(jax=1.0, torch=1.0)})
    pytester.makepyfile(test_x=NEVER_CALLED + "def test_a(backends_agree):\n    for n in range(2): backends_agree(never, n)")
    known = pytester.path / "known_divergences.toml"
    known.write_text(entry("test_x/test_a", "jax doubles it"), encoding="utf-8")
    result = pytester.runpytest_inprocess(BACKENDS, "-rx")
    assert outcomes(result) == {"xfailed": 1}
    assert "XFAIL test_x.py::test_a - jax doubles it" in result.stdout.str()
    assert outcomes(pytester.runpytest_inprocess(BACKENDS, "-n1")) == {"xfailed": 1}
    seen.cases["test_x/test_a#2"] = values(jax=1.0, torch=3.0)
    assert outcomes(pytester.runpytest_inprocess(BACKENDS)) == {"failed": 1}


def test_a_test_that_fails_by_itself_fails_by_itself(pytester: pytest.Pytester, world: Worlds) -> None:
    world()
    pytester.makepyfile(test_x=NEVER_CALLED + "def test_a(backends_agree):\n    backends_agree(never)\n    assert 1 == 2")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"failed": 1}
    assert "assert 1 == 2" in result.stdout.str()


@pytest.mark.parametrize(
    ("cases", "calls", "words"),
    [
        ({"test_x/test_a#2": values(jax=1.0)}, 2, "torch has no recording of it: the test has made fewer calls there"),
        ({"test_x/test_a#2": values(jax=1.0)}, 1, "called backends_agree 1 time here; expected as many calls as on the backends"),
        ({"test_x/test_a#2": values(jax=1.0, torch=1.0)}, 1, "as many calls as on the backends, which made more calls and agree"),
        (
            {"test_x/test_a#2": {"jax": {"status": "error", "problem": "the test ended after call 1: KeyError: 3"}}}, 1,
            "jax could not observe it: the test ended after call 1: KeyError: 3",
        ),
        ({"test_x/test_a": values()}, 1, "jax has no recording of it"),
        ({}, 2, "has made fewer calls there"),
    ],
)  # fmt: skip
def test_calls_that_are_not_the_same_everywhere_fail(
    pytester: pytest.Pytester, world: Worlds, cases: dict[str, Any], calls: int, words: str
) -> None:
    world(cases)
    pytester.makepyfile(
        test_x=NEVER_CALLED + f"def test_a(backends_agree):\n    for n in range({calls}): backends_agree(never, n)"
    )
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"failed": 1}
    assert words in result.stdout.str()


def test_a_test_that_does_not_use_the_fixture_fails(pytester: pytest.Pytester, world: Worlds) -> None:
    problem = {"status": "error", "problem": "the test has not called backends_agree"}
    world({"test_x/test_a": {"jax": problem, "torch": problem}})
    pytester.makepyfile(test_x="def test_a(backends_agree): ...")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"failed": 1}
    assert "the test has not called backends_agree" in result.stdout.str()


@pytest.mark.parametrize("options", [[BACKENDS], []])
def test_the_fixture_asked_for_at_run_time_says_what_to_do(
    pytester: pytest.Pytester, world: Worlds, options: list[str]
) -> None:
    world()
    pytester.makepyfile(test_x="def test_a(request): request.getfixturevalue('backends_agree')\ndef case_b(): ...")
    result = pytester.runpytest_inprocess(*options)
    assert outcomes(result)["failed"] == 1
    assert "backends_agree was asked for while the test runs; expected it among the test's arguments" in result.stdout.str()


def test_a_fixture_of_the_same_name_is_left_to_its_owner(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = world()
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef backends_agree(): return 'mine'")
    pytester.makepyfile(test_x="def test_a(backends_agree): assert backends_agree == 'mine'")
    assert outcomes(pytester.runpytest_inprocess()) == {"passed": 1}
    assert not seen.sessions


def test_fixtures_may_build_upon_it(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = world()
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef backends_agree(backends_agree): return backends_agree")
    pytester.makepyfile(
        test_x=NEVER_CALLED
        + "@pytest.fixture\ndef loosely(backends_agree): return lambda *a: backends_agree(never, *a)\n"
        + "def test_a(loosely): loosely(1)"
    )
    assert outcomes(pytester.runpytest_inprocess(BACKENDS)) == {"passed": 1}
    assert [item.nodeid for item in seen.sessions[0].items] == ["test_x.py::test_a"]


@pytest.mark.parametrize(
    "skipping",
    ["@pytest.mark.skip(reason='so')\ndef test_a(backends_agree): ...", "def test_a(backends_agree): pytest.skip('so')"],
)
def test_a_test_that_its_author_skips_is_skipped_and_no_case_of_the_report(
    pytester: pytest.Pytester, world: Worlds, skipping: str
) -> None:
    skipped = {"status": "skipped", "problem": "skipped: so"}
    world({"test_x/test_a": {"jax": skipped, "torch": skipped}})
    pytester.makepyfile(test_x=f"import pytest\n{skipping}\ndef case_b(): ...")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"passed": 1, "skipped": 1}
    assert result.ret == 0
    assert [one["case"] for one in report(pytester)["results"]] == ["test_x/b"]


def test_an_xfail_mark_of_a_test_is_pytests(pytester: pytest.Pytester, world: Worlds) -> None:
    world({"test_x/test_a": values(jax=1.0, torch=2.0)})
    pytester.makepyfile(test_x=NEVER_CALLED + "@pytest.mark.xfail\ndef test_a(backends_agree): backends_agree(never, 1)")
    assert outcomes(pytester.runpytest_inprocess(BACKENDS)) == {"xfailed": 1}
    assert report(pytester)["counts"]["FAILED"] == 1, "the report is about the backends"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("backends_agree(3, 1.0)", "function is int; expected a function of tensors"),
        ("backends_agree()", "missing 1 required positional argument: 'function'"),
        ("backends_agree(never, 1.0, rtol=1e-3)", "unexpected keyword argument 'rtol'"),
    ],
)
def test_a_call_that_cannot_be_one_is_refused_where_it_stands(
    pytester: pytest.Pytester, world: Worlds, call: str, words: str
) -> None:
    world()
    pytester.makepyfile(test_x=NEVER_CALLED + f"def test_a(backends_agree):\n    {call}")
    result = pytester.runpytest_inprocess(BACKENDS)
    assert outcomes(result) == {"failed": 1}
    assert words in result.stdout.str()
    assert f">       {call}" in result.stdout.str()


def test_a_nest_comes_back_by_path(pytester: pytest.Pytester, world: Worlds) -> None:
    seen = {"observations": {"value/a": [1.0], "value/b/0": 2.0, "value/b (order)": ["x", "y"]}}
    world({"test_x/test_a": {"jax": seen, "torch": seen}})
    pytester.makepyfile(
        test_x=NEVER_CALLED + "def test_a(backends_agree): assert sorted(backends_agree(never, 1.0)) == ['a', 'b/0']"
    )
    assert outcomes(pytester.runpytest_inprocess(BACKENDS)) == {"passed": 1}
