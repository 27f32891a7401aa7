"""Sequences: recurrent layers, attention, embeddings with and without a mask."""

import keras
import pytest
from _layers import N_CLASSES, N_STEPS, N_TOKENS, integers, multi_hot, recurrent, sentences, series, transformer

from backendcheck import ModelCase


@pytest.mark.parametrize(("layer", "n"), [("LSTM", 64), ("GRU", 1)])
def case_recurrent(rng, layer, n):
    """One recurrent layer over 12 steps."""
    model = recurrent(getattr(keras.layers, layer), 1)
    return ModelCase(model, "sparse_categorical_crossentropy", series(rng, n), integers(rng, n), metrics=["accuracy"])


def case_deep_lstm(rng):
    """Three recurrent layers over 40 steps."""
    model = recurrent(keras.layers.LSTM, 3, steps=40)
    return ModelCase(model, "sparse_categorical_crossentropy", series(rng, 8, 40), integers(rng, 8), metrics=["accuracy"])


def case_attention(rng):
    """One block of attention over token ids."""
    model = transformer(1)
    return ModelCase(model, "sparse_categorical_crossentropy", sentences(rng, 512), integers(rng, 512), metrics=["accuracy"])


def case_deep_attention(rng):
    """Three blocks of causal attention."""
    model = transformer(3, causal=True)
    return ModelCase(model, "sparse_categorical_crossentropy", sentences(rng, 8), integers(rng, 8), metrics=["accuracy"])


def case_masked_embedding(rng):
    """Padding is masked by the embedding and left out by the recurrent layer behind it."""
    model = keras.Sequential(
        [
            keras.Input((N_STEPS,), dtype="int32"),
            keras.layers.Embedding(N_TOKENS, 8, mask_zero=True),
            keras.layers.GRU(16),
            keras.layers.Dense(N_CLASSES, activation="softmax"),
        ]
    )
    return ModelCase(model, "sparse_categorical_crossentropy", sentences(rng, 64), integers(rng, 64), metrics=["accuracy"])


def case_mean_of_embeddings(rng):
    """A bag of words with multi-hot labels; the mean leaves the padding out."""
    model = keras.Sequential(
        [
            keras.Input((N_STEPS,), dtype="int32"),
            keras.layers.Embedding(N_TOKENS, 8, mask_zero=True),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(N_CLASSES, activation="sigmoid"),
        ]
    )
    return ModelCase(model, "binary_crossentropy", sentences(rng, 64), multi_hot(rng, 64), metrics=["binary_accuracy"])


def case_label_for_each_step(rng):
    """A class for every token; padding carries no loss."""
    model = keras.Sequential(
        [
            keras.Input((N_STEPS,), dtype="int32"),
            keras.layers.Embedding(N_TOKENS, 8, mask_zero=True),
            keras.layers.LSTM(16, return_sequences=True),
            keras.layers.Dense(N_CLASSES, activation="softmax"),
        ]
    )
    x = sentences(rng, 8)
    y = rng.integers(N_CLASSES, size=x.shape).astype("int32")
    return ModelCase(model, "sparse_categorical_crossentropy", x, y)
