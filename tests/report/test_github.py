"""summary.md: what GitHub shows of a run."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace

import make
import pytest

from backendcheck.report.formats import github
from backendcheck.report.formats import text as text_report
from backendcheck.report.views.run import exit_sentence

DIFFERS = {"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.7}, "torch": {"loss": 0.5}}


def test_the_summary_of_everything():
    make.assert_golden("summary.md", github.render(make.everything()))


def test_every_row_has_the_columns_of_its_table():
    columns = 0
    for line in github.render(make.everything()).splitlines():
        if re.fullmatch(r"\|( ---:? \|?)+", line):
            columns = line.count("|")
        elif line.startswith("|") and columns and "---" not in line:
            assert line.count("|") == columns or line.startswith(("| case", "| ERROR", "| PASSED"))


def test_nothing_hostile_becomes_markup():
    text = github.render(make.everything())
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
    assert github.escape(given) == expected


def test_a_summary_of_passes_is_short():
    text = github.render(make.results({"a/b": make.everywhere(loss=1.0)}))
    assert "3 backends, 1 case: 1 passed" in text
    assert "what differs" not in text
    assert len(text) < 400


def test_problems_and_stale_entries_are_reported():
    results = make.results({"a/b": {"jax": {"loss": 1.0}, "torch": {"loss": 1.0}}}, expected=make.BACKENDS)
    assert "- **problem** tensorflow: its leg is missing" in github.render(results)
    assert "- **EXPIRED** " in github.render(make.everything())


def test_it_stays_within_what_github_shows_and_says_what_is_left_out():
    long = "x" * 300
    results = make.results({f"many/case_{n}_{long}": {"jax": {"loss": 1.0}, "torch": {"loss": 2.0}} for n in range(300)})
    text = github.render(replace(results, cases=results.cases * 10))
    assert 0.9 * github.LIMIT < len(text.encode()) <= github.LIMIT
    left_out = int(re.search(r"and (\d+) more failing cases; see report", text).group(1))
    assert left_out + text.count("| FAILED |") - 1 == 3000


def test_ten_thousand_monstrous_failures_stay_within_it_too():
    monstrous = {"jax": {"raised": f"ValueError: {'|<b>`&$' * 3000}\n{make.HOSTILE}"}, "torch": {"loss": 2.0}}
    results = make.results({f"many_{n % 7}/case_{n}_{'x' * n}_{make.HOSTILE}": monstrous for n in range(400)})
    results = replace(results, cases=results.cases * 25, problems=("a leg is missing " * 500,) * 300)
    text = github.render(results)
    assert 0.9 * github.LIMIT < len(text.encode()) <= github.LIMIT
    left_out = int(re.search(r"and (\d+) more failing cases; see report\.json", text).group(1))
    assert left_out + text.count("| FAILED |") - 1 == 10_000
    assert "- and 250 more" in text
    assert "**exit code 3: incomplete: 300 problems of the run (PROBLEM); also 10000 cases differ (FAILED)**" in text


@pytest.mark.parametrize(
    ("cases", "options", "sentence"),
    [
        ({"a/b": make.everywhere(loss=1.0)}, {}, "exit code 0: all backends agree with each other and with what is expected"),
        ({"a/b": DIFFERS}, {"known": [make.divergence("a/b", "jax")]},
         "exit code 0: all as expected; 1 case differs as known_divergences.toml says"),
        ({"a/b": DIFFERS, "a/c": DIFFERS}, {}, "exit code 1: 2 cases differ (FAILED)"),
        ({"a/b": make.everywhere(loss=1.0)}, {"known": [make.divergence("a/b", "jax")]},
         "exit code 1: 1 known divergence is gone (XPASSED)"),
        ({}, {}, "exit code 3: incomplete: nothing was compared"),
        ({"a/b": {"jax": {"loss": 1.0}}}, {},
         "exit code 3: incomplete: 1 case could not be compared (ERROR), 1 problem of the run (PROBLEM)"),
    ],
)  # fmt: skip
def test_the_exit_code_says_why(cases, options, sentence):
    results = make.results(cases, **options)
    assert exit_sentence(results) == sentence
    assert f"**{github.escape(sentence)}**" in github.render(results)
    assert list(text_report.last_line(results, None)) == [sentence]


def test_strictness_about_known_divergences_is_a_reason_too():
    stale = [make.divergence("nowhere/*", "jax"), make.divergence("a/*", "jax", expires=datetime.date(2026, 1, 1))]
    results = make.results({"a/b": make.everywhere(loss=1.0)}, known=stale)
    assert exit_sentence(results).startswith("exit code 0")
    strict = replace(results, strict_known=True)
    assert (strict.exit_code, results.exit_code) == (1, 0)
    assert exit_sentence(strict) == "exit code 1: 2 entries of known_divergences.toml expired or unmatched (--strict-known)"
