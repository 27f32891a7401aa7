"""The source that makes a model: load it from a file, or call a function that builds it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.check.case_source import CaseSource, identifier
from backendcheck.check.custom_objects import custom_objects_of
from backendcheck.errors import BackendcheckError, UsageError
from backendcheck.model_file import ModelFile, read_model_file

_MODEL_FILES = (".keras", ".h5", ".hdf5")
_EXPECTED = "expected a .keras file, or a function that builds the model, such as my_package.models:build"

_NAMED = "Put a named function in its place, registered with keras.saving.register_keras_serializable"
_REMEDY = (
    f"{_NAMED}, save the model again, and pass its module with --import (imports=). Or, if you trust the file, write a case that "
    "loads it with safe_mode=False."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """`title` names the model for a reader, `stem` its case file; `lines` are the source that binds ``model``.

    `has_weights` is False if every backend would initialize its own.
    """

    title: str
    stem: str
    lines: tuple[str, ...]
    has_weights: bool = True


def model_source_of(
    source: CaseSource, model: Any, folder: Path, *, weights: Path | None = None, custom_objects: Mapping[str, Any] | None = None
) -> ModelSource:
    """The source of `model`. A model of this process is saved into `folder`, where the case file will be.

    Raises:
        UsageError: if `model` is not a model, a file, a function or the name of one.
    """
    custom = dict(custom_objects or {})
    if isinstance(model, str) and ":" in model and not Path(model).exists():
        return _built(str(source.attribute(model)), model.partition(":")[2], folder, weights)
    if isinstance(model, str | Path):
        path = Path(model)
        check_model_file(path, weights)
        if not custom:
            check_loadable(_described(path))
        return _loaded(source, path, folder, path.name, custom)
    if hasattr(model, "save") and hasattr(model, "predict"):
        if not getattr(model, "built", True):
            message = "model: not built, so every backend would draw its own weights; expected a built model. Call it on data."
            raise UsageError(message)
        name = identifier(str(getattr(model, "name", "")), "model")
        path = folder / f"{name}.keras"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            model.save(path)
        except Exception as error:
            message = f"{name}: cannot be saved ({type(error).__name__}: {error}). Pass a function that builds it instead."
            raise UsageError(message) from error
        if not custom:
            check_loadable(_described(path), f"{_NAMED}, or pass a function that builds the model.")
        return _loaded(source, path, folder, name, custom_objects_of(model) | custom)
    if callable(model):
        name = identifier(getattr(model, "__name__", "") or type(model).__name__, "model")
        return _built(source.expression("model", model), name, folder, weights)
    message = f"model: is {type(model).__name__}; {_EXPECTED}."
    raise UsageError(message)


def check_model_file(path: Path, weights: Path | None = None) -> None:
    """Check by its name that `path` is the file of a model.

    Raises:
        UsageError: if it is not, does not exist, or would be combined with separate `weights`.
    """
    if path.is_dir():
        message = f"{path}: is a directory; {_EXPECTED}. Save the model again, as a .keras file."
    elif not path.exists():
        message = f"{path}: no such file; {_EXPECTED}."
    elif path.name.endswith(".weights.h5"):
        message = f"{path}: holds weights without their model; {_EXPECTED}. Pass the function, and --weights {path}."
    elif path.suffix not in _MODEL_FILES:
        message = f"{path}: not a model file; {_EXPECTED}."
    elif weights is not None:
        message = f"{path}: includes its weights; expected weights={weights} only with a function that builds the model."
    else:
        return
    raise UsageError(message)


def _described(path: Path) -> ModelFile | None:
    """The description in a .keras file; None without one, or if it cannot be read: the backends tell then."""
    try:
        return read_model_file(path) if path.suffix == ".keras" else None
    except BackendcheckError:
        return None


def check_loadable(model_file: ModelFile | None, remedy: str = "") -> None:
    """Check that Keras's safe mode, which stays on, loads a model file.

    Raises:
        UsageError: if it holds a Python lambda. Loading that would run code from the file.
    """
    if model_file is not None and model_file.lambdas:
        where = ", ".join(model_file.lambdas)
        problem = f"{model_file.path}: not loaded by Keras's safe mode, because of a Python lambda in {where}"
        raise UsageError(f"{problem}. {remedy or _REMEDY}")


def _relative_source(path: Path, folder: Path) -> str:
    """A path relative to the case file, so that the directory of a run can be moved together with the model."""
    relative = Path(os.path.relpath(path.resolve(), folder.resolve()))
    return f"HERE / {relative.as_posix()!r}"


def _loaded(source: CaseSource, path: Path, folder: Path, title: str, custom: Mapping[str, Any]) -> ModelSource:
    objects = f", custom_objects={source.expression('custom_objects', dict(custom))}" if custom else ""
    line = f"model = keras.saving.load_model({_relative_source(path, folder)}{objects})  # in safe mode, which is the default"
    return ModelSource(title=title, stem=identifier(path.stem, "model"), lines=(line,))


def _built(function: str, title: str, folder: Path, weights: Path | None) -> ModelSource:
    lines = [f"model = {function}()"]
    if weights is not None:
        if not weights.is_file():
            message = f"{weights}: no such file; expected the weights of {title}, written by model.save_weights."
            raise UsageError(message)
        lines.append(f"model.load_weights({_relative_source(weights, folder)})")
    return ModelSource(title=title, stem=identifier(title, "model"), lines=tuple(lines), has_weights=weights is not None)


