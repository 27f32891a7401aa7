"""What a model does in a way of its own instead of Keras's: its steps, its loss.

A door that the model's own code replaces promises nothing about the others. It stays shut, the record says so, and what it gives
is compared between backends all the same.
"""

from __future__ import annotations

from typing import Any

import keras

# What is not held against what, where the model has a method of that name.
_SHUT = {
    "train_step": "what fit reports is not held against the loss before training",
    "test_step": "what evaluate reports is not held against the loss, and recorded as metric/loss",
    "predict_step": "predict is not held against model(x)",
    "compute_loss": "the loss is not held against the declared losses called by hand",
}


def has_own(model: Any, method: str) -> bool:
    """Whether the class of `model` overrides this method of `keras.Model`."""
    return getattr(type(model), method) is not getattr(keras.Model, method)


def shut_doors(model: Any) -> list[str]:
    """A note for each method of its own that shuts a door."""
    return [f"{words}: the model has a {method} of its own" for method, words in _SHUT.items() if has_own(model, method)]
