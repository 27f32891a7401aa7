"""What backendcheck does on a backend for which nothing of its own is brought, by means of Keras alone.

See `BackendModule` for the interface. What such a backend can do is found out by trying it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np

from backendcheck.vocabulary.backends import Ability

HAS_TEXT = False
COMPILES = False


def configure(device: str) -> dict[str, str]:  # noqa: ARG001 - there is no setting that every backend knows
    return {}


def device_type() -> str:
    return "cpu"


def device_name() -> str:
    return "cpu"


def check_device() -> None:
    """Nothing to ask: what a backend raises is seen where it is raised."""


def reduce_precision() -> dict[str, str]:
    return {}  # there is no setting that every backend knows


def start() -> None:
    """Nothing to start."""


def forget_programs() -> None:
    """Nothing to forget."""


def random_state() -> Any:
    return ()  # the generators of NumPy and Python are looked after for all backends


def set_random_state(state: Any) -> None:
    """Nothing to set."""


def seed_random_state(seed: int) -> None:
    """Nothing to seed."""


def is_symbolic() -> bool:
    try:
        from keras.src.backend.common.symbolic_scope import in_symbolic_scope
    except ImportError:  # of an earlier Keras
        return False
    return bool(in_symbolic_scope())


def shift_right(x: Any, distance: int) -> Any:
    return keras.ops.right_shift(x, distance)


def gradient_function(
    predict: Callable[[Any], Any],  # noqa: ARG001 - see the exception
    loss: Callable[[Any, Any], Any],  # noqa: ARG001
    variables: Sequence[Any],  # noqa: ARG001
    *,
    compiled: bool = True,  # noqa: ARG001
) -> Callable[[Any], tuple[Any, list[Any], list[Any]]]:
    def gradients(_: Any) -> tuple[Any, list[Any], list[Any]]:
        message = f"{keras.backend.backend()}: Keras has no way to take gradients that does for every backend"
        raise NotImplementedError(message)

    return gradients


def cutting_functions() -> list[tuple[Any, str, str]]:
    return []


def float64_enabled() -> AbstractContextManager[Any]:
    return nullcontext()


def compiled(function: Callable[[list[Any]], Any], values: list[Any]) -> tuple[Callable[[list[Any]], Any], list[str]]:
    """See `BackendModule`. The function is not compiled, and nothing is known of what it rounds."""
    function(values)
    return function, ["an unknown type"]


def tried_abilities(*, takes_gradients: bool) -> frozenset[Ability]:
    """What the backend can do, by trying it on a small model. `takes_gradients` tells whether a gradient function is brought."""
    x, y = np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)
    attempts: dict[Ability, Callable[[Any], Any]] = {
        Ability.FORWARD: lambda model: model.predict(x, verbose=0),
        Ability.LOSS: lambda model: keras.losses.MeanSquaredError()(y, model(x)),
        Ability.METRICS: lambda model: model.evaluate(x, y, verbose=0),
        Ability.TRAIN: lambda model: model.fit(x, y, verbose=0),
    }
    abilities = {Ability.GRADIENT} if takes_gradients else set()
    with _session_of_its_own():
        for ability, attempt in attempts.items():
            model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
            model.compile(optimizer="sgd", loss="mean_squared_error", metrics=["mae"])
            with contextlib.suppress(Exception):  # whatever it raises, it cannot do this
                attempt(model)
                abilities.add(ability)
    return frozenset(abilities)


@contextlib.contextmanager
def _session_of_its_own() -> Iterator[None]:
    """Names of layers count up, and weights are drawn: nothing of that is to show in what is recorded later."""
    try:
        yield
    finally:
        keras.utils.clear_session()
