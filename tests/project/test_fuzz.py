"""Damaged and hostile input of every format ends as documented. `benchmarks/fuzz_readers.py` runs thousands of inputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing import FORMATS, run_input

N = 4  # inputs of each format; all formats together take a few seconds
IN_A_PROCESS = ("parquet", "h5")  # read in a process of their own, which takes a second


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_input_is_read_or_refused_as_documented(name: str, tmp_path: Path) -> None:
    for number in range(1 if name in IN_A_PROCESS else N):
        folder = tmp_path / str(number)
        folder.mkdir()
        ended = run_input(name, number, folder)
        assert not ended.problem, f"{name} {number}: {ended.problem}"
