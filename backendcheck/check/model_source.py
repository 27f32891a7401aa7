"""The model that is asked about, as source: loaded from a file, or built by a function."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.check.case_source import CaseSource, identifier
from backendcheck.check.custom_objects import custom_objects_of
from backendcheck.errors import UsageError

_MODEL_FILES = (".keras", ".h5", ".hdf5")
_WANTED = "expected a .keras file, or a function that builds the model, such as my_package.models:build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """`called` is what a reader calls the model, `stem` the name of its case file, `lines` the source that makes ``model``.

    `has_weights` is False where every backend would draw its own.
    """

    called: str
    stem: str
    lines: tuple[str, ...]
    has_weights: bool = True


def subject_of(
    source: CaseSource, model: Any, folder: Path, *, weights: Path | None = None, custom_objects: Mapping[str, Any] | None = None
) -> Subject:
    """The model as source. One of this process is saved into `folder`, where the case file will be.

    Raises:
        UsageError: if it is no model and cannot become one.
    """
    custom = dict(custom_objects or {})
    if isinstance(model, str) and ":" in model and not Path(model).exists():
        return _built(str(source.attribute(model)), model.partition(":")[2], folder, weights)
    if isinstance(model, str | Path):
        path = Path(model)
        check_model_file(path, weights)
        return _loaded(source, path, folder, path.name, custom)
    if hasattr(model, "save") and hasattr(model, "predict"):
        if not getattr(model, "built", True):
            message = "model: has no weights yet; expected one that is built (or each backend draws its own). Call it on data."
            raise UsageError(message)
        name = identifier(str(getattr(model, "name", "")), "model")
        path = folder / f"{name}.keras"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            model.save(path)
        except Exception as error:
            message = f"{name}: cannot be saved ({type(error).__name__}: {error}). Give a function that builds it instead."
            raise UsageError(message) from error
        return _loaded(source, path, folder, name, custom_objects_of(model) | custom)
    if callable(model):
        name = identifier(getattr(model, "__name__", "") or type(model).__name__, "model")
        return _built(source.expression("model", model), name, folder, weights)
    message = f"model: is {type(model).__name__}; {_WANTED}."
    raise UsageError(message)


def check_model_file(path: Path, weights: Path | None = None) -> None:
    """See that `path` is the file of a model, by its name.

    Raises:
        UsageError: if it is not, or is not there, or has weights of its own beside those given.
    """
    if path.is_dir():
        message = f"{path}: is a directory; {_WANTED}. Save the model again, as a .keras file."
    elif not path.exists():
        message = f"{path}: no such file; {_WANTED}."
    elif path.name.endswith(".weights.h5"):
        message = f"{path}: holds weights without their model; {_WANTED}. Give the function, and --weights {path}."
    elif path.suffix not in _MODEL_FILES:
        message = f"{path}: is no model file by its name; {_WANTED}."
    elif weights is not None:
        message = f"{path}: brings its weights along; expected weights={weights} with a function that builds the model only."
    else:
        return
    raise UsageError(message)


def _from_here(path: Path, folder: Path) -> str:
    """A path as the case file has it: beside itself, so that the directory of a run can be moved together with the file."""
    relative = Path(os.path.relpath(path.resolve(), folder.resolve()))
    return f"HERE / {relative.as_posix()!r}"


def _loaded(source: CaseSource, path: Path, folder: Path, called: str, custom: Mapping[str, Any]) -> Subject:
    objects = f", custom_objects={source.expression('custom_objects', dict(custom))}" if custom else ""
    line = f"model = keras.saving.load_model({_from_here(path, folder)}{objects})  # in safe mode, which is the default"
    return Subject(called=called, stem=identifier(path.stem, "model"), lines=(line,))


def _built(function: str, called: str, folder: Path, weights: Path | None) -> Subject:
    lines = [f"model = {function}()"]
    if weights is not None:
        if not weights.is_file():
            message = f"{weights}: no such file; expected the weights of {called}, as model.save_weights wrote them."
            raise UsageError(message)
        lines.append(f"model.load_weights({_from_here(weights, folder)})")
    return Subject(called=called, stem=identifier(called, "model"), lines=tuple(lines), has_weights=weights is not None)


