"""How a recording session ends, with a pytest session that a test plays: no backend is started."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import make
import pytest

from backendcheck.errors import OutputInTheWay, UsageError
from backendcheck.recordings.legs import read_leg
from backendcheck.recordings.paths import recording_path
from backendcheck.sessions import session as sessions
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.session import record
from backendcheck.sessions.session_state import SessionState
from backendcheck.vocabulary.backends import Backend
from backendcheck.vocabulary.leg_names import parse_leg
from backendcheck.vocabulary.states import ExitState

CASES = ("labels/a", "labels/b", "Labels/b")
Play = Callable[[SessionState], int]


@pytest.fixture
def request_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Play], RecordingRequest]:
    """A request whose pytest session is the function that is given, after it has recorded the cases."""
    monkeypatch.setattr(Backend, "missing_modules", lambda _: [])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.py").write_text("def case_a(): ...\ndef case_b(): ...\n")

    def use(play: Play) -> RecordingRequest:
        def run_pytest(state: SessionState) -> tuple[int, str]:
            state.files.note_alike(CASES)
            state.files.of_worker("gw0").note_collected({"all": CASES, "selected": CASES, "sources": {}})
            for case in CASES:
                state.write(state.request.leg, make.recording(case, "jax", loss=0.5, run=state.run))
            return play(state), ""

        monkeypatch.setattr(sessions, "run_pytest", run_pytest)
        return RecordingRequest(backend=parse_leg("jax"), out=tmp_path / "out", paths=("labels.py",))

    return use


def _damage(state: SessionState) -> int:
    path = recording_path(state.request.leg, "labels/b", distinct=True)
    path.write_bytes(path.read_bytes()[:-3])
    return 0


def test_a_recording_that_is_damaged_later_is_an_error_of_its_case(request_of: Callable[[Play], RecordingRequest]) -> None:
    request = request_of(_damage)
    outcome = record(request)
    assert outcome.statuses == {"labels/a": "recorded", "labels/b": "error", "Labels/b": "recorded"}
    assert (outcome.exit_code, outcome.environment.exit_state) == (3, ExitState.COMPLETE)
    leg = read_leg(request.leg)
    assert "its recording was damaged after it was written" in leg.recordings["labels/b"].problem
    assert {*leg.recordings} == {*CASES}


def test_a_damaged_file_of_no_case_is_not_left_in_the_leg(request_of: Callable[[Play], RecordingRequest]) -> None:
    def play(state: SessionState) -> int:
        (state.request.leg / "recordings" / "stray.safetensors").write_bytes(b"?")
        return 0

    request = request_of(play)
    assert record(request).exit_code == 0
    assert {*read_leg(request.leg).recordings} == {*CASES}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.EIO])
def test_an_error_of_the_system_has_its_place_and_a_remedy(
    number: int, request_of: Callable[[Play], RecordingRequest]
) -> None:
    def play(_: SessionState) -> int:
        raise OSError(number, os.strerror(number))

    request = request_of(play)
    with pytest.raises(OutputInTheWay, match="go on with --resume; what was recorded is kept") as caught:
        record(request)
    assert str(caught.value).startswith(f"{request.leg}: cannot be written or read ({os.strerror(number)}).")
    assert {*read_leg(request.leg).recordings} == {*CASES}


def test_a_leg_that_is_removed_meanwhile_is_named(request_of: Callable[[Play], RecordingRequest]) -> None:
    def play(state: SessionState) -> int:
        shutil.rmtree(state.request.leg)
        return 3

    request = request_of(play)
    with pytest.raises((UsageError, OutputInTheWay, sessions.UnreadableInput)) as caught:
        record(request)
    assert str(caught.value).startswith(str(request.leg))


def test_a_backend_that_cannot_start_is_told_once(request_of: Callable[[Play], RecordingRequest]) -> None:
    def play(state: SessionState) -> int:
        shutil.rmtree(state.request.leg / "recordings")
        state.files.note_fatal("jax cannot be used here: MemoryError")
        return 3

    request = request_of(play)
    with pytest.raises(UsageError, match=r"^jax cannot be used here: MemoryError\.$"):
        record(request)
    assert not read_leg(request.leg).environment.problems
