"""The backend NumPy of Keras, for inference: see `BackendModule` for the interface. All else is as in `generic`."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras.src.backend.numpy import core

from backendcheck.vocabulary.backends import Ability

ABILITIES = frozenset({Ability.FORWARD, Ability.LOSS, Ability.METRICS})


def configure(device: str) -> dict[str, str]:  # noqa: ARG001 - there is the processor alone
    """See `BackendModule`. Keras finds out shapes by running a model on arrays that it leaves as the memory was.

    What such a number does, an `Embedding` may refuse it, depends on chance. Here these arrays are zeros.
    """
    core.np = _NumpyWithZeros()
    return {"shapes_are_found_with": "zeros"}


class _NumpyWithZeros:
    """NumPy, but for `empty`."""

    empty = staticmethod(np.zeros)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)
