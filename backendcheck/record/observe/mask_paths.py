"""The masks of a model as observations, on every path to a loss or a metric.

``mask/<output>`` is what the layers compute for an output. It is compared with the mask on the prediction of ``model(x)``, with
those that loss and metrics get in `evaluate` and in `fit`, and with that of the same layers in float32. The mask on the input of
a layer is compared with what its `call` gets. A mask that is lost on a path counts every step there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from unittest import mock

import keras
import numpy as np
from keras.src.trainers.trainer import Trainer

from backendcheck.record.backends.masks import mask_of
from backendcheck.record.observe import outputs
from backendcheck.record.observe.arrays import as_observation
from backendcheck.record.observe.mask_flow import LostMasks, lost_masks_noted
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import LAYER_MASK_OF, MASK_PATHS, ObservationName, Quantity, of_output, quantity_of

_LOWER = ("float16", "bfloat16")
_STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics")


def observe_masks(under_test: ModelUnderTest, named: Mapping[str, Any], lost: LostMasks, trace: Trace) -> None:
    """Add the mask of each output, and of each layer that changes or takes it; note what arrives in ``model(x)``."""
    masks = {of_output("mask", name): lost.mask_for(tensor) for name, tensor in named.items()}
    masks |= {LAYER_MASK_OF + layer: mask for layer, mask in lost.changed_by.items()}
    masks |= {f"{LAYER_MASK_OF}{layer}/input": mask for layer, (mask, _) in lost.taken_by.items()}
    masks = {name: mask for name, mask in masks.items() if mask is not None}
    for name, mask in masks.items():
        trace.add(name, mask)
    if masks and not under_test.masks:
        under_test.masks = {name: trace.observations[name].value for name in masks}
        under_test.masks_by_path = {
            MASK_PATHS[0]: {of_output("mask", name): _value(mask_of(tensor)) for name, tensor in named.items()},
            MASK_PATHS[1]: {f"{LAYER_MASK_OF}{layer}/input": _value(mask) for layer, (_, mask) in lost.taken_by.items()},
        }


def _value(mask: Any) -> Any:
    """A mask as an array; True if it has no value, as a compiler traces it; or None."""
    if mask is None:
        return None
    try:
        return as_observation(mask, where="mask").value
    except Exception:  # noqa: BLE001 - each backend raises an exception of its own while it traces
        return True


@contextmanager
def masks_noted(under_test: ModelUnderTest, where: str) -> Iterator[None]:
    """A context that notes the masks which loss and metrics get in `evaluate` or in `fit`, as `where` says.

    A step that the class of the model overrides may change or end them on purpose, so nothing is noted then.
    """
    if not under_test.masks or any(under_test.overrides(step) for step in _STEPS):
        yield
        return
    noted: dict[str, dict[str, Any]] = {}
    paused: list[bool] = []

    def note(consumer: str, y_pred: Any) -> None:
        if paused or any(isinstance(leaf, keras.KerasTensor) for leaf in keras.tree.flatten(y_pred)):
            return
        by_output = noted.setdefault(f"{consumer} in {where}", {})
        for output, tensor in outputs.by_output(y_pred, under_test.model).items():
            name = of_output("mask", output)
            if by_output.get(name) is None:  # a step may be traced more than once
                by_output[name] = _value(mask_of(tensor))

    with ExitStack() as stack:
        for consumer, method in (("loss", "compute_loss"), ("metrics", "compute_metrics")):
            stack.enter_context(_wrapped(Trainer, method, functools.partial(note, consumer)))
        for method in ("_symbolic_build", *(["evaluate"] if where == "fit" else [])):
            owner = next((kind for kind in type(under_test.model).__mro__ if method in vars(kind)), None)
            if owner is not None:
                stack.enter_context(_pausing(owner, method, paused))
        yield
    under_test.masks_by_path |= noted


@contextmanager
def _wrapped(owner: Any, method: str, note: Callable[[Any], None]) -> Iterator[None]:
    """A context in which a method of Keras first hands its predictions to `note`."""
    original = getattr(owner, method)

    @functools.wraps(original)
    def noting(self: Any, x: Any = None, y: Any = None, y_pred: Any = None, *args: Any, **options: Any) -> Any:
        with suppress(Exception):  # an unusual structure of predictions is not a finding
            note(y_pred)
        return original(self, x, y, y_pred, *args, **options)

    with mock.patch.object(owner, method, noting):
        yield


@contextmanager
def _pausing(owner: Any, method: str, paused: list[bool]) -> Iterator[None]:
    """A context in which nothing is noted while a method of Keras runs, which calls loss and metrics for a purpose of its own."""
    original = getattr(owner, method)

    @functools.wraps(original)
    def pausing(*args: Any, **options: Any) -> Any:
        paused.append(True)
        try:
            return original(*args, **options)
        finally:
            paused.pop()

    with mock.patch.object(owner, method, pausing):
        yield


# --- compared --------------------------------------------------------------------------------------------------


def add_mask_paths(under_test: ModelUnderTest, trace: Trace) -> None:
    """Add a variant for each path on which a mask was noted."""
    for path, noted in under_test.masks_by_path.items():
        names = [name for name in noted if name in under_test.masks and _takes(under_test, path, name, trace)]
        if not names:
            continue
        with trace.variant(Oracle.PATHS, path) as variant:
            for name in names:
                mask, computed = noted[name], under_test.masks[name]
                if mask is None:
                    arrived = np.ones_like(computed)
                else:  # of a part of the batch, or of a traced step, only its presence is known
                    arrived = mask if isinstance(mask, np.ndarray) and mask.shape == computed.shape else computed
                variant.add(name, arrived)


def _takes(under_test: ModelUnderTest, path: str, name: str, trace: Trace) -> bool:
    """Whether anything on a path takes a mask: the loss of its output, or one of its metrics."""
    output = ObservationName.parse(name).output
    if not path.startswith("metrics"):
        return output in trace.losses or path in MASK_PATHS[:2]
    declared = [metrics for metrics in (under_test.case.metrics, under_test.case.weighted_metrics) if metrics]
    return any(not isinstance(metrics, Mapping) or metrics.get(output) for metrics in declared)


def observe_masks_in_float32(under_test: ModelUnderTest, trace: Trace) -> None:
    """Compare which layers and outputs have a mask with the same layers in float32, where they compute in a lower precision."""
    lower = [layer for layer in under_test.model._flatten_layers() if str(layer.compute_dtype) in _LOWER]  # noqa: SLF001
    of_masks = (Quantity.MASK, Quantity.LAYER_MASK)
    recorded = {name: observation for name, observation in trace.observations.items() if quantity_of(name) in of_masks}
    if not lower or not recorded or any(getattr(layer, "quantization_mode", None) for layer in lower):
        return
    policies = [(layer, layer._dtype_policy) for layer in lower]  # noqa: SLF001 - its setter may quantize
    under_test.reset_state()
    in_float32 = Trace()
    try:
        for layer in lower:
            layer._dtype_policy = keras.dtype_policies.DTypePolicy("float32")  # noqa: SLF001
        with lost_masks_noted(under_test.model) as lost:
            y_pred = under_test.model(under_test.tensors(under_test.arrays)["x"], training=False)
        observe_masks(under_test, outputs.by_output(y_pred, under_test.model), lost, in_float32)
    except Exception as error:  # noqa: BLE001 - the case does not ask for float32
        trace.notes.append(f"masks are not compared with those in float32, where the model raises {type(error).__name__}")
        return
    finally:
        for layer, policy in policies:
            layer._dtype_policy = policy  # noqa: SLF001
        under_test.reset_state()
    with trace.variant(Oracle.PATHS, "the same layers in float32") as variant:
        for name in {**recorded, **in_float32.observations}:
            if name not in recorded:
                trace.add(name, np.ones_like(in_float32.observations[name].value))
                variant.add(name, in_float32.observations[name].value)
            elif name not in in_float32.observations:
                variant.add(name, np.ones_like(recorded[name].value))
            else:  # a number may be masked in one precision and not in the other
                variant.add(name, recorded[name].value)
