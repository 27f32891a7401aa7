"""What every case may ask pytest for, whichever session it runs in: its random generator, and the mark that seeds it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from backendcheck.errors import UsageError
from backendcheck.vocabulary.case_ids import case_id

MARK = "backendcheck"
_SEEDS = 2**32  # how many NumPy's and Keras's generators take


def declare_mark(config: pytest.Config) -> None:
    """Have pytest know the mark."""
    config.addinivalue_line("markers", f"{MARK}(seed): the seed of the case's rng fixture and of its initial weights")


def seed_of(item: pytest.Item) -> int:
    """The seed of a case: by ``@pytest.mark.backendcheck(seed=3)``, otherwise from its id.

    Raises:
        UsageError: if the mark says anything else.
    """
    mark = item.get_closest_marker(MARK)
    if mark is not None:
        seed = mark.kwargs.get("seed")
        if mark.args or set(mark.kwargs) != {"seed"} or not isinstance(seed, int) or not 0 <= seed < _SEEDS:
            arguments = ", ".join([*map(repr, mark.args), *(f"{name}={value!r}" for name, value in mark.kwargs.items())])
            message = f"@pytest.mark.{MARK}({arguments}): expected (seed=N), N a whole number from 0 to {_SEEDS - 1}."
            raise UsageError(message)
        return seed
    return int.from_bytes(hashlib.sha256(case_id(item.nodeid).encode("utf-8", "surrogatepass")).digest()[:4], "little")


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """The case's own random generator: the same numbers on every backend and every time."""
    return np.random.default_rng(seed_of(request.node))
