"""Nests: leaves with their paths, and nests mapped leaf by leaf."""

import numpy as np
import pytest

from backendcheck.nests import is_no_mapping, leaves, map_leaves, map_with_paths, named_leaves, with_brackets, with_tuples

NEST = {"patient": {"age": 1, "scores": [2, 3]}, "site": (4, None)}


def test_leaves_come_in_the_order_of_the_nest_with_their_paths():
    assert list(leaves(NEST)) == [
        (("patient", "age"), 1), (("patient", "scores", 0), 2), (("patient", "scores", 1), 3),
        (("site", 0), 4), (("site", 1), None),
    ]  # fmt: skip


@pytest.mark.parametrize("leaf", [3, None, "text", np.zeros(2)])
def test_a_single_leaf_has_an_empty_path(leaf):
    assert [path for path, _ in leaves(leaf)] == [()]
    assert list(named_leaves(leaf)) == [""]


@pytest.mark.parametrize("nest", [{}, [], (), {"a": []}])
def test_empty_levels_have_no_leaves(nest):
    assert list(leaves(nest)) == []


def test_the_caller_says_what_a_leaf_is():
    assert named_leaves({"a": {"b": [1, 2]}, "c": [3]}, is_leaf=is_no_mapping) == {"a/b": [1, 2], "c": [3]}


def test_paths_are_written_with_slashes_and_with_brackets():
    assert list(named_leaves({"a": {0: 1}, "b": [2]})) == ["a/0", "b/0"]
    assert [with_brackets("x", path) for path, _ in leaves({"a": {0: 1}, "b": [2]})] == ["x['a'][0]", "x['b'][0]"]


def test_mapping_keeps_dicts_lists_tuples_and_none():
    assert map_leaves(lambda leaf: leaf * 10, NEST) == {"patient": {"age": 10, "scores": [20, 30]}, "site": (40, None)}


def test_mapping_several_nests_combines_leaves_of_one_place():
    assert map_leaves(lambda a, b: a - b, {"x": [5, 7]}, {"x": (1, 2)}) == {"x": [4, 5]}


def test_mapping_with_paths_hands_over_where_a_leaf_is():
    assert map_with_paths(lambda path, leaf: (path, leaf), {"x": [5]}) == {"x": [(("x", 0), 5)]}


def test_lists_become_tuples_at_every_depth():
    assert with_tuples({"x": [1, [2, (3,)]], "y": None}) == {"x": (1, (2, (3,))), "y": None}
