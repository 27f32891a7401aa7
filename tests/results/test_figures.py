"""Figures that have moved since an earlier run, whatever the verdicts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import make
import pytest

from backendcheck.report.formats import json as json_report
from backendcheck.report.html import page
from backendcheck.results.changes import read_baseline
from backendcheck.results.figures import Figure, figures_in, moved

PAIR = ("agreement", "loss", "jax", "torch")
TOLERANCE = (1e-5, 1e-6)


def figure(max_abs: float | None, excess: float | None = None, tolerance: tuple[float, float] = TOLERANCE) -> Figure:
    of_max = None if max_abs is None else max_abs * 1e5
    return Figure(max_abs=max_abs, excess=of_max if excess is None else excess, tolerance=tolerance)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (figure(1e-6), figure(2e-5), ("largest difference", 1e-6, 2e-5)),
        (figure(2e-5), figure(1e-6), ("largest difference", 2e-5, 1e-6)),
        (figure(0.0), figure(1e-5), ("largest difference", 0.0, 1e-5)),
        (figure(1e-6), figure(math.inf), ("largest difference", 1e-6, math.inf)),
        (figure(None, 0.03), figure(None, 0.5), ("excess", 0.03, 0.5)),  # an earlier version
        (figure(None, 0.03), figure(0.5, 0.5), ("excess", 0.03, 0.5)),
        (figure(1e-6), figure(9.9e-6), None),
        (figure(1e-6), figure(1e-6), None),
        (figure(0.0), figure(5e-8), None),  # rounding
        (figure(math.inf), figure(math.inf), None),
        (figure(None, 0.03), figure(None, 0.5, (1e-6, 0.0)), None),  # of another tolerance
        (figure(None, None), figure(0.5), None),
    ],
)
def test_what_has_moved(before: Figure, now: Figure, expected: tuple[str, float, float] | None) -> None:
    items = [(item.figure, item.before, item.now) for item in moved({PAIR: before}, {PAIR: now})]
    assert items == ([] if expected is None else [expected])


def test_of_several_pairs_that_which_moved_most_and_the_largest_first() -> None:
    pairs = {("agreement", "loss", "jax", "torch"): 20.0, ("agreement", "loss", "jax", "tensorflow"): 30.0,
             ("agreement", "metrics", "jax", "torch"): 40.0, ("paths", "loss", "jax", "torch"): 5.0}  # fmt: skip
    items = moved(dict.fromkeys(pairs, figure(1.0)), {pair: figure(ratio) for pair, ratio in pairs.items()})
    shown = [(item.observation, item.right, item.ratio) for item in items]
    assert shown == [("metrics", "torch", 40.0), ("loss", "tensorflow", 30.0)]


@pytest.mark.parametrize("damage", [{"excess": "x"}, {"tolerance": None}, {"tolerance": {"rtol": []}}, {"max_abs": {}}])
def test_what_is_damaged_is_left_out(damage: dict[str, Any]) -> None:
    whole = {"oracle": "agreement", "observation": "loss", "left": "jax", "right": "torch", "excess": 0.5, "max_abs": 1.0,
             "tolerance": {"rtol": 0, "atol": 2}}  # fmt: skip
    assert figures_in([whole]) == {PAIR: Figure(max_abs=1.0, excess=0.5, tolerance=(0.0, 2.0))}
    assert figures_in([whole | damage]) == {}


def test_the_page_and_the_report_show_it_where_the_verdict_is_the_same(tmp_path: Path) -> None:
    case = "a/<script>alert(1)</script>"

    def run(value: float) -> Any:
        same = make.everywhere(("jax", "torch"), loss=1.0)
        return make.results({case: {"jax": {"loss": 1.0}, "torch": {"loss": value}}, "a/same": same})

    path = tmp_path / "report.json"
    path.write_text(json_report.render(run(1.0000002)))
    results = run(1.000004).compared_with(read_baseline(path))
    assert [str(result.verdict) for result in results.cases] == ["PASSED", "PASSED"]
    assert results.changes == ()
    (item,) = results.moved[case]
    assert (item.observation, item.figure, round(item.ratio)) == ("loss", "largest difference", 17)
    entry = json.loads(json_report.render(results))["baseline"]["moved"]
    assert [[moved["observation"] for moved in figures] for figures in entry.values()] == [["loss"]]
    text = page.render(results)
    assert "1 case with figures that moved by more than a factor of 10" in text
    assert "<script>alert" not in text
