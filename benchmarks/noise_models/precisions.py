"""The same models in half precision: mixed, with a head of float32 as Keras advises, and throughout."""

import keras
import pytest
from _layers import conv, dense, images, integers, recurrent, sentences, series, table, transformer

from backendcheck import ModelCase

MODELS = {
    "dense": (table, lambda: dense(5)),
    "batch_norm": (table, lambda: dense(2, between=keras.layers.BatchNormalization)),
    "layer_norm": (table, lambda: dense(2, between=keras.layers.LayerNormalization)),
    "conv": (images, lambda: conv(2)),
    "lstm": (series, lambda: recurrent(keras.layers.LSTM, 1)),
    "attention": (sentences, lambda: transformer(1)),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def case_mixed(rng, policy, model):
    """Half precision in the layers, float32 in the weights and in the head."""
    keras.config.set_dtype_policy(policy)
    data, made = MODELS[model]
    return ModelCase(made(), "sparse_categorical_crossentropy", data(rng, 8), integers(rng, 8), metrics=["accuracy"])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def case_mixed_epochs(rng, policy):
    """Three epochs of eight batches of 64."""
    keras.config.set_dtype_policy(policy)
    return ModelCase(
        dense(3), "sparse_categorical_crossentropy", table(rng, 512), integers(rng, 512), metrics=["accuracy"], epochs=3,
        batch_size=64,
    )  # fmt: skip


@pytest.mark.parametrize("policy", ["float16", "bfloat16"])
def case_half_throughout(rng, policy):
    """Half precision down to the weights and the loss."""
    keras.config.set_dtype_policy(policy)
    model = dense(2, head=policy)
    return ModelCase(model, "sparse_categorical_crossentropy", table(rng, 8), integers(rng, 8), metrics=["accuracy"])
