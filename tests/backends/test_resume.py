"""Going on with what was interrupted: what is kept, what is recorded again, and when nothing is."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from front_door import Ended, backendcheck, command, project, session, variables
from processes import alive, descendants, waited_for

from backendcheck.files import file_sha256
from backendcheck.recordings.files import read_environment
from backendcheck.recordings.paths import recording_path

WAITS = {
    "cases/slow.py": """
        import os
        import time
        from pathlib import Path

        import numpy as np

        from beside import LOSS

        def case_first(): return {"v": LOSS}

        def case_second(rng):
            while not Path("go").exists():
                time.sleep(0.1)
            return {"v": rng.random(3)}

        def case_third(): return {"v": np.float64(3.0)}

        def case_crashes():
            if not Path("go").exists():
                os._exit(3)
            return {"v": 1.0}
    """,
    "cases/beside.py": "LOSS = 0.5\n",
}
linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")
EXPECTED = {"slow/first", "slow/second", "slow/third", "slow/crashes"}


@contextmanager
def waiting(folder: Path, *arguments: str, legs: int) -> Iterator[tuple[subprocess.Popen[str], set[int]]]:
    """A command, leader of a process group of its own, once every leg waits in its second case; and all processes below it."""
    with subprocess.Popen(
        command(*arguments, "--out", "out"), cwd=project(folder, WAITS), env=variables(), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    ) as process:  # fmt: skip
        try:

            def all_wait() -> bool:
                running = list(folder.glob("out/*/.work/*.running"))
                return len([path for path in running if "case_second" in path.read_text(encoding="utf-8")]) == legs

            assert waited_for(all_wait, 90), process.poll()
            yield process, descendants(process.pid)
        finally:
            process.kill()


def digests(leg: Path) -> dict[str, str]:
    return {str(path.relative_to(leg)): file_sha256(path) for path in sorted(leg.rglob("*.safetensors"))}


@linux
def test_a_run_goes_on_where_ctrl_c_has_ended_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with waiting(tmp_path, "run", "cases", "--backends", "jax,torch", legs=2) as (process, below):
        os.killpg(process.pid, signal.SIGINT)  # what a terminal sends: to the group, which the workers are not in
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in err
        assert err.splitlines()[-1] == "backendcheck: resume with: backendcheck run --resume cases --backends jax,torch --out out"
        assert waited_for(lambda: not alive(below), 10), alive(below)
    kept = digests(out)
    assert [path.rpartition("/")[2] for path in kept] == ["first.safetensors"] * 2
    runs = {backend: read_environment(out / backend).run for backend in ("jax", "torch")}
    assert {*read_environment(out / "jax").cases} == EXPECTED  # what is missing is known

    (tmp_path / "go").touch()
    ended = backendcheck("run", "--resume", "cases", "--backends", "jax,torch", "--out", "out", cwd=tmp_path)
    assert ended.exit_code == 0, ended.words
    assert "jax: 1 of 4 cases are recorded already and kept" in ended.err
    assert "jax: 3 cases" in ended.err
    assert {path: digest for path, digest in digests(out).items() if path in kept} == kept
    for backend in ("jax", "torch"):
        leg = session(out / backend, ended)
        assert leg.environment.run == runs[backend]
        assert leg.environment.exit_state == "complete"
        assert {*leg.statuses} == {*leg.environment.digests} == {*leg.environment.cases} == EXPECTED
        assert [earlier.exit_state for earlier in leg.environment.sessions] == ["interrupted"]
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["counts"]["PASSED"] == 4
    assert report["environments"]["jax"]["sessions"][0]["n_recordings"] == 1


@linux
def test_a_session_goes_on_after_the_loss_of_all_its_processes(tmp_path: Path) -> None:
    leg = tmp_path / "out" / "jax"
    arguments = ("record", "cases", "--backend", "jax", "-n", "2")
    with waiting(tmp_path, *arguments, legs=1) as (process, below):
        assert waited_for(lambda: len([*leg.rglob("*.safetensors")]) == 3, 60)  # the other worker has gone on
        for pid in (process.pid, *below):  # all at once, as when the power fails
            with contextlib.suppress(ProcessLookupError):  # it went with its parent
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=10)
        assert waited_for(lambda: not alive(below), 10)
    before = read_environment(leg)
    assert (before.exit_state, {*before.cases}) == ("running", EXPECTED)
    assert before.versions["jax"]
    ended = backendcheck("compare", "out", "--expect-backends", "jax", cwd=tmp_path)
    assert ended.exit_code == 3
    assert "slow/second" in ended.out
    file = recording_path(leg, "slow/first")
    file.write_bytes(file.read_bytes()[:100])  # and what was being written was lost in part
    kept = digests(leg)

    # A user's code beside the cases is no longer that which was recorded.
    project(tmp_path, {"cases/beside.py": "LOSS = 0.75\n"})
    ended = backendcheck(*arguments, "--out", "out", "--resume", cwd=tmp_path)
    assert ended.exit_code == 2
    assert "out/jax: cannot be resumed, not all is as it was: cases/beside.py has changed" in ended.err
    project(tmp_path, WAITS)
    # Nor are the settings, which cannot be known before keras is there.
    home = project(tmp_path / "home", {"keras.json": '{"floatx": "float64"}'})
    ended = backendcheck(*arguments, "--out", "out", "--resume", cwd=tmp_path, env={"KERAS_HOME": str(home)})
    assert ended.exit_code == 2, ended.words
    assert "setting floatx was float32 and is float64" in ended.err
    assert read_environment(leg) == before
    assert {path: digest for path, digest in digests(leg).items() if "first" not in path} == {
        path: digest for path, digest in kept.items() if "first" not in path
    }

    (tmp_path / "go").touch()
    ended = backendcheck(*arguments, "--out", "out", "--resume", cwd=tmp_path)
    assert ended.exit_code == 3, ended.words  # what crashed is a result
    assert "jax: 3 recorded, 1 crashed (2 of them before)" in ended.out
    again = session(leg, ended)
    assert again.environment.run == before.run
    assert again.statuses["slow/crashes"] == "crashed"
    third = digests(leg)["recordings/slow/third.safetensors"]
    assert third == kept["recordings/slow/third.safetensors"]

    ended = backendcheck(*arguments, "--out", "out", "--resume", "--retry-errors", cwd=tmp_path)
    assert ended.exit_code == 0, ended.words
    assert session(leg, ended).statuses["slow/crashes"] == "recorded"
    assert len(read_environment(leg).sessions) == 2


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_to_the_whole_group_of_a_session_makes_no_case_look_crashed(tmp_path: Path, number: signal.Signals) -> None:
    with waiting(tmp_path, "record", "cases", "--backend", "jax", legs=1) as (process, below):
        os.killpg(process.pid, number)  # the workers get it, too
        _, err = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in err) == (130, False)
        assert "backendcheck: resume with: backendcheck record --resume cases --backend jax --out out" in err
        assert waited_for(lambda: not alive(below), 10), alive(below)
    leg = session(tmp_path / "out" / "jax", Ended(0, "", ""))
    assert leg.environment.exit_state == "interrupted"
    assert leg.statuses == {"slow/first": "recorded"}


@linux
def test_a_kill_before_the_end_of_an_item_loses_nothing_of_what_is_told_about_it(tmp_path: Path) -> None:
    cases = """
        import os
        import signal
        import time
        from pathlib import Path

        import numpy as np
        import pytest

        @pytest.fixture
        def kills():
            yield
            if not Path("killed").exists():
                Path("killed").touch()
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(100)

        def case_a(): return {"v": 1.0}
        def case_b(kills):
            np.set_printoptions(precision=1)
            return {"v": 2.0}
    """
    folder = project(tmp_path, {"cases.py": cases})
    arguments = ("record", "cases.py", "--backend", "jax", "-n", 1, "--out", "out")
    assert backendcheck(*arguments, cwd=folder).exit_code == -signal.SIGKILL
    assert {path.name for path in (folder / "out" / "jax" / "recordings").rglob("*.safetensors")} == {"a.safetensors"}
    resumed = backendcheck(*arguments, "--resume", cwd=folder)
    assert resumed.exit_code == 0
    recordings = session(folder / "out" / "jax", resumed).recordings
    assert recordings["cases/b"].notes == ("left changed: NumPy's print options (put back)",)
    assert not recordings["cases/a"].notes
