"""Findings as a list, as lines, as a table in a notebook and as a data frame."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from backendcheck import check_labels
from backendcheck.errors import UsageError

LOSS = "sparse_categorical_crossentropy"
FINDINGS = check_labels([1, 2, 3] * 4, loss=LOSS, head=(3, "softmax"), class_names=["a<b>", "c", "d"])


def test_findings_are_a_list_that_reads_as_lines() -> None:
    assert isinstance(FINDINGS, list)
    assert FINDINGS[0].code == "L104"
    assert repr(FINDINGS) == str(FINDINGS) == "\n".join(map(str, FINDINGS))
    assert str(FINDINGS).startswith("error L104 starts-at-one  labels: start at 1")
    empty = check_labels([0, 1, 2] * 4, loss=LOSS, head=(3, "softmax"))
    assert (empty, repr(empty), empty._repr_html_()) == ([], "no finding", "<p>no finding</p>")


def test_a_notebook_shows_a_table_with_what_backends_do_and_everything_escaped() -> None:
    table = FINDINGS._repr_html_()
    assert table.count("<tr>") == 1 + len(FINDINGS)
    assert "<b>L104</b> starts-at-one" in table
    assert "jax trains on it" in table
    assert "a<b>" not in table


@pytest.mark.parametrize("hidden", [(), ("pandas",)])
def test_a_data_frame_has_a_row_for_each_finding(monkeypatch: pytest.MonkeyPatch, hidden: tuple[str, ...]) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in hidden else find(name, *more))
    frame: Any = FINDINGS.to_frame()
    assert list(frame.columns) == ["severity", "code", "name", "where", "message", "output", "split", "loss", "today"]
    assert frame.shape == (len(FINDINGS), 9)
    assert list(frame["code"]) == [finding.code for finding in FINDINGS]


def test_without_a_library_for_tables_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(UsageError, match="neither pandas nor polars is installed"):
        FINDINGS.to_frame()
