"""How long does `backendcheck run --watch` take from a save to the verdict, and the same run as a new command?

A project with one small case is watched. Its file is saved `--saves` times, each time when the processes for the next change are
ready. Seconds are those from the save to the end of the run. CPU seconds are those of all processes of the watch meanwhile, so
they include what is made ready for the next change. Linux.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_CASE = """
import keras
from backendcheck import LossCase

def case_small():
    \"\"\"The mean squared error of two numbers.\"\"\"
    return LossCase(loss=keras.losses.MeanSquaredError(), y_true=[[1.0], [2.0]], y_pred=[[1.5], [2.0]])
"""
_COMMAND = [sys.executable, "-P", "-m", "backendcheck", "run", "cases", "--out", "out"]
_TICKS = os.sysconf("SC_CLK_TCK")


def _fields(pid: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _below(pid: int) -> Iterator[list[str]]:
    """The state of a process and of all below it."""
    rows = {int(entry.name): fields for entry in Path("/proc").glob("[0-9]*") if (fields := _fields(entry.name))}
    pending = [pid]
    while pending:
        parent = pending.pop()
        if parent in rows:
            yield rows[parent]
            pending += [child for child, fields in rows.items() if int(fields[1]) == parent]


def _cpu_s(pid: int) -> float:
    """The CPU seconds of a process, of all below it, and of those that have ended."""
    return sum(sum(map(int, fields[11:15])) for fields in _below(pid)) / _TICKS


class _Watch:
    """A watch that runs."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.lines: list[tuple[float, str]] = []
        self.process = subprocess.Popen(
            [*_COMMAND, *arguments, "--watch"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append((time.monotonic(), line))

    def time_of(self, text: str, n: int, limit_s: float = 300.0) -> float:
        """The moment of the line number `n` with a text."""
        deadline = time.monotonic() + limit_s
        while len(times := [moment for moment, line in self.lines if text in line]) < n:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit("".join(line for _, line in self.lines))
            time.sleep(0.01)
        return times[n - 1]

    def wait_until_idle(self, least_s: float = 3.0) -> None:
        """Wait until no process of the watch computes."""
        before, quiet_since = _cpu_s(self.process.pid), time.monotonic()
        while time.monotonic() - quiet_since < least_s:
            time.sleep(0.25)
            now = _cpu_s(self.process.pid)
            if now - before > 0.05 * 0.25 + 1.5 / _TICKS:  # the watch itself looks at files
                quiet_since = time.monotonic()
            before = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", nargs="+", default=["tensorflow", "jax", "torch", "tensorflow,jax,torch"])
    parser.add_argument("--saves", type=int, default=5)
    parser.add_argument("--show", action="store_true", help="Print what the watch has printed.")
    options = parser.parse_args()
    print("| backends | new command, s | CPU s | save to verdict, s | of all | CPU s |\n| --- | --: | --: | --: | --- | --: |")
    for backends in options.backends:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "cases").mkdir()
            file = folder / "cases/a.py"
            file.write_text(_CASE, encoding="utf-8")
            arguments = ["--backends", backends]
            subprocess.run([*_COMMAND, *arguments, "--quiet"], cwd=folder, stdout=subprocess.DEVNULL, check=False)  # fills caches
            file.write_text(f"{_CASE}\n# changed\n", encoding="utf-8")
            began, cpu_before = time.monotonic(), os.times()
            subprocess.run([*_COMMAND, *arguments, "--quiet"], cwd=folder, stdout=subprocess.DEVNULL, check=False)
            cold_s, cpu = time.monotonic() - began, os.times()
            cold_cpu_s = sum(cpu[2:4]) - sum(cpu_before[2:4])
            watch = _Watch(folder, arguments)
            seconds, cpu_s = [], []
            for n in range(1, options.saves + 1):
                watch.time_of("watching ", n)
                watch.wait_until_idle()
                before = _cpu_s(watch.process.pid)
                saved = time.monotonic()
                file.write_text(f"{_CASE}\n# save {n}\n", encoding="utf-8")
                seconds.append(watch.time_of("exit code ", n + 1) - saved)
                watch.time_of("watching ", n + 1)
                watch.wait_until_idle()
                cpu_s.append(_cpu_s(watch.process.pid) - before)
            watch.process.terminate()
            watch.process.wait()
            if options.show:
                print("".join(f"{moment - began:8.2f} {line}" for moment, line in watch.lines))
            of_all = " ".join(f"{s:.2f}" for s in sorted(seconds))
            print(
                f"| {backends} | {cold_s:.1f} | {cold_cpu_s:.1f} | {statistics.median(seconds):.2f} | {of_all} "
                f"| {statistics.median(cpu_s):.1f} |", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
