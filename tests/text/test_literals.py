"""Plain values as source: what is read back is what was written."""

from __future__ import annotations

import ast
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from backendcheck.text.literals import NotWritable, array_source, in_comment, source_of

DTYPES = st.sampled_from(["float16", "float32", "float64", "int8", "int32", "int64", "uint8", "uint64", "bool"])


def evaluated(source: str) -> object:
    return eval(source, {"np": np})


@given(DTYPES.flatmap(lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))))
def test_an_array_comes_back_bit_by_bit(array):
    back = evaluated(array_source(array))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert np.array_equal(back, array, equal_nan=array.dtype.kind == "f")
    if array.dtype.kind == "f":
        assert np.array_equal(np.signbit(back[~np.isnan(back)]), np.signbit(array[~np.isnan(array)]))


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
))  # fmt: skip
def test_nests_of_plain_values_come_back(value):
    assert evaluated(source_of(value)) == value


@pytest.mark.parametrize("text", ["'''\"\"\"", "a\nb", "\x00\x1b[31m", "\\", "{x}", "\u2028#", "'); import os; os.abort() #"])
def test_text_cannot_break_out(text):
    tree = ast.parse(source_of({text: [text]}))
    assert isinstance(tree.body[0], ast.Expr)
    assert len(tree.body) == 1
    assert ast.literal_eval(tree.body[0].value) == {text: [text]}
    assert all(line.startswith("#") for line in in_comment(text).split("\n"))
    assert compile(in_comment(text), "comment", "exec").co_consts == (None,)


def test_nan_and_infinity_are_spelled_out():
    assert math.isnan(evaluated(source_of(float("nan"))))
    assert evaluated(source_of([float("inf"), float("-inf")])) == [math.inf, -math.inf]
    assert evaluated(array_source(np.array([-np.inf, 1], "float32"))).tolist() == [-math.inf, 1.0]


def test_constant_arrays_are_short_and_keep_negative_zero():
    assert array_source(np.zeros((4, 3), "float32")) == 'np.zeros((4, 3), dtype="float32")'
    assert array_source(np.full(20, 0.5)) == "np.full(20, 0.5)"
    back = evaluated(array_source(np.full((3, 4), -0.0)))
    assert np.signbit(back).all()


@pytest.mark.parametrize("value", [object(), {1, 2}, lambda: 1, np.array([object()], dtype=object), np.array([1j])])
def test_what_has_no_source_is_refused(value):
    with pytest.raises(NotWritable):
        source_of(value)


def test_an_array_too_large_to_be_read_is_refused():
    with pytest.raises(NotWritable, match="too large"):
        array_source(np.random.default_rng(0).random(1000), largest=100)
