"""The backends and the reference side by side, at the place where they differ most."""

from __future__ import annotations

import make
import numpy as np
import pytest

from backendcheck.recordings.recording import Variant
from backendcheck.report.views.side_by_side import sides
from backendcheck.vocabulary.findings import Oracle

NAMES = ["cat", "dog", "fox"]


def case(**by_backend):
    return make.results({"a/b": by_backend}).cases[0]


def rows(result) -> dict[str, tuple[str, str, tuple[str, ...], set[str]]]:
    """By observation: place, label, values, and the sides that are marked."""
    table = sides(result, make.BACKENDS)
    return {
        row.observation + (f" through {row.path}" if row.path else ""): (
            row.place, row.label, row.values, {table.columns[at] for at in row.marked},
        )
        for row in table.rows
    }  # fmt: skip


def everywhere_but(backend, usual, other, **more):
    return {one: {**more, **(other if one == backend else usual)} for one in make.BACKENDS}


def test_values_at_the_worst_element_with_the_label_there():
    scores = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], np.float32)
    other = scores.copy()
    other[1, 2], other[0, 0] = 0.7, 0.21
    more = {"class_names": NAMES, "labels": {"y_true": np.array([2, 1])}}
    found = rows(case(**everywhere_but("torch", {"predictions": scores}, {"predictions": other}, **more)))
    assert found == {"predictions": ("example 1, class fox", "1 dog", ("0.1", "0.1", "0.7"), {"torch"})}


def test_a_one_hot_label_has_its_class():
    more = {"class_names": NAMES, "labels": {"y_true": np.eye(3, dtype=np.float32)}}
    usual, other = {"per_example_loss": np.float32([1, 2, 3])}, {"per_example_loss": np.float32([1, 2, 4])}
    assert rows(case(**everywhere_but("jax", usual, other, **more)))["per_example_loss"][:2] == ("example 2", "2 fox")


def test_the_reference_has_a_column_where_it_has_something_to_say():
    result = case(**{b: {"loss": 0.5 if b == "torch" else 0.7, "reference": {"loss": 0.5}} for b in make.BACKENDS})
    assert sides(result, make.BACKENDS).columns == (*make.BACKENDS, "reference")
    assert rows(result)["loss"] == ("", "", ("0.7", "0.7", "0.5", "0.5"), {"tensorflow", "jax"})
    assert sides(case(jax={"loss": 0.5}, torch={"loss": 0.7}), make.BACKENDS).columns == ("jax", "torch")


def test_another_path_has_a_row_of_its_own():
    variant = Variant(oracle=Oracle.PATHS, path="evaluate", observations={"loss": make.observation(0.9)})
    result = case(**everywhere_but("jax", {"loss": 0.5}, {"loss": 0.5, "variants": (variant,)}))
    found = rows(result)
    assert found["loss"][2] == ("0.5", "0.5", "0.5")
    assert found["loss through evaluate"][2:] == (("missing", "0.9", "missing"), {"jax"})


@pytest.mark.parametrize(
    ("observation", "usual", "other", "values"),
    [
        ("predictions", np.float32([[1, 2]]), np.float32([[1, 2, 3]]), ("shape (1, 2)", "shape (1, 3)", "shape (1, 2)")),
        ("value/n", np.int32([1, 2]), np.int64([1, 2]), ("int32", "int64", "int32")),
        ("output_order", ["a", "b"], ["b", "a"], ("a, b", "b, a", "a, b")),
        ("loss", 0.5, float("nan"), ("0.5", "NaN", "0.5")),
        ("value/text", ["yes"], ["no"], ("yes", "no", "yes")),
        ("train/loss", np.float32([1, 2]), np.float32([1, 3]), ("2.0", "3.0", "2.0")),
    ],
)  # fmt: skip
def test_text_is_shown_too(observation, usual, other, values):
    given = [{"observations": {observation: value}} for value in (usual, other)]
    found = rows(case(**everywhere_but("jax", *given)))[observation]
    assert (found[2], found[3]) == (values, {"jax"})


def test_what_is_missing_is_said_and_what_raised_has_none():
    result = case(tensorflow={"loss": 0.5, "value": [1.0]}, jax={"loss": 0.5}, torch={"loss": 0.5, "value": [1.0]})
    assert rows(result)["value"][2] == ("1.0", "missing", "1.0")
    raises = {"raised": "IndexError: out of bounds", "loss": 0.7}
    found = rows(case(tensorflow={"loss": 0.5, "value": [1.0]}, jax=raises, torch={"loss": 0.5, "value": [2.0]}))
    assert found["value"][2] == ("1.0", "", "2.0")


def test_many_observations_are_counted():
    usual = {"observations": {f"value/v{n:02}": 0.0 for n in range(20)}}
    other = {"observations": {f"value/v{n:02}": 1.0 for n in range(20)}}
    table = sides(case(**everywhere_but("jax", usual, other)), make.BACKENDS)
    assert (len(table.rows), table.n_more) == (6, 14)


def test_text_is_cut_with_its_length():
    usual, other = {"observations": {"value/t": ["a" * 5000]}}, {"observations": {"value/t": ["b" * 5000]}}
    [value, *_] = rows(case(**everywhere_but("jax", usual, other)))["value/t"][2]
    assert len(value) < 160
    assert value.endswith("… (5000 characters)")


def test_everything_has_a_table():
    for result in make.everything().cases:
        table = sides(result, make.BACKENDS)
        assert all(len(row.values) == len(table.columns) for row in table.rows)
