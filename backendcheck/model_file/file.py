"""The description of a ``.keras`` file, or of a Keras model in this process."""

from __future__ import annotations

import json
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.errors import BackendcheckError, UnreadableInput, UsageError
from backendcheck.files import check_regular
from backendcheck.model_file.compiled import Compiled, compiled_with
from backendcheck.model_file.h5_file import read_h5
from backendcheck.model_file.heads import Head, Port, heads_of, ports_of
from backendcheck.model_file.losses import is_custom, is_from_keras_module
from backendcheck.text.words import error_line

_LARGEST_CONFIG = 64_000_000  # bytes; the largest models have some millions


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """What a model file tells.

    Attributes:
        path: the file; for a model in this process, its name.
        keras_version: the version of Keras that saved it; empty if not known.
        class_name: the class of the model, such as ``Sequential``.
        inputs: the inputs, in order; empty if not known.
        outputs: the heads, in order; empty if not known.
        compiled: what the model was compiled with, or None.
        custom: the custom classes and functions that must be imported to load it.
        lambdas: where it holds Python lambdas that Keras's safe mode does not load, such as ``the layer lambda_1``.
        notes: what the file does not tell.
    """

    path: Path
    keras_version: str
    class_name: str
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Head, ...] = ()
    compiled: Compiled | None = None
    custom: tuple[str, ...] = ()
    lambdas: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lacks_loss(self) -> bool:
        """Whether it certainly has no loss for labels: none was compiled, and no class of the user's could have its own."""
        return not self.custom and (self.compiled is None or not self.compiled.declares_loss)


def read_model_file(path: str | Path) -> ModelFile:
    """Read the description of the model file at `path`.

    Raises:
        UsageError: if the file does not exist, or is an HDF5 file of weights only.
        UnreadableInput: if it is damaged.
    """
    path = Path(path)
    if not path.is_file():
        message = f"{path}: file not found; expected a .keras file."
        raise UsageError(message)
    if path.suffix.lower() in (".h5", ".hdf5"):
        return _described(path, *read_h5(path, _LARGEST_CONFIG), "its configuration")
    try:
        check_regular(path)
        with zipfile.ZipFile(path) as archive:
            config = _member(path, archive, "config.json")
            metadata = _member(path, archive, "metadata.json") if "metadata.json" in archive.namelist() else {}
    except BackendcheckError:
        raise
    except Exception as error:  # a damaged archive raises anything
        message = f"{path}: damaged, or not a .keras file ({error}). Save the model again."
        raise UnreadableInput(message) from error
    return _described(path, config, metadata, "config.json")


def _described(path: Path, config: Mapping[str, Any], metadata: Mapping[str, Any], source: str) -> ModelFile:
    try:
        return _model_file(path, config, metadata)
    except Exception as error:  # whatever a wrong field raises
        message = f"{path}: {source} does not describe a Keras model ({error_line(error)}). Save the model again."
        raise UnreadableInput(message) from error


def describe_model(model: Any) -> ModelFile:
    """The same for a model in this process. Uses the keras that is already imported.

    Raises:
        UsageError: if it is not a Keras model, or cannot be serialized.
    """
    keras = sys.modules.get("keras")
    called = str(getattr(model, "name", "") or type(model).__name__)
    if keras is None or not hasattr(model, "get_config") or not hasattr(model, "predict"):
        message = f"model: expected a .keras file or a Keras model, got {type(model).__name__}."
        raise UsageError(message)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about what a file would lose; nothing is saved here
            config = json.loads(json.dumps(keras.saving.serialize_keras_object(model), default=str))
        description = _model_file(Path(called), config, {"keras_version": str(getattr(keras, "__version__", ""))})
    except Exception as error:
        message = f"{called}: cannot be serialized ({error_line(error)}). Pass head and loss instead."
        raise UsageError(message) from error
    return description


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    try:
        info = archive.getinfo(name)
    except KeyError:
        message = f"{path}: not a .keras file; expected {name} inside. Save the model again."
        raise UnreadableInput(message) from None
    if info.file_size > _LARGEST_CONFIG:
        message = f"{path}: {name} unpacks to {info.file_size} bytes; expected at most {_LARGEST_CONFIG}. It is not read."
        raise UnreadableInput(message)
    try:
        content = json.loads(archive.read(name))
    except (ValueError, RecursionError, zipfile.BadZipFile, EOFError) as error:
        message = f"{path}: {name} is damaged ({error}). Save the model again."
        raise UnreadableInput(message) from error
    if not isinstance(content, dict):
        message = f"{path}: {name} is not a JSON object. Save the model again."
        raise UnreadableInput(message)
    return content


def _model_file(path: Path, config: Mapping[str, Any], metadata: Mapping[str, Any]) -> ModelFile:
    class_name = str(config["class_name"])
    inner = config["config"]
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Head, ...] = ()
    notes: list[str] = []
    if "layers" in inner and ("output_layers" in inner or class_name == "Sequential"):
        inputs, outputs = ports_of(config), heads_of(config)
        notes += [f"the file does not tell the head of {head.name or 'the model'}" for head in outputs if head.units is None]
    else:
        notes.append(f"{class_name} is a custom class; the file does not tell its inputs and outputs")
    compiled = compiled_with(config.get("compile_config"), [head.name for head in outputs] or [""], notes)
    return ModelFile(
        path=path, keras_version=str(metadata.get("keras_version", "")), class_name=class_name, inputs=inputs, outputs=outputs,
        compiled=compiled, custom=tuple(dict.fromkeys(_custom(config))), lambdas=tuple(dict.fromkeys(_lambdas(config))),
        notes=tuple(notes),
    )  # fmt: skip


def _lambdas(nest: Any, where: str = "the model") -> Iterator[str]:
    """Where lambdas are in a configuration. Custom classes are left out: they load what they hold in their own way."""
    if isinstance(nest, Mapping):
        if nest.get("class_name") == "__lambda__":
            yield where
            return
        config = nest.get("config")
        if "module" in nest and isinstance(config, Mapping):
            if is_custom(nest):
                return
            if not str(nest.get("class_name")).endswith(("Sequential", "Functional", "Model")):
                where = f"the layer {config['name']}" if config.get("name") else where
        for key, value in nest.items():
            inside = "compile(), as loss or metric" if key == "compile_config" else where
            yield from _lambdas(value, inside)
    elif isinstance(nest, list):
        for value in nest:
            yield from _lambdas(value, where)


def _custom(nest: Any) -> Iterator[str]:
    """The custom classes and functions in a configuration, which must be imported to load it."""
    if isinstance(nest, Mapping):
        if "class_name" in nest and "module" in nest and nest["class_name"] != "__keras_tensor__":
            if nest["class_name"] == "function":
                if not is_from_keras_module(nest.get("module")):
                    yield f"{nest['module']}.{nest.get('config')}"
            elif is_custom(nest):
                yield str(nest["registered_name"] if nest.get("module") is None else f"{nest['module']}.{nest['class_name']}")
        for value in nest.values():
            yield from _custom(value)
    elif isinstance(nest, list):
        for value in nest:
            yield from _custom(value)
