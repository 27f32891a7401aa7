"""Is a case lost or doubled where machines of a farm fail at random moments, and is the report that of an undisturbed run?

Three hosts are network namespaces of this machine, each with a worker of its own; where there is no right to make them, they are
processes that share the loopback, and the first line says so. While a run records there, one to three disturbances happen: a
worker, its nanny or the scheduler is killed, a host is cut off for some seconds, a recording is stopped with SIGSTOP. Needs Linux
and the extra `farm`.

    python benchmarks/farm_chaos.py [--rounds 50] [--seed 0] [--results chaos.jsonl]

Two limits are shorter than in use, so that a round takes seconds: the scheduler gives a silent worker up after 8 s (5 minutes),
and a worker ends a silent recording after 20 s (with the defaults 8 minutes).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

N_HOSTS = 3
N_CASES = 12
BRIDGE, NETWORK, PORT = "bcfarm", "10.213.7", 8786
TIMES_AND_HOSTS = {"created", "started", "duration_s", "seconds", "run", "pieces"}
CASES = """
import time

import numpy as np
import pytest


@pytest.mark.parametrize("k", range({n}))
def case_value(rng, k):
    "A value is the same everywhere."
    time.sleep(0.4)
    return {{"v": rng.random(3) + k}}
"""
SHORTER = "from backendcheck.farm import task\ntask._MARGIN_S = -110.0\n"  # with --timeout 10: 20 s
BACKENDCHECK = [sys.executable, "-m", "backendcheck"]


class Farm:
    """A scheduler and one worker on each host, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cut: set[int] = set()
        self.in_namespaces = self._make_hosts()
        self.address = f"tcp://{NETWORK}.1:{PORT}" if self.in_namespaces else f"tcp://127.0.0.1:{PORT}"
        (folder / "shorter.py").write_text(SHORTER, encoding="utf-8")
        self.scheduler = self.start_scheduler()
        self.workers = [self.start_worker(host) for host in range(N_HOSTS)]

    def _make_hosts(self) -> bool:
        self.remove_hosts()
        if not _ip("link", "add", BRIDGE, "type", "bridge"):
            return False
        done = [_ip("addr", "add", f"{NETWORK}.1/24", "dev", BRIDGE), _ip("link", "set", BRIDGE, "up")]
        for host in range(N_HOSTS):
            name = f"{BRIDGE}{host}"
            done += [
                _ip("netns", "add", name), _ip("link", "add", f"{name}o", "type", "veth", "peer", "name", "eth0", "netns", name),
                _ip("link", "set", f"{name}o", "master", BRIDGE, "up"),
                _ip("-n", name, "addr", "add", f"{NETWORK}.{host + 11}/24", "dev", "eth0"),
                _ip("-n", name, "link", "set", "eth0", "up"), _ip("-n", name, "link", "set", "lo", "up"),
            ]  # fmt: skip
        return all(done)

    def remove_hosts(self) -> None:
        for host in range(N_HOSTS):
            _ip("link", "del", f"{BRIDGE}{host}o")
            _ip("netns", "del", f"{BRIDGE}{host}")
        _ip("link", "del", BRIDGE)

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        host = self.address.removeprefix("tcp://").partition(":")[0]
        line = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", host, "--port", str(PORT)]
        return self._started([*line, "--dashboard-address", "127.0.0.1:0"], DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL="8s")

    def start_worker(self, host: int) -> subprocess.Popen[bytes]:
        inside = ["ip", "netns", "exec", f"{BRIDGE}{host}"] if self.in_namespaces else []
        listens = f"{NETWORK}.{host + 11}" if self.in_namespaces else "127.0.0.1"
        line = [*inside, *BACKENDCHECK, "farm", "worker", self.address, "--legs", "numpy", "--host", listens]
        return self._started(line, DASK_DISTRIBUTED__WORKER__PRELOAD=str(self.folder / "shorter.py"))

    def _started(self, line: Sequence[str], **variables: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        return subprocess.Popen(line, env={**os.environ, **variables}, stdout=log, stderr=log, start_new_session=True)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            for pid in (*_below(process.pid), process.pid):
                _kill(pid)
            process.wait()
        self.remove_hosts()

    # --- disturbances -------------------------------------------------------------------------------------------

    def kill_worker(self, host: int) -> None:
        """The process of the worker; its nanny starts another."""
        for pid in _below(self.workers[host].pid):
            if b"spawn_main" in _line(pid):
                _kill(pid)

    def kill_nanny(self, host: int) -> None:
        """The process that was started on the host; it is started again after a second."""
        _kill(self.workers[host].pid)
        self.workers[host].wait()
        time.sleep(1)
        self.workers[host] = self.start_worker(host)

    def kill_scheduler(self, _host: int) -> None:
        """It is started again after a second, and knows nothing any more."""
        _kill(self.scheduler.pid)
        self.scheduler.wait()
        time.sleep(1)
        self.scheduler = self.start_scheduler()

    def cut_off(self, host: int) -> None:
        """For so long that the scheduler gives the host up in half of the cases. Without namespaces the worker is stopped."""
        seconds = random.uniform(2, 14)
        if self.in_namespaces:
            _ip("link", "set", f"{BRIDGE}{host}o", "down")
            time.sleep(seconds)
            _ip("link", "set", f"{BRIDGE}{host}o", "up")
            return
        pids = [self.workers[host].pid, *_below(self.workers[host].pid)]
        for signal_number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in pids:
                _kill(pid, signal_number)
            time.sleep(seconds if signal_number == signal.SIGSTOP else 0)

    def hang(self, host: int) -> None:
        """The controller of a recording on the host, if there is one now, stands still for ever."""
        for pid in _below(self.workers[host].pid):
            if b"--request" in _line(pid):
                _kill(pid, signal.SIGSTOP)


def _ip(*arguments: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(["ip", *arguments], capture_output=True, check=False).returncode == 0
    return False


def _below(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        threads = [*Path(f"/proc/{pid}/task").iterdir()]
        children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
        return [*children, *(below for child in children for below in _below(child))]
    return []


def _line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _comparable(content) for name, content in value.items() if name not in TIMES_AND_HOSTS}
    return [_comparable(content) for content in value] if isinstance(value, list) else value


def _start(folder: Path, address: str) -> subprocess.Popen[str]:
    line = [*BACKENDCHECK, "run", "cases", "--legs", "numpy", "--out", "out", "--overwrite", "--timeout", "10", "--quiet"]
    farm = ["--farm", address, "--farm-chunk", "0.1", "--farm-wait", "60", "--durations", "durations.json"]
    return subprocess.Popen([*line, *farm], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _report(folder: Path) -> Any:
    return _comparable(json.loads((folder / "out" / "report.json").read_text(encoding="utf-8")))


def _problem(folder: Path, expected: Any, exit_code: int, words: str) -> str:
    """What is wrong after a round; empty if nothing is."""
    leg = folder / "out" / "numpy" / "environment.json"
    if not leg.exists():
        return f"no leg, exit code {exit_code}: {words[-400:]}"
    environment = json.loads(leg.read_text(encoding="utf-8"))
    recorded = Counter(case for piece in [environment["digests"]] for case in piece)
    n_of_pieces = sum(piece["n_recordings"] for piece in environment["pieces"])
    if environment["exit_state"] != "complete" or len(recorded) != N_CASES or n_of_pieces != N_CASES:
        return f"{len(recorded)} cases in the leg, {n_of_pieces} in its pieces, exit code {exit_code}: {words[-400:]}"
    return "" if _report(folder) == expected else "the report differs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    random.seed(options.seed)
    wrong = n_disturbances = 0
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "cases").mkdir()
        (folder / "cases" / "few.py").write_text(CASES.format(n=N_CASES), encoding="utf-8")
        seconds = {f"few/value[{k}]": 0.025 for k in range(N_CASES)}  # three chunks
        (folder / "durations.json").write_text(json.dumps(seconds), encoding="utf-8")
        farm = Farm(folder)
        stack.callback(farm.close)
        print(f"{N_HOSTS} hosts as {'network namespaces' if farm.in_namespaces else 'processes on the loopback'}", flush=True)
        began = time.monotonic()
        run = _start(folder, farm.address)
        words = run.communicate(timeout=300)[0]
        usual_s, expected = time.monotonic() - began, _report(folder)
        assert len(expected["results"]) == N_CASES, words
        for number in range(options.rounds):
            began, done = time.monotonic(), []
            run = _start(folder, farm.address)
            for _ in range(random.randint(1, 3)):
                time.sleep(random.uniform(0, usual_s / 2))
                what = random.choice([farm.kill_worker, farm.kill_nanny, farm.kill_scheduler, farm.cut_off, farm.hang])
                host = random.randrange(N_HOSTS)
                was_running = run.poll() is None
                what(host)
                done.append({"what": what.__name__, "host": host, "while_running": was_running})
            words = run.communicate(timeout=400)[0]
            problem = _problem(folder, expected, run.returncode, words)
            wrong += bool(problem)
            n_disturbances += sum(entry["while_running"] for entry in done)
            row = {"round": number, "seconds": round(time.monotonic() - began, 1), "did": done, "problem": problem}
            print(json.dumps(row), flush=True)
            if options.results:
                with options.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    print(f"{options.rounds} rounds, {n_disturbances} disturbances of a run, {wrong} wrong; undisturbed {usual_s:.1f} s")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
