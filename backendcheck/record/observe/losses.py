"""A loss as users give it (a string, an object, a function), made callable, reduced or not."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

# No public class wraps a plain function the way model.compile does; this one has been here since Keras 3.0.
from keras.src.losses.losses import LossFunctionWrapper

from backendcheck.record.observe.arrays import observed
from backendcheck.record.observe.errors import InvalidCase

# Losses under which an example has one class; the class predicted is then an observation of its own.
_EXCLUSIVE = (
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
)


def resolve(loss: Any) -> keras.losses.Loss:
    """The `keras.losses.Loss` that `model.compile` would make of `loss`.

    Raises:
        InvalidCase: if it is neither a string, a `Loss`, nor callable.
    """
    if inspect.isclass(loss) and issubclass(loss, keras.losses.Loss):
        return loss()
    if isinstance(loss, str | Mapping):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        return loss
    if not callable(loss):
        message = f"loss={loss!r} is no loss; expected a string, a keras.losses.Loss, or a function of (y_true, y_pred)."
        raise InvalidCase(message)
    return LossFunctionWrapper(loss, name=getattr(loss, "__name__", type(loss).__name__))


@contextmanager
def unreduced(loss: keras.losses.Loss) -> Iterator[keras.losses.Loss]:
    """The same loss without its reduction, while the context lasts."""
    reduction = loss.reduction
    loss.reduction = "none"
    try:
        yield loss
    finally:
        loss.reduction = reduction


def per_example(loss: keras.losses.Loss, y_true: Any, y_pred: Any, sample_weight: Any, n: int) -> np.ndarray | None:
    """The loss of each example after sample weights and masks, (N,), or None for a loss that is a scalar by nature.

    Where the loss has more axes (one value per time step), it is the mean over them.
    """
    with unreduced(loss):
        values = observed(loss(y_true, y_pred, sample_weight=sample_weight), where="per_example_loss").value
    if values.ndim == 0 or values.shape[0] != n:
        return None
    return values if values.ndim == 1 else values.reshape(n, -1).mean(axis=1, dtype=values.dtype)


def name_of(loss: keras.losses.Loss) -> str:
    """The name of the function behind a loss (``categorical_crossentropy``), or of its class."""
    fn = getattr(loss, "fn", None)
    return getattr(fn, "__name__", "") or loss.name


def is_exclusive(loss: keras.losses.Loss | None) -> bool:
    """Whether under this loss an example belongs to exactly one class."""
    return loss is not None and name_of(loss) in _EXCLUSIVE


def description(loss: keras.losses.Loss) -> dict[str, Any]:
    """What is to be known of the loss without it: name, module, options, reduction; only what JSON can hold."""
    fn: Callable[..., Any] | None = getattr(loss, "fn", None)
    options = {}
    for key, value in {**_config(loss), **getattr(loss, "_fn_kwargs", {})}.items():
        if key in ("name", "fn", "reduction"):
            continue
        try:
            options[key] = json.loads(json.dumps(value))
        except (TypeError, ValueError):
            options[key] = repr(value)
    return {
        "name": name_of(loss),
        "from_keras": str(getattr(fn or type(loss), "__module__", "")).startswith("keras."),
        "options": options,
        "reduction": None if loss.reduction in (None, "none") else loss.reduction,
    }


def _config(loss: keras.losses.Loss) -> dict[str, Any]:
    try:
        return dict(loss.get_config())
    except Exception:  # noqa: BLE001 - a user's get_config may do anything; the options are a convenience
        return {}
