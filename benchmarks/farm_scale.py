"""How well does a farm use its workers, and how much memory does its scheduler need, with many cases and many workers?

The dispatch, the scheduler and the network are real; the workers are threads of one process, and a chunk sleeps for the time of
its cases divided by `--faster`. So what it costs to give out chunks counts `--faster` times as much as in use. Needs the extra
`farm`, and no backend. Linux.

    python benchmarks/farm_scale.py [--case-legs 100000,1000000] [--workers 2,4,8,16,32,64] [--faster 100]

"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backendcheck.farm import dispatch
from backendcheck.farm.bundle import packed
from backendcheck.farm.chunks import CHUNK_S, Chunk
from backendcheck.farm.cluster import quiet
from backendcheck.vocabulary.shards import Shard

LEGS = ("tensorflow", "jax", "torch", "numpy", "openvino")
CASE_S = 0.3  # as the built-in cases take
START_S = 5.0  # of a backend, for each chunk
PIECE_BYTES = 2000  # of a case, divided by --faster as the time is


def sleeping_chunk(text: str, _bundle: bytes) -> dict[str, Any]:
    """A worker that records nothing, and takes its time."""
    seconds, size = map(float, text.split())
    time.sleep(seconds)
    return {"content": bytes(int(size)), "is_whole": True, "worker": "", "host": "", "message": ""}


@contextlib.contextmanager
def scheduler() -> Iterator[tuple[str, int]]:
    """A scheduler in a process of its own: its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen([*line, "--dashboard-address", "127.0.0.1:0"], stderr=subprocess.DEVNULL)
    try:
        yield f"tcp://127.0.0.1:{port}", process.pid
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def workers(address: str, n: int) -> Iterator[None]:
    """Workers in a thread of this process. Each serves all legs."""
    from distributed import Worker

    ready, end, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        options: dict[str, Any] = {"nthreads": 1, "resources": dict.fromkeys(LEGS, 1), "host": "127.0.0.1", "memory_limit": 0}
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(n):
                await stack.enter_async_context(Worker(address, dashboard_address="127.0.0.1:0", **options))
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(timeout=60)


def chunks(n_case_legs: int, faster: float) -> list[Chunk]:
    """Chunks as `divided` makes them: cases of very different durations, in chunks of about the same time."""
    n_chunks = max(1, round(n_case_legs * CASE_S / CHUNK_S))
    seconds = np.random.default_rng(0).normal(CHUNK_S, 0.05 * CHUNK_S, n_chunks) + START_S
    size = n_case_legs / n_chunks * PIECE_BYTES / faster
    made = []
    for number, duration in enumerate(seconds):
        leg = LEGS[number % len(LEGS)]
        key = hashlib.sha256(str(number).encode()).hexdigest()[:32]
        job = f"{duration / faster} {size}"
        made.append(Chunk(leg=leg, backend=leg, shard=Shard(number=number % 9999 + 1, of=9999), key=key, job=job))
    return made


def memory_mb(pid: int) -> float:
    """The most that a process has had in memory."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def measure(n_case_legs: int, n_workers: int, faster: float) -> Sequence[object]:
    """One row of the table."""
    asked = chunks(n_case_legs, faster)
    came: list[str] = []
    dispatch.record_chunk = sleeping_chunk
    with scheduler() as (address, pid), workers(address, n_workers):
        before = memory_mb(pid)
        began = time.monotonic()
        farm = dispatch.Dispatch(
            address, packed({}), 60.0, lambda chunk, _: came.append(chunk.key) or [], lambda _: None, print
        )
        lost = farm.record(asked)
        took_s = time.monotonic() - began
        memory = memory_mb(pid)
    assert not lost
    assert sorted(came) == sorted(chunk.key for chunk in asked), "a chunk is lost or came twice"
    work_s = sum(float(chunk.job.split()[0]) for chunk in asked)
    cases_s = work_s * CHUNK_S / (CHUNK_S + START_S)
    return n_case_legs, len(asked), n_workers, work_s / n_workers / took_s, cases_s / n_workers / took_s, took_s, before, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case-legs", default="100000,1000000")
    parser.add_argument("--workers", default="2,4,8,16,32,64")
    parser.add_argument("--faster", type=float, default=100.0)
    options = parser.parse_args()
    quiet()
    print("| case-legs | chunks | workers | busy | with cases | s | MB of the scheduler before | MB at most |")
    print("| --: | --: | --: | --: | --: | --: | --: | --: |")
    for n_case_legs in map(int, options.case_legs.split(",")):
        for n_workers in map(int, options.workers.split(",")):
            row = measure(n_case_legs, n_workers, options.faster)
            print("| {} | {} | {} | {:.1%} | {:.1%} | {:.1f} | {:.0f} | {:.0f} |".format(*row), flush=True)


if __name__ == "__main__":
    main()
