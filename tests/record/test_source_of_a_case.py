"""The source of a case function, as a recording keeps it."""

from __future__ import annotations

import functools

from backendcheck.record.case_recording import _LONGEST_SOURCE, _source


def test_it_is_the_text_of_the_function_from_its_first_column() -> None:
    def case_inner():
        return {"v": 1.0}

    assert _source(case_inner) == 'def case_inner():\n    return {"v": 1.0}'


def test_what_has_no_source_has_an_empty_one() -> None:
    assert _source(functools.partial(int, 3)) == _source(None) == ""
    assert _source(eval("lambda: 1")) == ""


def test_a_long_one_is_cut_after_a_line(tmp_path) -> None:
    path = tmp_path / "long.py"
    path.write_text("def case_long():\n" + "    x = 1  # a line of a long function\n" * 300)
    space: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    text = _source(space["case_long"])
    assert _LONGEST_SOURCE - 100 < len(text) <= _LONGEST_SOURCE + 10
    assert text.endswith("# a line of a long function\n    …")
