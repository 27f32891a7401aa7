"""Training: the calls of `fit` that a case declares, and what they report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from backendcheck.case import Fit
from backendcheck.record.observe.arrays import as_fed, as_observation
from backendcheck.record.observe.errors import InvalidCase
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.optimizer_state import add_optimizer_state
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import named_weights


def fit(under_test: ModelUnderTest, trace: Trace, **options: Any) -> Mapping[str, list[float]]:
    """Call `fit` as the case declares it, with the examples in order. Adds its history and the trained weights to `trace`.

    Several calls have one history. `options` are passed to each of them.
    """
    history: dict[str, list[float]] = {}
    if under_test.validation is not None:
        options = {"validation_data": tuple(map(as_fed, under_test.validation))} | options
    with _prepared(under_test):
        for call in under_test.fits:
            _prepare(under_test, call)
            reported = under_test.model.fit(
                *under_test.fed[:2], sample_weight=under_test.sample_weight,
                class_weight=under_test.case.class_weight if call.class_weight is None else call.class_weight,
                batch_size=call.batch_size or under_test.batch_size, epochs=int(call.epochs), shuffle=False, verbose=0, **options,
            ).history  # fmt: skip
            for name, values in reported.items():
                history.setdefault(name, []).extend(values)
        add_history(history, trace, validation=under_test.validation is not None)
        add_trained_weights(under_test, trace)
    return history


def starts_as_recorded(under_test: ModelUnderTest) -> bool:
    """Whether the first call of `fit` trains with the weights of classes and the batches of the case."""
    first = under_test.fits[0]
    return not under_test.case.fits or (first.class_weight is None and first.batch_size is None)


def is_one_epoch(under_test: ModelUnderTest) -> bool:
    """Whether the case trains one epoch, in one call."""
    return not under_test.case.fits and under_test.fits[0].epochs == 1


@contextmanager
def _prepared(under_test: ModelUnderTest) -> Iterator[None]:
    """A context after which layers are trainable as before, and the model is compiled as before."""
    if not any(call.trainable or call.compile for call in under_test.fits):
        yield
        return
    layers = list(under_test.model._flatten_layers())  # noqa: SLF001 - nested layers, too
    before = [layer.trainable for layer in layers]
    try:
        yield
    finally:
        for layer, trainable in zip(layers, before, strict=True):
            layer.trainable = trainable
        under_test.compile()


def _prepare(under_test: ModelUnderTest, call: Fit) -> None:
    flat = under_test.model._flatten_layers(include_self=False)  # noqa: SLF001 - nested layers, too
    layers = {layer.name: layer for layer in flat if not isinstance(layer, keras.layers.InputLayer)}
    for name, trainable in call.trainable.items():
        if name not in layers:
            message = f"ModelCase: fits has trainable={{{name!r}: {trainable}}}; expected one of {', '.join(map(repr, layers))}."
            raise InvalidCase(message)
        layers[name].trainable = trainable
    if call.compile:
        optimizer = under_test.model.optimizer
        under_test.compile(optimizer=type(optimizer).from_config(optimizer.get_config()))


def add_history(history: Mapping[str, list[float]], trace: Trace, *, validation: bool = False) -> None:
    """Add the loss and the metrics of each epoch, (epochs, …), as `fit` reports them; with `validation`, also of validation."""
    for name, values in history.items():
        if validation or not name.startswith("val_"):
            by_epoch = np.stack([as_reported(value) for value in values])
            trace.add("train/loss" if name == "loss" else f"train/metric/{name}", by_epoch)


def as_reported(value: Any) -> np.ndarray:
    """A loss or metric as `fit` reports it, in float64: (), or (C,) for a metric of each class or threshold."""
    reported: np.ndarray = as_observation(value, where="history").value.astype(np.float64)
    return reported


def add_trained_weights(under_test: ModelUnderTest, trace: Trace) -> None:
    """Add the weights and the state of the optimizer after training."""
    for path, variable in named_weights(under_test.model):
        trace.add(f"train/weight/{path}", variable)
    add_optimizer_state(under_test.model.optimizer, under_test.model, trace)
