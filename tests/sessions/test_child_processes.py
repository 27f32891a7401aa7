"""How a process of the recorder ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import atexit, tempfile, time
from backendcheck.sessions.child_processes import end_process
LEFT_OPEN = open("log.txt", "w")
LEFT_OPEN.write("seen")
TEMPORARY = tempfile.NamedTemporaryFile(dir=".", suffix=".temporary")
{before}
end_process(7, within_s={within_s})
"""


def ended(folder: Path, before: str = "", within_s: float | None = None) -> int:
    program = PROGRAM.format(before=before, within_s=within_s)
    return subprocess.run([sys.executable, "-c", program], cwd=folder, timeout=60, check=False).returncode


def test_what_is_open_is_written_and_what_is_temporary_goes(tmp_path: Path) -> None:
    assert ended(tmp_path, "atexit.register(print, 'ended', file=open('ended.txt', 'w'))") == 7
    assert (tmp_path / "log.txt").read_text() == "seen"
    assert (tmp_path / "ended.txt").read_text() == "ended\n"
    assert not [*tmp_path.glob("*.temporary")]


@pytest.mark.parametrize(
    "hangs", ["atexit.register(time.sleep, 50)", "import threading; threading.Thread(target=time.sleep, args=(50,)).start()"]
)
def test_a_process_that_cannot_end_by_itself_is_ended(hangs: str, tmp_path: Path) -> None:
    began = time.monotonic()
    assert ended(tmp_path, hangs, within_s=0.5) == 1
    assert time.monotonic() - began < 30
