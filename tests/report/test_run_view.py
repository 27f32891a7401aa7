"""What a report says of a run as a whole, and of each case what to do."""

from __future__ import annotations

import make
import pytest

from backendcheck.report.views.case import FAILING
from backendcheck.report.views.remedies import what_to_do
from backendcheck.report.views.run import causes, expected_and_compared, stands_alone, state

DIFFERS = {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.7}, "torch": {"loss": 0.5}}


def figures(results) -> dict[str, tuple[int, int, str]]:
    return {one.noun: (one.n, one.expected, one.missing) for one in expected_and_compared(results)}


# --- expected against compared -----------------------------------------------------------------------------------


def test_a_whole_run_is_complete():
    results = make.results({"a/b": make.everywhere(loss=0.5), "a/c": DIFFERS})
    assert all(one.complete for one in expected_and_compared(results))
    assert figures(results)["recordings"] == (6, 6, "")
    n_comparisons = sum(len(result.comparisons) for result in results.cases)
    assert figures(results)["comparisons"] == (n_comparisons, n_comparisons, "")


def test_a_leg_that_never_came_is_missing():
    results = make.results({"a/b": {"jax": {"loss": 0.5}, "torch": {"loss": 0.5}}}, expected=make.BACKENDS)
    assert figures(results) == {
        "backends": (2, 3, "tensorflow"), "cases": (0, 1, ""), "recordings": (2, 3, "1 on tensorflow"), "comparisons": (1, 1, ""),
    }  # fmt: skip


def test_a_leg_that_was_interrupted_is_missing():
    legs = make.legs({"a/b": make.everywhere(loss=0.5)})
    states = {"jax": "running"}
    killed = [make.leg(one.label, *one.recordings.values(), exit_state=states.get(one.label, "complete")) for one in legs]
    found = {one.noun: one for one in expected_and_compared(make.analyze(killed))}
    assert (found["backends"].n, found["backends"].missing, found["backends"].complete) == (2, "jax", False)


def test_what_crashed_was_not_recorded_and_what_holds_nothing_was_not_compared():
    crashed = {"jax": {"status": "crashed", "problem": "exit code 139"}, "torch": {"loss": 0.5}, "tensorflow": {"loss": 0.5}}
    empty = make.everywhere(predictions=make.np.zeros((0, 3), "float32"), loss=0.5)
    found = figures(make.results({"a/b": crashed, "a/c": empty}))
    assert found["recordings"] == (5, 6, "1 on jax")
    assert found["cases"] == (1, 2, "")
    n, expected, missing = found["comparisons"]
    assert (expected - n, missing) == (3, "3 of empty arrays")


def test_nothing_is_not_complete():
    assert not any(one.complete for one in expected_and_compared(make.results({})))
    assert state(make.results({})) == ("incomplete", "Nothing was compared")


# --- what is wrong -----------------------------------------------------------------------------------------------


def test_who_stands_alone():
    assert stands_alone(make.results({"a/b": DIFFERS})) == "jax is the odd one out"
    cases = {"a/b": DIFFERS, "a/c": DIFFERS, "a/d": {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.5}, "torch": {"loss": 0.7}}}
    assert stands_alone(make.results(cases)) == "jax is the odd one out in 2 of them, torch in 1"
    assert stands_alone(make.results({"a/b": make.everywhere(loss=0.5)})) == ""
    apart = {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.7}, "torch": {"loss": 0.9}}
    assert stands_alone(make.results({"a/b": apart})) == ""


def test_cases_alike_are_one_cause_errors_first_the_unexplained_last():
    found = causes(make.everything())
    assert [(one.name, one.n) for one in found][:4] == [("CRASHED", 1), ("TIMED OUT", 1), ("MISSING", 1), ("NOT COMPARABLE", 1)]
    names = [one.name for one in found]
    assert names.index("NAN") < names.index("OUTPUT ORDER") < names.index("VALUE") < names.index("GONE")
    nan = found[names.index("NAN")]
    assert (nan.code, nan.n, nan.on, nan.verdict) == ("nan", 2, "on jax", "FAILED")
    assert sum(one.n for one in found) == sum(result.verdict in FAILING for result in make.everything().cases)


def test_a_cause_on_several_backends_says_how_often():
    nan = float("nan")
    cases = {
        f"a/{leg}{n}": {b: {"per_example_loss": [0.5, nan if b == leg else 0.25]} for b in make.BACKENDS}
        for leg, n in (("jax", 0), ("jax", 1), ("torch", 0))
    }
    [one] = causes(make.results(cases))
    assert (one.name, one.n, one.on) == ("NAN", 3, "on jax in 2, torch in 1")


def test_what_has_changed_comes_first():
    found = causes(make.since_a_baseline())
    assert [(one.name, one.n_new) for one in found[:3]] == [("NAN", 1), ("VALUE", 1), ("CRASHED", 0)]
    assert (found[0].worst.case, found[1].worst.case) == ("losses/nan", "losses/exact")


# --- what to do --------------------------------------------------------------------------------------------------


def only(**by_backend):
    return make.results({"a/b": by_backend}, expected=make.BACKENDS).cases[0]


@pytest.mark.parametrize(
    ("jax", "words"),
    [
        ({"status": "crashed", "problem": "exit code 139"}, "alone: backendcheck record cases/a.py::case_b --backend jax"),
        ({"status": "timed out", "problem": "after 300 s"}, "--timeout"),
        ({"status": "skipped", "problem": "skipped: no torch"}, "proves nothing"),
        ({"status": "error", "problem": "case returned a tuple"}, "Correct the case"),
        ({"loss": 0.5, "digests": {"x": "other"}}, "rng fixture"),
        ({"loss": 0.5, "digests": {"weights/a": "other"}}, "weights='seeded'"),
        ({"loss": 0.5, "settings": {"floatx": "float16"}}, "same settings"),
        ({"loss": 0.5, "file_digest": "other"}, "same case file"),
        (None, "Record it on that backend"),
    ],
)  # fmt: skip
def test_an_error_says_what_to_do(jax, words):
    usual = {"loss": 0.5, "digests": {"x": "one", "weights/a": "one"}, "settings": {"floatx": "float32"}, "file_digest": "one"}
    if jax is not None:
        jax = usual | jax | {"digests": usual["digests"] | jax.get("digests", {})}
    result = only(tensorflow=usual, torch=usual, **({"jax": jax} if jax else {}))
    assert result.verdict.value == "ERROR"
    assert words in what_to_do(result)


def test_a_hostile_case_is_named_so_that_a_shell_takes_it_whole():
    result = make.results(
        {"a/$(rm -rf x)'\n": {"jax": {"status": "crashed", "problem": "exit code 1"}, "torch": {"loss": 0.5}}}
    ).cases[0]
    assert """backendcheck record 'cases/a.py::case_$(rm -rf x)'"'"'\\n' --backend jax""" in what_to_do(result)


def test_every_case_that_fails_has_something_to_do_and_no_other():
    for result in make.everything().cases:
        assert bool(what_to_do(result)) == (result.verdict in FAILING), result.case


def test_every_diagnosis_has_a_remedy_which_its_message_ends_with():
    for result in make.everything().cases:
        for one in result.diagnoses:
            assert one.remedy
            assert one.message == f"{one.reason} {one.remedy}" or one.code == "unexplained"
