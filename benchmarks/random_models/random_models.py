"""200 small models drawn at random: a body for tables, images, series or text ids, one or two heads, valid labels.

Each number draws one model, its labels and its training, always the same. Labels are valid and layers deterministic, so a
finding is a false alarm, or a difference in Keras that has to be proved by hand.
"""

import keras
import numpy as np
import pytest

from backendcheck import ModelCase

layers = keras.layers

N_MODELS = 200
N_CLASSES = 4
N_TOKENS = 20
ACTIVATIONS = ["tanh", "elu", "gelu", "sigmoid", "silu", "linear"]
REGRESSION = [
    keras.losses.MeanSquaredError, keras.losses.Huber, keras.losses.LogCosh,
    keras.losses.MeanAbsoluteError, keras.losses.CosineSimilarity,
]  # fmt: skip


def _table(rng, n):
    """Features (N, 8) and the layers that suit them."""
    x = rng.standard_normal((n, 8)).astype("float32")
    body = [
        lambda: layers.Dense(int(rng.integers(4, 17)), activation=str(rng.choice(ACTIVATIONS))),
        layers.BatchNormalization,
        layers.LayerNormalization,
        lambda: layers.UnitNormalization(axis=-1),
    ]
    return x, body, []


def _images(rng, n):
    """Images (N, 8, 8, 2)."""
    x = rng.random((n, 8, 8, 2)).astype("float32")
    body = [
        lambda: layers.Conv2D(int(rng.integers(2, 6)), 3, padding=str(rng.choice(["same", "valid"])), activation="tanh"),
        lambda: layers.DepthwiseConv2D(3, padding="same", activation="elu"),
        lambda: layers.SeparableConv2D(3, 3, padding="same"),
        layers.BatchNormalization,
        lambda: layers.GroupNormalization(groups=1),
        lambda: layers.Activation("softplus"),
    ]
    ends = [[layers.GlobalAveragePooling2D], [lambda: layers.AveragePooling2D(2), layers.Flatten], [layers.Flatten]]
    return x, body, ends[rng.integers(3)]


def _series(rng, n):
    """Series (N, 6, 3)."""
    x = rng.standard_normal((n, 6, 3)).astype("float32")
    body = [
        lambda: layers.LSTM(int(rng.integers(3, 9)), return_sequences=True),
        lambda: layers.GRU(int(rng.integers(3, 9)), return_sequences=True),
        lambda: layers.Conv1D(4, 3, padding=str(rng.choice(["same", "causal"])), activation="tanh"),
        lambda: layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True)),
        layers.LayerNormalization,
        lambda: layers.TimeDistributed(layers.Dense(5, activation="tanh")),
    ]
    return x, body, [[layers.GlobalAveragePooling1D], [layers.Flatten], [lambda: layers.LSTM(5)]][rng.integers(3)]


def _text(rng, n):
    """Ids (N, 6), each text followed by zeros."""
    x = rng.integers(1, N_TOKENS, (n, 6)).astype("int32")
    x[np.arange(6) >= rng.integers(2, 7, (n, 1))] = 0
    masked = bool(rng.integers(2))
    body = [
        lambda: layers.LSTM(int(rng.integers(3, 9)), return_sequences=True),
        lambda: layers.GRU(int(rng.integers(3, 9)), return_sequences=True),
        layers.LayerNormalization,
        lambda: layers.Dense(6, activation="tanh"),
    ]
    first = [lambda: layers.Embedding(N_TOKENS, 5, mask_zero=masked)]
    return x, body, [[layers.GlobalAveragePooling1D], [lambda: layers.GRU(5)]][rng.integers(2)], first


def _exclusive(rng, n):
    """Integer labels of a head of softmax or logits."""
    logits = bool(rng.integers(2))
    labels = rng.integers(N_CLASSES, size=(n, 1) if rng.integers(2) else n)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
    labels = labels.astype(rng.choice(["int32", "int64", "uint8"]))
    return layers.Dense(N_CLASSES, activation="linear" if logits else "softmax"), loss, labels, ["accuracy"]


def _one_hot(rng, n):
    """One-hot labels, with label smoothing or without."""
    logits = bool(rng.integers(2))
    labels = np.eye(N_CLASSES, dtype="float32")[rng.integers(N_CLASSES, size=n)]
    kind = rng.choice([keras.losses.CategoricalCrossentropy, keras.losses.CategoricalFocalCrossentropy])
    loss = kind(from_logits=logits, label_smoothing=float(rng.choice([0.0, 0.1])))
    metrics = ["accuracy", keras.metrics.TopKCategoricalAccuracy(2)]
    return layers.Dense(N_CLASSES, activation="linear" if logits else "softmax"), loss, labels, metrics


def _multi(rng, n):
    """Multi-hot labels of a sigmoid head or logits."""
    logits = bool(rng.integers(2))
    labels = (rng.random((n, 3)) < 0.5).astype("float32")
    kind = rng.choice([keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy])
    return layers.Dense(3, activation="linear" if logits else "sigmoid"), kind(from_logits=logits), labels, []


def _regression(rng, n):
    """Numbers, with one of the losses of regression."""
    labels = rng.standard_normal((n, 2)).astype("float32")
    kind = rng.choice(REGRESSION)
    return layers.Dense(2), kind(), labels, [keras.metrics.MeanAbsoluteError(), keras.metrics.RootMeanSquaredError()]


def _optimizer(rng):
    # Adam and its kin divide by the root of a gradient's square, so that rounding of a gradient near zero becomes a step.
    kind = rng.choice([keras.optimizers.SGD, keras.optimizers.Adagrad])
    return kind(learning_rate=0.05)


@pytest.mark.parametrize("number", range(N_MODELS))
def case_random_model(number):
    """A model with valid labels gives the same under every backend."""
    rng = np.random.default_rng(number)
    n = int(rng.integers(5, 13))
    x, body, last, *first = [_table, _images, _series, _text][number % 4](rng, n)
    inputs = keras.Input(x.shape[1:], dtype=x.dtype.name)
    tensor = inputs
    for make in [*(first[0] if first else []), *(body[i] for i in rng.integers(len(body), size=rng.integers(1, 4))), *last]:
        tensor = make()(tensor)
    heads = [[_exclusive, _one_hot, _multi, _regression][i](rng, n) for i in rng.integers(4, size=rng.choice([1, 1, 2]))]
    outputs, losses, labels = [layer(tensor) for layer, _, _, _ in heads], [h[1] for h in heads], [h[2] for h in heads]
    one = len(heads) == 1
    weighted = bool(rng.integers(2)) and one
    return ModelCase(
        model=keras.Model(inputs, outputs[0] if one else outputs),
        loss=losses[0] if one else losses,
        x=x,
        y=labels[0] if one else labels,
        metrics=heads[0][3] if one else None,
        loss_weights=None if one else [1.0, float(rng.choice([0.5, 2.0]))],
        sample_weight=rng.uniform(0.5, 2.0, n).astype("float32") if weighted else None,
        optimizer=_optimizer(rng),
        epochs=int(rng.integers(1, 3)),
        batch_size=int(rng.choice([n, 4])),
    )
