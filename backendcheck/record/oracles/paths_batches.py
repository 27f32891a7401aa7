"""The paths oracle in batches: the batches of the case from other kinds of data, and by other calls.

All of these train as `fit` does on arrays, so the trained weights are the same. A path that Keras does not offer for a case is
left out, with a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from backendcheck.nests import with_tuples
from backendcheck.record.observe.arrays import as_fed, is_text, leaves, map_nest
from backendcheck.record.observe.fits import add_history, add_trained_weights
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.optimizer_state import parts_of
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.findings import Oracle

_FAR = 1e-6  # relative: far above the rounding of one step, so that each part of a path is tried by itself


# --- kinds of data ---------------------------------------------------------------------------------------------


def arrays_with_labels(under_test: ModelUnderTest) -> tuple[Any, ...]:
    """``(x, y)`` or ``(x, y, sample_weight)``, as a data set yields them."""
    return tuple(nest for nest in under_test.fed if nest is not None)


def batches_of(under_test: ModelUnderTest, times: int = 1) -> list[tuple[Any, ...]]:
    """The batches of the case as `fit` makes them of arrays, each ``(x, y, sample_weight)`` without what the case does not have.

    Each batch comes `times` times in a row.
    """
    floatx = keras.config.floatx()

    def batch_from(start: int) -> tuple[Any, ...]:
        def part(array: np.ndarray) -> np.ndarray:
            examples: np.ndarray = array[start : start + under_test.batch_size]
            return examples.astype(floatx) if examples.dtype.kind == "f" else examples

        return tuple(as_fed(map_nest(part, nest)) for nest in under_test.arrays if nest is not None)

    return [batch_from(start) for start in range(0, under_test.n, under_test.batch_size) for _ in range(times)]


def py_dataset(batches: list[tuple[Any, ...]]) -> keras.utils.PyDataset:
    """A `keras.utils.PyDataset` of these batches."""

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return len(batches)

        def __getitem__(self, index: int) -> Any:
            return with_tuples(batches[index])  # TensorFlow reads a list in a data set as an array, and a tuple as a structure

    return Batches()


def datasets(under_test: ModelUnderTest) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The batches of the case in each kind of data set that the backend takes, by name; each call makes a new one."""
    batches = batches_of(under_test)
    yield "PyDataset", lambda: py_dataset(batches)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if len(batches) == 1:
            yield "tf.data", lambda: tf.data.Dataset.from_tensors(with_tuples(batches[0]))
        else:
            whole, size = with_tuples(_joined(batches)), under_test.batch_size
            is_even = under_test.n % size == 0  # then all batches have one static size
            yield "tf.data", lambda: tf.data.Dataset.from_tensor_slices(whole).batch(size, drop_remainder=is_even)
    if keras.backend.backend() == "torch" and not any(is_text(leaf) for nest in batches[0] for _, leaf in leaves(nest)):
        import torch

        tensors = [tuple(map_nest(torch.as_tensor, nest) for nest in batch) for batch in batches]
        yield "DataLoader", lambda: torch.utils.data.DataLoader(tensors, batch_size=None, collate_fn=lambda item: item)


def dynamic_dataset(under_test: ModelUnderTest) -> Any:
    """A `tf.data.Dataset` whose batches have no fixed size."""
    import tensorflow as tf

    whole = with_tuples(_joined(batches_of(under_test)))
    return tf.data.Dataset.from_tensor_slices(whole).batch(under_test.batch_size)


def _joined(batches: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(_concatenated([batch[place] for batch in batches]) for place in range(len(batches[0])))


def _concatenated(nests: list[Any]) -> Any:
    first = nests[0]
    if isinstance(first, Mapping):
        return {key: _concatenated([nest[key] for nest in nests]) for key in first}
    if isinstance(first, list | tuple):
        return type(first)(_concatenated([nest[place] for nest in nests]) for place in range(len(first)))
    return np.concatenate([np.asarray(nest) for nest in nests])


# --- training --------------------------------------------------------------------------------------------------


def observe_training_in_batches(under_test: ModelUnderTest, trace: Trace) -> None:
    """Add a variant to `trace` for each other way to train on the same batches. `trace` has the recorded training."""
    if is_not_repeatable(under_test, trace):
        return
    absent = []
    class_weight, epochs = under_test.case.class_weight, int(under_test.case.epochs)
    for kind, make, options in _kinds_to_train_on(under_test):
        name = f"fit({kind})"
        if class_weight is not None and not kind.startswith(("PyDataset", "tf.data")):
            absent.append(f"{name}, which takes no class_weight")
        elif under_test.restore_initial():
            under_test.reset_metrics()
            with under_test.variant(trace, Oracle.PATHS, name) as variant:
                _fit(under_test, make(), variant, class_weight=class_weight, epochs=epochs, **options)
    if any(getattr(part, "use_ema", False) for _, part in parts_of(under_test.optimizer)):
        absent.append("train_on_batch and several calls of fit: at its end, fit replaces the weights by their averages")
    else:
        if epochs > 1 or not under_test.is_one_batch:
            _train_by_hand(under_test, trace, epochs)
        layer = _layer_to_freeze(under_test.model)
        if epochs > 1 and _fit_twice(under_test, trace, epochs, frozen=layer) and layer is not None:
            _fit_twice(under_test, trace, epochs)
    if absent:
        trace.notes.append(f"not compared with {'; '.join(absent)}")
    under_test.restore_initial()


def is_not_repeatable(under_test: ModelUnderTest, trace: Trace) -> bool:
    """Whether another training of the case does not promise the same weights, or declares several calls of `fit`."""
    return bool(under_test.case.fits) or "train/*" in trace.not_compared or under_test.losses_have_state


def _kinds_to_train_on(under_test: ModelUnderTest) -> Iterator[tuple[str, Callable[[], Any], dict[str, int]]]:
    """The batches of the case by kind of data, and the options that `fit` needs with it."""
    yield from ((kind, make, {}) for kind, make in datasets(under_test))
    if keras.backend.backend() == "tensorflow" and not under_test.has_fixed_batch_size:
        yield "tf.data of any batch size", lambda: dynamic_dataset(under_test), {}
    batches = batches_of(under_test)
    yield "generator, steps_per_epoch", lambda: _endless(batches), {"steps_per_epoch": len(batches)}


def _fit(under_test: ModelUnderTest, data: Any, variant: Trace, **options: Any) -> None:
    history = under_test.model.fit(data, shuffle=False, verbose=0, **options).history
    add_history(history, variant)
    add_trained_weights(under_test, variant)


def _train_by_hand(under_test: ModelUnderTest, trace: Trace, epochs: int) -> None:
    """Pass each batch to `train_on_batch`."""
    if not under_test.restore_initial():
        return
    under_test.reset_metrics()
    has_weight = under_test.sample_weight is not None
    with under_test.variant(trace, Oracle.PATHS, "train_on_batch for each batch") as variant:
        for _ in range(epochs):
            for x, y, *weight in (batch if len(batch) > 1 else (*batch, None) for batch in batches_of(under_test)):
                under_test.model.train_on_batch(
                    x, y, sample_weight=weight[0] if has_weight else None, class_weight=under_test.case.class_weight
                )
        add_trained_weights(under_test, variant)


def _fit_twice(under_test: ModelUnderTest, trace: Trace, epochs: int, *, frozen: Any = None) -> bool:
    """Train one epoch by the last of two calls of `fit`. Returns whether the result is far from the recorded one.

    The layer `frozen` is not trainable between the two calls, and trainable again in the second.
    """
    if not under_test.restore_initial():
        return False
    under_test.reset_metrics()
    path = "fit twice" if frozen is None else "fit twice, a layer frozen and released between"
    with under_test.variant(trace, Oracle.PATHS, path) as variant:
        history: dict[str, list[Any]] = {}
        for n_epochs in (epochs - 1, 1):
            reported = under_test.model.fit(
                *under_test.fed[:2], sample_weight=under_test.sample_weight, class_weight=under_test.case.class_weight,
                batch_size=under_test.batch_size, epochs=n_epochs, shuffle=False, verbose=0,
            ).history  # fmt: skip
            for name, values in reported.items():
                history.setdefault(name, []).extend(values)
            if frozen is not None:
                frozen.trainable = False
                frozen.trainable = True
        add_history(history, variant)
        add_trained_weights(under_test, variant)
    return is_far(variant, trace)


def _layer_to_freeze(model: Any) -> Any:
    """The last layer without layers of its own whose weights are all trained; None without such a layer."""
    layers = [layer for layer in model._flatten_layers(include_self=False) if not layer._layers]  # noqa: SLF001 - nested ones, too
    trained = [layer for layer in layers if layer.trainable and layer.trainable_variables]
    return next((layer for layer in reversed(trained) if not layer.non_trainable_variables), None)


def is_far(variant: Trace, trace: Trace) -> bool:
    """Whether a variant raised, or has another result than the recording by more than the rounding of a step."""
    return bool(variant.raised) or any(
        name in trace.observations and not _near(value.value, trace.observations[name].value)
        for name, value in variant.observations.items()
    )


def _near(left: np.ndarray, right: np.ndarray) -> bool:
    return left.shape == right.shape and bool(np.allclose(left, right, rtol=_FAR, atol=_FAR, equal_nan=True))


def _endless(batches: list[tuple[Any, ...]]) -> Iterator[Any]:
    while True:
        yield from map(with_tuples, batches)
