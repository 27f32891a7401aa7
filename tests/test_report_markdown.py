"""summary.md: what GitHub shows of a run."""

from __future__ import annotations

import re

import make
import pytest

from backendcheck.report import markdown


def test_the_summary_of_everything():
    make.assert_golden("summary.md", markdown.render(make.everything()))


def test_every_row_has_the_columns_of_its_table():
    columns = 0
    for line in markdown.render(make.everything()).splitlines():
        if re.fullmatch(r"\|( ---:? \|?)+", line):
            columns = line.count("|")
        elif line.startswith("|") and columns and "---" not in line:
            assert line.count("|") == columns or line.startswith(("| case", "| ERROR", "| PASSED"))


def test_nothing_hostile_becomes_markup():
    text = markdown.render(make.everything())
    assert "<script" not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\ud800-\udfff\u202e]", text)
    assert set(re.findall(r"<(/?\w+)", text)) <= {"code", "/code", "details", "/details", "summary", "/summary", "sub", "/sub"}
    text.encode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a|b", "a&#124;b"),
        ("a\\|b", "a\\\\&#124;b"),
        ("`x` *y* ~z~ #1", "&#96;x&#96; \\*y\\* \\~z\\~ \\#1"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("two\nlines\r\n|", "two lines &#124;"),
        ("@someone ![a](http://b) www.x.y", "&#64;someone \\!\\[a\\](http&#58;//b) www&#46;x.y"),
        ("snake_case _emphasis_", "snake_case \\_emphasis\\_"),
    ],
)
def test_text_is_escaped(given, expected):
    assert markdown.escape(given) == expected


def test_a_summary_of_passes_is_short():
    text = markdown.render(make.results({"a/b": make.everywhere(loss=1.0)}))
    assert "3 backends, 1 case: 1 passed" in text
    assert "what differs" not in text
    assert len(text) < 400


def test_problems_and_stale_entries_are_told():
    results = make.results({"a/b": {"jax": {"loss": 1.0}, "torch": {"loss": 1.0}}}, expected=make.BACKENDS)
    assert "- **problem** tensorflow: its leg is missing" in markdown.render(results)
    assert "- **EXPIRED** " in markdown.render(make.everything())


def test_it_stays_within_what_github_shows_and_says_what_is_left_out():
    long = "x" * 300
    cases = {f"many/case_{n}_{long}": {"jax": {"loss": 1.0}, "torch": {"loss": 2.0}} for n in range(3000)}
    text = markdown.render(make.results(cases))
    assert 0.9 * markdown.LIMIT < len(text.encode()) <= markdown.LIMIT
    left_out = int(re.search(r"and (\d+) more failing cases, left out here", text).group(1))
    assert left_out + text.count("| FAILED |") - 1 == 3000
