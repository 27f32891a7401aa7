"""Temporary directories: removed at the end, and after a kill by the next process; what is not proved to be left over stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from backendcheck.temporary import temporary_directory

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")
_HOLDS = """
import sys, time
from backendcheck.temporary import temporary_directory
with temporary_directory("requests") as folder:
    (folder / "jax.json").write_text("{}")
    print(folder, flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _others(place: Path) -> set[str]:
    """The directories that another process sees when it makes one itself."""
    with temporary_directory("repro") as folder:
        return {path.name for path in place.iterdir()} - {folder.parent.name}


def test_it_is_private_and_removed_at_the_end(place: Path) -> None:
    with temporary_directory("repro") as folder:
        assert list(folder.iterdir()) == []
        assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700
    assert list(place.iterdir()) == []


@linux
def test_that_of_a_killed_process_is_removed_by_the_next_one(place: Path) -> None:
    command = [sys.executable, "-c", _HOLDS]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(place)}, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            held = Path(process.stdout.readline().strip())
            assert _others(place) == {held.parent.name}
        finally:
            process.send_signal(signal.SIGKILL)
    assert _others(place) == set()


@linux
@pytest.mark.parametrize("change", [{"seen_from": "elsewhere"}, {"pid": "nothing"}, {"more": "1"}, {"started": 3}, None])
def test_what_is_not_proved_to_be_left_over_stays(place: Path, change: dict[str, object] | None) -> None:
    with temporary_directory("requests") as folder:
        owner = json.loads((folder.parent / ".owner").read_text())
    left = place / "backendcheck-requests-abc"
    left.mkdir()
    gone = owner | {"started": "1"}
    if change is not None:
        (left / ".owner").write_text(json.dumps(gone | change))
    (place / "backendcheck-requests-link").symlink_to(left)
    (place / "backendcheck-requests-file").touch()
    before = {path.name for path in place.iterdir()}
    assert len(before) == 3
    assert _others(place) == before
    (left / ".owner").write_text(json.dumps(gone))
    assert left.name not in _others(place)
