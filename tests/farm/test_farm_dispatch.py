"""Chunks go to workers that serve their leg, elsewhere when one fails, and are given up with a reason. Nothing is recorded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from distributed import LocalCluster, get_worker

from backendcheck.farm import dispatch
from backendcheck.farm.bundle import packed
from backendcheck.farm.chunks import Chunk
from backendcheck.farm.cluster import quiet
from backendcheck.farm.task import ChunkFailed
from backendcheck.vocabulary.shards import Shard

FAILS_ON: set[str] = set()  # names of workers


def stand_in(text: str, _bundle: bytes) -> dict[str, Any]:
    """What a worker does here: it says who it is, or fails."""
    worker = get_worker()
    if str(worker.name) in FAILS_ON:
        failed = ChunkFailed(f"no space on {worker.name}")
        failed.worker = worker.address
        raise failed
    return {"host": str(worker.name), "worker": worker.address, "is_whole": True, "message": "", "text": text}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCluster]:
    monkeypatch.setattr(dispatch, "record_chunk", stand_in)
    monkeypatch.setattr(dispatch, "_LOOK_AT_WORKERS_EVERY_S", 0.2)
    FAILS_ON.clear()
    quiet()
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0", resources={"jax": 1}, memory_limit=0, silence_logs=False,
    ) as cluster:  # fmt: skip
        yield cluster


def chunks(leg: str, n: int) -> list[Chunk]:
    return [
        Chunk(leg=leg, backend=leg, shard=Shard(number=number, of=n), key=f"{leg}{number}", job=f"{leg}{number}")
        for number in range(1, n + 1)
    ]


class Client:
    """What takes the pieces. Those from `refused` do not fit."""

    def __init__(self, cluster: LocalCluster, wait_s: float = 1.0) -> None:
        self.cluster, self.wait_s = cluster, wait_s
        self.came: list[tuple[str, str]] = []
        self.told: list[str] = []
        self.refused = ""

    def take(self, chunk: Chunk, piece: Any) -> list[str]:
        if piece["host"] == self.refused:
            return ["keras 3.14.0 there and 3.15.1 in other chunks of jax"]
        assert piece["text"] == chunk.job
        self.came.append((chunk.key, piece["host"]))
        return []

    def record(self, asked: list[Chunk]) -> dict[str, str]:
        farm = dispatch.Dispatch(self.cluster, packed({}), self.wait_s, self.take, lambda _: None, self.told.append)
        return farm.record(asked)


def test_every_chunk_comes_once(cluster: LocalCluster) -> None:
    client, asked = Client(cluster), chunks("jax", 12)
    assert client.record(asked) == {}
    assert sorted(key for key, _ in client.came) == sorted(chunk.key for chunk in asked)


def test_a_leg_without_a_worker_is_given_up_and_the_others_come(cluster: LocalCluster) -> None:
    client = Client(cluster)
    lost = client.record([*chunks("torch", 2), *chunks("jax", 2)])
    assert lost == dict.fromkeys(["torch1", "torch2"], "no worker serves torch since 1 s.")
    assert sorted(key for key, _ in client.came) == ["jax1", "jax2"]


def test_a_chunk_that_fails_goes_to_another_worker(cluster: LocalCluster) -> None:
    FAILS_ON.add("0")
    client = Client(cluster)
    assert client.record(chunks("jax", 6)) == {}
    assert {host for _, host in client.came} == {"1"}
    assert any("no space on 0; it is given to another worker" in line for line in client.told)


def test_a_chunk_that_fails_everywhere_is_given_up_with_the_reason(cluster: LocalCluster) -> None:
    FAILS_ON.update("01")
    lost = Client(cluster).record(chunks("jax", 1))
    assert list(lost) == ["jax1"]
    assert "no space on" in lost["jax1"]


def test_a_worker_whose_piece_does_not_fit_gets_no_more_of_the_leg(cluster: LocalCluster) -> None:
    client = Client(cluster)
    client.refused = "0"
    assert client.record(chunks("jax", 8)) == {}
    assert sorted(key for key, _ in client.came) == sorted(f"jax{n}" for n in range(1, 9))
    assert {host for _, host in client.came} == {"1"}
    (told,) = [line for line in client.told if "records no more of jax" in line]
    assert "keras 3.14.0 there and 3.15.1 in other chunks of jax" in told


def test_where_no_worker_fits_the_leg_is_given_up_and_the_refusal_is_named(cluster: LocalCluster) -> None:
    client = Client(cluster)
    client.take = lambda _, piece: ["keras 3.14.0 there"]  # type: ignore[method-assign]
    assert "keras 3.14.0 there" in client.record(chunks("jax", 1))["jax1"]


def test_a_worker_that_comes_later_serves_what_waits(cluster: LocalCluster) -> None:
    client = Client(cluster, wait_s=30.0)
    cluster.scale(0)
    thread = threading.Timer(1.0, cluster.scale, [1])
    thread.start()
    assert client.record(chunks("jax", 2)) == {}
    thread.join()
