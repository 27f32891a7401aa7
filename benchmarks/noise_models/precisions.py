"""The same models in other float types: float64, and mixed precision with a head of float32, as Keras advises."""

import keras
import pytest
from _layers import conv, dense, images, integers, recurrent, sentences, series, table, transformer

from backendcheck import ModelCase

MODELS = {
    "dense": lambda **options: dense(5, **options),
    "batch_norm": lambda **options: dense(2, between=keras.layers.BatchNormalization, **options),
    "layer_norm": lambda **options: dense(2, between=keras.layers.LayerNormalization, **options),
    "conv": lambda **options: conv(2, **options),
    "lstm": lambda **options: recurrent(keras.layers.LSTM, 1, **options),
    "attention": lambda **options: transformer(1, **options),
}
DATA = {"conv": images, "lstm": series, "attention": sentences}


def a_case(rng, model, n, head):
    """Any of the models with integer labels."""
    x = DATA.get(model, table)(rng, n)
    return ModelCase(MODELS[model](head=head), "sparse_categorical_crossentropy", x, integers(rng, n), metrics=["accuracy"])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("model", MODELS)
def case_float64(rng, model):
    """Double precision throughout."""
    return a_case(rng, model, 64, head="float64")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def case_mixed(rng, policy, model):
    """Half precision in the layers, float32 in the weights and in the head."""
    keras.config.set_dtype_policy(policy)
    return a_case(rng, model, 8, head="float32")


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
    return a_case(rng, "dense", 8, head=policy)
