"""A fixture for a whole file that undoes nothing of what it sets."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def large():
    np.setbufsize(16384)


def case_uses_it(large):
    return {"v": np.getbufsize()}


def case_keeps_it():
    return {"v": np.getbufsize()}
