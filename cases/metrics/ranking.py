"""Which class comes first: `argmax`, `top_k`, `in_top_k`, sorting and binning with ties, NaN, and labels that name no class.

What goes wrong in practice: accuracies and rankings hold on one backend only, because the next one decides a tie, a
signed zero or a NaN differently.
"""

import keras
import numpy as np
import pytest
from keras import ops

from backendcheck import Raises, ValueCase

NAN = float("nan")


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def case_zero_and_minus_zero_tie(name):
    """0.0 and -0.0 are equal, so the first of them is the predicted class, as in NumPy."""
    scores = np.array([[-0.0, 0.0], [0.0, -0.0]], dtype="float32")
    choose = {"argmax": ops.argmax, "argmin": ops.argmin}[name]
    return ValueCase(lambda: {"classes": choose(scores, axis=-1)}, reference={"value/classes": np.array([0, 0])})


def case_two_tiny_probabilities():
    """The class with the larger probability wins, even if both are below the smallest normal float32."""
    probabilities = np.array([[1e-40, 3e-39], [0.0, 1e-40]], dtype="float32")
    return ValueCase(lambda: {"classes": ops.argmax(probabilities, axis=-1)}, reference={"value/classes": np.array([1, 1])})


@pytest.mark.parametrize("k", [1, 2])
def case_the_best_k_of_tied_classes(k):
    """Of tied classes, `top_k` takes the first ones."""
    probabilities = np.array([[0.25, 0.25, 0.25, 0.25], [0.1, 0.3, 0.3, 0.3]], dtype="float32")
    return ValueCase(
        lambda: {"classes": ops.top_k(probabilities, k)[1]}, reference={"value/classes": np.array([[0, 1], [1, 2]])[:, :k]}
    )


def case_the_best_two_beside_a_nan():
    """`top_k` gives the same two classes on every backend when one score is NaN, at any position."""
    scores = np.array([[NAN, 1.0, 2.0], [1.0, NAN, 2.0], [1.0, 2.0, NAN]], dtype="float32")
    return ValueCase(lambda: {"classes": ops.cast(ops.sort(ops.top_k(scores, 2)[1]), "int32")})


@pytest.mark.parametrize("name", ["sort", "unique"])
def case_sorting_around_a_nan(name):
    """Scores are sorted, and NaN comes last, as in NumPy."""
    scores = np.array([3.0, NAN, 1.0, 2.0], dtype="float32")

    def compute():
        return {"sorted": ops.sort(scores) if name == "sort" else ops.unique(scores)}

    return ValueCase(compute, reference={"value/sorted": np.array([1.0, 2.0, 3.0, NAN])})


def case_labels_among_fewer_classes_than_k():
    """With k = 5 and four classes every valid label is in the top k."""
    scores = np.tile(np.array([0.4, 0.3, 0.2, 0.1], dtype="float32"), (2, 1))
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([0, 3], dtype="int32"), scores, 5)}, reference={"value/hit": np.array([True, True])}
    )


@pytest.mark.parametrize("k", [1, 3])
def case_a_label_that_names_no_class_is_no_hit(k):
    """Label 3, -1 or 7 of three classes is never in the top k."""
    scores = np.tile(np.array([1.0, 2.0, 3.0], dtype="float32"), (4, 1))
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([2, 3, -1, 7], dtype="int32"), scores, k)},
        reference={"value/hit": np.array([True, False, False, False])},
    )


def case_a_label_far_below_zero_is_no_hit():
    """A negative label, -100 of three classes, is not in the top k."""
    scores = np.array([[1.0, 2.0, 3.0]], dtype="float32")
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([-100], dtype="int32"), scores, 1)}, reference={"value/hit": np.array([False])}
    )


def case_a_nan_is_no_hit():
    """A class whose score is NaN is not in the top k."""
    scores = np.array([[NAN, 1.0, 2.0], [NAN, NAN, NAN]], dtype="float32")
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([0, 1], dtype="int32"), scores, 1)},
        reference={"value/hit": np.array([False, False])},
    )


def case_certain_beyond_measure_is_a_hit():
    """A class with an infinite score is the best one; a score of minus infinity does not affect the others."""
    scores = np.array([[np.inf, 0.0, 1.0], [0.0, 1.0, -np.inf]], dtype="float32")
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([0, 1], dtype="int32"), scores, 1)}, reference={"value/hit": np.array([True, True])}
    )


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def case_hits_in_another_precision(dtype):
    """`in_top_k` accepts predictions in half and in double precision."""
    scores = np.tile(np.array([1.0, 2.0, 3.0], dtype=dtype), (2, 1))
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([2, 1], dtype="int32"), scores, 1)},
        reference={"value/hit": np.array([True, False])},
    )


def case_a_tie_at_the_limit_is_a_hit():
    """All classes that tie with the k-th best are in the top k."""
    scores = np.tile(np.array([0.4, 0.2, 0.2, 0.2], dtype="float32"), (4, 1))
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([0, 1, 2, 3], dtype="int32"), scores, 2)},
        reference={"value/hit": np.array([True, True, True, True])},
    )


AGES = np.array([17.5, 18.0, 64.0, 65.0, 90.0], dtype="float32")


@pytest.mark.parametrize("values", ["integers", "one_number", "a_table"])
def case_the_bin_of_a_value(values):
    """`searchsorted` finds the bin of an integer, of a single number, and of each number in a table."""
    numbers = {
        "integers": np.array([17, 18, 90], dtype="int32"),
        "one_number": np.array(18.0, dtype="float32"),
        "a_table": np.array([[17.0, 18.0], [64.0, 90.0]], dtype="float32"),
    }[values]
    edges = np.array([18.0, 65.0], dtype="float32")
    return ValueCase(
        lambda: {"bins": ops.searchsorted(edges, numbers, side="right")},
        reference={"value/bins": np.searchsorted(edges, numbers, side="right")},
    )


def case_the_bin_of_a_missing_value():
    """NaN sorts after every edge, on either side, as in NumPy."""
    edges, ages = np.array([18.0, 65.0], dtype="float32"), np.array([NAN, 20.0], dtype="float32")
    return ValueCase(
        lambda: {side: ops.searchsorted(edges, ages, side=side) for side in ("left", "right")},
        reference={"value/left": np.array([2, 1]), "value/right": np.array([2, 1])},
    )


def case_bins_of_large_ids():
    """`digitize` distinguishes the ids 2^24 and 2^24 + 1, which are equal as float32."""
    ids, edges = np.array([2**24, 2**24 + 1], dtype="int32"), np.array([2**24 + 1], dtype="int32")
    return ValueCase(lambda: {"bins": ops.digitize(ids, edges)}, reference={"value/bins": np.array([0, 1])})


@pytest.mark.parametrize("name", ["digitize", "Discretization"])
def case_edges_that_are_not_sorted(name):
    """Bin edges that are not in ascending order are refused, as documented."""

    def compute():
        if name == "digitize":
            return {"bins": ops.digitize(AGES, np.array([65.0, 18.0], dtype="float32"))}
        return {"bins": keras.layers.Discretization(bin_boundaries=[65.0, 18.0])(AGES[None])}

    return ValueCase(compute, expect=Raises())


@pytest.mark.parametrize("where", ["by_hand", "inside_a_model"])
def case_age_classes(where):
    """`digitize` gives the same age classes when called by hand and inside a model."""

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
    """`Discretization` refuses NaN; it does not put it into the oldest class."""
    layer = keras.layers.Discretization(bin_boundaries=[18.0, 65.0])
    return ValueCase(lambda: {"classes": layer(np.array([[20.0, NAN]], dtype="float32"))}, expect=Raises())


def case_a_threshold_that_is_a_score():
    """`quantile(method="nearest")` returns the same score as NumPy, even half-way between two scores."""
    scores = np.array([0.1, 0.2, 0.3, 0.4], dtype="float32")
    return ValueCase(
        lambda: {"threshold": ops.quantile(scores, 0.5, method="nearest")},
        reference={"value/threshold": np.quantile(scores, 0.5, method="nearest")},
    )


def case_the_right_class_at_each_step():
    """`in_top_k` of labels (N, T) looks at the scores of each step, and the hits have the shape of the labels, as documented."""
    scores = np.array([[[0.1, 0.9], [0.2, 0.8]]], dtype="float32")
    return ValueCase(
        lambda: {"hit": ops.in_top_k(np.array([[1, 0]], dtype="int32"), scores, 1)},
        reference={"value/hit": np.array([[True, False]])},
    )
