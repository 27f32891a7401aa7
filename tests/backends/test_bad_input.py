"""What cannot be done or read is refused in a line that says where, what and what to do; nothing is lost by it."""

from __future__ import annotations

import json
from pathlib import Path

from fine_case import FINE, without
from front_door import backendcheck, project


def test_a_run_goes_on_without_a_backend_that_is_not_installed_and_is_incomplete(tmp_path: Path) -> None:
    env = without("torch", project(tmp_path, {"fine.py": FINE}))
    ended = backendcheck("run", "fine.py", "--backends", "jax,torch", "--out", "out", cwd=tmp_path, env=env)
    assert ended.exit_code == 3
    assert "torch: torch is not installed here, so this leg will be missing. Install with: pip install" in ended.err
    assert "torch: its leg is missing" in ended.out
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert [result["verdict"] for result in report["results"]] == ["ERROR"]
