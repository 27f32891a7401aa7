"""What a cluster does at this moment: who serves which legs, and how many chunks of each leg are where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backendcheck.farm.cluster import connected, workers_of

PREFIX = "record_"
"""How the keys of chunks begin; the name of the leg follows."""


def status_lines(address: str) -> Iterator[str]:
    """Lines for people: one for each worker, then one for each leg.

    Raises:
        UsageError: if no scheduler answers.
    """
    with connected(address) as client:
        workers = workers_of(client)
        processing: dict[str, Any] = client.processing()
        states: dict[str, dict[str, int]] = client.sync(client.scheduler.get_task_prefix_states)
    for worker in sorted(workers, key=lambda worker: (worker.host, worker.address)):
        n = sum(str(key).startswith(PREFIX) for key in processing.get(worker.address, ()))
        running, queued = min(n, worker.slots), max(0, n - worker.slots)
        legs = ", ".join(sorted(worker.legs)) or "no leg"
        yield f"{worker.address} on {worker.host}: {legs}; {worker.slots} at a time, {running} running, {queued} queued"
    if not workers:
        yield "no worker. Start one: backendcheck farm worker ADDRESS"
    for name, counts in sorted(states.items()):
        if name.startswith(PREFIX):
            leg = name.removeprefix(PREFIX).replace("~", "/")
            assigned, waiting = counts["processing"], counts["waiting"]
            yield f"{leg}: {assigned} with a worker, {waiting} waiting, {counts['memory']} done and not fetched yet"
