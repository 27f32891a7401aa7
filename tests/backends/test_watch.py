"""`run --watch` with a backend: a save is run in a worker that was there before it, and sees the new files alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from front_door import command, project, variables

from backendcheck.recordings.legs import read_leg

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are made ready on Linux only")
FILES = {
    "cases/a.py": """
        import os
        from backendcheck import ValueCase
        from helper import X
        def case_a():
            process = float(os.readlink("/proc/self"))  # which is no reason to record it every time
            return ValueCase(lambda: {"x": X, "process": process}, reference={"value/x": X})
    """,
    "cases/helper.py": "X = 1.0\n",
}
_LIMIT_S = 120.0  # of a busy machine


class Watched:
    """A watch over a project, with what it has printed."""

    def __init__(self, folder: Path, leg: str = "numpy") -> None:
        self.folder, self.leg, self.n_runs = folder, leg, 0
        env = {"PYTHONPATH": str(folder / "installed")}
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command("run", "cases", "--backends", leg, "--out", "out", "--watch"), cwd=folder, env=variables(env),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def until_run(self) -> None:
        """Wait for the end of the next run."""
        self.n_runs += 1
        deadline = time.monotonic() + _LIMIT_S
        while self.text.count("\nwatching ") < self.n_runs:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def value(self, name: str) -> object:
        return read_leg(self.folder / "out" / self.leg).recordings["a/a"].observations[f"value/{name}"].value.item()

    def processes(self) -> list[int]:
        """All processes below that of the watch."""
        return [*_below(self.process.pid)]

    def spare(self) -> int:
        """The process of the spare worker, once it is there."""
        deadline = time.monotonic() + _LIMIT_S
        while time.monotonic() < deadline:
            for pid in self.processes():
                if "record.spare" in _text(pid, "cmdline"):
                    return pid
            time.sleep(0.05)
        raise AssertionError(self.text)

    def worker(self) -> object:
        """The process in which the case has run."""
        return self.value("process")


def _text(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _below(pid: int) -> Iterator[int]:
    for child in map(int, _text(pid, f"task/{pid}/children").split()):
        yield child
        yield from _below(child)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(project(tmp_path, FILES))
    yield watched
    watched.process.kill()
    watched.process.wait()


def test_a_save_is_run_in_a_worker_that_was_there_and_no_process_stays(watched: Watched, tmp_path: Path) -> None:
    watched.until_run()
    spare = watched.spare()
    project(tmp_path, {"cases/helper.py": "X = 2.0\n"})
    watched.until_run()
    assert (watched.worker(), watched.value("x")) == (spare, 2.0), watched.text

    # This file could change what Keras is when it is imported, so it is imported after it.
    second = watched.spare()
    project(tmp_path, {"cases/conftest.py": "import os\nos.environ['A_SETTING'] = 'set'\n", "cases/helper.py": "X = 3.0\n"})
    watched.until_run()
    assert watched.worker() not in (spare, second), watched.text
    assert watched.value("x") == 3.0

    watched.spare()
    left = watched.processes()
    assert len(left) >= 3  # the server, a recording process, a spare worker
    watched.kill()
    all_end(left)


PATH = """
    import sys
    from pathlib import Path
    sys.path.append(str(Path(__file__).parent.parent / "elsewhere"))
"""  # as the file of an editable installation does it


@pytest.mark.parametrize(
    "files",
    [{"installed/sitecustomize.py": PATH, "elsewhere/added.py": "X = 2.0\n"}, {"installed/added.py": "X = 2.0\n"}],
    ids=["a path", "a folder that was not there"],
)
def test_what_an_installation_adds_to_the_search_path_is_there_in_the_next_run(
    files: dict[str, str], watched: Watched, tmp_path: Path
) -> None:
    watched.until_run()
    watched.spare()
    time.sleep(1)  # it imports, and has looked for a module in each folder of the path
    project(tmp_path, {**files, "cases/helper.py": "from added import X\n"})
    watched.until_run()
    assert watched.value("x") == 2.0, watched.text


def test_a_watch_that_is_killed_while_it_runs_leaves_no_process(watched: Watched, tmp_path: Path) -> None:
    watched.until_run()
    watched.spare()
    slow = "from pathlib import Path\nfrom time import sleep\nPath('begun').touch()\nsleep(600)\nX = 2.0\n"
    project(tmp_path, {"cases/helper.py": slow})
    deadline = time.monotonic() + _LIMIT_S
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline, watched.text
        time.sleep(0.05)
    left = watched.processes()
    watched.kill()
    all_end(left)


def test_a_leg_that_is_another_since_the_processes_were_made_ready_is_the_new_one(tmp_path: Path) -> None:
    leg = '[tool.backendcheck.legs.mine]\nbackend = "numpy"\nenv = {NUMBER = "%d"}\n'
    helper = "import os\nX = float(os.environ['NUMBER'])\n"
    watched = Watched(project(tmp_path, FILES | {"cases/helper.py": helper, "pyproject.toml": leg % 1}), "mine")
    try:
        watched.until_run()
        assert watched.value("x") == 1.0
        watched.spare()
        project(tmp_path, {"pyproject.toml": leg % 2})
        watched.until_run()
        assert watched.value("x") == 2.0, watched.text
    finally:
        watched.kill()


def all_end(processes: list[int]) -> None:
    deadline = time.monotonic() + 5
    while running := [pid for pid in processes if _text(pid, "stat").rpartition(")")[2].split()[:1] not in ([], ["Z"], ["X"])]:
        assert time.monotonic() < deadline, [_text(pid, "cmdline") for pid in running]
        time.sleep(0.05)
