"""Real images and tables with real labels, small enough for a test, drawn with the case's own generator.

Everything comes with scikit-learn (nothing is downloaded), is scaled to [0, 1] and is float32. The same generator gives
the same bytes on every backend: selecting, enlarging, tinting and scaling are NumPy alone.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_linnerud

# Attributes of a handwritten digit, which can have several. A closed loop: 0, 6, 8 and 9. A 4 counts as open,
# because almost all of the 4s in this set are.
DIGIT_ATTRIBUTES = ["prime", "even", "at_least_five", "closed_loop", "square"]
_DIGITS_WITH = {
    "prime": [2, 3, 5, 7],
    "even": [0, 2, 4, 6, 8],
    "at_least_five": [5, 6, 7, 8, 9],
    "closed_loop": [0, 6, 8, 9],
    "square": [0, 1, 4, 9],
}


def digits(rng, n, classes=10):
    """N images (N, 8, 8) of the digits 0 … classes - 1, and which digit each of them shows (N,)."""
    images, digit = load_digits(return_X_y=True)
    chosen = rng.choice(np.flatnonzero(digit < classes), size=n, replace=False)
    return (images[chosen] / 16).reshape(n, 8, 8).astype("float32"), digit[chosen]


def color_digits(rng, n, side, classes=10):
    """N digits as (N, side, side, 3) images, each enlarged from 8 x 8 and tinted in a color of its own."""
    images, digit = digits(rng, n, classes)
    enlarged = np.kron(images, np.ones((1, side // 8, side // 8)))
    tint = rng.uniform(0.2, 1.0, size=(n, 1, 1, 3))
    return (enlarged[..., None] * tint).astype("float32"), digit


def digit_features(rng, n):
    """N digits as (N, 10) features: the ink in each of the eight rows, in the left half and in the right half."""
    images, digit = digits(rng, n)
    left, right = images[:, :, :4].mean(axis=(1, 2)), images[:, :, 4:].mean(axis=(1, 2))
    return np.column_stack([images.mean(axis=2), left, right]).astype("float32"), digit


def attributes_of(digit, names=tuple(DIGIT_ATTRIBUTES)):
    """The multi-hot labels (N, len(names)) of digits (N,): which of the attributes each digit has."""
    return np.column_stack([np.isin(digit, _DIGITS_WITH[name]) for name in names]).astype("float32")


def iris(rng, n):
    """N flowers (N, 4) and their species (N,): 0 setosa, 1 versicolor, 2 virginica."""
    return _draw(rng, n, *load_iris(return_X_y=True))


def breast_cancer(rng, n):
    """N tumors (N, 30) and their diagnosis (N,): 0 malignant, 1 benign."""
    return _draw(rng, n, *load_breast_cancer(return_X_y=True))


def exercise(rng, n):
    """N men (N, 3): how many chin-ups, sit-ups and jumps they did; and their (N, 3) weight, waist and pulse."""
    counts, body = load_linnerud(return_X_y=True)
    return _draw(rng, n, counts, (body / body.max(axis=0)).astype("float32"))


def _draw(rng, n, table, labels):
    """N rows of a table, every column scaled to [0, 1], with their labels."""
    low, high = table.min(axis=0), table.max(axis=0)
    chosen = rng.choice(len(table), size=n, replace=False)
    return ((table[chosen] - low) / (high - low)).astype("float32"), labels[chosen]


def hide_labels(rng, n, width):
    """A 0/1 mask (N, width) of the labels that are known.

    40 % of the examples have every label. Of the rest, 70 % have one label, the others have none.
    """
    kind = rng.permutation(n)
    n_full = round(0.4 * n)
    n_single = round(0.7 * (n - n_full))
    only = np.eye(width)[rng.integers(width, size=n)]
    known = np.where((kind < n_full)[:, None], 1.0, only)
    return np.where((kind < n_full + n_single)[:, None], known, 0.0).astype("float32")
