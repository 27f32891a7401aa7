"""What commands print: for people with and without a terminal, for programs, and for readers that go away."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import make
import pytest
from forked import backendcheck, exit_code_of
from front_door import command, variables
from pieces import CASES, write_leg

BACKENDS = ("tensorflow", "jax", "torch")
DIFFERS = {case: {"loss": 0.7} for case in CASES[2:5]}
SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs: `run` fails in three cases of eight and in one of another topic, `fine` agrees."""
    folder = tmp_path_factory.mktemp("place")
    for backend in BACKENDS:
        values = DIFFERS | {"other/crash": {"status": "crashed", "problem": "killed by signal 11"}} if backend == "jax" else {}
        more = [f"more/case_{n}_ünï-{'x' * n}" for n in range(40)]
        write_leg(folder / "run" / backend, backend, (*CASES, "other/crash", "other/healthy", *more), values=values)
        write_leg(folder / "fine" / backend, backend)
    return folder


def on_a_terminal(*arguments: object, cwd: Path, columns: int, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The command with a terminal for its standard output: exit code, and what the terminal got."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {"COLUMNS": str(columns), "TERM": "xterm-256color"} | dict(env or {})
    got = b""
    with ThreadPoolExecutor(1) as pool, tempfile.TemporaryFile() as errors:
        running = pool.submit(exit_code_of, *arguments, cwd=cwd, env=environment, streams=(theirs, errors.fileno()), timeout=60)
        running.add_done_callback(lambda _: os.close(theirs))
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not part:
                break
            got += part
        code = running.result()
    os.close(ours)
    return code, got.decode("utf-8").replace("\r\n", "\n")


# --- width and color ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 100, 120, 200])
@pytest.mark.parametrize(
    "arguments", [["compare", "run"], ["compare", "run", "-v"], ["show", "labels/case_2", "--out", "run"]], ids=str
)
def test_everything_fits_the_terminal(place: Path, columns: int, arguments: list[str]) -> None:
    _, shown = on_a_terminal(*arguments, cwd=place, columns=columns)
    lines = SGR.sub("", shown).splitlines()
    assert len(lines) > 5
    assert not [line for line in lines if len(line) > columns and "backendcheck show" not in line]


def test_a_wide_terminal_is_used(place: Path) -> None:
    narrow, wide = (SGR.sub("", on_a_terminal("compare", "run", cwd=place, columns=columns)[1]) for columns in (80, 200))
    assert len(wide.splitlines()) < len(narrow.splitlines())
    assert "FAILED labels/case_2   VALUE: loss is 0.7 on jax; 0.5 on tensorflow and torch" in wide
    assert "more" not in narrow.partition("differs on")[2].split("other topic")[0]


@pytest.mark.parametrize(
    ("env", "colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
     ({"TERM": "dumb", "FORCE_COLOR": "1"}, True), ({"NO_COLOR": ""}, True)],
    ids=str,
)  # fmt: skip
def test_a_terminal_has_colors_unless_switched_off(place: Path, env: dict[str, str], colored: bool) -> None:
    _, shown = on_a_terminal("compare", "run", cwd=place, columns=80, env=env)
    assert bool(SGR.search(shown)) is colored
    assert "\x1b" not in SGR.sub("", shown)


@pytest.mark.parametrize(("env", "colored"), [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "0"}, False)], ids=str)
def test_a_log_has_no_colors_unless_switched_on(place: Path, env: dict[str, str], colored: bool) -> None:
    ended = backendcheck("compare", "run", cwd=place, env=env)
    assert ("\x1b[31m" in ended.out) is colored
    assert SGR.sub("", ended.out) == backendcheck("compare", "run", cwd=place).out


def test_marks_have_the_colors_of_verdicts(place: Path) -> None:
    _, shown = on_a_terminal("compare", "run", cwd=place, columns=80)
    (row,) = (line for line in shown.splitlines() if SGR.sub("", line).startswith("  labels "))
    assert "\x1b[31mFFF\x1b[0m\x1b[32m.....\x1b[0m" in row


# --- order, quiet and verbose ------------------------------------------------------------------------------------


def test_the_worst_comes_first_and_the_exit_code_last(place: Path) -> None:
    ended = backendcheck("compare", "run", cwd=place)
    assert ended.exit_code == 3
    order = ("ERROR other/crash", "FAILED labels/case_2", "differs on", "3 backends, 50 cases")
    places = [ended.out.index(words) for words in order]
    assert places == sorted(places)
    last = "exit code 3: incomplete: 1 case could not be compared (ERROR); also 3 cases differ (FAILED)"
    assert ended.out.splitlines()[-2:] == ["report: run/index.html", last]


def test_quiet_leaves_what_fails_and_the_last_line(place: Path) -> None:
    ended = backendcheck("compare", "run", "--quiet", cwd=place)
    assert ended.exit_code == 3
    starts = [line.split()[0] for line in ended.out.splitlines() if line and not line.startswith(" ")]
    assert starts == ["ERROR", "FAILED", "FAILED", "FAILED", "exit"]
    fine = backendcheck("compare", "fine", "-q", cwd=place)
    assert fine.out == "exit code 0: all backends agree with each other and with what is expected\n"
    assert (fine.exit_code, fine.err) == (0, "")


def test_verbose_tells_environments_and_topics_that_passed(place: Path) -> None:
    out = backendcheck("compare", "fine", "--verbose", cwd=place).out
    assert "tensorflow: 8 recordings in 1.5 s; python 3.11.7 keras 3.15.0 tensorflow 2.21.0 numpy 2.4.6" in out
    assert "labels/case_0" in out
    assert "labels/case_0" not in backendcheck("compare", "fine", cwd=place).out


@pytest.mark.parametrize("arguments", [["compare", "fine"], ["show", "labels/case_0", "--out", "fine"]], ids=str)
def test_quiet_and_verbose_contradict_each_other(place: Path, arguments: list[str]) -> None:
    ended = backendcheck(*arguments, "-q", "-v", cwd=place)
    assert (ended.exit_code, "contradict each other" in ended.err) == (2, True)


# --- programs ---------------------------------------------------------------------------------------------------


def test_json_is_the_report_and_nothing_else(place: Path) -> None:
    env = {"GITHUB_ACTIONS": "true"}
    ended = backendcheck("compare", "run", "--json", cwd=place, env=env)
    assert ended.exit_code == 3
    assert ended.out == (place / "run" / "report.json").read_text(encoding="utf-8")
    printed = json.loads(ended.out)
    assert printed["exit_reason"] in ended.err
    assert "::error file=cases/labels.py" in ended.err  # GitHub reads both
    assert "report: run/index.html" in ended.err
    quiet = backendcheck("compare", "fine", "--json", "--quiet", cwd=place)
    assert (json.loads(quiet.out)["exit_code"], quiet.err) == (0, "")


def test_json_of_a_case_is_its_entry_in_the_report(place: Path) -> None:
    backendcheck("compare", "run", cwd=place)
    report = json.loads((place / "run" / "report.json").read_text(encoding="utf-8"))
    for case in ("labels/case_3", "other/crash", "labels/case_0"):
        ended = backendcheck("show", case, "--out", "run", "--json", cwd=place)
        assert ended.exit_code == 0
        assert json.loads(ended.out) == next(one for one in report["results"] if one["case"] == case)
        assert ended.err == ""


def test_a_case_in_short(place: Path) -> None:
    ended = backendcheck("show", "labels/case_3", "--out", "run", "-q", cwd=place)
    assert ended.out.splitlines()[0] == "FAILED labels/case_3   VALUE: loss is 0.7 on jax; 0.5 on tensorflow and torch"
    assert backendcheck("show", "labels/case_0", "--out", "run", "-q", cwd=place).out == "PASSED labels/case_0\n"


def test_what_to_do_next_can_be_typed_as_it_stands(place: Path) -> None:
    for arguments in (("compare", "run"), ("show", "labels/case_3", "--out", "run", "-q")):
        lines = backendcheck(*arguments, cwd=place).out.splitlines()
        (told,) = (line for line in lines if "backendcheck show labels/case_3" in line)
        typed = re.split(r" {2,}", told.strip())[1]
        assert typed == "backendcheck show labels/case_3 --run run"
        assert backendcheck(*typed.split()[1:], cwd=place).exit_code == 0


# --- readers that go away ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["compare", "run"], 3), (["compare", "run", "--json"], 3), (["compare", "run", "-v"], 3),
     (["compare", "fine", "--json"], 0), (["show", "labels/case_3", "--out", "run"], 0),
     (["show", "labels/case_3", "--out", "run", "--json"], 0)],
    ids=str,
)  # fmt: skip
def test_a_closed_pipe_is_no_error_and_changes_no_exit_code(place: Path, arguments: list[str], code: int) -> None:
    with subprocess.Popen(
        command(*arguments), cwd=place, env=variables(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    ) as process:  # fmt: skip
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(timeout=60) == code
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_a_log_that_knows_ascii_only_is_written_all_the_same(place: Path) -> None:
    ended = backendcheck("compare", "run", "-v", cwd=place, env={"PYTHONIOENCODING": "ascii"})
    assert ended.exit_code == 3
    assert ended.out.isascii()


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a thing of Linux")
def test_a_full_disk_is_reported_in_a_line(place: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            command("compare", "run"), cwd=place, env=variables(), stdout=full, stderr=subprocess.PIPE, encoding="utf-8",
            check=False,
        )  # fmt: skip
    assert done.returncode == 3  # the verdict: a leg of `run` has a crash
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


# --- annotations and the summary of a job ------------------------------------------------------------------------


def test_a_job_on_github_gets_annotations_and_the_summary(place: Path, tmp_path: Path) -> None:
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    ended = backendcheck("compare", "run", cwd=place, env=env)
    annotations = [line for line in ended.out.splitlines() if line.startswith("::error")]
    assert annotations[0].startswith("::error file=cases/labels.py,line=7,title=backendcheck ERROR%3A other/crash::")
    assert len(annotations) == 4
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "**exit code 3: incomplete: 1 case could not be compared (ERROR); also 3 cases differ (FAILED)**" in summary


def test_what_was_made_by_hand_is_what_the_commands_read(place: Path) -> None:
    found: dict[str, Any] = json.loads((place / "run" / "report.json").read_text(encoding="utf-8"))
    assert found["backends"] == list(make.BACKENDS)
    assert found["counts"] == {"PASSED": 46, "FAILED": 3, "ERROR": 1, "XFAILED": 0, "XPASSED": 0}
