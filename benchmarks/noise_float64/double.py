"""Correct models in float64. They differ between backends, because only TensorFlow computes in float64 throughout.

On every other backend Keras converts float64 to float32 in ``dtypes.result_type``. So matmul and many other operations compute in
float32, and their results have the dtype float64: https://github.com/keras-team/keras/issues/23704
"""

import keras
import pytest
from _layers import conv, dense, images, integers, recurrent, sentences, series, table, transformer

from backendcheck import ModelCase

MODELS = {
    "dense": (table, lambda: dense(5, head="float64")),
    "batch_norm": (table, lambda: dense(2, between=keras.layers.BatchNormalization, head="float64")),
    "layer_norm": (table, lambda: dense(2, between=keras.layers.LayerNormalization, head="float64")),
    "conv": (images, lambda: conv(2, head="float64")),
    "lstm": (series, lambda: recurrent(keras.layers.LSTM, 1, head="float64")),
    "attention": (sentences, lambda: transformer(1, head="float64")),
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("model", MODELS)
def case_float64(rng, model):
    """Double precision throughout."""
    data, build = MODELS[model]
    return ModelCase(build(), "sparse_categorical_crossentropy", data(rng, 64), integers(rng, 64), metrics=["accuracy"])
