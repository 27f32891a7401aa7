"""The legs of an exploration on a farm: answers in order, nothing lost with a worker. No backend is started."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster, get_worker

from backendcheck.errors import UsageError
from backendcheck.explore import farm_legs
from backendcheck.explore.farm_legs import FarmLegs, FarmLost
from backendcheck.explore.legs import BATCH
from backendcheck.farm.cluster import quiet
from backendcheck.farm.recording import Farm
from backendcheck.farm.task import ChunkFailed
from backendcheck.recordings.files import as_bytes
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.states import Status

FAILS_ON: set[str] = set()  # names of workers
VERSION: dict[str, str] = {}  # of Keras, by the name of the worker
TURNS: list[Callable[[str], object]] = []  # what becomes of the worker that gets the next batch


def stand_in(text: str, _bundle: bytes) -> dict[str, Any]:
    """What a worker does here: it records nothing, or fails."""
    batch, worker = json.loads(text), get_worker()
    while TURNS:
        TURNS.pop()(str(worker.name))
    if str(worker.name) in FAILS_ON:
        failed = ChunkFailed(f"no space on {worker.name}")
        failed.worker = worker.address
        raise failed
    recordings = [
        Recording(case=request["case"], backend=batch["leg"], run="explore", status=Status.RECORDED)
        for request in batch["requests"]
    ]
    content = json.dumps({
        "answers": [base64.b64encode(as_bytes(recording)).decode("ascii") for recording in recordings], "n_restarts": 1,
        "environment": {"versions": {"keras": VERSION.get(str(worker.name), "3.15.1")}, "device": "cpu", "settings": {}},
    }).encode()  # fmt: skip
    digest = hashlib.sha256(content).hexdigest()
    return {
        "content": content, "sha256": digest, "is_whole": True, "message": "", "worker": worker.address, "host": str(worker.name),
    }  # fmt: skip


@pytest.fixture
def on_farm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., FarmLegs]]:
    """Makes legs on two workers, which serve jax and torch."""
    monkeypatch.setattr(farm_legs, "answer_batch", stand_in)
    FAILS_ON.clear()
    VERSION.clear()
    TURNS.clear()
    quiet()
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", protocol="tcp", host="127.0.0.1",
        worker_dashboard_address="127.0.0.1:0", resources={"jax": 1, "torch": 1}, memory_limit=0, silence_logs=False,
    ) as cluster:  # fmt: skip

        def legs(*names: str, tell: Callable[[str], None] = print) -> FarmLegs:
            farm = Farm(address=cluster.scheduler_address, wait_s=1.0)
            return FarmLegs(names, "cpu", farm, [], tmp_path, tell)

        yield legs


def requests(n: int) -> list[dict[str, Any]]:
    return [{"do": "observe", "case": f"explored/{number}"} for number in range(n)]


def cases(legs: FarmLegs, asked: list[dict[str, Any]]) -> list[str]:
    answers = legs.observe(asked)
    assert all(set(answer) == set(legs.names) for answer in answers)
    return [answer["jax"].case for answer in answers]


def test_answers_come_in_the_order_of_the_requests(on_farm: Callable[..., FarmLegs]) -> None:
    asked = requests(2 * BATCH + 5)
    with on_farm("jax", "torch") as legs:
        assert cases(legs, asked) == [request["case"] for request in asked]
        assert cases(legs, asked[:1]) == ["explored/0"]
        assert legs.environments["torch"]["versions"] == {"keras": "3.15.1"}
        assert legs.n_restarts == 2 * 6  # of each leg in each task: 24 situations for each of two workers, and what is left


def test_what_a_worker_cannot_do_another_does(on_farm: Callable[..., FarmLegs]) -> None:
    told: list[str] = []
    with on_farm("jax", tell=told.append) as legs:
        TURNS.append(FAILS_ON.add)
        asked = requests(4 * BATCH)
        assert cases(legs, asked) == [request["case"] for request in asked]
    assert any("a batch of jax: no space on " in line and "; it is given to another worker" in line for line in told)


def test_a_worker_with_other_versions_is_refused_by_name(on_farm: Callable[..., FarmLegs]) -> None:
    told: list[str] = []
    with on_farm("jax", tell=told.append) as legs:
        TURNS.append(lambda name: VERSION.update({name: "3.14.0"}))
        asked = requests(4 * BATCH)
        assert cases(legs, asked) == [request["case"] for request in asked]
    assert any("keras 3.14.0 there and 3.15.1 in other batches of jax" in line for line in told), told


def test_a_leg_that_nobody_serves_is_refused_at_the_start(on_farm: Callable[..., FarmLegs]) -> None:
    with pytest.raises(UsageError, match="no worker serves tensorflow since 1 s"), on_farm("jax", "tensorflow"):
        pass


def test_a_batch_that_fails_everywhere_ends_the_search(on_farm: Callable[..., FarmLegs]) -> None:
    with on_farm("jax") as legs:
        FAILS_ON.update("01")
        with pytest.raises(FarmLost, match=r"cannot go on: no space on .* go on with --resume"):
            legs.observe(requests(1))
