"""A bug report in Markdown: what a maintainer needs, and nothing that breaks out of its place."""

from __future__ import annotations

import re

import make
import pytest

from backendcheck.report.formats.bug_report import cause_in_words
from backendcheck.report.html.section import section

RUN = make.since_a_baseline()
DIFFERING = [result.case for result in RUN.cases if result.findings]


def bug(case: str) -> str:
    return section(RUN.result(case), RUN).bug


@pytest.mark.parametrize("case", DIFFERING, ids=range(len(DIFFERING)))
def test_a_table_has_as_many_cells_in_each_row(case):
    rows = [line for line in bug(case).split("\n") if line.startswith("|")]
    if case == "losses/nan":  # its script says it
        assert rows == []
        return
    assert len(rows) >= 3
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_what_each_backend_has_is_in_it():
    text = bug("losses/against_the_reference")
    assert "| loss | 0.7 | 0.7 | 0.5 | 0.5 |" in text
    assert "Tolerance: rtol 1e-05 atol 1e-06, default float32 loss; excess 2.5e+04" in text
    text = bug("label_range/past_the_end")
    assert "torch raises IndexError in stage loss:\n\n```text\nTarget 3 is out of bounds.\n```" in text


def test_hostile_text_stays_in_its_place():
    text = bug(f"hostile/{make.HOSTILE}")
    outside = re.sub(r"^(`{3,})text$.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "<script>" not in outside
    assert "&lt;script&gt;" in outside
    assert "\x1b" not in outside
    assert "\u202e" not in outside


def test_an_unknown_cause_is_left_out():
    assert [one.code for one in RUN.result("losses/exact").diagnoses] == ["unexplained"]
    assert cause_in_words(RUN.result("losses/exact").diagnoses) == ""
    assert "None of the causes" not in bug("losses/exact")
    assert cause_in_words(RUN.result("losses/nan").diagnoses).startswith("NaN first appears")
