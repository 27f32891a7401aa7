"""The paths oracle on replicas: the same training, evaluation and prediction on two devices of data parallel.

Only a leg in the mode ``+replicas`` has two devices, which are two of one CPU. Each replica gets one half of each batch. JAX runs
one program over the whole batch. On TensorFlow each replica has the loss of its half, and the gradients are averaged. That is the
step of one device where the loss of a batch is the mean of the losses of its halves. Where it is not, by the loss or by a layer
that looks at the batch as a whole, replicas promise other numbers.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

from backendcheck.record.backends import backend_module
from backendcheck.record.observe import outputs
from backendcheck.record.observe.arrays import leaves, map_nest
from backendcheck.record.observe.fits import add_history
from backendcheck.record.observe.model import add_metrics, add_predictions, evaluate_options
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import named_weights
from backendcheck.record.oracles.paths_batches import is_not_repeatable
from backendcheck.record.oracles.paths_forms import is_graph
from backendcheck.record.oracles.paths_grouped import has_whole_config
from backendcheck.vocabulary.findings import Oracle

_MODE = "replicas"
_N = 2
_RELATIVE = 1e-4  # above the rounding of a sum in another order, far below what a mean of other means changes
_has_replicas = False


def start_replicas(mode: str) -> None:
    """Have two devices from now on, if that is the mode. No op may have run."""
    global _has_replicas  # noqa: PLW0603 - devices belong to the process, too
    if mode == _MODE:
        backend_module().start_replicas(_N)
        _has_replicas = True


def observe_replicas(under_test: ModelUnderTest, trace: Trace) -> None:
    """Add a variant to `trace` for prediction, evaluation and training by a copy of the model on two replicas."""
    if not _has_replicas:
        return
    if reason := _reason_not_compared(under_test, trace):
        trace.notes.append(f"two replicas are not compared: {reason}")
        return
    under_test.restore_initial()
    with backend_module().replicas(_N):
        copy = _copy(under_test, trace)
        if copy is None:
            return
        with under_test.variant(trace, Oracle.PATHS, f"predict on {_N} replicas") as variant:
            predictions = copy.predict(under_test.fed[0], batch_size=under_test.batch_size, verbose=0)
            add_predictions(outputs.by_output(predictions, under_test.model), variant)
        with under_test.variant(trace, Oracle.PATHS, f"evaluate on {_N} replicas") as variant:
            values = copy.evaluate(*under_test.fed[:2], **evaluate_options(under_test))
            add_metrics(values, variant, loss=under_test.evaluate_loss_name or "loss")
        with under_test.variant(trace, Oracle.PATHS, f"fit on {_N} replicas") as variant:
            add_history(_fit(under_test, copy), variant)
            for (path, _), (_, weight) in zip(named_weights(under_test.model), named_weights(copy), strict=True):
                variant.add(f"train/weight/{path}", weight)


def _fit(under_test: ModelUnderTest, model: Any) -> Mapping[str, list[float]]:
    history: Mapping[str, list[float]] = model.fit(
        *under_test.fed[:2], sample_weight=under_test.sample_weight, class_weight=under_test.case.class_weight,
        batch_size=under_test.batch_size, epochs=int(under_test.case.epochs), shuffle=False, verbose=0,
    ).history  # fmt: skip
    return history


def _copy(under_test: ModelUnderTest, trace: Trace) -> Any:
    """The model anew with its initial weights, compiled with new metrics and a new optimizer; None if that is not possible."""
    model, case = under_test.model, under_test.case
    structure = model.outputs[0] if isinstance(model, keras.Sequential) else model._outputs_struct  # noqa: SLF001
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model._inputs_struct  # noqa: SLF001
    try:
        copy = keras.models.clone_model(keras.Model(inputs, structure))  # not compiled: a loss of a user has no configuration
        copy.set_weights(model.get_weights())
        copy.compile(
            optimizer=type(under_test.optimizer).from_config(under_test.optimizer.get_config()), loss=case.loss,
            loss_weights=case.loss_weights, metrics=_anew(case.metrics), weighted_metrics=_anew(case.weighted_metrics),
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - a user's layer or metric may have no configuration
        trace.notes.append(f"two replicas are not compared: the model cannot be copied ({type(error).__name__})")
        return None
    return copy


def _anew(metrics: Any) -> Any:
    """Metrics with state of their own: new objects of the same configuration. Names and functions are as they are."""
    if isinstance(metrics, Mapping):
        return {name: _anew(metric) for name, metric in metrics.items()}
    if isinstance(metrics, list | tuple):
        return [_anew(metric) for metric in metrics]
    return type(metrics).from_config(metrics.get_config()) if isinstance(metrics, keras.Metric) else metrics


# --- where replicas promise the same numbers -----------------------------------------------------------------------


def _reason_not_compared(under_test: ModelUnderTest, trace: Trace) -> str:
    """Why replicas do not promise the numbers of the recording; empty if they do."""
    if under_test.case.fits:
        return "the case calls fit several times"
    if is_not_repeatable(under_test, trace) or under_test.is_random or under_test.has_fixed_draws:
        return "the training depends on random numbers or on state"
    if not is_graph(under_test.model):
        return "the model has no configuration that describes all of it"
    if not has_whole_config(under_test.optimizer):
        return "the optimizer has no configuration that describes all of it"
    if under_test.has_text:
        return "the case has text"
    sizes = {min(under_test.batch_size, under_test.n), under_test.n % under_test.batch_size}
    if odd := next((size for size in sizes if size % _N), 0):
        return f"they cannot share a batch of {odd} evenly"
    return "" if backend_module().REPLICAS_SHARE_A_PROGRAM else _other_by_halves(under_test)


def _other_by_halves(under_test: ModelUnderTest) -> str:
    """What a batch and its halves give differently, as a reason not to compare; empty if nothing."""
    try:
        for arrays in _batches(under_test):
            whole = _numbers(under_test, arrays)
            halves = [_numbers(under_test, half) for half in _parts(arrays, _n_examples(arrays) // _N)]
            for what, value in whole.items():
                of_halves = [half[what] for half in halves]
                joined = np.concatenate(of_halves) if what == "predictions" else np.mean(of_halves, axis=0)
                scale = float(np.max(np.abs(value), initial=0.0, where=np.isfinite(value)))
                if not np.allclose(value, joined, rtol=_RELATIVE, atol=_RELATIVE * scale, equal_nan=True):
                    return f"the {what} of a batch are not those of its halves, and each replica has one half"
    except Exception as error:  # noqa: BLE001 - the recording itself shows what raises; without an answer nothing is promised
        return f"the halves of a batch cannot be computed ({type(error).__name__})"
    finally:
        under_test.restore_initial()
    return ""


def _numbers(under_test: ModelUnderTest, arrays: tuple[Any, Any, Any]) -> dict[str, np.ndarray]:
    """The predictions (N, …) of all outputs side by side, and the loss in training, a scalar."""
    under_test.reset_state()
    data = under_test.tensors(arrays)
    predictions = [keras.ops.convert_to_numpy(leaf) for leaf in keras.tree.flatten(under_test.model(data["x"], training=False))]
    y_pred = under_test.model(data["x"], training=True)
    return {
        "predictions": np.concatenate([np.reshape(array, (len(array), -1)) for array in predictions], axis=1),
        "losses": np.asarray(keras.ops.convert_to_numpy(under_test.total_loss(y_pred, data))),
    }


def _batches(under_test: ModelUnderTest) -> Iterator[tuple[Any, Any, Any]]:
    """The batches of the case, with the weights of classes as weights of examples, as `fit` has them."""
    x, y, sample_weight = under_test.arrays
    if under_test.case.class_weight:
        of_classes = np.asarray(class_weight_to_sample_weights(y, under_test.case.class_weight))
        sample_weight = of_classes if sample_weight is None else sample_weight * of_classes
    yield from _parts((x, y, sample_weight), under_test.batch_size)


def _parts(arrays: tuple[Any, Any, Any], size: int) -> Iterator[tuple[Any, Any, Any]]:
    for start in range(0, _n_examples(arrays), size):
        chosen = slice(start, start + size)
        x, y, weight = (None if nest is None else map_nest(operator.itemgetter(chosen), nest) for nest in arrays)
        yield x, y, weight


def _n_examples(arrays: tuple[Any, Any, Any]) -> int:
    return len(next(leaf for _, leaf in leaves(arrays[0])))
