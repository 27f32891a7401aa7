"""Damaged and hostile input of every format ends as documented. `benchmarks/fuzz_readers.py` runs thousands of inputs."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path

import pytest
from fuzz_run import run_input
from fuzzing import FORMATS

N = 4  # inputs of each format; all formats together take a few seconds
IN_A_PROCESS = ("parquet", "h5")  # read in a process of their own, which takes a second


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_input_is_read_or_refused_as_documented(name: str, tmp_path: Path) -> None:
    for number in range(1 if name in IN_A_PROCESS else N):
        folder = tmp_path / str(number)
        folder.mkdir()
        ended = run_input(name, number, folder)
        assert not ended.problem, f"{name} {number}: {ended.problem}"


def test_what_is_written_elsewhere_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def inputs(folder: Path, rng: random.Random) -> list[str]:
        FORMATS["known"](folder, rng)
        return ["compare", "run", "--out", "../elsewhere"]

    monkeypatch.setitem(FORMATS, "environment", inputs)
    ended = run_input("environment", 0, tmp_path)
    assert any("elsewhere/report.json is there afterwards" in trespass for trespass in ended.trespasses), ended.trespasses


def test_code_of_an_input_that_runs_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> object:
        os.system("true")
        return pickle.loads(pickle.dumps(Path(path)))

    monkeypatch.setattr("backendcheck.recordings.legs.read_environment", read)
    trespasses = " ".join(run_input("environment", 0, tmp_path).trespasses)
    assert "os.system" in trespasses
    assert "pickle.find_class" in trespasses
