"""Sequences of unequal length are padded, and a mask says which steps count.

What goes wrong in practice: the mask travels with the tensor, from `Embedding(mask_zero=True)` through the layers to
the loss and the metrics. Where it is lost on the way, padding counts as labels: the loss or the accuracy is that of
other data.
"""

import keras
import numpy as np

from backendcheck import ModelCase

TAGS = ["noun", "verb", "other"]


def sentences(rng, n=9, length=7, words=5):
    """N sentences of word ids (N, 7), padded with 0 at their ends, and a tag for each word."""
    ids = rng.integers(1, words, (n, length))
    lengths = rng.integers(2, length, n)
    ids[np.arange(length) >= lengths[:, None]] = 0
    return ids, rng.integers(0, len(TAGS), (n, length))


def case_padding_counts_neither_in_loss_nor_in_accuracy(rng):
    """The loss and accuracy of a tagger count the words alone; padding after a sentence does not count.

    Scenario: P2
    """
    ids, tags = sentences(rng)
    words = keras.Input((ids.shape[1],), dtype="int32", name="words")
    embedded = keras.layers.Embedding(5, 4, mask_zero=True, name="embedding")(words)
    state = keras.layers.LSTM(6, return_sequences=True, name="lstm")(embedded)
    tagged = keras.layers.Dense(len(TAGS), activation="softmax", name="tag")(state)
    return ModelCase(
        model=keras.Model(words, tagged),
        loss="sparse_categorical_crossentropy",
        x=ids,
        y=tags,
        metrics=["accuracy"],
        class_names=TAGS,
    )


def case_padding_does_not_reach_the_last_state(rng):
    """A classifier that reads a sentence to its end stops at the last word, not at the padding.

    Scenario: P2
    """
    ids, _ = sentences(rng)
    words = keras.Input((ids.shape[1],), dtype="int32", name="words")
    embedded = keras.layers.Embedding(5, 4, mask_zero=True, name="embedding")(words)
    state = keras.layers.GRU(6, name="gru")(embedded)
    mood = keras.layers.Dense(3, activation="softmax", name="mood")(state)
    return ModelCase(
        model=keras.Model(words, mood),
        loss="sparse_categorical_crossentropy",
        x=ids,
        y=rng.integers(0, 3, len(ids)),
        metrics=["accuracy"],
        class_names=["sad", "even", "glad"],
    )
