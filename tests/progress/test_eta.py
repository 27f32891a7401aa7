"""How long it will take: from the pace so far, and from how long each case took before."""

from __future__ import annotations

import io
import os

import pytest
from rich.console import Console

from backendcheck.progress.eta import Pace, in_words
from backendcheck.progress.progress import Progress
from backendcheck.progress.terminal import Bars, Lines, progress_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def after(pace: Pace, clock: Clock, *seconds: float, start: int = 0) -> None:
    """Cases that take so long, one after the other."""
    for number, took in enumerate(seconds, start):
        pace.started(f"a/{number}")
        clock.now += took
        pace.finished(number + 1)


def test_the_pace_so_far_goes_on_and_starting_does_not_count() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    clock.now = 30.0  # importing a backend
    pace.collected(10)
    assert pace.left_s() is None
    after(pace, clock, 2.0, 2.0)
    assert pace.left_s() == pytest.approx(16.0)
    after(pace, clock, *[2.0] * 8, start=2)
    assert pace.left_s() == 0.0


def test_cases_that_took_long_before_are_expected_to_again() -> None:
    clock = Clock()
    earlier_s = {f"a/{n}": 1.0 for n in range(5)} | {f"a/{n}": 9.0 for n in range(5, 10)}
    pace, naive = (Pace(clock=clock, earlier_s=one) for one in (earlier_s, {}))
    for one in (pace, naive):
        one.collected(10)
    for number in range(5):
        for one in (pace, naive):
            one.started(f"a/{number}")
        clock.now += 2.0  # the machine is half as quick as it was then
        for one in (pace, naive):
            one.finished(number + 1)
    assert naive.left_s() == pytest.approx(10.0)
    assert pace.left_s() == pytest.approx(90.0)


def test_with_several_workers_cases_run_beside_each_other() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    pace.collected(8)
    for number in range(0, 8, 2):
        pace.started(f"a/{number}")
        pace.started(f"a/{number + 1}")
        clock.now += 3.0
        pace.finished(number + 1)
        pace.finished(number + 2)
        assert pace.left_s() == pytest.approx(3.0 * (8 - number - 2) / 2)


def test_cases_that_are_new_since_then_are_expected_to_take_the_mean() -> None:
    clock = Clock()
    pace = Pace(clock=clock, earlier_s={"a/0": 1.0, "a/1": 3.0})
    pace.collected(4)
    after(pace, clock, 1.0, 3.0)
    assert pace.left_s() == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "5 s"), (3.2, "5 s"), (22.0, "20 s"), (54.9, "55 s"), (58.0, "1 min"), (97.0, "1 min 40 s"), (569.0, "9 min 30 s"),
     (740.0, "12 min"), (3599.0, "1 h 0 min"), (7800.0, "2 h 10 min")],
)  # fmt: skip
def test_a_time_left_is_no_more_exact_than_it_is(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_log_shows_progress_remaining_time_and_current_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backendcheck.progress.terminal._LINE_EVERY_S", -1.0)
    stream = io.StringIO()
    with Lines(["jax"], Console(file=stream, width=200), {"jax": {"a/0": 1.0, "a/1": 1.0}}) as lines:
        lines.collected("jax", 2)
        lines.started("jax", "a/0")
        lines.finished("jax", 1)
        lines.ended("jax", 0, "")
    assert stream.getvalue().splitlines() == [
        "jax: 2 cases", "jax: 0 of 2, at a/0", "jax: 1 of 2, about 5 s left, at a/0", "jax: recorded",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_bars_fit_the_terminal_and_show_the_case_and_the_time_left(width: int) -> None:
    stream = io.StringIO()
    names = ["tensorflow", "jax", "torch jitter-1"]
    with Bars(names, Console(file=stream, force_terminal=True, width=width, height=30)) as bars:
        for name in names:
            bars.collected(name, 471)
            bars.started(name, "label_range/one_past_the_last_class[softmax-and-a-long-parameter]")
            bars.finished(name, 100)
            bars.started(name, "label_range/one_past_the_last_class[softmax-and-a-long-parameter]")
    shown = stream.getvalue()
    assert "100/471" in shown
    assert "about 5 s left" in shown
    assert "label_range" in shown
    import re

    rows = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n").splitlines()
    assert max(map(len, rows)) <= width


class Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "env", "kind"),
    [(True, {"TERM": "xterm"}, Bars), (True, {"TERM": "dumb"}, Lines), (False, {"TERM": "xterm"}, Lines),
     (False, {"TERM": "xterm", "FORCE_COLOR": "1"}, Lines)],  # a log with colors is still a log
)  # fmt: skip
def test_bars_are_for_terminals(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, env: dict[str, str], kind: type[Bars | Lines]
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stderr", Stream(terminal))
    assert type(progress_of(["jax"])) is kind
    assert type(progress_of(["jax"], quiet=True)) is Progress
    assert os.environ["TERM"] == env["TERM"]
