"""The files through which a pytest session and its recorders speak: a damaged one ends no session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backendcheck.in_pytest.files import Exchange
from backendcheck.in_pytest.waiting import wait_for
from backendcheck.sessions.processes import LegEnd


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"exit_code": 0}', b'"text"', b"\xff", b"null"])
def test_a_damaged_end_is_an_end_and_named(exchange: Exchange, content: bytes) -> None:
    assert exchange.ended("jax") is None
    (exchange.folder / "jax.ended").write_bytes(content)
    end = exchange.ended("jax")
    assert end is not None
    assert end.exit_code == 3
    assert str(exchange.folder / "jax.ended") in end.message


def test_an_end_comes_back_as_it_was_written(exchange: Exchange) -> None:
    end = LegEnd(exit_code=2, message="m", recorded=False)
    exchange.end("jax", end)
    assert exchange.ended("jax") == end


def test_a_damaged_line_is_not_an_item_and_the_others_are(exchange: Exchange) -> None:
    log = exchange.folder / "jax.finished"
    log.write_bytes(b"\xff\n{\n" + json.dumps("t.py::a").encode() + b'\n[1]\n"t.py::b')
    assert exchange.is_finished("jax", "t.py::a")
    assert not exchange.is_finished("jax", "t.py::b")  # its line is not whole yet
    with log.open("ab") as file:
        file.write(b'"\n')
    assert exchange.is_finished("jax", "t.py::b")


def test_a_log_that_cannot_be_read_is_waited_for_until_its_session_ends(exchange: Exchange) -> None:
    (exchange.folder / "jax.finished").mkdir()
    assert not exchange.is_finished("jax", "t.py::a")
    exchange.end("jax", LegEnd(exit_code=3, message="", recorded=True))
    assert wait_for("t.py::a", ["jax"], exchange) == ""


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"process": "x"}', '{"process": null}'])
def test_an_owner_that_is_not_known_is_taken_to_live(exchange: Exchange, content: str) -> None:
    (exchange.folder / "recorders.json").write_text(content)
    assert exchange.owner_lives()
