"""Verdicts while a run still records: when a case is judged, what is told, and that it is what `compare` says afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import make
import pytest

from backendcheck.cli.early_verdicts import EarlyVerdicts
from backendcheck.cli.results import analyze_legs
from backendcheck.progress.progress import Progress
from backendcheck.recordings import files
from backendcheck.recordings.files import read_recording, write_environment, write_recording
from backendcheck.recordings.legs import find_legs, read_legs
from backendcheck.recordings.recording import Recording
from backendcheck.report.formats.text import verdict_line
from backendcheck.vocabulary.states import ExitState

LEGS = ("jax", "torch")
KNOWN = """
[[divergence]]
case = "a/known"
backends = "torch"
kind = "value"
reason = "torch rounds it."
"""


class Shown(Progress):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts: dict[str, int] = {}

    def judged(self, counts: Mapping[str, int]) -> None:
        self.counts = dict(counts)

    def tell(self, lines: Iterable[str]) -> None:
        self.lines += lines


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that has begun: each leg has noted its environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "known_divergences.toml").write_text(KNOWN, encoding="utf-8")
    for leg in LEGS:
        selection = {"paths": [str(tmp_path)]}
        write_environment(tmp_path / leg, make.environment(leg, exit_state=ExitState.RUNNING, selection=selection))
    return tmp_path


def early(run: Path, shown: Progress, ended: Iterable[str] = ()) -> EarlyVerdicts:
    return EarlyVerdicts(shown, {leg: run / leg for leg in LEGS}, [], ended)


def record(run: Path, verdicts: EarlyVerdicts | None, case: str, **by_leg: Any) -> list[Recording]:
    """Record a case on some legs, one after the other."""
    recordings = [make.recording(case, leg, **observed) for leg, observed in by_leg.items()]
    for recording in recordings:
        write_recording(run / recording.backend, recording)
        if verdicts is not None:
            verdicts.recorded(recording.backend, case)
    return recordings


def test_a_case_is_judged_when_its_last_leg_has_it(run: Path) -> None:
    verdicts = early(run, shown := Shown())
    for leg in LEGS:
        verdicts.collected(leg, 2)
    record(run, verdicts, "a/b", jax={"loss": 0.5})
    assert shown.counts == {}
    record(run, verdicts, "a/b", torch={"loss": 0.5})
    assert (shown.counts, shown.lines) == ({"PASSED": 1}, [])
    record(run, verdicts, "a/c", jax={"loss": 0.5}, torch={"loss": 0.7})
    assert shown.counts == {"PASSED": 1, "FAILED": 1}
    heading, failed, remedy = shown.lines
    assert heading == "failing cases, as they are found; the summary at the end has them all"
    assert failed.startswith("FAILED a/c   ")
    assert remedy.startswith("  what to do  ")


def test_a_leg_that_has_not_collected_may_hold_an_earlier_run(run: Path) -> None:
    record(run, None, "a/b", torch={"loss": 0.7})  # of the earlier run, which torch has not cleared yet
    verdicts = early(run, shown := Shown())
    verdicts.collected("jax", 1)
    record(run, verdicts, "a/b", jax={"loss": 0.5})
    assert shown.counts == {}
    record(run, None, "a/b", torch={"loss": 0.5})
    verdicts.collected("torch", 1)
    assert shown.counts == {"PASSED": 1}
    verdicts.recorded("torch", "a/b")
    assert shown.counts == {"PASSED": 1}


def test_a_leg_that_is_whole_already_is_judged_with(run: Path) -> None:
    record(run, None, "a/b", torch={"loss": 0.7})
    verdicts = early(run, shown := Shown(), ended=["torch"])
    verdicts.collected("jax", 1)
    record(run, verdicts, "a/b", jax={"loss": 0.5})
    assert shown.counts == {"FAILED": 1}


def test_what_is_tried_again_is_judged_when_that_has_ended(run: Path) -> None:
    crashed = {"status": "crashed", "problem": "the process died"}
    record(run, None, "a/b", jax=crashed, torch=crashed)
    verdicts = early(run, shown := Shown())
    for leg in LEGS:
        verdicts.collected(leg, 1)
    record(run, verdicts, "a/b", jax={"loss": 0.5})
    assert shown.counts == {}
    record(run, verdicts, "a/b", torch={"loss": 0.5})
    assert shown.counts == {"PASSED": 1}


def test_a_known_divergence_is_not_told_as_a_failure(run: Path) -> None:
    verdicts = early(run, shown := Shown())
    for leg in LEGS:
        verdicts.collected(leg, 1)
    record(run, verdicts, "a/known", jax={"loss": 0.5}, torch={"loss": 0.7})
    assert (shown.counts, shown.lines) == ({"XFAILED": 1}, [])


def test_what_is_told_is_what_the_report_says(run: Path) -> None:
    cases: dict[str, dict[str, Any]] = {
        "a/agree": {leg: {"loss": 0.5} for leg in LEGS},
        "a/apart": {"jax": {"loss": 0.5}, "torch": {"loss": 0.7}},
        "a/crash": {"jax": {"loss": 0.5}, "torch": {"status": "crashed", "problem": "the process died"}},
        "a/known": {leg: {"loss": 0.5} for leg in LEGS},  # gone
        "a/raise": {"jax": {"loss": 0.5}, "torch": {"raised": "IndexError: Target 3 is out of bounds."}},
    }
    verdicts = early(run, shown := Shown())
    for leg in LEGS:
        verdicts.collected(leg, len(cases))
    for case, by_leg in cases.items():
        record(run, verdicts, case, **by_leg)
    legs = [replace(leg, environment=replace(leg.environment, cases=tuple(cases))) for leg in read_legs(find_legs([run]))]
    results = analyze_legs(legs, LEGS, ())
    failing = [verdict_line(result) for result in results.cases if result.verdict.value not in ("PASSED", "XFAILED")]
    assert sorted(line for line in shown.lines[1:] if not line.startswith(" ")) == sorted(failing)
    assert shown.counts == {verdict: n for verdict, n in results.counts.items() if n}


def test_a_damaged_recording_ends_the_telling_and_not_the_run(run: Path) -> None:
    verdicts = early(run, shown := Shown())
    for leg in LEGS:
        verdicts.collected(leg, 1)
    record(run, None, "a/b", jax={"loss": 0.5}, torch={"loss": 0.5})
    next((run / "jax").rglob("*.safetensors")).write_bytes(b"damaged")
    verdicts.recorded("jax", "a/b")
    record(run, verdicts, "a/c", jax={"loss": 0.5}, torch={"loss": 0.7})
    path = next((run / "jax").rglob("b.safetensors"))
    assert shown.counts == {}
    (line,) = shown.lines  # once, however many cases follow
    assert line.startswith(f"a/b: could not be judged yet (UnreadableInput: {path}: is damaged or truncated")
    assert line.endswith("). Verdicts come at the end of the run.")


def test_each_recording_is_read_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths: list[Path] = []
    monkeypatch.setattr(files, "read_recording", lambda path: paths.append(path) or read_recording(path))
    verdicts = early(run, shown := Shown())
    for leg in LEGS:
        verdicts.collected(leg, 1)
    record(run, verdicts, "a/b", torch={"loss": 0.5}, jax={"loss": 0.5})
    assert shown.counts == {"PASSED": 1}
    assert [path.relative_to(run).parts[0] for path in paths] == ["jax", "torch"]
