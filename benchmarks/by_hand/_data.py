"""The labels, predictions and losses that `losses.py` and `test_losses.py` share."""

import numpy as np

RNG = np.random.default_rng(7)
N, CLASSES, FEATURES = 8, 4, 6
CLASS = RNG.integers(0, CLASSES, N)
ONE_HOT = np.eye(CLASSES, dtype="float32")[CLASS]
BINARY = RNG.integers(0, 2, (N, CLASSES)).astype("float32")
SIGNED = 2 * BINARY - 1
REAL = RNG.normal(size=(N, CLASSES)).astype("float32")
LOGITS = RNG.normal(size=(N, CLASSES)).astype("float32")
PROBABILITIES = (np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)).astype("float32")
WEIGHT = RNG.uniform(0.5, 2.0, N).astype("float32")
X = RNG.normal(size=(N, FEATURES)).astype("float32")
KERNEL = RNG.normal(size=(FEATURES, CLASSES)).astype("float32")

LOSSES = {  # the class, its options, labels, predictions
    "sparse_categorical": ("SparseCategoricalCrossentropy", {}, CLASS, PROBABILITIES),
    "sparse_categorical_of_logits": ("SparseCategoricalCrossentropy", {"from_logits": True}, CLASS, LOGITS),
    "categorical": ("CategoricalCrossentropy", {}, ONE_HOT, PROBABILITIES),
    "categorical_smoothed": ("CategoricalCrossentropy", {"label_smoothing": 0.1}, ONE_HOT, PROBABILITIES),
    "binary": ("BinaryCrossentropy", {}, BINARY, PROBABILITIES),
    "binary_of_logits": ("BinaryCrossentropy", {"from_logits": True}, BINARY, LOGITS),
    "divergence": ("KLDivergence", {}, PROBABILITIES[::-1].copy(), PROBABILITIES),
    "poisson": ("Poisson", {}, BINARY, PROBABILITIES),
    "hinge": ("Hinge", {}, SIGNED, LOGITS),
    "categorical_hinge": ("CategoricalHinge", {}, ONE_HOT, LOGITS),
    "squares": ("MeanSquaredError", {}, REAL, LOGITS),
    "absolute": ("MeanAbsoluteError", {}, REAL, LOGITS),
    "huber": ("Huber", {"delta": 0.7}, REAL, LOGITS),
    "logarithm_of_cosh": ("LogCosh", {}, REAL, LOGITS),
}
