"""Sides of a comparison keep their text, and know the leg and the path in it."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendcheck.vocabulary.sides import REFERENCE, Side, leg_label

legs = st.text(st.characters(exclude_characters=":"), min_size=1)


@pytest.mark.parametrize(
    ("text", "leg", "backend", "number", "path"),
    [
        ("jax", "jax", "jax", 0, ""),
        ("jax#2", "jax#2", "jax", 2, ""),
        ("jax:evaluate", "jax", "jax", 0, "evaluate"),
        ("jax#12:fit on tf.data", "jax#12", "jax", 12, "fit on tf.data"),
        ("torch:tf.data: test_on_batch", "torch", "torch", 0, "tf.data: test_on_batch"),
        ("torch:a/b#3", "torch", "torch", 0, "a/b#3"),
        ("reference", "reference", "reference", 0, ""),
        ("tensorflow/keras-3.14.1:évaluer 🦊", "tensorflow/keras-3.14.1", "tensorflow/keras-3.14.1", 0, "évaluer 🦊"),
        ("jax#:x", "jax#", "jax", 0, "x"),
        ("", "", "", 0, ""),
    ],
)
def test_a_side_knows_its_parts(text, leg, backend, number, path):
    side = Side(text)
    assert (side, side.leg, side.backend, side.number, side.path) == (text, leg, backend, number, path)


@given(leg=legs, path=st.text())
def test_a_side_made_of_its_parts_has_them(leg, path):
    side = Side.of(leg, path)
    assert (side.leg, side.path) == (leg, path)
    assert Side(str(side)) == side


@given(st.text())
def test_any_text_is_a_side_with_that_text(text):
    side = Side(text)
    assert str(side) == text
    assert {side: 1}[text] == 1
    assert json.loads(json.dumps({"left": side})) == {"left": text}


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda side: pickle.loads(pickle.dumps(side))])
def test_a_copy_of_a_side_has_its_parts(again):
    side = again(Side("jax#2:evaluate"))
    assert (side, side.leg, side.path) == ("jax#2:evaluate", "jax#2", "evaluate")


def test_the_reference_is_a_side():
    assert REFERENCE == "reference"


@given(backend=st.text(st.characters(exclude_characters="#:"), min_size=1), number=st.integers(1, 10**6))
def test_the_label_of_a_numbered_leg_is_read_back(backend, number):
    side = Side.of(leg_label(backend, number), "fit")
    assert (side.backend, side.number) == (backend, number)
