"""`run` where nothing has changed shows what was shown, and judges anew where anything has. The store is filled by hand."""

from __future__ import annotations

import datetime
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import make
import pytest
from click.testing import CliRunner

from backendcheck.cli import cli, unchanged
from backendcheck.recordings import legs
from backendcheck.recordings.dependencies import FILE, file_value, identity
from backendcheck.recordings.files import write_recording
from backendcheck.recordings.paths import recording_path
from backendcheck.recordings.store import CACHE, Index, Plan, StoredRecording
from backendcheck.sessions import conditions, leg_packages
from backendcheck.sessions.kept import store_of
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.backends import Backend
from backendcheck.vocabulary.leg_names import LegName, parse_leg
from backendcheck.vocabulary.states import Status

LEGS = (parse_leg("jax"), parse_leg("torch"))
CASES = ("a/agrees", "a/differs")
SOURCE = "def case_agrees(): ...\ndef case_differs(): ...\n"
KNOWN = """
[[divergence]]
case = "a/differs"
backends = "torch"
kind = "value"
reason = "torch rounds it."
"""
TOLERANCE = '[[tool.backendcheck.tolerance]]\nobservation = "loss"\nrtol = 9.0\natol = 9.0\n'
TODAY = datetime.datetime(2029, 12, 31, 12, tzinfo=datetime.UTC)


def keep(folder: Path, value: float = 0.7, legs: Sequence[LegName] = LEGS) -> None:
    """Fill the store as a run does that records both cases."""
    for backend in legs:
        request = RecordingRequest(backend=backend, out=folder / "out", paths=("cases",), store=folder / CACHE)
        store = store_of(request)
        assert store is not None
        file = str(folder / "cases" / "a.py")
        cases = {}
        with store.locked():
            for case in CASES:
                loss = value if (backend, case) == (legs[1], "a/differs") else 0.5
                sha256 = write_recording(store.folder, make.recording(case, backend.value, loss=loss, run="earlier"))
                path = recording_path(store.folder, case)
                cases[case] = StoredRecording(
                    run="earlier", started="2026-03-01T12:00:00+00:00", status=Status.RECORDED, file=file,
                    path=str(path.relative_to(store.folder)), sha256=sha256, size=path.stat().st_size,
                    mtime_ns=path.stat().st_mtime_ns, seconds=1.0, rows=0,
                )  # fmt: skip
            versions = {"keras": backend.keras_version() or "", backend.backend.value: backend.backend_version() or ""}
            noted = {"versions": versions, "platform": {}, "device": "cpu", "settings": {}, "determinism": {}}
            plan = Plan(files=(file,), cases=CASES, all_cases=(), sources={}, rows=0)
            rows = ((f"{FILE}{file}", file_value(file), identity(file)),)
            key = json.dumps([["cases"], "", "", ""])
            store.write(Index(environment=noted, rows=rows, sets=((0,),), cases=cases, plans={key: plan}))


@dataclass
class Place:
    """A project whose recordings are all kept. `n_read` counts how often recordings were read, which is where judging begins."""

    folder: Path
    n_read: int = 0
    out: str = ""

    def run(self, *arguments: object) -> int:
        command = ["run", "cases", "--backends", "jax,torch", "--out", "out", *map(str, arguments)]
        ended = CliRunner().invoke(cli, command)
        self.out = ended.output
        assert "Traceback" not in ended.output
        return ended.exit_code

    @property
    def verdicts(self) -> dict[str, str]:
        report = json.loads((self.folder / "out/report.json").read_text(encoding="utf-8"))
        return {result["case"]: result["verdict"] for result in report["results"]}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Backend, "missing_modules", lambda _: [])
    monkeypatch.setattr(sys.modules["backendcheck.cli.run"], "end_on_signals", lambda: None)
    monkeypatch.setattr(unchanged, "_now", lambda: TODAY)
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "a.py").write_text(SOURCE)
    (tmp_path / "pyproject.toml").write_text("")
    keep(tmp_path)
    run, read = Place(tmp_path), legs.read_legs

    def counted(paths: Sequence[Path]) -> list[legs.Leg]:
        run.n_read += 1
        return read(paths)

    monkeypatch.setattr(legs, "read_legs", counted)
    return run


def lasting(folder: Path) -> dict[str, str]:
    """The reports in a folder, without what differs each time."""
    volatile = re.compile(r'2\d\d\d-\d\d-\d\d[T ][0-9:+]+( UTC)?|"run": "\w+"|[\d.]+ s<|"duration_s": [\d.]+|recorded in [^<]+')
    return {path.name: volatile.sub("-", path.read_text(encoding="utf-8")) for path in folder.iterdir() if path.is_file()}


def test_what_was_shown_is_shown_once_more(place: Place) -> None:
    assert place.run() == 1
    first, reports = place.out, lasting(place.folder / "out")
    assert place.run() == 1
    assert (place.n_read, place.out) == (1, first)
    assert lasting(place.folder / "out") == reports
    report = json.loads((place.folder / "out/report.json").read_text(encoding="utf-8"))
    assert report["created"] == "2029-12-31T12:00:00+00:00"
    assert report["kept"] == {"n": 4, "of": 4, "since": "2026-03-01T12:00:00+00:00"}
    environment = json.loads((place.folder / "out/jax/environment.json").read_text(encoding="utf-8"))
    assert report["environments"]["jax"]["run"] == environment["run"]
    assert f'<time datetime="{report["created"]}">2029-12-31 12:00:00 UTC</time>' in (place.folder / "out/index.html").read_text()
    assert place.run("--json") == 1
    assert place.run("--json") == 1
    assert json.loads(place.out.partition("\nreport: ")[0])["counts"]["FAILED"] == 1
    assert place.n_read == 2


def write(name: str, text: str) -> Callable[[Place, pytest.MonkeyPatch], None]:
    def change(place: Place, _: pytest.MonkeyPatch) -> None:
        (place.folder / name).write_text(text)

    return change


def another_recording(place: Place, _: pytest.MonkeyPatch) -> None:
    keep(place.folder, 0.5)


def another_source_of_backendcheck(_: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    source = conditions._source
    monkeypatch.setattr(conditions, "_source", lambda suffixes: "x" if ".jinja" in suffixes else source(suffixes))


def nothing(_: Place, __: pytest.MonkeyPatch) -> None: ...


CHANGES: dict[str, tuple[Callable[[Place, pytest.MonkeyPatch], None], list[str], int, str]] = {
    "a tolerance": (write("pyproject.toml", TOLERANCE), [], 0, "PASSED"),
    "a required case": (write("pyproject.toml", "[tool.backendcheck]\ncases = ['b/*']\n"), [], 3, "FAILED"),
    "a known divergence": (write("known_divergences.toml", KNOWN), [], 0, "XFAILED"),
    "a known divergence beside the cases": (write("cases/known_divergences.toml", KNOWN), [], 0, "XFAILED"),
    "a recording": (another_recording, [], 0, "PASSED"),
    "the source of backendcheck": (another_source_of_backendcheck, [], 1, "FAILED"),
    "a file of known divergences": (write("known.txt", KNOWN), ["--known", "known.txt"], 0, "XFAILED"),
    "an option": (nothing, ["--strict-known"], 1, "FAILED"),
    "more to show": (nothing, ["-v"], 1, "FAILED"),
    "a baseline": (write("old.json", '{"schema": 1, "results": []}'), ["--baseline", "old.json"], 1, "FAILED"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_judging_is_done_anew_when_anything_changes(name: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    change, options, exit_code, verdict = CHANGES[name]
    assert (place.run(), place.run(), place.n_read) == (1, 1, 1)
    change(place, monkeypatch)
    assert place.run(*options) == exit_code, place.out
    assert (place.n_read, place.verdicts["a/differs"]) == (2, verdict)
    assert place.run(*options) == exit_code
    assert (place.n_read, place.verdicts["a/differs"]) == (2, verdict)


def test_a_known_divergence_expires_although_nothing_has_changed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.folder / "known_divergences.toml").write_text(f"{KNOWN}expires = 2030-01-01\n")
    assert (place.run(), place.run(), place.n_read) == (0, 0, 1)
    days = [datetime.timedelta(days=1), datetime.timedelta(days=2)]
    monkeypatch.setattr(unchanged, "_now", lambda: TODAY + days[0])
    assert (place.run(), place.n_read) == (0, 1)  # the last day on which it holds
    monkeypatch.setattr(unchanged, "_now", lambda: TODAY + days[1])
    place.run()
    assert place.n_read == 2


def test_the_last_day_is_kept_for_a_divergence_that_has_expired_already(place: Place) -> None:
    (place.folder / "known_divergences.toml").write_text(f"{KNOWN}expires = 2020-01-01\n")
    assert (place.run(), place.run(), place.n_read) == (1, 1, 1)
    assert place.verdicts["a/differs"] == "FAILED"


@pytest.mark.parametrize("content", [b"", b"damaged", b"0" * 64 + b"\nx", None])
def test_a_damaged_file_is_not_trusted(content: bytes | None, place: Place) -> None:
    assert place.run() == 1
    (path,) = (place.folder / CACHE / "reports").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"x" + whole[-8:] if content is None else content)
    assert place.run() == 1
    assert (place.n_read, place.verdicts["a/differs"]) == (2, "FAILED")
    assert (place.run(), place.n_read) == (1, 2)  # it was written again


def test_a_file_under_the_name_of_another_is_not_trusted(place: Place) -> None:
    assert place.run() == 1
    (path,) = (place.folder / CACHE / "reports").iterdir()
    other = path.read_bytes()
    (place.folder / "pyproject.toml").write_text(TOLERANCE)
    assert place.run() == 0
    for written in (place.folder / CACHE / "reports").iterdir():
        written.write_bytes(other)
    assert place.run() == 0
    assert (place.n_read, place.verdicts["a/differs"]) == (3, "PASSED")


def test_a_recording_that_was_damaged_in_the_store_is_noticed(place: Place) -> None:
    assert (place.run(), place.run()) == (1, 1)
    path = next((place.folder / CACHE / "recordings").rglob("differs.safetensors"))
    status, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert place.run() == 2
    assert "is damaged" in place.out


@pytest.mark.parametrize("folder", ["layers", "scripts"])
def test_what_lies_beside_the_run_is_not_kept_with_it(folder: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` removes these. Where it does not, the key says nothing of them, so that the run is judged again."""
    assert place.run() == 1
    for name in ("kept_layers.clear_layers", "scripts.clear_scripts"):
        monkeypatch.setattr(f"backendcheck.recordings.{name}", lambda _: None)
    (place.folder / "out" / folder).mkdir()
    assert (place.run(), place.run(), place.n_read) == (1, 1, 3)


def test_a_leg_in_another_version_is_shown_once_more(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leg_packages, "_kept", lambda: place.folder / "packages")
    (place.folder / "packages" / "keras-3.14.1").mkdir(parents=True)
    keep(place.folder, legs=[parse_leg("jax"), parse_leg("jax/keras-3.14.1")])
    assert place.run("--legs", "jax,jax/keras-3.14.1") == 1
    first = place.out
    assert place.run("--legs", "jax,jax/keras-3.14.1") == 1
    assert (place.n_read, place.out) == (1, first)
    assert [path.name[:9] for path in sorted((place.folder / CACHE / "recordings").iterdir())][1] == "jax~keras"
