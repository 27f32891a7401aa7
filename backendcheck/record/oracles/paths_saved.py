"""The paths oracle on files: the model saved and loaded again, and made again from its configuration.

Keras promises the same model. A model with classes or functions that Keras cannot find again by their names is left out, with a
note. What is loaded runs op by op, so that nothing compiles again.
"""

from __future__ import annotations

import inspect
import io
import math
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import keras
import numpy as np

from backendcheck.record.observe import outputs
from backendcheck.record.observe.arrays import as_observation
from backendcheck.record.observe.model import add_metrics, add_predictions
from backendcheck.record.observe.model_under_test import ModelUnderTest
from backendcheck.record.observe.optimizer_state import add_optimizer_state
from backendcheck.record.observe.trace import Trace
from backendcheck.record.observe.weights import named_weights
from backendcheck.record.oracles.paths_forms import is_graph
from backendcheck.vocabulary.findings import Oracle

SAVED = "saved and loaded"
SAVED_AFTER_TRAINING = "saved after training and loaded"
_CHUNK = 2**16  # bytes


class UnequalModel(Exception):
    """A loaded model has other weights than the saved one."""


def observe_saved_paths(under_test: ModelUnderTest, trace: Trace, *, single_step: bool = False) -> None:
    """Add a variant to `trace` for each way to save the model. The model has its initial state, also afterwards.

    With `single_step`, the trained weights are those after one step, which the loaded model takes as well.
    """
    model = under_test.model
    if under_test.predict_differs:
        return
    if reason := why_not_loadable(model):
        trace.notes.append(f"not compared with itself {SAVED}: {reason}")
        return
    compiles = _compiles(under_test)
    under_test.restore_initial()
    with _directory(model, trace) as directory:
        if directory is None:
            return
        with under_test.variant(trace, Oracle.PATHS, SAVED) as variant:
            loaded = _loaded(model, directory / "model.keras", compile=compiles)
            _add_predictions(under_test, loaded, variant)
            trace.add("saved/variables", _variables_in(directory / "model.keras"))
            if compiles:
                _add_steps(under_test, loaded, variant, trace, single_step=single_step)
        with under_test.variant(trace, Oracle.PATHS, "weights saved and loaded") as variant:
            path = directory / "model.weights.h5"
            model.save_weights(path)
            for weight in model.weights:
                weight.assign(np.zeros(weight.shape, as_observation(weight, where=weight.path).value.dtype))
            model.load_weights(path)
            _add_predictions(under_test, model, variant)
        under_test.restore_initial()
        if is_graph(model):
            if all(isinstance(operation, keras.Layer) for operation in getattr(model, "operations", ())):
                with under_test.variant(trace, Oracle.PATHS, "saved as HDF5 and loaded") as variant:
                    path = directory / "model.h5"
                    model.save(path, include_optimizer=False)
                    _add_predictions(under_test, keras.saving.load_model(path, compile=False), variant)
            else:
                trace.notes.append("not compared with itself saved as HDF5 and loaded: that format does not load operations")
            with under_test.variant(trace, Oracle.PATHS, "made from its config") as variant:
                made = type(model).from_config(model.get_config())
                made.set_weights(model.get_weights())  # all of them: quantized kernels are integers
                _add_predictions(under_test, made, variant)
    under_test.restore_initial()


def observe_saved_after_training(under_test: ModelUnderTest, trace: Trace) -> None:
    """Add a variant with the trained weights and the state of the optimizer, as they come back from a file."""
    model = under_test.model
    if under_test.predict_differs or why_not_loadable(model):
        return
    compiles = _compiles(under_test)
    with _directory(model, trace) as directory:
        if directory is not None:
            _add_saved_after_training(model, directory, trace, compiles=compiles)


def _add_saved_after_training(model: Any, directory: Path, trace: Trace, *, compiles: bool) -> None:
    with trace.variant(Oracle.PATHS, SAVED_AFTER_TRAINING) as variant:
        loaded = _loaded(model, directory / "model.keras", compile=compiles)
        for (path, _), (_, weight) in _pairs(model, loaded):
            variant.add(f"train/weight/{path}", weight)
        if compiles and [path for path, _ in named_weights(model)] == [path for path, _ in named_weights(loaded)]:
            add_optimizer_state(loaded.optimizer, loaded, variant)


@contextmanager
def _directory(model: Any, trace: Trace) -> Iterator[Path | None]:
    """A directory for the files of `model`, or None. A disk that takes no more files is a note, and not a path that differs."""
    n_before = len(trace.variants)
    with ExitStack() as stack:
        try:
            made = tempfile.TemporaryDirectory(prefix="backendcheck-saved-", ignore_cleanup_errors=True)
            directory, reason = Path(stack.enter_context(made)), ""
        except OSError as error:
            directory, reason = None, str(error)
        yield directory
        if directory is not None and any(variant.raised for variant in trace.variants[n_before:]):
            reason = _why_not_writable(directory, sum(4 * math.prod(weight.shape) for weight in model.weights))
    if reason:
        trace.variants[n_before:] = [variant for variant in trace.variants[n_before:] if not variant.raised]
        trace.notes.append(f"not compared with itself {SAVED}: {tempfile.gettempdir()} takes no files: {reason}")


def _why_not_writable(directory: Path, size: int) -> str:
    """Why a file of `size` bytes, and what a format adds to them, cannot be written; empty if it can."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            for _ in range(size // _CHUNK + 1):
                file.write(bytes(_CHUNK))
    except OSError as error:
        return str(error)
    return ""


def _loaded(model: Any, path: Path, *, compile: bool) -> Any:  # noqa: A002 - the word of Keras
    model.save(path)
    return keras.saving.load_model(path, compile=compile)


def _variables_in(path: Path) -> list[str]:
    """The arrays in a file of Keras, each with its shape. A backend that finds the same names reads what another one wrote."""
    entries: list[str] = []

    def add(name: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset):
            entries.append(f"{name} {entry.shape}")

    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(add)
    return sorted(entries)


def _pairs(model: Any, loaded: Any) -> Iterator[tuple[tuple[str, Any], tuple[str, Any]]]:
    """The float weights of two models, by path where the paths are the same, in order otherwise."""
    saved, new = named_weights(model), named_weights(loaded)
    by_path = dict(new)
    if len(new) == len(saved) and all(path in by_path for path, _ in saved):
        new = [(path, by_path[path]) for path, _ in saved]
    if [tuple(weight.shape) for _, weight in saved] != [tuple(weight.shape) for _, weight in new]:
        shapes = [", ".join(str(tuple(weight.shape)) for _, weight in weights) for weights in (new, saved)]
        message = f"the loaded model has float weights of the shapes {shapes[0]}; expected {shapes[1]}, as they were saved"
        raise UnequalModel(message)
    return zip(saved, new, strict=True)


def _add_predictions(under_test: ModelUnderTest, model: Any, variant: Trace) -> None:
    x = under_test.tensors((under_test.x, None, None))["x"]
    add_predictions(outputs.by_output(model(x, training=False), model), variant)


def _add_steps(under_test: ModelUnderTest, loaded: Any, variant: Trace, trace: Trace, *, single_step: bool) -> None:
    """The loss, the metrics, and one training step of the loaded model, as it was compiled when it was saved."""
    data = under_test.tensors(under_test.arrays)
    loaded.run_eagerly = True
    if "loss" in trace.observations and not under_test.overrides("compute_loss"):
        y_pred = loaded(data["x"], training=False)
        variant.add("loss", loaded.compute_loss(x=data["x"], y=data["y"], y_pred=y_pred, sample_weight=data["sample_weight"]))
    same_in_batches = under_test.test_step_loss_name == "loss" and not under_test.changed_state
    if under_test.evaluates and (under_test.is_one_batch or same_in_batches):
        values: Mapping[str, Any] = loaded.test_on_batch(*under_test.fed, return_dict=True)
        add_metrics(values, variant, loss=under_test.test_step_loss_name, only=under_test.metrics_of_any_batch)
    if single_step:
        loaded.train_on_batch(*under_test.fed, return_dict=True)
        for (path, _), (_, weight) in _pairs(under_test.model, loaded):
            variant.add(f"train/weight/{path}", weight)


# --- what Keras promises to load -------------------------------------------------------------------------------


def why_not_loadable(model: Any) -> str:
    """Why Keras does not promise to load the saved model; empty if it does."""
    layers = list(model._flatten_layers())  # noqa: SLF001 - nested layers, too
    own = {type(layer).__name__ for layer in layers if not _is_registered(type(layer))}
    if own:
        return f"{', '.join(sorted(own))} is not registered with keras.saving.register_keras_serializable"
    if any(isinstance(layer, keras.layers.Lambda) for layer in layers):
        return "a Lambda layer holds a Python function"
    if not model.built:
        return "the model is not built"
    try:
        unknown = _unknown_names(model.get_config())
    except Exception as error:  # noqa: BLE001 - a class of the user without a configuration raises what it likes
        return f"its configuration raises {type(error).__name__}"
    return f"Keras does not find {', '.join(unknown)} by name" if unknown else ""


def _compiles(under_test: ModelUnderTest) -> bool:
    """Whether Keras promises to compile the loaded model as the saved one is."""
    try:
        config = under_test.model.get_compile_config()
    except Exception:  # noqa: BLE001 - an object of the user without a configuration raises what it likes
        return False
    return under_test.case.loss is not None and config is not None and not _unknown_names(config)


def _is_of_keras(module: str | None) -> bool:
    return (module or "").partition(".")[0] == "keras"


def _is_registered(cls: type) -> bool:
    """Whether Keras finds the class by its name: its own, and those that are registered."""
    return _is_of_keras(cls.__module__) or keras.saving.get_registered_object(keras.saving.get_registered_name(cls)) is cls


def _unknown_names(config: Any) -> list[str]:
    """The classes and functions in a configuration that Keras does not find by their names."""
    if isinstance(config, list | tuple):
        return [name for item in config for name in _unknown_names(item)]
    if not isinstance(config, Mapping):
        return _unknown_function(config)
    if "class_name" in config and "config" in config and not _is_of_keras(config.get("module")):
        kind, registered = str(config["class_name"]), config.get("registered_name")
        if kind == "__lambda__":
            return ["a Python lambda"]
        name = config["config"] if kind == "function" else registered
        if name is not None and keras.saving.get_registered_object(name) is None:
            return [str(name)]
    return [name for item in config.values() for name in _unknown_names(item)]


def _unknown_function(value: Any) -> list[str]:
    """A function of the case in a configuration, which was not serialized."""
    if inspect.isfunction(value) and not _is_of_keras(value.__module__):
        return [value.__name__]
    return []
