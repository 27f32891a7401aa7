"""How many workers a machine has room for."""

from __future__ import annotations

from pathlib import Path

import pytest
from forked import backendcheck

from backendcheck.sessions import worker_count
from backendcheck.sessions.worker_count import workers_that_fit
from backendcheck.vocabulary.backends import DEFAULT_NAMES
from backendcheck.vocabulary.leg_names import LegName, parse_leg, parse_legs

GB = 1 << 30


@pytest.mark.parametrize(
    ("cores", "room", "backends", "bound", "expected"),
    [
        (2, 64 * GB, [*parse_legs(DEFAULT_NAMES)], None, 1),
        (12, 64 * GB, [*parse_legs(DEFAULT_NAMES)], None, 4),
        (12, 8 * GB, [*parse_legs(DEFAULT_NAMES)], None, 2),  # three bounds are 3.6 GB
        (12, 1 * GB, [*parse_legs(DEFAULT_NAMES)], None, 1),
        (8, 8 * GB, [parse_leg("jax")], None, 6),
        (8, 8 * GB, [parse_leg("jax")], 4 * GB, 2),
        (8, 8 * GB, [parse_leg("jax")], 0, 4),
        (8, None, [parse_leg("jax")], None, 8),
    ],
)
def test_cores_and_memory_decide(
    cores: int, room: int | None, backends: list[LegName], bound: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_count, "n_cores", lambda: cores)
    monkeypatch.setattr(worker_count, "available_bytes", lambda: room)
    assert workers_that_fit(backends, bound) == expected


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_count, "_CGROUP", tmp_path)
    without = worker_count.available_bytes()
    assert without is None or without > 0
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert (worker_count.available_bytes() is None) == (without is None)
    (tmp_path / "memory.max").write_text("3000\n")
    assert worker_count.available_bytes() == 2000


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", ""])
def test_other_numbers_are_refused(value: str, tmp_path: Path) -> None:
    ended = backendcheck("run", "-n", value, cwd=tmp_path)
    assert ended.exit_code == 2
    assert "Invalid value for '-n'" in ended.err
