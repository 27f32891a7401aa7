"""`run --watch`: when it runs again, and when it waits. The command that it runs is played."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from forked import backendcheck
from front_door import project

from backendcheck.cli import watch
from backendcheck.cli.watch import Watch
from backendcheck.recordings.dependencies import FILE, LISTING, file_value, identity, listing_value
from backendcheck.recordings.store import CACHE, Index
from backendcheck.sessions.kept import store_of
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.leg_names import parse_leg

FILES = {
    "cases/a.py": "def case_a(): ...\n", "helper.py": "X = 1\n", "data/x.txt": "1\n", "cases/known_divergences/a.toml": "",
    "cases/broken.py": "", "other.py": "",
}  # fmt: skip


class Played:
    """A watch over a project. What happens while it waits is a list of actions; after the last one Ctrl-C is pressed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.runs: list[list[str]] = []
        self.while_running: list[Callable[[], object]] = []
        self.while_waiting: list[Callable[[], object]] = []
        monkeypatch.chdir(folder)
        monkeypatch.setattr(watch.time, "sleep", self.sleep)

    def run(self, arguments: Sequence[str]) -> int:
        self.runs.append(list(arguments))
        if self.while_running:
            self.while_running.pop(0)()
        return len(self.runs)

    def sleep(self, _: float) -> None:
        if not self.while_waiting:
            raise KeyboardInterrupt
        self.while_waiting.pop(0)()

    def watch(self, *arguments: str) -> int:
        request = RecordingRequest(backend=parse_leg("jax"), out=Path("out"), paths=("cases",), store=self.folder / CACHE)
        store = store_of(request)
        assert store is not None
        helper, data = str(self.folder / "helper.py"), str(self.folder / "data")
        rows = ((f"{FILE}{helper}", file_value(helper), identity(helper)), (f"{LISTING}{data}", listing_value(data), ""))
        with store.locked():
            store.write(Index(rows=rows))
        return Watch(["run", "cases", "--watch", *arguments], [request], [Path("known.toml")], self.run).until_interrupted()

    def save(self, name: str, text: str) -> Callable[[], object]:
        return lambda: project(self.folder, {name: text})


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    return Played(project(tmp_path, FILES), monkeypatch)


def test_without_a_change_it_runs_once_and_has_the_exit_code_of_that(played: Played) -> None:
    played.while_waiting = [list, played.save("other.py", "# nothing depends on it")]
    assert played.watch() == 1
    assert played.runs == [["run", "cases"]]


@pytest.mark.parametrize(
    "name",
    ["cases/a.py", "cases/new.py", "cases/broken.py", "helper.py", "data/new.txt", "known.toml", "cases/known_divergences.toml",
     "cases/known_divergences/a.toml", "cases/known_divergences/new.toml", "pyproject.toml"],
)  # fmt: skip
def test_what_the_run_depends_on_is_watched(name: str, played: Played, capfd: pytest.CaptureFixture[str]) -> None:
    played.while_waiting = [played.save(name, "# changed"), list]
    assert played.watch("-k", "a") == 2
    assert played.runs == [["run", "cases", "-k", "a"]] * 2
    assert "changed: " in capfd.readouterr().err


def test_what_concerns_the_first_run_only_is_not_repeated(played: Played) -> None:
    played.while_waiting = [played.save("helper.py", "X = 2"), list]
    played.watch("--fresh", "--overwrite")
    assert played.runs == [["run", "cases", "--fresh", "--overwrite"], ["run", "cases"]]


def test_a_save_while_it_runs_is_not_missed(played: Played) -> None:
    played.while_running = [played.save("helper.py", "X = 2")]
    assert played.watch() == 2


def test_a_run_that_changes_its_own_files_does_not_repeat_itself_for_ever(played: Played) -> None:
    played.while_running = [played.save("helper.py", f"X = {n}" + "#" * n) for n in range(9)]
    assert played.watch() == 2


def test_it_does_not_go_with_resume(tmp_path: Path) -> None:
    ended = backendcheck("run", "cases", "--watch", "--resume", cwd=project(tmp_path, FILES))
    assert ended.exit_code == 2
    assert "--resume continues one run and --watch repeats it" in " ".join(ended.err.split())
