"""The pytest plugin of a recording session: collects cases, runs them in warm workers, notes what became of each.

It is loaded in the controller and in every worker of pytest-xdist. `Worker` runs cases and writes recordings; `Controller`
watches the workers and writes the recording of a case whose worker died. No keras is imported before a worker runs.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from backendcheck.case_files import case_names
from backendcheck.errors import UsageError
from backendcheck.node_id import case_id
from backendcheck.record.session_file import SessionFile

MARK = "backendcheck"
_SEEDS = 2**32  # how many NumPy's and Keras's generators take


def seed_of(item: pytest.Item) -> int:
    """The seed of a case: by ``@pytest.mark.backendcheck(seed=3)``, otherwise from its id.

    Raises:
        UsageError: if the mark says anything else.
    """
    mark = item.get_closest_marker(MARK)
    if mark is not None:
        seed = mark.kwargs.get("seed")
        if mark.args or set(mark.kwargs) != {"seed"} or not isinstance(seed, int) or not 0 <= seed < _SEEDS:
            said = ", ".join([*map(repr, mark.args), *(f"{name}={value!r}" for name, value in mark.kwargs.items())])
            message = f"@pytest.mark.{MARK}({said}): expected (seed=N), N a whole number from 0 to {_SEEDS - 1}."
            raise UsageError(message)
        return seed
    return int.from_bytes(hashlib.sha256(case_id(item.nodeid).encode("utf-8", "surrogatepass")).digest()[:4], "little")


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """The case's own random generator: the same numbers on every backend and every time."""
    return np.random.default_rng(seed_of(request.node))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}(seed): the seed of the case's rng fixture and of its initial weights")
    session = SessionFile.load(Path(os.environ[SessionFile.VARIABLE]))
    if hasattr(config, "workerinput"):
        from backendcheck.record.worker import Worker

        config.pluginmanager.register(Worker(session, config.workerinput["workerid"]), "backendcheck-worker")
    else:
        from backendcheck.record.controller import Controller

        config.pluginmanager.register(Controller(session, config), "backendcheck-controller")


class CaseModule(pytest.Module):
    """A Python file in which the functions named ``case_*`` are the items, and nothing else is."""

    def funcnamefilter(self, name: str) -> bool:
        # By the source: a case that is imported from another file, to build upon, is a case of that file only.
        return name in self._names()

    def _names(self) -> frozenset[str]:
        if self._case_names is None:
            self._case_names = case_names(self.path)
        return self._case_names

    _case_names: frozenset[str] | None = None

    def classnamefilter(self, name: str) -> bool:  # noqa: ARG002
        return False

    def istestclass(self, obj: object, name: str) -> bool:  # noqa: ARG002
        return False
