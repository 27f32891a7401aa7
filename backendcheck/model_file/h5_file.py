"""The older format of Keras, HDF5. The configuration of a model is JSON in the attributes of the file.

HDF5 is a library in C that a damaged file may crash, so it runs in a process of its own. Nothing but the attributes is read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.limited import end_limited, run_limited

_NAMES = ("model_config", "training_config", "keras_version")


def read_h5(path: Path, most_bytes: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration and the metadata of a model, as `config.json` and `metadata.json` of a ``.keras`` file have them.

    Raises:
        UsageError: if the file holds weights only.
        UnreadableInput: if it is damaged, or h5py is not installed.
    """
    output, problem = run_limited(__name__, [str(path.absolute()), str(most_bytes)], min(path.stat().st_size, most_bytes))
    remedy = "Save the model again as .keras"
    attributes: dict[str, str] = {}
    if not problem:
        try:
            attributes = json.loads(output)
            config, training = (json.loads(attributes.get(name, "null")) for name in _NAMES[:2])
        except (ValueError, RecursionError) as error:
            problem = f"its configuration is damaged: {error}"
    if problem:
        message = f"{path}: older format of Keras, or damaged ({problem}); expected a .keras file. {remedy}."
        raise UnreadableInput(message)
    if config is None:
        message = f"{path}: older format of Keras, and without a model; expected more than weights. {remedy}."
        raise UsageError(message)
    if not isinstance(config, dict) or not isinstance(training, dict | None):
        message = f"{path}: older format of Keras, and its configuration is not a JSON object. {remedy}."
        raise UnreadableInput(message)
    metadata = {"keras_version": attributes.get("keras_version", "")}
    return {**config, "compile_config": training} if training else config, metadata


def _attributes(path: str, most_bytes: str) -> bytes:
    """The child: the attributes of the file that describe the model, as JSON."""
    import h5py  # type: ignore[import-untyped]

    attributes: dict[str, str] = {}
    with h5py.File(path, "r") as file:
        for name in _NAMES:
            if name in file.attrs:
                value = file.attrs[name]
                attributes[name] = value.decode() if isinstance(value, bytes) else str(value)
    content = json.dumps(attributes).encode()
    if len(content) > int(most_bytes):
        message = f"a configuration of {len(content)} bytes; expected at most {most_bytes}"
        raise ValueError(message)
    return content


if __name__ == "__main__":
    end_limited(_attributes, sys.argv[1:])
