"""Names that someone may have meant by one that does not exist."""

from __future__ import annotations

import pytest

from backendcheck.text.close_names import close_names, did_you_mean

CASES = ["label_range/one_past_the_last_class", "label_range/a_negative_class", "encoders/valid_labels", "named_outputs/order"]


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("label_range/one_past", "label_range/one_past_the_last_class"),  # how it begins
        ("one_past", "label_range/one_past_the_last_class"),  # a part of it
        ("ONE_PAST", "label_range/one_past_the_last_class"),
        ("label_rnage/one_past_the_last_class", "label_range/one_past_the_last_class"),  # letters exchanged
        ("one_past_teh_last_class", "label_range/one_past_the_last_class"),  # without its file
        ("label_range/one_past_the_last_class[3]", "label_range/one_past_the_last_class"),
    ],
)
def test_a_name_is_found_by_its_beginning_a_part_or_a_few_wrong_letters(name: str, closest: str) -> None:
    assert close_names(name, CASES)[0] == closest


@pytest.mark.parametrize("name", ["typo", "", "  ", "zzzz/zzzz"])
def test_what_is_close_to_nothing_has_no_suggestion(name: str) -> None:
    assert close_names(name, CASES) == []
    assert did_you_mean(name, CASES, "They are such as a.") == "They are such as a."


def test_names_that_are_hardly_less_similar_are_suggested_and_others_are_not() -> None:
    assert close_names("label_rage.py", ["label_range.py", "label_width.py", "label_columns.py"]) == ["label_range.py"]
    assert did_you_mean("cas", ["case", "cases"]) == "Did you mean case or cases?"
