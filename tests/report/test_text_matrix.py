"""The picture of a run: a row for each case or topic, marks worst first, within the width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import make
import pytest
from make import HOSTILE, everywhere

from backendcheck.report.formats.text_matrix import matrix
from backendcheck.results.results import Results
from backendcheck.text.styled import StyledLine, fitted, fitted_name

DIFFERS = {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.7}, "torch": {"loss": 0.5}}
CRASHED = {**DIFFERS, "jax": {"status": "crashed", "problem": "exit code 139"}}


def drawn(results: Results, width: int | None = 80, **options: Any) -> list[str]:
    return [str(line) for line in matrix(results, width, **options)]


def topics(**n: tuple[int, int]) -> Results:
    """Topics with so many cases that fail and that pass."""
    cases = {}
    for topic, (n_failing, n_passed) in n.items():
        cases |= {f"{topic}/bad_{i}": DIFFERS for i in range(n_failing)}
        cases |= {f"{topic}/good_{i}": everywhere(loss=0.5) for i in range(n_passed)}
    return make.results(cases)


def test_topics_come_worst_first_with_a_mark_for_each_case() -> None:
    assert drawn(topics(fine=(0, 5), worse=(3, 2), bad=(1, 4))) == [
        "  differs on  tensorflow   jax  torch",
        "  worse                -     3      -  FFF..",
        "  bad                  -     1      -  F....",
        "  1 other topic passed, with 5 cases",
        "  F failed   . passed",
    ]


def test_few_cases_have_a_row_each_with_what_every_backend_did() -> None:
    lines = drawn(make.results({"a/differs": DIFFERS, "a/crashes": CRASHED, "a/fine": everywhere(loss=0.5)}))
    assert lines == [
        "                     tensorflow  jax      torch",
        "  ERROR   a/crashes  ok          crashed  ok",
        "  FAILED  a/differs  ok          differs  ok",
        "  PASSED  a/fine     ok          ok       ok",
    ]


def test_where_all_passed_there_is_nothing_to_see_unless_it_is_asked_for() -> None:
    results = topics(one=(0, 20), two=(0, 3))
    assert drawn(results) == []
    assert drawn(results, whole=True)[1].endswith("  " + "." * 20)
    assert drawn(make.results({})) == drawn(make.results({}), whole=True) == []


def test_a_case_that_is_alone_has_no_matrix() -> None:
    assert drawn(make.results({"a/b": DIFFERS})) == []


def test_very_many_cases_are_scaled_and_none_that_fails_gets_lost() -> None:
    lines = drawn(topics(huge=(1, 2000), small=(1, 1)))
    assert max(map(len, lines)) <= 80
    assert lines[1].lstrip().startswith("huge")
    assert "  F...." in lines[1]
    assert lines[2].endswith("  F.")
    assert "(one mark is up to " in lines[-1]


def test_very_many_topics_are_cut_with_the_number_of_those_left_out() -> None:
    results = topics(**{f"topic_{n}": (1, 1) for n in range(60)})
    lines = drawn(results)
    assert lines[-2] == "  and 20 more topics with 40 cases"
    assert len(drawn(results, whole=True)) == 62


@pytest.mark.parametrize("width", [80, 81, 100, 133, 160, 200, 300])
@pytest.mark.parametrize(
    "some_results",
    [make.everything, lambda: make.many(471, 50), lambda: topics(**{"x" * 100: (3, 30), "漢字" * 20: (1, 9)})],
    ids=["everything", "many", "long names"],
)
def test_it_fits(some_results: Callable[[], Results], width: int) -> None:
    from rich.cells import cell_len

    for line in matrix(some_results(), width, whole=True):
        assert cell_len(str(line)) <= width, line
        assert "".join(text for text, _ in line.parts) == line


def test_two_topics_stand_beside_each_other_where_there_is_room() -> None:
    results = topics(**{f"topic_{n}": (n % 3 + 1, 5) for n in range(30)})
    narrow, wide = drawn(results, 80), drawn(results, 200)
    assert len(wide) == len(narrow) - 15
    assert wide[0].count("differs on") == wide[0].count("tensorflow") == 2


def test_many_legs_in_a_narrow_terminal_leave_out_who_differs() -> None:
    legs = [f"tensorflow#{n}" for n in range(1, 8)]
    cases = {f"topic_{n}/case_{i}": {leg: {"loss": float(leg == legs[0])} for leg in legs} for n in range(3) for i in range(9)}
    lines = drawn(make.results(cases))
    assert lines[0] == "  topic_0" + " " * (10 - len("topic_0")) + "  FFFFFFFFF"
    assert max(map(len, lines)) <= 80


def test_nothing_hostile_gets_through() -> None:
    results = make.results({f"{HOSTILE}{n}/a": DIFFERS for n in range(20)} | {f"x/{HOSTILE}": DIFFERS})
    few = make.results({f"x/{HOSTILE}": DIFFERS, "x/y": DIFFERS})
    for line in [*drawn(results), *drawn(few)]:
        assert line.isprintable(), line


def test_a_line_knows_its_parts() -> None:
    line = StyledLine([("  ", ""), ("F", "FAILED"), ("  ", "dim"), ("", "bold")])
    assert line == "  F"
    assert line.parts == (("  ", ""), ("F", "FAILED"))
    assert fitted("漢字", 6) == "漢字  "
    assert fitted("abcdef", 4) == "ab.."
    assert fitted("漢字漢字", 5).rstrip(".") in ("漢 ", "漢")


def test_the_name_of_a_case_is_cut_in_its_middle_so_that_its_parameters_are_seen():
    assert fitted_name("loss/one", 10) == "loss/one  "
    assert fitted_name("loss/keeps_its_options[huber]", 20) == "loss/keep..ns[huber]"
    assert fitted_name("loss/漢字漢字漢字[漢字]", 16) == "loss/漢 ..[漢字]"  # a character of two columns is never halved
    assert fitted_name("loss/huber", 6) == "loss.."
