"""A function by itself: its values and gradients, through the front door on real backends."""

from __future__ import annotations

from typing import Any

import pytest

from backendcheck import FunctionCase


@pytest.mark.parametrize("inputs", ["abc", 3, None])
def test_inputs_that_are_no_list_and_no_dict_are_refused(inputs: Any) -> None:
    with pytest.raises(TypeError, match="expected a list of arrays, or a dict by parameter"):
        FunctionCase(len, inputs)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="function is int; expected a function of tensors"):
        FunctionCase(3, [1.0])  # type: ignore[arg-type]


def test_inputs_have_the_names_of_parameters_and_numbers_beyond_them() -> None:
    assert FunctionCase(lambda a, b: a, [1, 2]).named_inputs == {"a": 1, "b": 2}
    assert FunctionCase(lambda a, *rest: a, [1, 2, 3]).named_inputs == {"a": 1, "1": 2, "2": 3}
