"""When a worker lets memory go, and when it is full."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from backendcheck.record import memory
from backendcheck.record.memory import WorkerMemory

MB = 1 << 20


class Process:
    """A process whose memory the test sets: what can be let go, and what stays."""

    def __init__(self, stays: int) -> None:
        self.stays, self.programs, self.n_let_go = stays, 0, 0

    def resident(self) -> int:
        return (self.stays + self.programs) * MB

    def let_go(self) -> None:
        self.programs, self.n_let_go = 0, self.n_let_go + 1


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    process = Process(400)
    monkeypatch.setattr(memory, "resident_bytes", process.resident)
    monkeypatch.setattr(memory, "let_go", process.let_go)
    for name in memory._LIBRARIES:  # what other tests have imported
        monkeypatch.delitem(sys.modules, name, raising=False)
    return process


def begun(bound: int) -> WorkerMemory:
    of_worker = WorkerMemory(bound * MB)
    assert not of_worker.is_full()  # before its first case
    of_worker.begin()
    return of_worker


def test_programs_are_let_go_above_the_bound_and_the_worker_goes_on(process: Process) -> None:
    of_worker = begun(1200)
    process.programs = 800
    assert not of_worker.is_full()
    assert process.n_let_go == 0
    process.programs = 801
    assert not of_worker.is_full()
    assert (process.n_let_go, process.programs) == (1, 0)


def test_a_worker_is_full_where_that_frees_less_than_half_of_the_room(process: Process) -> None:
    of_worker = begun(1200)
    process.stays, process.programs = 800, 401
    assert not of_worker.is_full()
    process.stays, process.programs = 801, 400
    assert of_worker.is_full()


def test_what_a_worker_needs_before_its_first_case_never_makes_it_full(process: Process) -> None:
    process.stays = 3000  # such as a fixture of a module
    of_worker = begun(1200)
    process.programs = 256
    assert not of_worker.is_full()
    assert process.n_let_go == 0
    process.stays += 130
    assert of_worker.is_full()


def test_a_library_that_a_case_imports_does_not_make_it_full(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    of_worker = begun(1200)
    process.stays += 40
    assert not of_worker.is_full()
    monkeypatch.setitem(sys.modules, "tensorflow", ModuleType("tensorflow"))
    process.stays += 460
    assert not of_worker.is_full()
    process.programs = 301
    assert not of_worker.is_full()  # 900 stay of 1200, of which the library needs 460 and the start 400
    process.stays, process.programs = 1040, 300
    assert of_worker.is_full()


def test_without_a_bound_nothing_is_let_go(process: Process) -> None:
    of_worker = begun(0)
    process.programs = 100_000
    assert not of_worker.is_full()
    assert process.n_let_go == 0


def test_the_memory_of_this_process_is_known() -> None:
    assert 10 * MB < memory.resident_bytes() < 100_000 * MB
