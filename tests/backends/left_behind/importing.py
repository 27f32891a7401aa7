"""A file that changes something by being imported."""

import numpy as np

np.seterr(under="warn")


def case_errors():
    return {"v": np.geterr()["under"]}


def case_buffer():
    return {"v": np.getbufsize()}
