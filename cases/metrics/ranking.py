"""Which class comes first: `argmax`, `top_k`, `in_top_k`, sorting and binning where values tie, are NaN, or name no class.

What goes wrong in practice: accuracies and rankings that hold on one backend only, for a tie, a signed zero or one NaN
is decided another way on the next.
"""

import keras
import numpy as np
import pytest
from keras import ops

from backendcheck import Raises, ValueCase

NAN = float("nan")


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def case_zero_and_minus_zero_tie(name):
    """0.0 and -0.0 are equal, so the first of them is the class, as in NumPy."""
    scores = np.array([[-0.0, 0.0], [0.0, -0.0]], dtype="float32")
    return ValueCase(lambda: {"classes": getattr(ops, name)(scores, axis=-1)}, reference={"value/classes": np.array([0, 0])})


def case_two_tiny_probabilities():
    """The class with the larger of two probabilities wins, also where both are below the smallest normal float32."""
    probabilities = np.array([[1e-40, 3e-39], [0.0, 1e-40]], dtype="float32")
    return ValueCase(lambda: {"classes": ops.argmax(probabilities, axis=-1)}, reference={"value/classes": np.array([1, 1])})


@pytest.mark.parametrize("k", [1, 2])
def case_the_best_k_of_tied_classes(k):
    """Of tied classes `top_k` takes those that come first."""
    probabilities = np.array([[0.25, 0.25, 0.25, 0.25], [0.1, 0.3, 0.3, 0.3]], dtype="float32")
    return ValueCase(
        lambda: {"classes": ops.top_k(probabilities, k)[1]}, reference={"value/classes": np.array([[0, 1], [1, 2]])[:, :k]}
    )


def case_the_best_two_beside_a_nan():
    """The two best classes are the same everywhere, whatever a NaN counts for: `top_k` must not depend on its place."""
    scores = np.array([[NAN, 1.0, 2.0], [1.0, NAN, 2.0], [1.0, 2.0, NAN]], dtype="float32")
    return ValueCase(lambda: {"classes": ops.cast(ops.sort(ops.top_k(scores, 2)[1]), "int32")})


@pytest.mark.parametrize("name", ["sort", "unique"])
def case_sorting_around_a_nan(name):
    """The scores that are numbers come out sorted, and the NaN stands at the end, as in NumPy."""
    scores = np.array([3.0, NAN, 1.0, 2.0], dtype="float32")
    return ValueCase(lambda: {"sorted": getattr(ops, name)(scores)}, reference={"value/sorted": np.array([1.0, 2.0, 3.0, NAN])})


def case_labels_among_fewer_classes_than_k():
    """With k = 5 and four classes every valid label is in the top k."""
    scores = np.tile(np.array([0.4, 0.3, 0.2, 0.1], dtype="float32"), (2, 1))
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([0, 3], dtype="int32"), scores, 5)}, reference={"value/hit": np.array([True, True])}
    )


@pytest.mark.parametrize("k", [1, 3])
def case_a_label_that_names_no_class_is_no_hit(k):
    """Label 3, -1 or 7 of three classes is never in the top k; the model cannot have predicted it."""
    scores = np.tile(np.array([1.0, 2.0, 3.0], dtype="float32"), (4, 1))
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([2, 3, -1, 7], dtype="int32"), scores, k)},
        reference={"value/hit": np.array([True, False, False, False])},
    )


def case_a_nan_is_no_hit():
    """A class whose score is NaN is not in the top k."""
    scores = np.array([[NAN, 1.0, 2.0], [NAN, NAN, NAN]], dtype="float32")
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([0, 1], dtype="int32"), scores, 1)},
        reference={"value/hit": np.array([False, False])},
    )


def case_certain_beyond_measure_is_a_hit():
    """A class whose score is infinite, and no other, is the best one."""
    scores = np.array([[np.inf, 0.0, 1.0], [0.0, 1.0, -np.inf]], dtype="float32")
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([0, 1], dtype="int32"), scores, 1)}, reference={"value/hit": np.array([True, True])}
    )


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def case_hits_in_another_precision(dtype):
    """`in_top_k` takes predictions in half and in double precision."""
    scores = np.tile(np.array([1.0, 2.0, 3.0], dtype=dtype), (2, 1))
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([2, 1], dtype="int32"), scores, 1)},
        reference={"value/hit": np.array([True, False])},
    )


def case_a_tie_at_the_limit_is_a_hit():
    """All classes that tie with the k-th best one are in the top k."""
    scores = np.tile(np.array([0.4, 0.2, 0.2, 0.2], dtype="float32"), (4, 1))
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([0, 1, 2, 3], dtype="int32"), scores, 2)},
        reference={"value/hit": np.array([True, True, True, True])},
    )


AGES = np.array([17.5, 18.0, 64.0, 65.0, 90.0], dtype="float32")


@pytest.mark.parametrize("values", ["integers", "one_number", "a_table"])
def case_the_bin_of_a_value(values):
    """`searchsorted` finds the bin of a whole number, of a single number, and of each number in a table."""
    given = {
        "integers": np.array([17, 18, 90], dtype="int32"),
        "one_number": np.array(18.0, dtype="float32"),
        "a_table": np.array([[17.0, 18.0], [64.0, 90.0]], dtype="float32"),
    }[values]
    edges = np.array([18.0, 65.0], dtype="float32")
    return ValueCase(
        lambda: {"bins": ops.searchsorted(edges, given, side="right")},
        reference={"value/bins": np.searchsorted(edges, given, side="right")},
    )


def case_the_bin_of_a_missing_value():
    """A NaN sorts behind every edge on either side, as in NumPy."""
    edges, ages = np.array([18.0, 65.0], dtype="float32"), np.array([NAN, 20.0], dtype="float32")
    return ValueCase(
        lambda: {side: ops.searchsorted(edges, ages, side=side) for side in ("left", "right")},
        reference={"value/left": np.array([2, 1]), "value/right": np.array([2, 1])},
    )


def case_bins_of_large_ids():
    """`digitize` tells the ids 2^24 and 2^24 + 1 apart; as float32 they would be one."""
    ids, edges = np.array([2**24, 2**24 + 1], dtype="int32"), np.array([2**24 + 1], dtype="int32")
    return ValueCase(lambda: {"bins": ops.digitize(ids, edges)}, reference={"value/bins": np.array([0, 1])})


@pytest.mark.parametrize("name", ["digitize", "Discretization"])
def case_edges_that_are_not_sorted(name):
    """Edges that are not in ascending order are refused, as documented; they make no classes."""

    def compute():
        if name == "digitize":
            return {"bins": ops.digitize(AGES, np.array([65.0, 18.0], dtype="float32"))}
        return {"bins": keras.layers.Discretization(bin_boundaries=[65.0, 18.0])(AGES[None])}

    return ValueCase(compute, expect=Raises())


@pytest.mark.parametrize("where", ["by_hand", "inside_a_model"])
def case_age_classes(where):
    """`digitize` gives the same age classes by hand and in a model that makes them itself."""

    def age_class(ages):
        return ops.digitize(ages, np.array([18.0, 65.0], dtype="float32"))

    def compute():
        if where == "by_hand":
            return {"classes": age_class(AGES[:, None])}
        ages = keras.Input((1,), name="age")
        model = keras.Model(ages, keras.layers.Lambda(age_class, output_shape=(1,))(ages))
        return {"classes": model.predict(AGES[:, None], verbose=0)}

    return ValueCase(compute, reference={"value/classes": np.array([[0], [1], [1], [2], [2]])})


def case_a_missing_age_is_no_age_class():
    """`Discretization` refuses NaN; it does not put it among the oldest."""
    layer = keras.layers.Discretization(bin_boundaries=[18.0, 65.0])
    return ValueCase(lambda: {"classes": layer(np.array([[20.0, NAN]], dtype="float32"))}, expect=Raises())


def case_a_threshold_that_is_a_score():
    """A decision threshold by `quantile(method="nearest")` is the score that NumPy takes, also half-way between two."""
    scores = np.array([0.1, 0.2, 0.3, 0.4], dtype="float32")
    return ValueCase(
        lambda: {"threshold": ops.quantile(scores, 0.5, method="nearest")},
        reference={"value/threshold": np.quantile(scores, 0.5, method="nearest")},
    )
