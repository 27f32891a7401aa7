"""The store of kept recordings, with a pytest session that a test plays: no backend is started."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import make
import pytest

from backendcheck.errors import OutputInTheWay
from backendcheck.files import locked
from backendcheck.recordings.dependencies import FILE, file_value, identity, installed_identity
from backendcheck.recordings.legs import read_leg
from backendcheck.recordings.paths import recording_path
from backendcheck.recordings.store import CACHE, Store
from backendcheck.sessions import conditions
from backendcheck.sessions import session as sessions
from backendcheck.sessions.kept import forget, store_of
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.session import record, record_if_kept
from backendcheck.sessions.session_state import SessionState
from backendcheck.vocabulary.backends import Backend, installed_version
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.leg_names import parse_leg
from backendcheck.vocabulary.states import ExitState, Status

CASES = ("one/a", "one/b", "two/c")
VERSIONS = {name: version for name in ("keras", "jax") if (version := installed_version(name))}
NOTED = {"versions": VERSIONS, "platform": {}, "device": "cpu", "settings": {"floatx": "float32"}, "determinism": {}}


class Played:
    """Pytest sessions that record what is not kept. `recorded` has the cases of each session."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recorded: list[list[str]] = []
        self.untracked: dict[str, list[str]] = {}
        self.statuses: dict[str, Status] = {}
        self.cases = CASES
        self.noted = NOTED
        self.installed: list[Path] = []

    def run(self, state: SessionState) -> tuple[int, str]:
        worker = state.files.of_worker("gw0")
        worker.note_environment(self.noted)
        worker.note_collected({"all": self.cases, "selected": self.cases, "sources": {}})
        new = [case for case in self.cases if case not in state.kept]
        self.recorded.append(new)
        for case in ("", *new):
            file = self.folder / f"{(case or 'one/').partition('/')[0]}.py"
            row = (f"{FILE}{file}", file_value(str(file)), identity(str(file)))
            note = {"case": case, "file": str(file), "new": [row], "rows": [len(new) and [*("", *new)].index(case)]}
            installed = {str(path): installed_identity(str(path)) for path in self.installed}
            worker.note_dependencies(note | {"installed": installed, "coupled": [], "untracked": self.untracked.get(case, [])})
            if case:
                status = self.statuses.get(case, Status.RECORDED)
                recording = make.recording(case, "jax", loss=0.5, run=state.run)
                state.write(state.request.leg, replace(recording, status=status))
        return 0, ""


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    monkeypatch.setattr(Backend, "missing_modules", lambda _: [])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.py").write_text("def case_a(): ...\ndef case_b(): ...\n")
    (tmp_path / "two.py").write_text("def case_c(): ...\n")
    session = Played(tmp_path)
    monkeypatch.setattr(sessions, "run_pytest", session.run)
    return session


def asked(folder: Path, **options: object) -> RecordingRequest:
    fields = {"out": folder / "out", "paths": ("one.py", "two.py"), "store": folder / CACHE, **options}
    return RecordingRequest(backend=parse_leg("jax"), **fields)  # type: ignore[arg-type]


def test_nothing_is_recorded_again_where_nothing_has_changed(played: Played, tmp_path: Path) -> None:
    request = asked(tmp_path)
    assert not record_if_kept(request)
    first = record(request)
    assert (first.n_kept, played.recorded) == (0, [[*CASES]])
    again = record(request)
    assert record_if_kept(request)
    leg = read_leg(request.leg)
    assert (again.n_kept, played.recorded) == (3, [[*CASES]])
    assert leg.environment.exit_state is ExitState.COMPLETE
    assert leg.environment.cases == CASES
    assert leg.environment.versions == NOTED["versions"]
    assert [(kept.run, kept.started, kept.n_recordings) for kept in leg.environment.kept] == [
        (first.environment.run, first.environment.started, 3)
    ]
    assert leg.environment.run != first.environment.run
    assert record(replace(request, out=tmp_path / "other")).n_kept == 3


def test_a_changed_file_is_recorded_again_alone(played: Played, tmp_path: Path) -> None:
    request = asked(tmp_path)
    record(request)
    (tmp_path / "two.py").write_text("def case_c(): ...\n#\n")
    assert not record_if_kept(request)
    assert record(request).n_kept == 2
    assert played.recorded[1:] == [["two/c"]]
    assert {*read_leg(request.leg).recordings} == {*CASES}
    assert record_if_kept(request)


def test_a_case_that_is_gone_leaves_no_recording(played: Played, tmp_path: Path) -> None:
    request = asked(tmp_path)
    record(request)
    played.cases = CASES[:2]
    (tmp_path / "one.py").write_text("def case_a(): ...\ndef case_b(): ...\n#\n")
    assert record(request).n_kept == 0
    assert {*read_leg(request.leg).recordings} == {*played.cases}


@pytest.mark.parametrize(
    "options",
    [
        {"fresh": True}, {"oracles": (Oracle.AGREEMENT,)}, {"device": "gpu"}, {"plugins": ("x",)}, {"store": None},
        {"noise": "repeat"}, {"injections": {"loss-scaled": ("*",)}}, {"only": "one/a"},
    ],
)  # fmt: skip
def test_other_options_keep_nothing(options: dict[str, object], played: Played, tmp_path: Path) -> None:
    record(asked(tmp_path))
    request = asked(tmp_path, out=tmp_path / "other", **options)
    assert not record_if_kept(request)
    assert record(request).n_kept == 0
    assert len(played.recorded) == 2


@pytest.mark.parametrize(
    ("name", "value"), [("harness", lambda: "x"), ("_packages", lambda: ["x"]), ("processor", lambda: "x")]
)
def test_other_conditions_keep_nothing(
    name: str, value: Callable[[], object], played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(asked(tmp_path))
    monkeypatch.setattr(conditions, name, value)
    assert record(asked(tmp_path)).n_kept == 0
    assert len(played.recorded) == 2


@pytest.mark.parametrize("name", ["a.pth", "sitecustomize.py"])
def test_what_python_executes_when_it_starts_is_a_condition(
    name: str, played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / name).write_text("import a")
    monkeypatch.syspath_prepend(str(folder))
    record(asked(tmp_path))
    (folder / name).write_text("import b")
    assert record(asked(tmp_path)).n_kept == 0
    assert len(played.recorded) == 2


@pytest.mark.parametrize("name", ["XLA_FLAGS", "PYTHONPATH", "KERAS_HOME", "LC_ALL", "TF_X"])
def test_variables_that_native_code_reads_keep_nothing(
    name: str, played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(asked(tmp_path))
    monkeypatch.setenv(name, "x")
    assert record(asked(tmp_path)).n_kept == 0
    assert len(played.recorded) == 2


@pytest.mark.parametrize(("name", "value"), [("XLA_FLAGS", "{}"), ("LD_PRELOAD", "/lib/x.so {}"), ("PYTHONPATH", "/x:{}")])
def test_a_file_that_a_variable_names_counts_by_content(
    name: str, value: str, played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "named").write_text("--a=1")
    monkeypatch.setenv(name, value.format(file))
    record(asked(tmp_path))
    file.touch()
    assert record_if_kept(asked(tmp_path))
    file.write_text("--a=2")
    assert record(asked(tmp_path)).n_kept == 0


def _edited(path: Path) -> None:
    """Another content of the same size, with the time of the last one."""
    status = path.stat()
    path.write_text(path.read_text().swapcase())
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copied(path: Path) -> None:
    """The same content in a new file, as in an environment that was unpacked again."""
    shutil.copy2(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


@pytest.mark.parametrize(
    ("change", "n_kept"), [(_edited, 0), (_copied, len(CASES)), (Path.unlink, 0), (lambda path: path.write_text("longer"), 0)]
)
def test_a_file_of_a_package_counts_by_content_where_its_times_are_as_before(
    change: Callable[[Path], object], n_kept: int, played: Played, tmp_path: Path
) -> None:
    (file := tmp_path / "library.py").write_text("a=1")
    played.installed = [file, tmp_path / "in_place_of_another.py"]
    record(asked(tmp_path))
    assert record(asked(tmp_path)).n_kept == len(CASES)
    change(file)
    assert record(asked(tmp_path)).n_kept == n_kept


def test_a_file_that_a_library_would_import_in_place_of_its_own_keeps_nothing(played: Played, tmp_path: Path) -> None:
    played.installed = [tmp_path / "in_place_of_another.py"]
    record(asked(tmp_path))
    assert record_if_kept(asked(tmp_path))
    played.installed[0].write_text("")
    assert not record_if_kept(asked(tmp_path))


def test_settings_of_pytest_and_of_keras_count_and_others_do_not(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    project = tmp_path / "pyproject.toml"
    project.write_text("[tool.backendcheck]\nbackends = []\n")
    record(asked(tmp_path))
    project.write_text("[tool.backendcheck]\nbackends = ['jax']\n")
    (tmp_path / "keras").mkdir()
    settings = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last", "backend": "torch"}
    (tmp_path / "keras" / "keras.json").write_text(json.dumps(settings))  # as Keras writes it where it is not there
    assert record_if_kept(asked(tmp_path))
    (tmp_path / "keras" / "keras.json").write_text(json.dumps({**settings, "floatx": "float64"}))
    assert not record_if_kept(asked(tmp_path))
    (tmp_path / "keras" / "keras.json").unlink()
    project.write_text("[tool.pytest.ini_options]\nmarkers = ['x']\n")
    assert not record_if_kept(asked(tmp_path))
    assert len(played.recorded) == 1


def test_what_was_not_observed_or_cannot_be_tracked_is_recorded_again(played: Played, tmp_path: Path) -> None:
    played.statuses = {"one/a": Status.ERROR}
    played.untracked = {"one/b": ["it starts a process"]}
    record(asked(tmp_path))
    record(asked(tmp_path))
    assert played.recorded == [[*CASES], ["one/a", "one/b"]]
    store = store_of(asked(tmp_path))
    assert store is not None
    assert store.read().not_kept == {"one/b": ("it starts a process",)}


def test_errors_of_a_run_are_recorded_again(played: Played, tmp_path: Path) -> None:
    record(asked(tmp_path))
    forget(asked(tmp_path), {"two/c"})
    record(asked(tmp_path))
    assert played.recorded == [[*CASES], ["two/c"]]


def test_conditions_that_show_only_in_the_worker_record_everything(played: Played, tmp_path: Path) -> None:
    request = asked(tmp_path)
    record(request)
    (tmp_path / "two.py").write_text("def case_c(): ...\n#\n")
    played.noted = {**NOTED, "settings": {"floatx": "float64"}}

    def run(state: SessionState) -> tuple[int, str]:
        if state.resumes:  # what the worker of a resumed session does
            state.files.note_refused("setting floatx was float32 and is float64")
            state.files.note_fatal("refused")
            return 3, ""
        return played.run(state)

    sessions.run_pytest = run
    outcome = record(request)
    assert (outcome.n_kept, outcome.exit_code) == (0, 0)
    assert read_leg(request.leg).environment.settings == {"floatx": "float64"}
    assert played.recorded == [[*CASES], [*CASES]]


def damage_recording(store: Store) -> None:
    path = recording_path(store.folder, "one/a")
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-3] + b"xyz")


def damage_index(store: Store) -> None:
    path = store.folder / "index.json"
    path.write_bytes(path.read_bytes().replace(b"cpu", b"gpu"))


def cut_index(store: Store) -> None:
    path = store.folder / "index.json"
    path.write_bytes(path.read_bytes()[:100])


def other_version(store: Store) -> None:
    path = store.folder / "index.json"
    import hashlib

    text = path.read_bytes().partition(b"\n")[2].replace(b'"format": 1', b'"format": 99')
    path.write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)


def no_folder(store: Store) -> None:
    shutil.rmtree(store.root)
    store.root.write_text("a file is in its place")


@pytest.mark.parametrize(
    ("damage", "n_kept"), [(damage_recording, 2), (damage_index, 0), (cut_index, 0), (other_version, 0), (no_folder, 0)]
)
def test_what_is_damaged_counts_as_not_there(
    damage: Callable[[Store], None], n_kept: int, played: Played, tmp_path: Path
) -> None:
    request = asked(tmp_path)
    record(request)
    store = store_of(request)
    assert store is not None
    damage(store)
    assert not record_if_kept(request)
    assert record(request).n_kept == n_kept
    assert {*read_leg(request.leg).recordings} == {*CASES}
    if damage is not no_folder:
        assert record_if_kept(request)


def test_a_store_that_another_process_writes_is_left_alone(played: Played, tmp_path: Path) -> None:
    request = asked(tmp_path)
    store = store_of(request)
    assert store is not None
    store.folder.mkdir(parents=True)
    with locked(store.folder, ""):
        assert record(request).exit_code == 0
    assert store.read().cases == {}
    assert record(request).n_kept == 0
    assert record(request).n_kept == 3


def test_old_conditions_go_and_the_folder_is_ignored_by_git(played: Played, tmp_path: Path) -> None:
    for device in ("cpu", "gpu", "auto", "a", "b", "c"):
        record(asked(tmp_path, device=device, overwrite=True))
    assert len([*(tmp_path / CACHE / "recordings").iterdir()]) == 4
    assert (tmp_path / CACHE / ".gitignore").read_text().endswith("\n*\n")
    assert record_if_kept(asked(tmp_path, device="c"))


def test_a_directory_that_holds_another_run_stays_refused(played: Played, tmp_path: Path) -> None:
    record(asked(tmp_path))
    with pytest.raises(OutputInTheWay, match="holds another run"):
        record(asked(tmp_path, keyword="a"))
