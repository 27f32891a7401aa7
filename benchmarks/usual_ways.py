"""Compare `backendcheck run` with the usual ways to check the same on every backend. Prints seconds, CPU seconds and ratios.

    python benchmarks/usual_ways.py [--repeat 3]

The checks are those of `by_hand/`: loss and gradient of 14 losses with and without weights, and two models that train.

| way | what it is |
| --- | --- |
| by hand | `KERAS_BACKEND=… pytest by_hand`, one run for each backend; formulas and gradients are in the test file |
| a process for each case | `pytest by_hand/test_losses.py::…`, for each test and backend |
| agreement and reference | `backendcheck run by_hand/losses.py --fresh` with `--oracles agreement,reference`, as the tests do |
| all oracles | `backendcheck run by_hand/losses.py --fresh` |

A process for each case is timed for `--processes` tests of each backend, and multiplied by the number of tests.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from backendcheck.sessions.child_processes import environment_for
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS
from backendcheck.vocabulary.leg_names import LegName

HERE = Path(__file__).parent / "by_hand"
N_TESTS = 30


def seconds(function: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds of a function and of the processes that it waits for."""

    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    wall, used = time.perf_counter(), cpu()
    function()
    return time.perf_counter() - wall, cpu() - used


def by_hand(*tests: str) -> None:
    """One run of pytest for each backend."""
    options = ["-q", "-p", "no:cacheprovider", "-W", "default", "-o", f"pythonpath={HERE}"]
    command = [sys.executable, "-m", "pytest", *options, *(tests or (str(HERE),))]
    for backend in DEFAULT_BACKENDS:
        environment = environment_for(LegName(backend=backend), "cpu", os.cpu_count() or 1)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=HERE)
        if done.returncode:
            sys.exit(f"{backend.value}: the tests by hand fail.\n{done.stdout}{done.stderr}")


def run(*options: str) -> None:
    """`backendcheck run` of the cases."""
    with tempfile.TemporaryDirectory() as out:
        files = [str(HERE / "losses.py"), "--out", f"{out}/report"]
        command = [sys.executable, "-m", "backendcheck", "run", "--fresh", *files, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"backendcheck run: exit {done.returncode}.\n{done.stdout}{done.stderr}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each way, of which the fastest counts")
    parser.add_argument("--processes", type=int, default=3, help="tests that are timed in a process each")
    given = parser.parse_args()
    single = [f"{HERE / 'test_losses.py'}::test_loss[{name}-False]" for name in ("squares", "binary", "hinge")][: given.processes]

    def one_by_one() -> None:
        for test in single:
            by_hand(test)

    ways: dict[str, tuple[Callable[[], None], float]] = {
        "by hand": (by_hand, 1),
        "a process for each case": (one_by_one, N_TESTS / len(single)),
        "agreement and reference": (lambda: run("--oracles", "agreement,reference"), 1),
        "all oracles": (run, 1),
    }
    for way in ("by hand", "all oracles"):
        ways[way][0]()  # warm-up: JAX's compilation cache
    measured = {way: [] for way in ways}
    for _ in range(given.repeat):
        for way, (function, times) in ways.items():
            measured[way].append(tuple(times * value for value in seconds(function)))
    best = {way: (min(wall for wall, _ in values), min(cpu for _, cpu in values)) for way, values in measured.items()}
    print("| way | s | of by hand | CPU s | of by hand |\n| --- | --: | --: | --: | --: |")
    for way, (wall, cpu) in best.items():
        print(f"| {way} | {wall:.1f} | {wall / best['by hand'][0]:.2f} | {cpu:.1f} | {cpu / best['by hand'][1]:.2f} |")


if __name__ == "__main__":
    main()
