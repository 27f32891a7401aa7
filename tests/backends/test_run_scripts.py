"""`run --scripts` and `repro`: the script of a case reaches the report, and no report of other recordings."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from front_door import backendcheck, command, project, variables

CASES = {
    "cases/conftest.py": """
        import pytest

        @pytest.fixture
        def tensor_of_conftest():
            secret = object()
            return lambda: 1.0 if secret is not None else 0.0
    """,
    "cases/edge.py": """
        import keras
        from keras import ops
        from backendcheck import ValueCase

        def case_sum():
            \"\"\"Seven ones are seven.\"\"\"
            def compute():
                return {"sum": ops.sum(ops.ones(7)) * (2 if keras.backend.backend() == "jax" else 1)}
            return ValueCase(compute)

        def case_a_fixture(tensor_of_conftest):
            \"\"\"What a fixture made differs.\"\"\"
            return {"v": ops.ones(2) * tensor_of_conftest() * (3 if keras.backend.backend() == "jax" else 1)}

        def case_fine():
            return {"v": 1.0}
    """,
}
RUN = ("run", "cases", "--backends", "jax,numpy", "--out", "out", "--oracles", "agreement")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = project(tmp_path_factory.mktemp("scripts"), CASES)
    return folder, backendcheck(*RUN, "--scripts", "5", cwd=folder, timeout=600)


def scripts(folder: Path) -> dict[str, str]:
    results = json.loads((folder / "report.json").read_text(encoding="utf-8"))["results"]
    return {one["case"]: one["script"]["source"] for one in results if "script" in one}


def test_a_run_makes_the_scripts_of_what_failed(whole):
    folder, ended = whole
    assert ended.exit_code == 1, ended.words
    assert "script of edge/sum: out/scripts/edge/sum.py" in ended.err
    assert "script of edge/a_fixture: no script: cannot be written as a script" in ended.err
    assert "edge/fine" not in ended.err
    assert scripts(folder / "out").keys() == {"edge/sum"}
    source = (folder / "out" / "scripts" / "edge" / "sum.py").read_text(encoding="utf-8")
    assert scripts(folder / "out")["edge/sum"] == source
    assert "import backendcheck" not in source
    page = (folder / "out" / "index.html").read_text(encoding="utf-8")
    assert "Copy script" in page
    assert "No script could be made: cannot be written as a script" in page


def test_the_script_goes_with_its_recordings_and_with_no_others(whole, tmp_path):
    folder, _ = whole
    shutil.copytree(folder / "out", tmp_path / "moved")
    shutil.copytree(folder / "cases", tmp_path / "cases")
    assert backendcheck("compare", "moved", cwd=tmp_path).exit_code == 1
    assert scripts(tmp_path / "moved").keys() == {"edge/sum"}
    one_leg = backendcheck("compare", "moved/jax", "--expect-backends", "jax", "--out", "alone", cwd=tmp_path)
    assert one_leg.exit_code in (1, 3), one_leg.words
    assert scripts(tmp_path / "alone") == {}
    (tmp_path / "moved" / "scripts" / "edge" / "sum.json").write_text('{"format": 1', encoding="utf-8")
    ended = backendcheck("compare", "moved", cwd=tmp_path)
    assert ended.exit_code == 1
    assert "SCRIPT" in ended.out
    assert "cannot be read as the script of a case" in ended.out
    assert scripts(tmp_path / "moved") == {}
    ended = backendcheck("repro", "edge/sum", "--dir", "moved", "--seconds", "1", cwd=tmp_path, timeout=300)
    assert ended.exit_code == 0, ended.words
    assert "copy kept as moved/scripts/edge/sum.py; 'backendcheck compare moved' adds it to the report" in ended.err
    assert backendcheck("compare", "moved", cwd=tmp_path).exit_code == 1
    assert scripts(tmp_path / "moved") == {"edge/sum": (tmp_path / "repro_edge_sum.py").read_text(encoding="utf-8")}
    # Recorded again, these are other recordings: the script is gone with them.
    assert backendcheck(*RUN, "--overwrite", cwd=folder, timeout=300).exit_code == 1
    assert scripts(folder / "out") == {}
    assert not (folder / "out" / "scripts").exists()


def test_a_run_that_is_killed_over_its_scripts_has_its_report(tmp_path):
    folder = project(tmp_path, CASES)
    process = subprocess.Popen(
        command(*RUN, "--scripts", "2"), cwd=folder, env=variables(), text=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    with process:
        for line in process.stderr:
            if line.startswith("script: starting"):
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert scripts(folder / "out") == {}
    ended = backendcheck("compare", "out", cwd=folder)
    assert ended.exit_code == 1, ended.words
    assert "2 failed" in ended.out


@pytest.mark.parametrize("n", ["-1", "x", ""])
def test_a_number_that_is_none_is_refused(tmp_path, n):
    ended = backendcheck(*RUN, "--scripts", n, cwd=project(tmp_path, CASES))
    assert (ended.exit_code, "--scripts" in ended.err) == (2, True)
