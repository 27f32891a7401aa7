"""One module for each backend, named as the backend, with one interface: settings, device, gradients, float64, compilation.

Another package brings a module for its backend by an entry point of the group ``backendcheck.backends``, by the name of the
backend. A module has what is the backend's own. What it lacks is taken from `generic`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import keras

from backendcheck.record.backends import generic
from backendcheck.vocabulary.backends import ENTRY_POINTS, Ability

Gradients = Callable[[Any], tuple[Any, list[Any], list[Any]]]


class BackendModule(Protocol):
    """The functions of each module. `tensorflow` also has `dense`, which makes one tensor of a gradient in slices.

    ABILITIES: what the backend can do. Without it, that is found out by trying.
    HAS_TEXT: whether tensors hold text.
    COMPILES: whether `fit` compiles what it runs, as `compiled` does.
    REPLICAS_SHARE_A_PROGRAM: whether replicas run one program over the whole batch. Otherwise each has the loss of its own part.
    Only backends that have replicas have this and the two functions for them; see `parse_leg`.
    """

    ABILITIES: frozenset[Ability]
    HAS_TEXT: bool
    COMPILES: bool
    REPLICAS_SHARE_A_PROGRAM: bool

    def configure(self, device: str) -> dict[str, str]:
        """Make the backend repeatable, before any op runs. Returns the settings, for the record."""

    def device_type(self) -> str:
        """The type of the device that computes: ``cpu``, ``gpu``, ``mps`` or ``tpu``, or the backend's own word for another."""

    def device_name(self) -> str:
        """The device that computes: its type, and behind a colon what the backend calls it, as in ``gpu: NVIDIA H200``."""

    def check_device(self) -> None:
        """Raise whatever the device raises if it cannot compute any more. Asked after each item, where it is not a CPU."""

    def reduce_precision(self) -> dict[str, str]:
        """Have matrix products computed in TF32 where the device has it. Returns the settings, which are recorded."""

    def start(self) -> None:
        """Start the devices, after everything was imported. Where they do not start, the session ends before its first case."""

    def start_replicas(self, n: int) -> None:
        """Have `n` devices of the CPU, before any op runs."""

    def replicas(self, n: int) -> AbstractContextManager[Any]:
        """A context in which models that are made there train on `n` replicas of data parallel."""

    def forget_programs(self) -> None:
        """Forget what was compiled. Programs that come again are compiled again, to the same results."""

    def random_state(self) -> Any:
        """The state of the global random generators of the backend, as values that can be compared; empty without one."""

    def set_random_state(self, state: Any) -> None:
        """Restore what `random_state` returned."""

    def seed_random_state(self, seed: int) -> None:
        """Seed the global random generators of the backend."""

    def is_symbolic(self) -> bool:
        """Whether only shapes are computed just now, on tensors without values."""

    def shift_right(self, x: Any, distance: int) -> Any:
        """Integers shifted right, as the backend fills them."""

    def gradient_function(
        self,
        predict: Callable[[Any], Any],
        loss: Callable[[Any, Any], Any],
        variables: Sequence[Any],
        *,
        compiled: bool = True,
    ) -> Gradients:
        """A function of `data` that returns the loss and its gradients.

        Args:
            predict: from `data` to predictions, a nest of tensors.
            loss: from predictions and `data` to a scalar.
            variables: the variables to differentiate by.
            compiled: whether to compile, on JAX. The other backends run op by op.

        Returns:
            A function of `data` to ``(loss, by_prediction, by_variable)``. The loss is the scalar ``loss(predict(data), data)``.
            `by_prediction` has a gradient for each leaf of the predictions, in the order in which Keras flattens them, and
            `by_variable` one for each variable, each in the shape of that leaf or variable. A gradient by a prediction is
            partial: other predictions that are computed from it do not move. A gradient is None where the backend has taken none.
            On TensorFlow, the attribute `in_slices` tells whether a gradient by a variable came in slices.
        """

    def cutting_functions(self) -> list[tuple[Any, str, str]]:
        """Functions of the backend that cut a graph, as owner, name and kind: ``stop`` on purpose, ``numpy`` by a conversion."""

    def float64_enabled(self) -> AbstractContextManager[Any]:
        """A context in which float64 is not rounded to float32."""

    def compiled(
        self, function: Callable[[list[Any]], Any], values: list[Any]
    ) -> tuple[Callable[[list[Any]], Any], list[str]]:
        """`function` compiled for tensors like `values`, and the names of the lower float types that it rounds float64 to."""


@functools.cache
def backend_module() -> BackendModule:
    """The module for the backend of this process, completed by what is generic."""
    name = keras.backend.backend()
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS, name=name):
        return cast("BackendModule", _Completed(point.load()))
    module = f"{__name__}.{name}"
    return cast("BackendModule", _Completed(importlib.import_module(module) if importlib.util.find_spec(module) else None))


class _Completed:
    """What is brought for a backend, and the generic functions in place of what is not."""

    def __init__(self, brought: Any) -> None:
        self._brought = brought

    def __getattr__(self, name: str) -> Any:
        return getattr(self._brought, name) if hasattr(self._brought, name) else getattr(generic, name)

    @functools.cached_property
    def ABILITIES(self) -> frozenset[Ability]:  # noqa: N802 - as modules have it
        declared: frozenset[Ability] | None = getattr(self._brought, "ABILITIES", None)
        takes_gradients = hasattr(self._brought, "gradient_function")
        return generic.tried_abilities(takes_gradients=takes_gradients) if declared is None else frozenset(declared)


def lacking_ability(ability: Ability) -> str:
    """Why the backend of this process cannot do something, in a few words; empty if it can."""
    return "" if ability in backend_module().ABILITIES else f"{keras.backend.backend()} {_LACKS[ability]}"


_LACKS = {
    Ability.FORWARD: "does not run models",
    Ability.LOSS: "computes no losses",
    Ability.GRADIENT: "takes no gradients",
    Ability.METRICS: "computes no metrics",
    Ability.TRAIN: "does not train",
}
