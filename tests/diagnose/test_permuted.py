"""The same values in other places: classes permuted or shifted, examples permuted."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosing import cross_entropy, diagnosed, first, scores
from hypothesis import given
from hypothesis import strategies as st
from make import everywhere

CLASSES = ["cat", "dog", "fox", "owl"]


def predicted(scores: np.ndarray, **more: object) -> dict[str, object]:
    return {"predictions": scores.astype(np.float32), "class_names": CLASSES} | more


def test_two_exchanged_classes_are_named_in_arrows() -> None:
    z, _ = scores()
    found = first(everywhere(**predicted(z)) | {"jax": predicted(z[:, [1, 0, 2, 3]])})
    assert (found.code, found.backends) == ("class-order", ("jax",))
    assert found.evidence["permutation"] == "cat → dog → cat"
    assert "cat and dog (classes 0 and 1) are exchanged on jax" in found.headline


def test_three_classes_are_named_as_a_cycle_in_the_direction_in_which_they_move() -> None:
    z, _ = scores()
    # What is cat elsewhere is dog on jax, dog is owl, owl is cat.
    found = first(everywhere(**predicted(z)) | {"jax": predicted(z[:, [3, 0, 2, 1]])})
    assert found.evidence["permutation"] == "cat → dog → owl → cat"
    assert "3 classes are permuted on jax: cat → dog → owl → cat" in found.message


def test_classes_without_names_are_named_by_index() -> None:
    z, _ = scores()
    found = first(everywhere(predictions=z) | {"jax": {"predictions": z[:, [0, 2, 1, 3]]}})
    assert found.evidence["permutation"] == "1 → 2 → 1"


@given(st.permutations(range(6)), st.integers(0, 99))
def test_any_permutation_is_found_again(order: list[int], seed: int) -> None:
    z, _ = scores(8, 6, seed=seed)
    p = np.array(order)
    found = diagnosed(everywhere(predictions=z) | {"torch": {"predictions": z[:, p]}})
    moved = [n for n in range(6) if p[n] != n]
    if not moved:
        assert found == {}
        return
    shift = [(n - p[n]) % 6 for n in range(6)]
    one = next(iter(found.values()))
    assert one.code == ("off-by-one" if shift in ([1] * 6, [5] * 6) else "class-order")
    if one.code == "class-order":
        cycles = one.evidence["columns"]
        assert sorted(index for cycle in cycles for index in cycle) == moved
        # What column j shows on torch is column p[j] elsewhere: p[j] → j.
        assert all(p[b] == a for cycle in cycles for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True))


@given(st.integers(0, 999), st.floats(0.0, 8.0))
def test_noise_under_near_uniform_predictions_is_no_order(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    z = 0.25 + 1e-6 * rng.standard_normal((8, 4))
    noisy = {
        leg: {"predictions": (z + size * 1e-6 * rng.standard_normal(z.shape)).astype(np.float32)} for leg in ("jax", "torch")
    }
    assert not {*diagnosed(noisy)} & {"class-order", "off-by-one", "example-order", "axis"}


def test_a_permutation_that_leaves_a_rest_is_none() -> None:
    z, _ = scores()
    other = z[:, [1, 0, 2, 3]].copy()
    other[0, 0] += 0.01
    assert "class-order" not in diagnosed(everywhere(predictions=z) | {"jax": {"predictions": other}})


@pytest.mark.parametrize(("step", "direction"), [(1, "higher"), (-1, "lower")])
def test_all_classes_moved_by_one_are_off_by_one_and_no_class_order(step: int, direction: str) -> None:
    z, _ = scores()
    found = diagnosed(everywhere(predictions=z) | {"jax": {"predictions": np.roll(z, step, axis=1)}})
    assert list(found) == ["off-by-one"]
    assert f"one column {direction}, wrapping around" in found["off-by-one"].message
    assert found["off-by-one"].evidence["shift"] == step


def test_a_shift_that_pushes_a_class_out_is_off_by_one() -> None:
    rows = np.eye(4, dtype=np.float32)[[0, 1, 2, 2]]
    found = first(everywhere(rows=rows) | {"jax": {"rows": np.eye(5, dtype=np.float32)[[1, 2, 3, 3]][:, :4]}})
    assert found.code == "off-by-one"


def test_integers_that_are_all_one_higher_are_off_by_one() -> None:
    found = first(everywhere(ids=np.array([0, 2, 1, 2])) | {"torch": {"ids": np.array([1, 3, 2, 3])}})
    assert (found.code, found.evidence["shift"], found.backends) == ("off-by-one", 1, ("torch",))


def test_a_vocabulary_in_another_order_is_described_by_its_names() -> None:
    found = first(everywhere(vocabulary=["cat", "dog", "fox"]) | {"jax": {"vocabulary": ["dog", "cat", "fox"]}})
    assert (found.code, found.evidence["permutation"]) == ("class-order", "cat → dog → cat")


@pytest.mark.parametrize("own", [False, True], ids=["of Keras", "of the user's own"])
def test_labels_permuted_inside_a_loss_are_a_class_order(own: bool) -> None:
    z, y = scores(24)
    exchanged = np.array([0, 2, 1, 3])[y]
    found = diagnosed(
        everywhere(**cross_entropy(z, y, own=own)) | {"jax": cross_entropy(z, y, targets=np.eye(4)[exchanged], own=own)}
    )
    one = next(iter(found.values()))
    assert (one.code, one.backends, one.evidence["permutation"]) == ("class-order", ("jax",), "dog → fox → dog")


def test_labels_shifted_inside_a_loss_are_off_by_one_before_anything_else() -> None:
    z, y = scores(24)
    found = first(everywhere(**cross_entropy(z, y)) | {"jax": cross_entropy(z, y, targets=np.eye(4)[(y + 1) % 4])})
    assert (found.code, found.backends) == ("off-by-one", ("jax",))


def test_rows_exchanged_are_an_example_order_with_their_positions() -> None:
    z, _ = scores(6)
    p = np.array([0, 4, 2, 3, 1, 5])
    found = first(everywhere(predictions=z) | {"torch": {"predictions": z[p]}})
    assert (found.code, found.evidence["examples"], found.evidence["came from"]) == ("example-order", [1, 4], [4, 1])
    assert "examples 1 and 4 of predictions are exchanged on torch" in found.headline


def test_rows_in_reverse_say_so() -> None:
    z, _ = scores(6)
    assert "reverse order" in first(everywhere(predictions=z) | {"torch": {"predictions": z[::-1]}}).message


def test_rows_permuted_do_not_read_as_classes_permuted_in_gradients_that_follow() -> None:
    z, y = scores(3, 4)
    x = np.ones((3, 2))
    legs = {}
    for leg, p in (("tensorflow", [0, 1, 2]), ("jax", [2, 1, 0]), ("torch", [0, 1, 2])):
        seen = cross_entropy(z[p], y)
        observations = seen["observations"] | {"predictions": z[p].astype(np.float32)}
        gradient = observations["gradient/y_pred"]
        observations |= {"gradient/dense/kernel": x.T.astype(np.float32) @ gradient, "gradient/dense/bias": gradient.sum(axis=0)}
        legs[leg] = seen | {"observations": observations, "labels": {"y_true": y}}
    assert first(legs).code == "example-order"


def test_losses_in_another_order_are_an_example_order() -> None:
    losses = np.array([0.5, 1.5, 2.5, 3.5], np.float32)
    found = first(everywhere(per_example_loss=losses) | {"jax": {"per_example_loss": losses[[1, 0, 2, 3]]}})
    assert (found.code, found.evidence["examples"]) == ("example-order", [0, 1])


def test_a_change_of_sign_is_no_order_though_two_classes_look_exchanged() -> None:
    z, y = scores(8, 2)
    one = cross_entropy(z, y)
    flipped = one | {"observations": one["observations"] | {"gradient/y_pred": -one["observations"]["gradient/y_pred"]}}
    assert first(everywhere(**one) | {"jax": flipped}).code == "sign"


def test_a_class_counted_as_one_without_labels_is_named_as_a_chain() -> None:
    z, _ = scores(12)
    y = np.array([0, 1, 2] * 4)
    found = first(everywhere(**cross_entropy(z, y)) | {"jax": cross_entropy(z, y, targets=np.eye(4)[np.where(y == 2, 3, y)])})
    assert (found.code, found.evidence["permutation"], found.evidence["labels without"]) == ("class-order", "fox → owl", "owl")


def test_two_classes_made_one_are_no_order() -> None:
    z, y = scores(24)
    found = diagnosed(everywhere(**cross_entropy(z, y)) | {"jax": cross_entropy(z, y, targets=np.eye(4)[np.where(y == 2, 3, y)])})
    assert "class-order" not in found


@given(st.integers(0, 200), st.sampled_from([(4, 3), (3, 30), (2, 2)]))
def test_noise_in_a_gradient_is_no_order(seed: int, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    g = rng.standard_normal(shape)
    legs = {leg: {"gradient/y_pred": (g + 3e-4 * rng.standard_normal(shape)).astype(np.float32)} for leg in ("jax", "torch")}
    found = diagnosed({leg: {"observations": seen} for leg, seen in legs.items()})
    assert {*found} <= {"rounding", "unexplained"}


def test_columns_of_a_gradient_that_vanish_beside_the_largest_element_show_no_order() -> None:
    g = np.array([[1.0, 3e-4, 1e-4, 2e-4], [-1.0, 1e-4, 3e-4, 2e-4]])
    other = g[:, [0, 2, 3, 1]] * np.array([1, 1, 1, 1])
    other[:, 0] *= 1.0
    found = diagnosed(
        {
            leg: {"observations": {"gradient/y_pred": (other if leg == "jax" else g).astype(np.float32)}}
            for leg in ("jax", "torch")
        }
    )
    assert "class-order" not in found


def test_equal_losses_whose_weights_moved_are_not_other_examples() -> None:
    """Losses of near-uniform predictions are equal, so that only the weights tell examples apart."""
    weight = np.float32([2.0, 1.0, 0.5])
    own = {"losses": {"": {"name": "my_loss", "from_keras": False}}, "labels": {"sample_weight": weight}}
    legs = everywhere(per_example_loss=2.3 * weight, **own) | {"jax": {"per_example_loss": 2.3 * weight[::-1], **own}}
    found = diagnosed(legs)
    assert "example-order" not in found
    assert "sample-weight-misapplied" in found


def test_other_losses_of_weighted_examples_are() -> None:
    weight, losses = np.float32([2.0, 1.0, 0.5]), np.float32([0.3, 1.7, 2.9])
    own = {"losses": {"": {"name": "my_loss", "from_keras": False}}, "labels": {"sample_weight": weight}}
    legs = everywhere(per_example_loss=losses, **own) | {"jax": {"per_example_loss": losses[::-1].copy(), **own}}
    assert "example-order" in diagnosed(legs)


def test_a_loss_of_ones_own_that_equals_a_cross_entropy_tells_the_classes() -> None:
    """Without gradients, only the losses of the examples show as which class each was counted."""
    z, y = scores(32, 4)
    order = np.array([1, 2, 0, 3])
    usual, jax = cross_entropy(z, y, own=True), cross_entropy(z, y, own=True, targets=np.eye(4)[order[y]])
    for leg in (usual, jax):
        leg["observations"] = {"per_example_loss": leg["observations"]["per_example_loss"]}
    found = diagnosed(everywhere(**usual) | {"jax": jax})
    assert found["class-order"].backends == ("jax",)
    assert "cat → dog → fox → cat" in found["class-order"].evidence["permutation"]


def test_other_losses_of_ones_own_tell_no_classes() -> None:
    z, y = scores(32, 4)
    usual = cross_entropy(z, y, own=True)
    losses = usual["observations"]["per_example_loss"]
    usual["observations"] = {"per_example_loss": losses**2}
    other = usual | {"observations": {"per_example_loss": np.roll(losses**2, 1) + np.float32(0.1)}}
    assert not {*diagnosed(everywhere(**usual) | {"jax": other})} & {"class-order", "off-by-one"}


@pytest.mark.parametrize("names", [[], ["cat", "dog"]])
def test_names_that_differ_in_their_dtype_alone_have_no_other_order(names: list[str]) -> None:
    text = np.array(names, dtype=object)
    by_leg = {"tensorflow": text, "jax": np.zeros(len(names), np.float32)}
    diagnoses = diagnosed({leg: {"observations": {"value/x": value}} for leg, value in by_leg.items()})
    assert diagnoses
    assert not {"class-order", "undiagnosed"} & {*diagnoses}
