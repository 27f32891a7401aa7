"""The backend TensorFlow: see `BackendModule` for the interface."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.eager import context as tf_context  # the public module has no way to read the state of its generator
from tensorflow.python.eager.polymorphic_function.atomic_function import AtomicFunction
from tensorflow.python.framework import config as tf_config  # the public module has no way to ask
from tensorflow.python.framework import ops as tf_ops  # it has the registry of gradients

from backendcheck.record.backends.masks import copy_mask
from backendcheck.record.kept_programs import are_kept
from backendcheck.vocabulary.backends import Ability

ABILITIES = frozenset(Ability)
HAS_TEXT = True
COMPILES = True
REPLICAS_SHARE_A_PROGRAM = False


def configure(device: str) -> dict[str, str]:
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    else:
        # Only where it is needed. With determinism, TensorFlow computes some losses by other formulas than users get: the
        # gradient of softmax cross-entropy for labels that do not sum to 1 is then right, and is wrong otherwise.
        tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    return {
        "tensor_float_32": str(tf.config.experimental.tensor_float_32_execution_enabled()),
        "op_determinism": str(tf_config.is_op_determinism_enabled()),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "intra_op_threads": os.environ.get("TF_NUM_INTRAOP_THREADS", "default"),
        "compilation_cache": "on" if are_kept() else "off",
    }


def device_type() -> str:
    visible = {device.device_type.lower() for device in tf.config.get_visible_devices()}
    return next((kind for kind in ("tpu", "gpu") if kind in visible), "cpu")


def device_name() -> str:
    kind = device_type()
    if kind == "cpu":
        return kind
    details = tf.config.experimental.get_device_details(tf.config.get_visible_devices(kind.upper())[0])
    return f"{kind}: {details.get('device_name', kind)}"


def check_device() -> None:
    (tf.zeros(1) + 1.0).numpy()


def reduce_precision() -> dict[str, str]:
    tf.config.experimental.enable_tensor_float_32_execution(True)
    return {"tensor_float_32": "True"}


def start() -> None:
    """Nothing to start: what `configure` and `device_name` ask for has found the devices."""


def start_replicas(n: int) -> None:
    cpu, *_ = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * n)


@functools.cache
def _strategy(n: int) -> Any:
    # By default gradients are added up by collective operations, which wait for each other for ever on devices of one CPU.
    reduction = tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(n)], cross_device_ops=reduction)


def replicas(n: int) -> AbstractContextManager[Any]:
    context: AbstractContextManager[Any] = _strategy(n).scope()
    return context


def forget_programs() -> None:
    """See `BackendModule`.

    TensorFlow registers each custom gradient in a graph under a name of its own for ever, and with it the graph. Keras has one in
    the training step of most models. Those of graphs that no function has any more are taken out of the registry.
    """
    tf_context.context().clear_kernel_cache()
    gc.unfreeze()  # or it would not list the functions of modules
    gc.collect()
    functions = [value for value in gc.get_objects() if type(value) is AtomicFunction]
    graphs = [getattr(function, name, None) for function in functions for name in ("_cached_graph", "_generated_graph")]
    in_use = {id(graph) for graph in graphs}
    entries = tf_ops.gradient_registry._registry  # noqa: SLF001 - nothing public forgets an entry
    for name in [name for name in entries if name.startswith("CustomGradient-")]:
        graph = _graph_of(entries[name]["type"])
        if graph is not None and in_use.isdisjoint(map(id, _with_outer_graphs(graph))):
            del entries[name]


def _graph_of(value: Any, depth: int = 5) -> Any:
    """The graph of the tensors in the closure of a gradient function; None without one."""
    if isinstance(value, tf.Tensor):
        return getattr(value, "graph", None)
    if depth == 0:
        return None
    parts = value if isinstance(value, list | tuple) else _parts_of_closure(value)
    return next((graph for part in parts if (graph := _graph_of(part, depth - 1)) is not None), None)


def _parts_of_closure(function: Any) -> list[Any]:
    """What the closure of a function holds."""
    values = []
    for cell in getattr(function, "__closure__", None) or ():
        with suppress(ValueError):  # a name that was never bound
            values.append(cell.cell_contents)
    return values


def _with_outer_graphs(graph: Any) -> list[Any]:
    graphs = []
    while graph is not None and graph not in graphs:
        graphs.append(graph)
        graph = getattr(graph, "outer_graph", None)
    return graphs


def random_state() -> Any:
    """The global seed, and the generator of the seeds of ops."""
    context = tf_context.context()
    return context._seed, context._rng.getstate() if context._rng is not None else None  # noqa: SLF001


def set_random_state(state: Any) -> None:
    context = tf_context.context()
    context._seed = state[0]  # noqa: SLF001
    if state[1] is not None:
        context._rng.setstate(state[1])  # noqa: SLF001


def seed_random_state(seed: int) -> None:
    tf.random.set_seed(seed)


def is_symbolic() -> bool:
    return False  # shapes are computed by tracing the same program


def shift_right(x: Any, distance: int) -> Any:
    return tf.bitwise.right_shift(x, distance)


def gradient_function(
    predict: Callable[[Any], Any],
    loss: Callable[[Any, Any], Any],
    variables: Sequence[Any],
    *,
    compiled: bool = True,  # noqa: ARG001 - JAX alone compiles
) -> Callable[[Any], tuple[Any, list[Any], list[Any]]]:
    def gradients(data: Any) -> tuple[Any, list[Any], list[Any]]:
        values = [variable.value for variable in variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for value in values:
                tape.watch(value)
            y_pred = predict(data)
            total = loss(y_pred, data) if values else None
        by_value = tape.gradient(total, values) if values else []
        gradients.in_slices = any(isinstance(gradient, tf.IndexedSlices) for gradient in by_value)  # type: ignore[attr-defined]
        # The softmax and sigmoid of Keras attach their logits to the result, and the losses of this backend then start from the
        # logits: the loss does not depend on the prediction itself. A copy has no logits attached.
        flat = [copy_mask(leaf, tf.identity(leaf)) for leaf in keras.tree.flatten(y_pred)]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for leaf in flat:
                if leaf.dtype.is_floating:
                    tape.watch(leaf)
            total_of_copies = loss(keras.tree.pack_sequence_as(y_pred, flat), data)
        by_pred = tape.gradient(total_of_copies, flat)
        return total_of_copies, [dense(gradient) for gradient in by_pred], [dense(gradient) for gradient in by_value]

    return gradients


def dense(gradient: Any) -> Any:
    """A gradient as one tensor. Slices of the same row are added up."""
    return tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient


def cutting_functions() -> list[tuple[Any, str, str]]:
    return [(tf, "stop_gradient", "stop"), (type(tf.constant(0)), "numpy", "numpy")]


def float64_enabled() -> AbstractContextManager[Any]:
    """A context without effect, because TensorFlow always has float64."""
    return nullcontext()


def compiled(function: Callable[[list[Any]], Any], values: list[Any]) -> tuple[Callable[[list[Any]], Any], list[str]]:
    program = tf.function(function)
    graph = program.get_concrete_function(values).graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    casts = [(node.attr["SrcT"].type, node.attr["DstT"].type) for node in nodes if node.op == "Cast"]
    results = {tf.as_dtype(to) for source, to in casts if source == tf.float64.as_datatype_enum}
    return program, sorted(dtype.name for dtype in results if dtype.is_floating and dtype != tf.float64)
