"""All legs at once: what a run says, how it ends, what it leaves behind, whatever happens to it."""

from __future__ import annotations

import html
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from front_door import Ended, backendcheck, command, project, session, variables
from processes import alive, descendants, waited_for

from backendcheck.vocabulary.shards import Shard

CASES = {
    "cases/labels.py": """
        import os
        import keras
        from backendcheck import LossCase, Raises

        def case_agree():
            \"\"\"The mean of the squares is the same everywhere.\"\"\"
            return LossCase("mean_squared_error", [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.4, 0.4]])

        def case_one_raises():
            \"\"\"It does not matter.\"\"\"
            if keras.backend.backend() == "torch":
                raise IndexError("Target 3 is out of bounds.")
            return {"v": 1.0}

        def case_all_raise():
            \"\"\"Every backend raises, as expected.\"\"\"
            return LossCase("no_such_loss", [[0.0]], [[0.0]], expect=Raises(ValueError))

        def case_one_crashes():
            if keras.backend.backend() == "torch":
                os._exit(3)
            return {"v": 1.0}
    """,
    "floatx/labels.py": "def case_v(): return {'v': 1.0}\n",
    "floatx/conftest.py": """
        import keras
        if keras.backend.backend() == "torch":
            keras.config.set_floatx("float64")
    """,
    "slow/slow.py": """
        import time
        from pathlib import Path

        def case_first(): return {"v": 1.0}

        def case_second():
            time.sleep(1000)

        def case_third(): return {"v": 1.0}
    """,
}
BACKENDS = ("--backends", "jax,torch")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("place"), CASES)


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found


# Runs the command inside, and says afterwards what that took. The package lies where it lies: -m is no option here.
MEASURED = """
import sys
from backendcheck.cli import main
try:
    main()
finally:
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    heavy = sorted({"keras", "tensorflow", "jax", "torch", "sklearn"} & set(sys.modules))
    print(f"\\nMEASURED {peak} {','.join(heavy)}", file=sys.stderr)
"""


def measured(*arguments: object, cwd: Path) -> tuple[Ended, float, str]:
    """The command, the peak of its memory in megabytes, and which heavy libraries it has imported."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, arguments)], cwd=cwd, env=variables(), capture_output=True, encoding="utf-8",
        timeout=240, check=False,
    )  # fmt: skip
    words = done.stderr.rpartition("MEASURED ")[2].split(" ")
    return Ended(done.returncode, done.stdout, done.stderr), int(words[0]) / 1024, words[1].strip()


@pytest.fixture(scope="module")
def whole(place: Path) -> tuple[Ended, float, str]:
    return measured("run", "cases", *BACKENDS, "--out", "whole", cwd=place)


def test_a_run_judges_every_case_worst_first(place: Path, whole: tuple[Ended, float, str]) -> None:
    ended, _, _ = whole
    verdicts = {result["case"]: result["verdict"] for result in report(place / "whole")["results"]}
    assert verdicts == {
        "labels/one_crashes": "ERROR",
        "labels/one_raises": "FAILED",
        "labels/agree": "PASSED",
        "labels/all_raise": "PASSED",
    }
    assert list(verdicts.values())[:2] == ["ERROR", "FAILED"]
    assert ended.out.index("ERROR labels/one_crashes") < ended.out.index("FAILED labels/one_raises")
    assert "torch crashed: the process exited with code 3" in ended.out
    assert "report: whole/index.html" in ended.out
    assert ended.exit_code == 3
    for name in ("index.html", "report.json", "junit.xml", "summary.md"):
        assert (place / "whole" / name).stat().st_size > 0
    page = (place / "whole" / "index.html").read_text(encoding="utf-8")
    assert re.search(r"<span>recorded in [\d.]+ s on jax, [\d.]+ s on torch</span>", page)
    source = html.unescape(page.partition('<pre class="source" tabindex="0">')[2].partition("</pre>")[0])  # also where it crashes
    assert source.startswith('def case_one_crashes():\n    if keras.backend.backend() == "torch":\n')


def test_without_a_terminal_progress_is_printed_in_plain_lines(whole: tuple[Ended, float, str]) -> None:
    lines = whole[0].err.splitlines()
    assert {"jax: 4 cases", "torch: 4 cases", "jax: recorded", "torch: recorded, incomplete"} <= set(lines)
    assert not any(character in whole[0].words for character in "\x1b\r")
    told = [number for number, line in enumerate(lines) if line.startswith(("ERROR ", "FAILED "))]
    assert sorted(lines[number].split()[1] for number in told) == ["labels/one_crashes", "labels/one_raises"]
    assert max(told) < lines.index("torch: recorded, incomplete")  # while the last leg still records
    assert {line for line in lines if line.startswith("ERROR ")} <= set(whole[0].out.splitlines())


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_the_parent_of_a_run_is_small_and_imports_no_backend(whole: tuple[Ended, float, str]) -> None:
    _, megabytes, heavy = whole
    assert megabytes < 150
    assert heavy == ""


@pytest.mark.parametrize(("chosen", "exit_code"), [("agree or all_raise", 0), ("agree or one_raises", 1)])
def test_the_exit_code_says_how_a_run_ended(place: Path, tmp_path: Path, chosen: str, exit_code: int) -> None:
    ended = backendcheck("run", "cases", *BACKENDS, "--out", tmp_path, "-k", chosen, cwd=place)
    assert ended.exit_code == exit_code, ended.words


def test_an_empty_shard_is_no_error_and_what_is_printed_is_up_to_the_caller(place: Path, tmp_path: Path) -> None:
    # With the durations of an earlier run, the only case is in the first shard.
    empty = next(number for number in range(2, 10) if not Shard(number=number, of=9).holds("labels/agree"))
    arguments = ("run", "cases", *BACKENDS, "--out", tmp_path, "-k", "agree")
    ended = backendcheck(*arguments, "--shard", f"{empty}/9", "--quiet", "--json", cwd=place)
    assert (ended.exit_code, ended.err) == (0, "")
    assert json.loads(ended.out) == report(tmp_path)
    assert report(tmp_path)["shard"] == f"{empty}/9"
    assert report(tmp_path)["exit_reason"] == f"shard {empty}/9 contains none of the 1 case, so there was nothing to do"


def test_legs_under_different_settings_are_not_compared(place: Path, tmp_path: Path) -> None:
    ended = backendcheck("run", "floatx", *BACKENDS, "--out", tmp_path, cwd=place)
    assert ended.exit_code == 3
    assert "not comparable: jax and torch ran under different settings" in ended.out
    assert "floatx float32 and float64" in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["record", "--help"],
        ["list"],
        ["compare", "whole", "--out", "whole"],
        ["show", "labels/one_raises", "--out", "whole"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("whole")
def test_what_needs_no_backend_imports_none_and_is_quick(place: Path, arguments: list[str]) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended, _, heavy = measured(*arguments, cwd=place)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2  # not by the clock: others use the cores
    assert heavy == ""
    assert ended.exit_code in (0, 3), ended.words


def test_the_same_run_again_replaces_the_first_and_another_moves_it_aside(tmp_path: Path) -> None:
    one = """
        from backendcheck import ValueCase

        def case_a(): return ValueCase(lambda: {"v": 1}, reference={"value/v": 1})

        def case_b(): return ValueCase(lambda: {"v": 1}, reference={"value/v": 2})
    """
    project(tmp_path, {"one.py": one, "two.py": "def case_b(): return {'v': 1}\n"})

    def run(*arguments: str) -> Ended:
        return backendcheck("run", "--backends", "jax", *arguments, cwd=tmp_path)

    run("one.py")
    latest = tmp_path / "reports" / "latest"
    first = session(latest / "jax", Ended(0, "", "")).environment
    run("one.py", "--fresh")
    second = session(latest / "jax", Ended(0, "", "")).environment
    assert second.run != first.run
    assert first.cases == second.cases == ("one/a", "one/b")
    assert (list(first.seconds), list(second.seconds)) == (["one/a", "one/b"], ["one/b", "one/a"])  # what failed comes first
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["latest"]

    ended = run("two.py")
    assert "reports/latest held another run; it is now reports/20" in ended.err
    assert sorted(session(latest / "jax", ended).recordings) == ["two/b"]
    (aside,) = (path for path in (tmp_path / "reports").iterdir() if path.name != "latest")
    assert sorted(session(aside / "jax", ended).recordings) == ["one/a", "one/b"]

    run("one.py", "--out", "reports/latest", "--overwrite")
    assert sorted(session(latest / "jax", ended).recordings) == ["one/a", "one/b"]


def test_overwriting_leaves_no_leg_of_the_other_run_behind(tmp_path: Path) -> None:
    project(tmp_path, {"one.py": "def case_a(): return {'v': 1}\n"})
    backendcheck("record", "one.py", "--backend", "torch", "--out", "out", cwd=tmp_path)
    refused = backendcheck("run", "one.py", "--backends", "jax", "--out", "out", cwd=tmp_path)
    assert refused.exit_code == 2
    assert "holds a leg that this run does not record" in refused.err
    backendcheck("run", "one.py", "--backends", "jax", "--out", "out", "--overwrite", cwd=tmp_path)
    assert report(tmp_path / "out")["backends"] == ["jax"]
    assert not (tmp_path / "out" / "torch" / "environment.json").exists()


def test_what_an_earlier_run_left_is_not_taken_for_this_one(tmp_path: Path) -> None:
    project(tmp_path, {"one.py": "def case_a(): return {'v': 1}\n"})
    backendcheck("run", "one.py", *BACKENDS, "--out", "out", cwd=tmp_path)
    # The leg of torch cannot even start any more: its process is refused the directory.
    fcntl = pytest.importorskip("fcntl")
    handle = os.open(tmp_path / "out" / "torch", os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        ended = backendcheck("run", "one.py", *BACKENDS, "--out", "out", cwd=tmp_path)
    finally:
        os.close(handle)
    assert ended.exit_code == 3
    assert "torch: its leg is missing" in ended.out


@contextmanager
def hanging(folder: Path, *arguments: str, legs: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], set[int]]]:
    """A command that records the slow cases, once each of `legs` hangs in the second of them, and the processes below it."""
    with subprocess.Popen(
        command(*arguments, "--out", "out"), cwd=project(folder, {"slow.py": CASES["slow/slow.py"]}), env=variables(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    ) as process:  # fmt: skip
        try:

            def hangs(leg: str) -> bool:
                running = folder.glob(f"out/{leg}/.work/*.running")
                return any("case_second" in path.read_text(encoding="utf-8") for path in running)

            assert waited_for(lambda: all(map(hangs, legs)), 120), process.poll()
            below = descendants(process.pid)
            assert len(below) >= len(legs)
            yield process, below
        finally:
            process.kill()


linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_run_ends_with_all_its_processes_and_keeps_what_it_has(tmp_path: Path, number: signal.Signals) -> None:
    with hanging(tmp_path, "run", "slow.py", *BACKENDS, legs=["jax", "torch"]) as (process, below):
        began = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert time.monotonic() - began < 10
        assert process.returncode == 130
        assert "Traceback" not in err
        assert "interrupted; recordings made so far are kept" in err
        assert waited_for(lambda: not alive(below), 5), alive(below)
    for backend in ("jax", "torch"):
        leg = session(tmp_path / "out" / backend, Ended(0, "", ""))
        assert leg.environment.exit_state == "interrupted"
        assert leg.statuses == {"slow/first": "recorded"}
    ended = backendcheck("compare", "out", cwd=tmp_path)
    assert ended.exit_code == 3
    assert "jax: its recording was interrupted" in ended.out


@linux
def test_nothing_goes_on_when_a_run_is_killed(tmp_path: Path) -> None:
    with hanging(tmp_path, "run", "slow.py", *BACKENDS, legs=["jax", "torch"]) as (process, below):
        process.kill()
        process.wait(timeout=10)
        assert waited_for(lambda: not alive(below), 20), alive(below)
    assert backendcheck("compare", "out", cwd=tmp_path).exit_code == 3


@linux
def test_no_worker_outlives_its_session_and_the_leg_stays_unfinished(tmp_path: Path) -> None:
    with hanging(tmp_path, "record", "slow.py", "--backend", "jax", legs=["jax"]) as (process, below):
        process.kill()
        process.wait(timeout=10)
        assert waited_for(lambda: not alive(below), 5), alive(below)
    leg = session(tmp_path / "out" / "jax", Ended(0, "", ""))
    assert leg.environment.exit_state == "running"
    ended = backendcheck("compare", "out", cwd=tmp_path)
    assert ended.exit_code == 3
    assert "jax: its recording was killed or is still running" in ended.out
    # The same again is no other run: it replaces what is there, here with something quick.
    ended = backendcheck("record", "slow.py", "--backend", "jax", "--out", "out", "--timeout", "1", cwd=tmp_path)
    assert session(tmp_path / "out" / "jax", ended).statuses["slow/second"] == "timed out"


@linux
def test_a_session_that_is_interrupted_exits_with_130(tmp_path: Path) -> None:
    with hanging(tmp_path, "record", "slow.py", "--backend", "jax", legs=["jax"]) as (process, below):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, "Traceback" in err) == (130, False)
        assert waited_for(lambda: not alive(below), 5), alive(below)
    assert session(tmp_path / "out" / "jax", Ended(0, "", "")).environment.exit_state == "interrupted"


@linux
def test_a_leg_whose_process_is_killed_does_not_take_the_run_with_it(tmp_path: Path) -> None:
    with hanging(tmp_path, "run", "slow.py", *BACKENDS, "--timeout", "10", legs=["torch"]) as (process, below):
        for pid in below:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if alive({pid}) else []
            if b"record" in words and any(word.endswith(b"torch.json") for word in words):  # the file of its request
                os.kill(pid, signal.SIGKILL)
        out, err = process.communicate(timeout=180)
        assert process.returncode == 3, out + err
        assert "torch: its recording was killed or is still running" in out
        assert "torch: failed: killed by signal 9 (SIGKILL" in err
    assert {result["verdict"] for result in report(tmp_path / "out")["results"]} <= {"ERROR", "PASSED"}
