"""Tables of a TOML file change in place, and everything else stays byte for byte."""

from __future__ import annotations

import pytest

from backendcheck.errors import UsageError
from backendcheck.text.toml_tables import Table, TableEdit, edited, tables

FILE = '''# About the file.

# --- Section one ---

# About the first.
[[divergence]]
case = "a"   # said of the case
cases = [
    "x",  # one
    "[not a header]",
]

# --- Section two ---

[cause.long-id]
title = """
[also not a header]
"""

[[divergence]]
case = "b"
kind = "value"'''


def table(number: int) -> Table:
    return tables(FILE)[number]


def test_tables_are_found_with_their_keys() -> None:
    assert [found.name for found in tables(FILE)] == ["divergence", "cause.long-id", "divergence"]
    assert [list(found.values) for found in tables(FILE)] == [["case", "cases"], ["title"], ["case", "kind"]]
    assert tables("") == tables("# nothing\n") == []


def test_without_a_change_nothing_changes() -> None:
    assert edited(FILE, []) == FILE


def test_a_table_goes_with_the_comment_directly_above_it() -> None:
    without = edited(FILE, [TableEdit(table=table(0), removed=True)])
    assert without == FILE.replace(FILE[FILE.index("# About the first") : FILE.index("# --- Section two")], "")


def test_a_table_at_the_end_leaves_no_blank_lines() -> None:
    assert edited(FILE, [TableEdit(table=table(2), removed=True)]) == FILE[: FILE.index('"""\n\n[[div')] + '"""\n'


def test_a_value_is_replaced_added_or_removed() -> None:
    changed = edited(FILE, [TableEdit(table=table(0), values={"cases": '["y"]', "link": '"l"'})])
    many_lines = FILE[FILE.index("cases = [") : FILE.index("\n# --- Section two")]
    assert changed == FILE.replace(many_lines, 'cases = ["y"]\nlink = "l"\n')
    assert edited(FILE, [TableEdit(table=table(2), values={"case": None})]) == FILE.replace('case = "b"\n', "")
    assert edited(FILE, [TableEdit(table=table(2), values={"gone": None})]) == FILE


def test_a_value_may_be_added_at_the_end_of_a_file_without_a_last_line_break() -> None:
    assert edited(FILE, [TableEdit(table=table(2), values={"link": '"l"'})]) == f'{FILE}\nlink = "l"\n'


def test_a_table_may_be_followed_by_another() -> None:
    changed = edited(FILE, [TableEdit(table=table(0), values={"case": '"z"'}, followed_by='[[divergence]]\ncase = "n"\n')])
    assert [found.name for found in tables(changed)] == ["divergence", "divergence", "cause.long-id", "divergence"]
    assert '"[not a header]",\n]\n\n[[divergence]]\ncase = "n"\n\n# --- Section two' in changed
    assert 'case = "z"\n' in changed


def test_several_tables_change_at_once() -> None:
    changed = edited(FILE, [TableEdit(table=table(0), removed=True), TableEdit(table=table(2), values={"kind": '"shape"'})])
    assert [list(found.values) for found in tables(changed)] == [["title"], ["case", "kind"]]
    assert changed.endswith('kind = "shape"\n')


@pytest.mark.parametrize("text", ["divergence = []\n", 'a = "b"\n[x]\n'])
def test_what_stands_under_no_header_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="line 1: expected tables under a"):
        tables(text)


def test_blank_lines_at_the_end_stay_where_no_table_goes() -> None:
    text = "[[a]]\nx = 1\n\n\n"
    assert edited(text, [TableEdit(table=tables(text)[0], values={"x": "2"})]) == "[[a]]\nx = 2\n\n\n"


def test_a_comment_at_the_end_of_the_file_does_not_belong_to_a_table_at_its_beginning() -> None:
    text = "[[a]]\nx = 1\n\n# The end.\n"
    assert tables(text)[0].first == 0
    assert edited(text, [TableEdit(table=tables(text)[0], removed=True)]) == "# The end.\n"
