"""A text pipeline whose label map differs by one from the head of the model.

What goes wrong in practice: index 0 is reserved for padding or unknown words. That is right for the *words* and wrong
for the *classes*, but one helper builds both maps. The labels are then 1 … C, while the head has classes 0 … C-1.
Each text trains the next class. The last class trains nothing or stops the training, depending on the backend.
"""

import keras
import numpy as np

from backendcheck import ModelCase, Raises

MOODS = ["joy", "anger", "fear"]
TEXTS = [
    ("what a lovely day", "joy"),
    ("who broke my window", "anger"),
    ("something moved in the dark", "fear"),
    ("lovely window", "joy"),
    ("my day in the dark", "fear"),
    ("what moved my window", "anger"),
]


def numbered(names, first):
    """A mapping from each name to a number that counts from `first`."""
    return {name: number for number, name in enumerate(dict.fromkeys(names), start=first)}


def mood_model(n_words):
    """The mean of the word vectors, and a head with one class per mood."""
    words = keras.Input((5,), dtype="int32", name="words")
    h = keras.layers.Embedding(n_words + 1, 4, name="word")(words)  # + 1: word 0 is padding
    h = keras.layers.GlobalAveragePooling1D(name="text")(h)
    return keras.Model(words, keras.layers.Dense(len(MOODS), activation="softmax", name="mood")(h))


def tokenized():
    """The texts as word numbers (N, 5), padded with 0, and how many words there are."""
    number_of = numbered([word for text, _ in TEXTS for word in text.split()], first=1)
    rows = [[number_of[word] for word in text.split()] for text, _ in TEXTS]
    return np.array([row + [0] * (5 - len(row)) for row in rows], dtype="int32"), len(number_of)


def case_labels_that_count_from_one():
    """As people write it: labels 1, 2, 3 for a head of three classes stop the training.

    Scenario: L5
    """
    x, n_words = tokenized()
    label_of = numbered(MOODS, first=1)
    return ModelCase(
        model=mood_model(n_words),
        loss="sparse_categorical_crossentropy",
        x=x,
        y=np.array([label_of[mood] for _, mood in TEXTS]),
        class_names=MOODS,
        expect=Raises(),
    )


def case_labels_that_count_from_zero():
    """Done right: with labels 0, 1, 2 the text classifier computes and learns the same on every backend.

    Scenario: L5
    """
    x, n_words = tokenized()
    label_of = numbered(MOODS, first=0)
    return ModelCase(
        model=mood_model(n_words),
        loss="sparse_categorical_crossentropy",
        x=x,
        y=np.array([label_of[mood] for _, mood in TEXTS]),
        metrics=["accuracy"],
        class_names=MOODS,
    )
