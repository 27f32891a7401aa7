"""Show the memory and the time of recording over many small cases, for each backend.

    python benchmarks/memory.py [--cases 300] [--backends jax] [--worker-memory 1500M] [--timeout S]

Half of the cases are losses, half are models that are trained. Half of each have shapes of their own, and half share one shape.
`backendcheck run` records them with one worker, and this script watches its processes. It prints at every tenth of the way the
resident memory of the worker (now, and the most so far), that of the controller and of the command, and the seconds per case of
that tenth. At the end it prints how many workers were replaced, and the share of the time from the end of a worker to the first
case of the next one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

CASES = '''"""Many small cases."""

import keras
import numpy as np
import pytest

from backendcheck import LossCase, ModelCase

LOSSES = (
    "mean_squared_error", "categorical_crossentropy", "binary_crossentropy", "huber", "kl_divergence", "poisson",
    "categorical_hinge", "log_cosh", "squared_hinge", "cosine_similarity",
)


def shape(i):
    """Examples and classes: of odd cases each its own, of even cases always the same."""
    return (4 + i % 29, 2 + i // 29 % 23) if i % 2 else (8, 4)


@pytest.mark.parametrize("kind", ["loss", "model"])
@pytest.mark.parametrize("i", range({first}, {last}))
def case_of(kind, i, rng):
    """The backends agree on it."""
    n, classes = shape(i)
    labels = rng.integers(0, classes, n)
    if kind == "loss":
        predictions = rng.uniform(0.1, 1, (n, classes))
        return LossCase(LOSSES[i % 10], np.eye(classes)[labels], predictions / predictions.sum(1, keepdims=True))
    units, activation = (3 + i % 17, ("relu", "tanh", "elu", "gelu")[i % 4]) if i % 2 else (8, "relu")
    layers = [keras.layers.Dense(units, activation=activation), keras.layers.Dense(classes, activation="softmax")]
    model = keras.Sequential([keras.Input((5,)), *layers])
    return ModelCase(model, "sparse_categorical_crossentropy", rng.normal(size=(n, 5)), labels, metrics=["accuracy"])
'''
CASES_PER_FILE = 50
LOOK_EVERY_S = 0.25


@dataclass
class Watch:
    """What was seen of the processes of one run."""

    most: dict[str, int] = field(default_factory=lambda: {"worker": 0, "controller": 0, "command": 0})
    now: dict[str, int] = field(default_factory=dict)
    cpu_of_worker: dict[int, float] = field(default_factory=dict)
    n_workers: int = 0
    idle_s: float = 0.0
    gone_at: float | None = None

    def look(self, command: int, running: bool) -> None:
        """Read the memory and the processor time of all processes below the command."""
        self.now = {"worker": 0, "controller": 0, "command": resident(command)}
        workers = set()
        for controller in children(command):
            self.now["controller"] += resident(controller)
            for worker in children(controller):
                workers.add(worker)
                self.now["worker"] = max(self.now["worker"], resident(worker))
                self.cpu_of_worker[worker] = max(self.cpu_of_worker.get(worker, 0.0), cpu(worker))
        self.most = {name: max(self.most[name], n_bytes) for name, n_bytes in self.now.items()}
        if running and self.gone_at is not None:
            self.idle_s += time.monotonic() - self.gone_at
            self.gone_at = None
        self.n_workers = max(self.n_workers, len(self.cpu_of_worker))

    @property
    def cpu_s(self) -> float:
        return sum(self.cpu_of_worker.values())


def children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def n_recordings(leg: Path) -> int:
    return sum(name.endswith(".safetensors") for _, _, names in os.walk(leg) for name in names)


def measure(backend: str, n_cases: int, options: list[str], timeout_s: float) -> None:
    folder = Path(tempfile.mkdtemp(prefix="backendcheck-memory-"))
    try:
        (folder / "cases").mkdir()
        for number, first in enumerate(range(0, n_cases // 2, CASES_PER_FILE // 2)):
            last = min(first + CASES_PER_FILE // 2, n_cases // 2)
            text = CASES.replace("{first}", str(first)).replace("{last}", str(last))
            (folder / "cases" / f"part_{number:04}.py").write_text(text)
        follow(backend, n_cases // 2 * 2, folder, options, timeout_s)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def follow(backend: str, n_cases: int, folder: Path, options: list[str], timeout_s: float) -> None:
    leg = folder / "out" / backend
    command = [
        sys.executable, "-m", "backendcheck", "run", str(folder / "cases"), "--backends", backend, "--out", str(folder / "out"),
    ]  # fmt: skip
    errors = folder / "errors"
    with errors.open("w") as file:
        process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=file)
    try:
        if not watch_run(process, backend, n_cases, leg, timeout_s):
            sys.exit(f"backendcheck run ended before its first case:\n{errors.read_text()}")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def watch_run(process: subprocess.Popen, backend: str, n_cases: int, leg: Path, timeout_s: float) -> bool:
    """Print a line at every tenth of the way. Returns whether a case was begun."""
    work = leg / ".work"
    print(f"\n{backend}: {n_cases} cases\n{'cases':>6} {'now MB':>8} {'most MB':>8} {'controller':>10} {'command':>8}"
          f" {'CPU s/case':>10} {'s/case':>7} {'replaced':>8}", flush=True)  # fmt: skip
    watch, began = Watch(), time.monotonic()
    n_before, cpu_before, s_before, n_retired = 0, None, 0.0, 0
    while process.poll() is None and time.monotonic() - began < timeout_s:
        time.sleep(LOOK_EVERY_S)
        running, retired = any(work.glob("*.running")), len([*work.glob("*.retired")])
        if retired > n_retired:
            n_retired, watch.gone_at = retired, time.monotonic()
        watch.look(process.pid, running)
        if cpu_before is None and running:
            cpu_before, s_before = watch.cpu_s, time.monotonic()
            start_s = s_before - began
        n_done = n_recordings(leg)
        if cpu_before is not None and n_done * 10 // n_cases > n_before * 10 // n_cases:
            cpu_s, s, n_new = watch.cpu_s - cpu_before, time.monotonic() - s_before, n_done - n_before
            sizes = [watch.now["worker"], watch.most["worker"], watch.most["controller"], watch.most["command"]]
            now, most, controller, of_command = (n_bytes / 1e6 for n_bytes in sizes)
            print(f"{n_done:>6} {now:>8.0f} {most:>8.0f} {controller:>10.0f} {of_command:>8.0f}"
                  f" {cpu_s / n_new:>10.2f} {s / n_new:>7.2f} {n_retired:>8}", flush=True)  # fmt: skip
            n_before, cpu_before, s_before = n_done, watch.cpu_s, time.monotonic()
    if cpu_before is None:
        return False
    if process.poll() is None:
        print(f"stopped after {timeout_s:g} s, with {n_before} of {n_cases} cases")
    recording_s = time.monotonic() - began - start_s
    share = 100 * watch.idle_s / recording_s
    print(f"{n_retired} workers replaced, {watch.idle_s:.0f} s of {recording_s:.0f} s ({share:.1f} %); the command needed"
          f" {watch.most['command'] / 1e6:.0f} MB at most, its report included", flush=True)  # fmt: skip
    return True


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the run ends with this process
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--backends", default="tensorflow,jax,torch")
    parser.add_argument("--timeout", type=float, default=86400.0, help="stop each backend after this many seconds")
    parsed, others = parser.parse_known_args()
    for name in parsed.backends.split(","):
        measure(name, parsed.cases, others, parsed.timeout)
