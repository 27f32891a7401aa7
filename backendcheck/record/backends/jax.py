"""The backend JAX: see `BackendModule` for the interface."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import keras

from backendcheck.record.backends.masks import copy_mask
from backendcheck.vocabulary.backends import Ability

ABILITIES = frozenset(Ability)
HAS_TEXT = False
COMPILES = True
REPLICAS_SHARE_A_PROGRAM = True
_PROGRAMS_OF_A_CONTEXT = 200


def configure(device: str) -> dict[str, str]:
    _share_contexts()
    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    if jax.config.jax_default_matmul_precision is None:
        jax.config.update("jax_default_matmul_precision", "highest")
    return {
        "matmul_precision": str(jax.config.jax_default_matmul_precision),
        "enable_x64": str(jax.config.jax_enable_x64),
        "compilation_cache": "on" if jax.config.jax_compilation_cache_dir else "off",
    }


def _share_contexts() -> None:
    """Have JAX lower one program after the other in the same MLIR context. To make one takes longer than to lower most programs.

    A context keeps the types and the places of its programs, so there is a new one now and then.
    """
    try:
        from jax._src.interpreters import mlir  # nothing public decides where programs are lowered
    except ImportError:
        return
    make = mlir.ModuleContext.__init__
    if "context" not in inspect.signature(make).parameters or hasattr(make, "__wrapped__"):
        return

    class Shared(threading.local):
        context: Any = None
        n_left = 0

        def next(self) -> Any:
            if not self.n_left:
                self.context, self.n_left = mlir.make_ir_context(), _PROGRAMS_OF_A_CONTEXT
            self.n_left -= 1
            return self.context

    shared = Shared()

    @functools.wraps(make)
    def in_shared(self: Any, *args: Any, context: Any = None, **options: Any) -> None:
        make(self, *args, context=context or shared.next(), **options)

    mlir.ModuleContext.__init__ = in_shared


def device_type() -> str:
    if jax.config.jax_platforms == "cpu":
        return "cpu"  # Asking JAX would start its devices, and XLA_FLAGS that a conftest or a case file sets would come too late.
    platform = jax.devices()[0].platform
    return "mps" if platform == "metal" else str(platform)  # Apple's plug-in has a name of its own


def device_name() -> str:
    return "cpu" if device_type() == "cpu" else f"{device_type()}: {jax.devices()[0].device_kind}"


def check_device() -> None:
    (jnp.zeros(1) + 1.0).block_until_ready()


def reduce_precision() -> dict[str, str]:
    jax.config.update("jax_default_matmul_precision", "tensorfloat32")
    return {"matmul_precision": "tensorfloat32"}


def start() -> None:
    jax.devices()


def start_replicas(n: int) -> None:
    jax.config.update("jax_num_cpu_devices", n)


def replicas(n: int) -> AbstractContextManager[Any]:
    distribution = keras.distribution.DataParallel(devices=[f"cpu:{number}" for number in range(n)])
    context: AbstractContextManager[Any] = distribution.scope()
    return context


def forget_programs() -> None:
    jax.clear_caches()


def random_state() -> Any:
    return ()  # JAX has no global generator


def set_random_state(state: Any) -> None:
    """Nothing to set."""


def seed_random_state(seed: int) -> None:
    """Nothing to seed."""


def is_symbolic() -> bool:
    return False  # shapes are computed by tracing the same program


def shift_right(x: Any, distance: int) -> Any:
    return x >> distance


def gradient_function(
    predict: Callable[[Any], Any],
    loss: Callable[[Any, Any], Any],
    variables: Sequence[Any],
    *,
    compiled: bool = True,
) -> Callable[[Any], tuple[Any, list[Any], list[Any]]]:
    """See `BackendModule`.

    `data` is an argument of the compiled program, so that JAX does not fold it into constants, and a second call does not compile
    again. A loss that branches on the value of a label cannot be compiled and runs op by op. So does a function with
    ``compiled=False``, which is faster for a single call.
    """

    def shifted_loss(values: list[Any], shifts: list[Any], data: Any) -> Any:
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True):
            y_pred = predict(data)
            flat = []
            for leaf, shift in zip(keras.tree.flatten(y_pred), shifts, strict=True):
                flat.append(leaf if shift is None else copy_mask(leaf, leaf + shift))
            return loss(keras.tree.pack_sequence_as(y_pred, flat), data)

    by_both = jax.value_and_grad(shifted_loss, argnums=(0, 1))
    both = jax.jit(by_both) if compiled else by_both

    def gradients(data: Any) -> tuple[Any, list[Any], list[Any]]:
        values = [variable.value for variable in variables]
        with keras.StatelessScope():
            shapes = jax.eval_shape(predict, data)
        # Predictions are shifted by a zero and differentiated by the shift. The zero is -0.0, the only number that added to any
        # float, also to -0.0, does not change it.
        # Integers have no gradient.
        shifts = [
            jnp.full(leaf.shape, -0.0, leaf.dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else None
            for leaf in keras.tree.flatten(shapes)
        ]
        try:
            total, (by_values, by_shifts) = both(values, shifts, data)
        except jax.errors.JAXTypeError:
            total, (by_values, by_shifts) = by_both(values, shifts, data)
        return total, list(by_shifts), list(by_values)

    return gradients


def cutting_functions() -> list[tuple[Any, str, str]]:
    return []  # a function that leaves JAX cannot be differentiated there at all


def float64_enabled() -> AbstractContextManager[Any]:
    """A context in which JAX does not round float64 to float32."""
    if hasattr(jax, "enable_x64"):
        context: AbstractContextManager[Any] = jax.enable_x64(True)
        return context
    from jax.experimental import enable_x64

    older: AbstractContextManager[Any] = enable_x64()
    return older


def compiled(function: Callable[[list[Any]], Any], values: list[Any]) -> tuple[Callable[[list[Any]], Any], list[str]]:
    program = jax.jit(function)
    return program, sorted(set(_lowered(jax.make_jaxpr(program)(values).jaxpr)))


def _lowered(program: Any) -> Iterator[str]:
    for equation in program.eqns:
        inner = [program for parameter in equation.params.values() for program in _programs(parameter)]
        for nested in inner:
            yield from _lowered(nested)
        inputs = [getattr(variable.aval, "dtype", None) for variable in equation.invars]
        if not inner and jnp.float64 in inputs:
            results = [variable.aval.dtype for variable in equation.outvars if hasattr(variable.aval, "dtype")]
            yield from (dtype.name for dtype in results if jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize < 8)  # noqa: PLR2004


def _programs(parameter: Any) -> Iterator[Any]:
    """The programs in a parameter of an equation: bodies of loops, branches and calls."""
    for value in parameter if isinstance(parameter, list | tuple) else (parameter,):
        if hasattr(value, "eqns"):
            yield value
        elif hasattr(value, "jaxpr"):
            yield value.jaxpr
