"""Files and folders that may not be read: named, with what to do, and never taken for absent or damaged."""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import make
import pytest
from front_door import variables

from backendcheck.files import file_sha256
from backendcheck.recordings.files import write_environment, write_recording

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="root reads everything unless the system takes that from it")
LABELS = ("--loss", "sparse_categorical_crossentropy", "--head", "3:softmax")
COMPARE = ("compare", "run", "--out", "report")
COMMANDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("run/jax/environment.json", COMPARE),
    ("run/jax/recordings/a/b.safetensors", COMPARE),
    ("run/jax/recordings/a", COMPARE),
    ("run/jax/recordings", COMPARE),
    ("run/jax", COMPARE),
    ("run", COMPARE),
    ("run/jax/recordings/a", ("merge", "run", "--out", "merged")),
    ("run/jax", ("merge", "run", "--out", "merged")),
    ("run/jax/recordings/a/b.safetensors", ("show", "a/b", "--run", "run")),
    ("run/jax/recordings/a", ("record", "cases", "--backend", "jax", "--out", "run", "--resume")),
    ("run/jax/recordings/a/b.safetensors", ("record", "cases", "--backend", "jax", "--out", "run", "--resume")),
    ("run/jax/environment.json", ("record", "cases", "--backend", "jax", "--out", "run", "--resume")),
    ("run/jax", ("record", "cases", "--backend", "jax", "--out", "run", "--resume")),
    ("baseline.json", (*COMPARE, "--baseline", "baseline.json")),
    ("known.toml", (*COMPARE, "--known", "known.toml")),
    ("known.toml", ("known", "list", "--known", "known.toml")),
    ("pyproject.toml", COMPARE),
    ("cases/a.py", ("list", "cases")),
    ("cases", ("list", "cases")),
    ("cases/a.py", ("run", "cases", "--backends", "jax", "--out", "new")),
    *((f"data.{kind}", ("labels", "--data", f"data.{kind}", "--label-column", "label", *LABELS)) for kind in ("csv", "parquet")),
    *((f"data.{kind}", ("labels", "--data", f"data.{kind}", *LABELS)) for kind in ("npz", "npy")),
    ("images/b", ("labels", "--data", "images", *LABELS)),
    ("images/b/1.png", ("labels", "--data", "images", *LABELS)),
    ("images", ("labels", "--data", "images", *LABELS)),
    ("names.txt", ("labels", "--data", "data.npz", *LABELS, "--class-names", "names.txt")),
    ("model.keras", ("labels", "--model", "model.keras", "--data", "data.npz")),
)  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unreadable")
    for backend in ("jax", "torch"):
        leg = folder / "run" / backend
        write_recording(leg, make.recording("a/b", backend, loss=0.5))
        write_environment(leg, make.environment(backend, ["a/b"], exit_state="running"))
    for name in ("cases", "images/a", "images/b"):
        (folder / name).mkdir(parents=True)
    (folder / "cases" / "a.py").write_text("def case_b(): ...\n")
    (folder / "pyproject.toml").write_text("[tool.backendcheck]\n")
    for name in ("known.toml", "data.csv", "data.npz", "data.npy", "data.parquet", "names.txt", "model.keras", "images/b/1.png"):
        (folder / name).write_text("")
    (folder / "baseline.json").write_text("{}")
    return folder


def test_what_may_not_be_read_is_named_and_left_as_it_is(project: Path) -> None:
    before = {path: file_sha256(path) for path in (project / "run").rglob("*") if path.is_file()}
    done = subprocess.run(
        [sys.executable, __file__], cwd=project, preexec_fn=_drop, capture_output=True, text=True, check=False,
        env=variables({"PYTHONPATH": os.pathsep.join(sys.path)}), input=json.dumps(COMMANDS),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for (place, arguments), (code, output) in zip(COMMANDS, json.loads(done.stdout), strict=True):
        what = f"{place}: {' '.join(arguments)}: exit code {code}: {output}"
        assert code == 2, what
        assert "Traceback" not in output, what
        assert place in output, what
        assert "ermission" in output or "not readable" in output, what
        assert "damaged" not in output, what
    assert {path: file_sha256(path) for path in (project / "run").rglob("*") if path.is_file()} == before


def _drop() -> None:
    """Take from root what lets it read everything, in a process that is about to start."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def _run_all() -> None:
    """The process without the right: run each command while its file may not be read; prints exit codes and outputs."""
    from backendcheck.cli import cli
    from backendcheck.vocabulary.backends import Backend

    Backend.missing_modules = lambda _: []
    ends = []
    for place, arguments in json.load(sys.stdin):
        mode = os.stat(place).st_mode  # noqa: PTH116 - a folder on the way to it may be the next
        os.chmod(place, 0)  # noqa: PTH101
        output, code = io.StringIO(), 0
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                cli.main(arguments, prog_name="backendcheck", color=False)
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            os.chmod(place, mode)  # noqa: PTH101
        ends.append((code, output.getvalue()))
    sys.stdout.write(json.dumps(ends))


if __name__ == "__main__":
    _run_all()
