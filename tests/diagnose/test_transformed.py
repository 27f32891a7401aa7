"""One array is a function of the other."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosing import diagnosed, first, scores, softmax
from make import everywhere

from backendcheck.diagnose.evidence.float_formats import rounded


def test_a_softmax_too_many_is_found_on_the_side_that_has_it() -> None:
    z, _ = scores()
    once, twice = softmax(z), softmax(softmax(z))
    found = first(everywhere(predictions=once) | {"jax": {"predictions": twice}})
    assert (found.code, found.backends) == ("logits-as-probabilities", ("jax",))
    assert "softmax once more" in found.message
    assert "softmax once less" in first(everywhere(predictions=twice) | {"jax": {"predictions": once}}).message


def test_a_sigmoid_too_many_is_found() -> None:
    z, _ = scores(c=1)
    found = first(everywhere(predictions=z) | {"torch": {"predictions": 1 / (1 + np.exp(-z))}})
    assert (found.code, found.backends) == ("logits-as-probabilities", ("torch",))


@pytest.mark.parametrize(("logit", "other"), [(2.0**32, 1.0), (-800.0, 0.0), (0.0, 0.5)])
def test_a_number_that_everything_saturates_to_is_no_sigmoid(logit: float, other: float) -> None:
    found = diagnosed(everywhere(figure=np.float32(logit)) | {"jax": {"figure": np.float32(other)}})
    assert "logits-as-probabilities" not in found


def test_an_array_transposed_is_an_axis_in_either_shape() -> None:
    z, _ = scores(5, 3)
    assert first(everywhere(scores=z) | {"jax": {"scores": z.T}}).code == "axis"
    square = z[:3]
    assert first(everywhere(scores=square) | {"jax": {"scores": square.T}}).code == "axis"


@pytest.mark.parametrize("legs", [("tensorflow", "jax", "torch"), ("jax", "torch")])
@pytest.mark.parametrize("broken", ["jax", "torch"])
def test_a_softmax_over_the_examples_is_an_axis(legs: tuple[str, ...], broken: str) -> None:
    z, _ = scores(6, 4)
    found = first({leg: {"predictions": softmax(z.T).T if leg == broken else softmax(z)} for leg in legs})
    assert (found.code, found.backends, found.evidence["axis"]) == ("axis", (broken,), 0)


def test_other_scores_over_another_axis_are_no_axis() -> None:
    z, _ = scores(6, 4)
    other, _ = scores(6, 4, seed=1)
    assert "axis" not in diagnosed(everywhere(predictions=softmax(z)) | {"jax": {"predictions": softmax(other.T).T}})


@pytest.mark.parametrize("spread", [(4, 1), (4,)])
def test_losses_spread_over_each_other_are_a_broadcast(spread: tuple[int, ...]) -> None:
    column = np.arange(4.0).reshape(spread)
    found = first(everywhere(spread=column) | {"torch": {"spread": np.ones((4, 4))}})
    assert (found.code, found.backends) == ("broadcast", ("torch",))


@pytest.mark.parametrize(("change", "words"), [(np.trunc, "cut off"), (np.rint, "rounded"), (np.floor, "rounded down")])
def test_fractions_that_got_lost_are_a_label_truncated(change: object, words: str) -> None:
    labels = np.array([1.9, -0.6, 2.5, 0.0], np.float32)
    found = first(everywhere(ids=labels) | {"jax": {"ids": change(labels)}})
    assert (found.code, found.backends) == ("label-truncated", ("jax",))
    assert words in found.message


@pytest.mark.parametrize("width", ["int8", "uint8", "int16", "int32"])
def test_integers_that_wrapped_around_name_their_width(width: str) -> None:
    labels = np.array([3, 7, np.iinfo(width).max + 5], np.int64)
    found = first(everywhere(ids=labels) | {"jax": {"ids": labels.astype(width).astype(np.int64)}})
    assert (found.code, found.backends) == ("label-wrapped", ("jax",))
    assert width in found.message


def test_an_integer_that_a_float_cannot_hold_is_a_label_wrapped() -> None:
    labels = np.array([1, 2**24 + 1], np.int64)
    found = first(everywhere(ids=labels) | {"torch": {"ids": labels.astype(np.float32).astype(np.int64)}})
    assert found.code == "label-wrapped"
    assert "lost bits in float32" in found.message


def test_smoothed_rows_are_no_rounding_of_fractions() -> None:
    rows = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 1]]
    smooth = rows * np.float32(0.9) + np.float32(0.025)
    for broken in ("tensorflow", "jax"):
        found = diagnosed(everywhere(rows=rows) | {broken: {"rows": smooth}})
        assert next(iter(found)) == "label-smoothing"
        assert found["label-smoothing"].backends == (broken,)
        assert found["label-smoothing"].evidence["smoothing"] == pytest.approx(0.1, abs=1e-6)
        assert "label-truncated" not in found


def test_equal_integers_of_another_width_are_a_label_dtype() -> None:
    found = first(everywhere(ids=np.array([1, 2])) | {"jax": {"ids": np.array([1, 2], np.int32)}})
    assert (found.code, found.backends, found.headline) == ("label-dtype", ("jax",), "")


def test_bfloat16_rounds_to_nearest_even() -> None:
    values = np.array([1.0, 1.0 + 2**-8, 1.0 + 3 * 2**-8, 3.14159])
    assert rounded(values, "bfloat16").tolist() == [1.0, 1.0, 1.0 + 2**-6, 3.140625]


@pytest.mark.parametrize(("one", "other"), [([0.6], [1.0]), (0.58, 1.0), ([1.5, 2.0, 2.5], [2.0, 2.0, 2.0])])
def test_figures_that_happen_to_be_whole_are_not_truncated_labels(one: object, other: object) -> None:
    found = diagnosed(everywhere(share=np.float32(one)) | {"jax": {"share": np.float32(other)}})
    assert "label-truncated" not in found
