"""Two rounds of `benchmarks/kill_runs.py`, which plays hundreds: a run is killed, resumed, and nothing is lost or done twice."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

_PATH = Path(__file__).parents[2] / "benchmarks" / "kill_runs.py"


@pytest.fixture(scope="module")
def kill_runs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kill_runs", _PATH)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["kill_runs"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")
def test_a_killed_run_loses_nothing_and_repeats_nothing(kill_runs: ModuleType) -> None:
    undisturbed, seconds = kill_runs.undisturbed_run("jax")
    for number, (target, signal, share) in enumerate([("parent", "SIGKILL", 0.6), ("worker", "SIGTERM", 0.8)]):
        kill = kill_runs.Round(seed=0, number=number, target=target, signal=signal, share=share)
        kill_runs.play(kill, "jax", undisturbed, seconds)
        assert not kill.problems, kill


def test_a_round_is_the_same_every_time_and_moments_are_spread(kill_runs: ModuleType) -> None:
    rounds = [kill_runs.planned(3, number) for number in range(200)]
    assert rounds == [kill_runs.planned(3, number) for number in range(200)]
    assert sorted(int(kill.share * 20) for kill in rounds[40:60]) == list(range(20))
    assert {kill.target for kill in rounds} == {*kill_runs.TARGETS}
    assert {kill.signal for kill in rounds} == {"SIGKILL", "SIGTERM", "SIGINT"}


def test_differences_between_reports_are_named_by_their_place(kill_runs: ModuleType) -> None:
    left = {"a": [1, {"b": 2}], "c": 1}
    assert list(kill_runs.differences(left, left)) == []
    assert list(kill_runs.differences(left, {"a": [1, {"b": 3}], "c": 1})) == ["report.a[1].b: 2 without a kill, 3 after it"]
    assert len(list(kill_runs.differences(left, {"a": [1], "d": 1}))) == 3
