"""A ``.keras`` file in, a description of the model out: inputs, heads, losses. Needs no keras.

The file is a zip archive with ``config.json``, as Keras's serialization_lib writes it since 3.0. What it does not tell, such as
the layers of a subclassed model, is left out and listed in `ModelFile.notes`. Nothing is guessed. An ``.h5`` file has
the same description in its attributes.
"""

from backendcheck.model_file.compiled import Compiled
from backendcheck.model_file.file import ModelFile, describe_model, read_model_file
from backendcheck.model_file.heads import Head, Port
from backendcheck.model_file.losses import LOSSES, DeclaredLoss, declared_loss, is_single_loss

__all__ = [
    "LOSSES", "Compiled", "DeclaredLoss", "Head", "ModelFile", "Port", "declared_loss", "describe_model", "is_single_loss",
    "read_model_file",
]  # fmt: skip
