"""Reading the zip archive that a ``.keras`` file is, or the same of a model of this process."""

from __future__ import annotations

import json
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.model_file.compiled import Compiled, compiled_with
from backendcheck.model_file.heads import Head, Port, heads_of, ports_of
from backendcheck.model_file.losses import is_custom, is_own_module

_LARGEST_CONFIG = 64_000_000  # bytes: the largest models have some millions; what unpacks to more is no model


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A saved model. `custom` names the classes and functions that are not Keras's, which have to be imported to load it."""

    path: Path
    keras_version: str
    kind: str
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Head, ...] = ()
    compiled: Compiled | None = None
    custom: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_model_file(path: str | Path) -> ModelFile:
    """What the model file at `path` says of itself.

    Raises:
        UsageError: if it is no ``.keras`` file.
        UnreadableInput: if it is damaged.
    """
    path = Path(path)
    if not path.is_file():
        message = f"{path}: no such file; expected a .keras file."
        raise UsageError(message)
    if path.suffix.lower() in (".h5", ".hdf5"):
        message = f"{path}: is in Keras's older format, which tells nothing without keras. Save it again, as a .keras file."
        raise UsageError(message)
    try:
        with zipfile.ZipFile(path) as archive:
            config = _member(path, archive, "config.json")
            metadata = _member(path, archive, "metadata.json") if "metadata.json" in archive.namelist() else {}
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        message = f"{path}: is damaged, or no .keras file ({error}). Save the model again."
        raise UnreadableInput(message) from error
    try:
        return _model_file(path, config, metadata)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        message = f"{path}: its config.json is none of a Keras model ({type(error).__name__}: {error}). Save the model again."
        raise UnreadableInput(message) from error


def describe_model(model: Any) -> ModelFile:
    """What the file of a model of this process would say. Its own keras is asked; none is imported.

    Raises:
        UsageError: if it is no Keras model, or one that cannot be serialized.
    """
    keras = sys.modules.get("keras")
    called = str(getattr(model, "name", "") or type(model).__name__)
    if keras is None or not hasattr(model, "get_config") or not hasattr(model, "predict"):
        message = f"model: is {type(model).__name__}; expected a .keras file or a Keras model."
        raise UsageError(message)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a file would lose; nothing is saved here
            config = json.loads(json.dumps(keras.saving.serialize_keras_object(model), default=str))
        description = _model_file(Path(called), config, {"keras_version": str(getattr(keras, "__version__", ""))})
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error)[:120]}"
        message = f"{called}: cannot say what it is made of ({reason}). Give head and loss instead."
        raise UsageError(message) from error
    return description


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    try:
        info = archive.getinfo(name)
    except KeyError:
        message = f"{path}: has no {name}, so it is no .keras file. Save the model again."
        raise UnreadableInput(message) from None
    if info.file_size > _LARGEST_CONFIG:
        message = f"{path}: {name} unpacks to {info.file_size} bytes; expected {_LARGEST_CONFIG} at most. It is not read."
        raise UnreadableInput(message)
    try:
        content = json.loads(archive.read(name))
    except (ValueError, RecursionError, zipfile.BadZipFile, EOFError) as error:
        message = f"{path}: {name} is damaged ({error}). Save the model again."
        raise UnreadableInput(message) from error
    if not isinstance(content, dict):
        message = f"{path}: {name} is no JSON object. Save the model again."
        raise UnreadableInput(message)
    return content


def _model_file(path: Path, config: Mapping[str, Any], metadata: Mapping[str, Any]) -> ModelFile:
    kind = str(config["class_name"])
    inner = config["config"]
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Head, ...] = ()
    notes: list[str] = []
    if "layers" in inner and ("output_layers" in inner or kind == "Sequential"):
        inputs, outputs = ports_of(config), heads_of(config)
        notes += [f"the head of output {head.name or 'the model'} cannot be told" for head in outputs if head.units is None]
    else:
        notes.append(f"{kind} is a class of its own: its inputs and outputs cannot be told from the file")
    compiled = compiled_with(config.get("compile_config"), [head.name for head in outputs] or [""], notes)
    return ModelFile(
        path=path, keras_version=str(metadata.get("keras_version", "")), kind=kind, inputs=inputs, outputs=outputs,
        compiled=compiled, custom=tuple(dict.fromkeys(_custom(config))), notes=tuple(notes),
    )  # fmt: skip


def _custom(nest: Any) -> Iterator[str]:
    """The classes and functions in a configuration that have to be imported before it can be loaded."""
    if isinstance(nest, Mapping):
        if "class_name" in nest and "module" in nest and nest["class_name"] != "__keras_tensor__":
            if nest["class_name"] == "function":
                if not is_own_module(nest.get("module")):
                    yield f"{nest['module']}.{nest.get('config')}"
            elif is_custom(nest):
                yield str(nest["registered_name"] if nest.get("module") is None else f"{nest['module']}.{nest['class_name']}")
        for value in nest.values():
            yield from _custom(value)
    elif isinstance(nest, list):
        for value in nest:
            yield from _custom(value)
