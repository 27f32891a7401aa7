"""A run with a leg that has its own interpreter and variables."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

from front_door import backendcheck, project

CASES = '''
"""Where it runs."""
import os, sys
import numpy as np


def case_where():
    """A named leg has its interpreter and its variables."""
    return {"own": np.array([float(os.path.basename(sys.prefix) == "own")]), "flag": np.array([len(os.environ.get("FLAG", ""))])}
'''
TABLES = """
[tool.backendcheck.legs.other]
backend = "numpy"
python = "own/bin/python"
env = {FLAG = "four"}

[tool.backendcheck.legs.bare]
backend = "numpy"
python = "bare/bin/python"
"""


def test_a_leg_with_its_own_interpreter(tmp_path: Path) -> None:
    folder = project(tmp_path, {"where.py": CASES, "pyproject.toml": TABLES})
    for name in ("own", "bare"):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / name)], check=True)
    libraries = next((folder / "own" / "lib").glob("python*/site-packages"))
    # As if it were all installed there.
    there = {*filter(_is_library, sys.path), sysconfig.get_path("purelib")}
    (libraries / "all.pth").write_text("\n".join(there), encoding="utf-8")

    ended = backendcheck("run", "where.py", "--legs", "numpy,other,bare", "--out", "run", cwd=folder)
    assert "bare: keras and numpy and click" in ended.err, ended.words
    assert f"is not installed in {folder / 'bare/bin/python'}, so this leg will be missing. Install with:" in ended.err
    report = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    (result,) = report["results"]
    differing = {(found["observation"], found["left"], found["right"]) for found in result["findings"]}
    assert differing == {("value/own", "numpy", "other"), ("value/flag", "numpy", "other")}, ended.words
    assert report["legs"]["other"]["backend"] == "numpy"

    recorded = backendcheck("record", "where.py", "--backend", "other", "--out", "alone", cwd=folder)
    assert (recorded.exit_code, (folder / "alone" / "other" / "environment.json").is_file()) == (0, True), recorded.words
    refused = backendcheck("record", "where.py", "--backend", "bare", "--out", "alone", cwd=folder)
    assert refused.exit_code == 2
    assert "bare: keras and numpy and click" in refused.err


def _is_library(folder: str) -> bool:
    return folder.endswith("site-packages")
