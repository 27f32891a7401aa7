"""All cases of `reference_cases` on one backend: ``KERAS_BACKEND=jax python reference_on_backend.py OUT.npz``.

A process of its own, because pytest imports no backend.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
from reference_cases import CASES, Case


def value_and_slope(case: Case) -> dict[str, Any]:
    import keras  # never in the pytest process
    from keras.src.backend import set_keras_mask  # never in the pytest process

    options = {key: tuple(value) if isinstance(value, list) else value for key, value in case.options.items()}
    made = getattr(keras.losses, case.keras_class)(reduction=case.reduction, **options)
    y_true, y_pred = np.asarray(case.y_true), np.asarray(case.y_pred, "float32")

    def compute(predictions: Any) -> Any:
        if case.mask is not None:
            set_keras_mask(predictions, keras.ops.convert_to_tensor(np.asarray(case.mask)))
        return made(y_true, predictions, case.sample_weight)

    results: dict[str, Any] = {}
    tensor = keras.ops.convert_to_tensor(y_pred)
    for name, ask in {
        "unreduced": lambda: made.call(keras.ops.convert_to_tensor(y_true, "float32"), tensor),
        "loss": lambda: compute(keras.ops.convert_to_tensor(y_pred)),
        "gradient": lambda: _slope(keras.backend.backend(), compute, y_pred),
    }.items():
        try:
            results[name] = keras.ops.convert_to_numpy(ask())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            results[name] = np.array(type(error).__name__ + ": " + " ".join(str(error).split())[:160])
    return results


def _slope(backend: str, compute: Any, y_pred: np.ndarray) -> Any:
    if backend == "tensorflow":
        import tensorflow as tf  # never in the pytest process

        at = tf.constant(y_pred)
        with tf.GradientTape() as tape:
            tape.watch(at)
            total = tf.reduce_sum(compute(at))
        return tape.gradient(total, at)
    if backend == "jax":
        import jax  # never in the pytest process
        import jax.numpy as jnp  # never in the pytest process

        return jax.grad(lambda at: jnp.sum(compute(at)))(jnp.asarray(y_pred))
    import torch  # never in the pytest process

    at = torch.tensor(y_pred, requires_grad=True)
    compute(at).sum().backward()
    return at.grad


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    answers = {f"{name}|{key}": value for name, case in CASES.items() for key, value in value_and_slope(case).items()}
    np.savez(sys.argv[1], **answers)
