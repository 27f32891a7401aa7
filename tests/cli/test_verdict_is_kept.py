"""The verdict is never lost to a report or a stream that cannot be written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import make
import pytest
from forked import backendcheck
from front_door import command, variables

from backendcheck.cli import cli
from backendcheck.files import locked
from backendcheck.recordings.files import write_environment, write_recording


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of one case that differs."""
    for backend, loss in (("jax", 0.5), ("torch", 1.0)):
        leg = tmp_path / "run" / backend
        write_recording(leg, make.recording("a/b", backend, loss=loss))
        write_environment(leg, make.environment(backend, ["a/b"], exit_state="running"))
    return tmp_path


def test_a_report_that_cannot_be_written_leaves_the_verdict(run: Path) -> None:
    (run / "report").write_text("")
    ended = backendcheck("compare", "run", "--out", "report/below", cwd=run)
    assert ended.exit_code == 3, ended.words
    assert "a/b" in ended.out
    assert "cannot be written" in ended.err
    assert "report: " not in ended.out


def test_a_job_summary_that_cannot_be_written_leaves_the_verdict(run: Path) -> None:
    ended = backendcheck("compare", "run", cwd=run, env={"GITHUB_STEP_SUMMARY": str(run / "nowhere" / "file")})
    assert ended.exit_code == 3, ended.words
    assert "GITHUB_STEP_SUMMARY" in ended.err
    assert "a/b" in ended.out


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", ">&- 2>&-", "| head -c 1 >/dev/null; exit ${PIPESTATUS[0]}"])
def test_a_standard_output_that_cannot_be_written_leaves_the_exit_code(run: Path, redirection: str) -> None:
    script = f'"$@" {redirection}'
    words = ["bash", "-c", script, "bash", *command("compare", "run")]
    done = subprocess.run(words, cwd=run, env=variables(), capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert (run / "run" / "report.json").is_file()


def test_a_job_summary_that_is_a_pipe_without_a_reader_is_not_waited_for(run: Path) -> None:
    os.mkfifo(run / "pipe")
    ended = backendcheck("compare", "run", cwd=run, env={"GITHUB_STEP_SUMMARY": str(run / "pipe")})
    assert ended.exit_code == 3, ended.words
    assert "GITHUB_STEP_SUMMARY" in ended.err


def test_a_disk_that_is_full_at_the_page_leaves_the_verdict(run: Path) -> None:
    # A limit to the size of a file stands for it: report.json fits, index.html does not.
    words = ["bash", "-c", 'ulimit -f 16; "$@"', "bash", *command("compare", "run")]
    done = subprocess.run(words, cwd=run, env=variables(), capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "a/b" in done.stdout
    assert "run/index.html: cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert (run / "run" / "report.json").is_file()
    assert not list((run / "run").glob(".*.tmp"))


@pytest.mark.parametrize("words", [("run", "cases.py"), ("merge", "run")], ids=lambda words: words[0])
def test_two_runs_do_not_write_into_one_directory(run: Path, words: tuple[str, ...]) -> None:
    (run / "cases.py").write_text("def case_a(): return {'v': 1.0}\n")
    (run / "busy").mkdir()
    with locked(run / "busy", "the test has it"):
        ended = backendcheck(*words, "--out", "busy", cwd=run)
    assert ended.exit_code == 2, ended.words
    assert "busy: is being written by another process. Wait for it, or choose another --out." in ended.err
    assert not list((run / "busy").iterdir())


@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), MemoryError(), MemoryError("Unable to allocate 9 GiB")], ids=repr
)
def test_too_little_memory_is_told_in_one_line(
    run: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_legs(*_: object) -> None:
        raise error

    monkeypatch.setattr("backendcheck.recordings.legs.read_legs", read_legs)
    monkeypatch.chdir(run)
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", "run"], prog_name="backendcheck")
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("backendcheck: not enough memory")
    assert len(err.splitlines()) == 1


def test_a_reader_of_messages_that_goes_away_ends_nothing(run: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = command("merge", "run", "--out", "merged")  # which first says on standard error what it has read
    done = subprocess.run(words, cwd=run, env=variables(), stdout=subprocess.PIPE, stderr=writer, text=True, check=False)
    os.close(writer)
    assert done.returncode == 3
    assert "a/b" in done.stdout
    assert (run / "merged" / "report.json").is_file()


def test_a_working_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    words = ["bash", "-c", 'rmdir "$PWD"; "$@"', "bash", *command("compare", "run")]
    done = subprocess.run(words, cwd=gone, env=variables(), capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "backendcheck: " in done.stderr
    assert "Traceback" not in done.stderr
    assert os.path.isdir(tmp_path)  # noqa: PTH112
