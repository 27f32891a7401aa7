"""Kill a run at random moments, resume it, and compare: nothing lost, nothing twice, no process left, the same report.

    python benchmarks/kill_runs.py --rounds 200 [--seed 0] [--backends tensorflow,jax,torch] [--results kills.jsonl]

Round K of a seed has the same target, signal and moment on every machine; the moment is a share of the time that an undisturbed
run takes. Each round adds one line to the file of results, so 200 rounds may be run in pieces: `--first 60 --rounds 60`.

One round
    start       `backendcheck run` of five small cases, in a folder of its own
    kill        after the moment: the parent, a controller, a worker, or a process group, with SIGKILL, SIGTERM or SIGINT
    wait        until the parent has ended; 5 s later no process of the run may live
    resume      `backendcheck run --resume --retry-errors`, to its end
    compare     every whole recording of the killed run is there, byte for byte, and its case was not run again; every case has
                one recording on each backend; `report.json` is that of the undisturbed run, but for times and digests
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput
from backendcheck.files import file_sha256
from backendcheck.recordings.files import read_environment, read_recording
from backendcheck.sessions.resume import TRIED_AGAIN

TARGETS = ("parent", "controller", "worker", "group of the parent", "group of a controller")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ORPHANS_S = 5.0  # the time that processes have to end after the parent has
LIMIT_S = 600.0  # for one run, on a machine that is busy
ROUND = "BACKENDCHECK_KILL_ROUND"  # marks the processes of a round
PHASE = "BACKENDCHECK_KILL_PHASE"
# Each case notes that it was run. One differs between the backends, and one leaves a setting changed, which is noted.
CASES = '''
import os
import time

import keras
import numpy as np
from backendcheck import LossCase

def noted(name):
    """Note that a case is run; one line is written at once or not at all."""
    handle = os.open(os.environ["BACKENDCHECK_KILL_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{os.environ['BACKENDCHECK_KILL_PHASE']} {keras.backend.backend()} {name}\\n".encode())
    os.close(handle)

def case_first():
    noted("kill/first")
    return {"v": keras.ops.arange(3)}

def case_of_a_loss():
    noted("kill/of_a_loss")
    return LossCase(loss="mse", y_true=[[0.0, 1.0]], y_pred=[[0.5, 0.25]])

def case_out_of_range():
    noted("kill/out_of_range")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return LossCase(loss=loss, y_true=[2, 3], y_pred=[[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])

def case_that_takes_a_moment():
    noted("kill/that_takes_a_moment")
    time.sleep(0.2)
    return {"v": np.float32(1.5)}

def case_that_leaves_something_changed():
    noted("kill/that_leaves_something_changed")
    np.seterr(divide="ignore", over="ignore")
    return {"v": keras.ops.ones(2)}
'''
CHANGES = ("created", "duration_s", "started", "run", "sessions", "seconds", "timings_s", "digests", "sha256")


@dataclass(kw_only=True)
class Round:
    """What one round did and what was wrong; `moment_s` counts from the start."""

    seed: int
    number: int
    target: str
    signal: str
    share: float
    moment_s: float = 0.0
    killed: int = 0
    exit_code: int | None = 0
    kept: int = 0
    resumed_exit_code: int | None = 0
    orphans: list[str] = field(default_factory=list)
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


class Run:
    """A run of the small cases in `folder`, and the processes that belong to it."""

    def __init__(self, folder: Path, backends: str) -> None:
        self.folder = folder
        self.backends = backends.split(",")
        self.out = folder / "out"
        (folder / "cases").mkdir()
        (folder / "cases" / "kill.py").write_text(CASES, encoding="utf-8")
        (folder / "pyproject.toml").write_text("[tool.backendcheck]\n", encoding="utf-8")

    def start(self, phase: str, *arguments: str) -> subprocess.Popen[bytes]:
        own = ("PYTEST_", "KERAS_", "GITHUB_")
        variables = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        variables |= {ROUND: str(self.folder), PHASE: phase, "BACKENDCHECK_KILL_LOG": str(self.folder / "executed")}
        command = [sys.executable, "-m", "backendcheck", "run", "cases", "--backends", ",".join(self.backends), "--out", "out"]
        with (self.folder / f"{phase}.log").open("wb") as log:
            return subprocess.Popen(
                [*command, *arguments], cwd=self.folder, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def log(self, phase: str) -> str:
        """What a run has printed."""
        return (self.folder / f"{phase}.log").read_text(encoding="utf-8", errors="replace")

    def processes(self) -> dict[int, str]:
        """The living processes of this run and what they are, by /proc: a worker is a child of a controller."""
        mark = f"{ROUND}={self.folder}".encode()
        kinds, parents = {}, {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if mark not in (path / "environ").read_bytes().split(b"\0"):
                    continue
                stat = (path / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                words = (path / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if stat[0] != "Z":
                kinds[int(path.name)] = _kind(words)
                parents[int(path.name)] = int(stat[1])
        return {
            pid: "worker" if kind == "other" and kinds.get(parents[pid]) == "controller" else kind for pid, kind in kinds.items()
        }

    def recordings(self) -> dict[tuple[str, str], tuple[str, Path, Any]]:
        """The digest, the path and the status of each whole recording, by backend and case."""
        whole = {}
        for backend in self.backends:
            for path in sorted((self.out / backend / "recordings").rglob("*.safetensors")):
                try:
                    recording = read_recording(path)
                except UnreadableInput:
                    continue
                key = backend, recording.case
                whole[key] = file_sha256(path), path, recording.status
        return whole

    def executed(self, phase: str) -> Counter[tuple[str, str]]:
        """How often each case was called, by backend and case."""
        path = self.folder / "executed"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return Counter((words[1], words[2]) for words in map(str.split, lines) if words[0] == phase)

    def report(self) -> Any:
        """`report.json` without what differs from run to run."""
        return _constant(json.loads((self.out / "report.json").read_text(encoding="utf-8")))


def _kind(words: str) -> str:
    if "backendcheck\0run" in words:
        return "parent"
    if "backendcheck.cli" in words:
        return "controller"
    return "other"


def _constant(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _constant(value) for key, value in content.items() if key not in CHANGES}
    return [_constant(value) for value in content] if isinstance(content, list) else content


def differences(left: Any, right: Any, place: str = "report") -> Iterator[str]:
    """The places in which two reports differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted({*left, *right}):
            yield from differences(left.get(key), right.get(key), f"{place}.{key}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for number, pair in enumerate(zip(left, right, strict=True)):
            yield from differences(*pair, f"{place}[{number}]")
    elif left != right:
        yield f"{place}: {left!r:.200} without a kill, {right!r:.200} after it"


def _kill(run: Run, kill: Round, parent: int, rng: random.Random) -> int:
    """Send the signal; returns the number of the process or group, 0 if none was left."""
    number = signal.Signals[kill.signal]
    kind = kill.target.rpartition(" ")[2] if kill.target.startswith("group") else kill.target
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        processes = run.processes()
        candidates = sorted(pid for pid, is_a in processes.items() if is_a == kind and (kind != "parent" or pid == parent))
        if candidates:
            pid = rng.choice(candidates)
            try:
                if kill.target.startswith("group"):
                    os.killpg(os.getpgid(pid), number)
                else:
                    os.kill(pid, number)
            except ProcessLookupError:
                continue
            return pid
        if parent not in processes:
            return 0
        time.sleep(0.02)
    return 0


def _waited(process: subprocess.Popen[bytes], which: str, kill: Round) -> int | None:
    """The exit code of a run; None if it did not end in time, which is a problem of the round."""
    try:
        return process.wait(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        kill.problems.append(f"the {which} run did not end within {LIMIT_S:g} s")
        process.kill()
        process.wait()
        return None


def play(kill: Round, backends: str, undisturbed: Any, whole_s: float) -> Round:
    """Run, kill, resume, compare; notes in `kill` what happened. The folder of a round with problems is kept."""
    began = time.monotonic()
    run = Run(Path(tempfile.mkdtemp(prefix="backendcheck-kill-")), backends)
    process = run.start("killed")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=kill.share * whole_s)
    kill.moment_s = round(time.monotonic() - began, 2)
    kill.killed = _kill(run, kill, process.pid, random.Random(f"{kill.seed} {kill.number} which"))
    kill.exit_code = _waited(process, "killed", kill)
    _check_end(run, kill)
    before, printed = run.recordings(), run.log("killed")
    if "Traceback (most recent call last)" in printed:
        kill.problems.append("the killed run printed a traceback")
    resumed = run.start("resumed", "--resume", "--retry-errors")
    kill.resumed_exit_code = _waited(resumed, "resumed", kill)
    if kill.resumed_exit_code is not None:
        kill.problems += _compared(run, kill, before, undisturbed)
    kill.seconds = round(time.monotonic() - began, 1)
    if kill.problems:
        kill.problems.append(f"see {run.folder}")
    else:
        shutil.rmtree(run.folder, ignore_errors=True)
    return kill


def _check_end(run: Run, kill: Round) -> None:
    """Note the processes that live longer than they may, and end them."""
    deadline = time.monotonic() + ORPHANS_S
    while (living := run.processes()) and time.monotonic() < deadline:
        time.sleep(0.1)
    kill.orphans = sorted(f"{kind} {pid}" for pid, kind in living.items())
    if kill.orphans:
        kill.problems.append(f"{len(living)} processes live {ORPHANS_S:g} s after their parent: {', '.join(kill.orphans)}")
    for pid in living:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _compared(
    run: Run, kill: Round, before: dict[tuple[str, str], tuple[str, Path, Any]], undisturbed: Any
) -> Iterator[str]:
    """What is not as it should be after the resumed run."""
    if kill.resumed_exit_code != undisturbed["exit_code"]:
        yield f"the resumed run ended with {kill.resumed_exit_code}: {run.log('resumed')[-500:]}"
    if "Traceback (most recent call last)" in run.log("resumed"):
        yield "the resumed run printed a traceback"
    after, again = run.recordings(), run.executed("resumed")
    whole = {key: content for key, content in before.items() if content[2] not in TRIED_AGAIN}
    kill.kept = len(whole)
    for key, (digest, path, _) in whole.items():
        if key not in after or after[key][0] != digest:
            yield f"{path.relative_to(run.folder)} was whole before the resumed run and is not the same after it"
        if again[key]:
            yield f"{' '.join(key)} was run again, though its recording was whole"
    for key, count in (run.executed("killed") + again).items():
        allowed = 1 + (key not in whole)
        if count > allowed:
            yield f"{' '.join(key)} was run {count} times"
    for backend in run.backends:
        try:
            environment = read_environment(run.out / backend)
        except UnreadableInput as error:
            yield str(error)
            continue
        recorded = {case for name, case in after if name == backend}
        files = len([*(run.out / backend / "recordings").rglob("*.safetensors")])
        if not {*environment.cases} == {*environment.digests} == recorded or files != len(recorded):
            yield f"{backend} has {len(environment.cases)} cases, {len(environment.digests)} digests, {files} files"
        if left := [path.name for path in (run.out / backend).rglob(".*") if path.name.endswith(".tmp") or path.name == ".work"]:
            yield f"{backend} has left {', '.join(left)}"
    try:
        yield from list(differences(undisturbed, run.report()))[:5]
    except (OSError, ValueError) as error:
        yield f"report.json: {error}"


def planned(seed: int, number: int) -> Round:
    """Round `number` of a seed. The moments of 20 rounds after each other are spread over the whole run."""
    rng = random.Random(f"{seed} {number}")
    share = (number * 7 % 20 + rng.random()) / 20
    return Round(seed=seed, number=number, target=rng.choice(TARGETS), signal=rng.choice(SIGNALS).name, share=round(share, 4))


def undisturbed_run(backends: str) -> tuple[Any, float]:
    """The report of a run that is not killed, and how long it took."""
    folder = Path(tempfile.mkdtemp(prefix="backendcheck-kill-"))
    try:
        run, began = Run(folder, backends), time.monotonic()
        code = run.start("undisturbed").wait(timeout=LIMIT_S)
        expected = 1 if "," in backends else 3  # one case differs; on one backend alone nothing is compared
        if code != expected:
            sys.exit(f"the undisturbed run ended with {code}; expected {expected}:\n{run.log('undisturbed')}")
        return run.report(), time.monotonic() - began
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run the rounds and print the figures; returns 1 if one of them had a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backends", default="tensorflow,jax,torch")
    parser.add_argument("--results", type=Path, help="append one line of JSON for each round to this file")
    options = parser.parse_args()
    undisturbed, whole_s = undisturbed_run(options.backends)
    print(f"an undisturbed run takes {whole_s:.1f} s", flush=True)
    rounds: list[Round] = []
    for number in range(options.first, options.first + options.rounds):
        kill = play(planned(options.seed, number), options.backends, undisturbed, whole_s)
        rounds.append(kill)
        line = json.dumps(asdict(kill))
        if options.results:
            with options.results.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        where = f"{kill.target} with {kill.signal} after {kill.moment_s:.1f} s"
        print(f"{number}: {where}: kept {kill.kept}, {'; '.join(kill.problems) or 'as it should be'}", flush=True)
    print_table(rounds)
    return 1 if any(kill.problems for kill in rounds) else 0


def print_table(rounds: Sequence[Round]) -> None:
    print("| target | rounds | killed | kept at least one | with problems |\n| --- | --: | --: | --: | --: |")
    for target in (*TARGETS, ""):
        group = [kill for kill in rounds if target in ("", kill.target)]
        killed, kept, wrong = (sum(map(bool, values)) for values in zip(
            *((kill.killed, kill.kept, kill.problems) for kill in group), strict=True)) if group else (0, 0, 0)  # fmt: skip
        print(f"| {target or 'all'} | {len(group)} | {killed} | {kept} | {wrong} |")


if __name__ == "__main__":
    sys.exit(main())
