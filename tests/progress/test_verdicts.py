"""Verdicts in a display: the count beside the bars of a terminal, lines in a log, and lines that stay."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from backendcheck.progress.progress import verdicts_in_words
from backendcheck.progress.terminal import Bars, Lines


def test_verdicts_are_counted_in_words() -> None:
    assert verdicts_in_words({"PASSED": 12, "FAILED": 1, "XFAILED": 3, "ERROR": 0}) == "12 passed, 1 failed, 3 known"


def test_a_log_has_the_first_verdict_at_once_and_the_lines_whole() -> None:
    text = io.StringIO()
    with Lines(["jax"], Console(file=text, force_terminal=False, width=40)) as shown:
        shown.collected("jax", 2)
        shown.judged({"PASSED": 1})
        shown.judged({"PASSED": 2})
        shown.tell(["\x1b[31mFAILED\x1b[0m a/b   VALUE: loss [red] is 0.5 on jax; 0.7 on torch", "  what to do  Look."])
        assert shown.width is None
    assert text.getvalue().splitlines() == [
        "jax: 2 cases", "verdicts: 1 passed", "FAILED a/b   VALUE: loss [red] is 0.5 on jax; 0.7 on torch", "  what to do  Look.",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [60, 120])
def test_a_terminal_has_a_bar_of_verdicts_and_the_lines_above(width: int) -> None:
    text = io.StringIO()
    with Bars(["jax"], Console(file=text, force_terminal=True, width=width)) as shown:
        shown.collected("jax", 3)
        shown.judged({"PASSED": 1, "FAILED": 1})
        shown.tell(["FAILED a/b   VALUE: loss [red] is 0.5"])
        assert shown.width == width
    assert "FAILED a/b   VALUE: loss [red] is 0.5\n" in text.getvalue()
    last = text.getvalue().splitlines()[-2:]
    assert any("verdicts" in line and "2/3" in line and "1 passed, 1 f" in line for line in last), last
