"""The models and labels of the cases in this directory. Their values are not at a kink, a tie or a limit of a range."""

import keras
import numpy as np

layers = keras.layers

N_CLASSES = 6
N_FEATURES = 20
N_STEPS = 12
N_TOKENS = 50


def table(rng, n):
    """N examples (N, 20) of standard normal features."""
    return rng.standard_normal((n, N_FEATURES)).astype("float32")


def images(rng, n):
    """N images (N, 12, 12, 3), values in [0, 1]."""
    return rng.random((n, 12, 12, 3)).astype("float32")


def series(rng, n, steps=N_STEPS):
    """N series (N, T, 5)."""
    return rng.standard_normal((n, steps, 5)).astype("float32")


def sentences(rng, n, padded=True):
    """N sentences (N, 12) of token ids 1 … 49, optionally padded at the end with 0; each has at least one token."""
    tokens = rng.integers(1, N_TOKENS, size=(n, N_STEPS))
    if padded:
        tokens[np.arange(N_STEPS) >= rng.integers(3, N_STEPS + 1, size=(n, 1))] = 0
    return tokens.astype("int32")


def integers(rng, n, classes=N_CLASSES):
    """Integer labels (N,)."""
    return rng.integers(classes, size=n).astype("int32")


def one_hot(rng, n):
    """One-hot labels (N, 6)."""
    return np.eye(N_CLASSES, dtype="float32")[integers(rng, n)]


def multi_hot(rng, n):
    """Multi-hot labels (N, 6)."""
    return (rng.random((n, N_CLASSES)) < 0.4).astype("float32")


def dense(depth, activation="softmax", between=None, head="float32", width=32):
    """`depth` hidden layers of `width`, each followed by the layer that `between` makes, and a head."""
    model = keras.Sequential([keras.Input((N_FEATURES,))])
    for _ in range(depth):
        model.add(layers.Dense(width, activation="tanh"))
        if between is not None:
            model.add(between())
    model.add(layers.Dense(N_CLASSES, activation=activation, dtype=head))
    return model


def conv(depth, between=None, head="float32"):
    """`depth` convolutions of 8 filters on 12 x 12 images, pooled, with a softmax head."""
    model = keras.Sequential([keras.Input((12, 12, 3))])
    for _ in range(depth):
        model.add(layers.Conv2D(8, 3, padding="same", activation="elu"))
        if between is not None:
            model.add(between())
    model.add(layers.AveragePooling2D(2))
    model.add(layers.Flatten())
    model.add(layers.Dense(N_CLASSES, activation="softmax", dtype=head))
    return model


def recurrent(layer, depth, steps=N_STEPS, head="float32"):
    """`depth` recurrent layers of 16 on series, with a softmax head."""
    model = keras.Sequential([keras.Input((steps, 5))])
    for level in range(depth):
        model.add(layer(16, return_sequences=level < depth - 1))
    model.add(layers.Dense(N_CLASSES, activation="softmax", dtype=head))
    return model


def transformer(depth, causal=False, head="float32"):
    """`depth` encoder blocks (attention of 2 heads, layer norm, feed-forward) on token ids, with a softmax head."""
    tokens = keras.Input((N_STEPS,), dtype="int32")
    x = layers.Embedding(N_TOKENS, 16)(tokens)
    for _ in range(depth):
        attended = layers.MultiHeadAttention(2, 8)(x, x, use_causal_mask=causal)
        x = layers.LayerNormalization()(layers.Add()([x, attended]))
        forward = layers.Dense(16)(layers.Dense(32, activation="gelu")(x))
        x = layers.LayerNormalization()(layers.Add()([x, forward]))
    pooled = layers.GlobalAveragePooling1D()(x)
    return keras.Model(tokens, layers.Dense(N_CLASSES, activation="softmax", dtype=head)(pooled))
