"""Each option that has several spellings takes all of them, and lists one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from backendcheck.cli import cli

ALIASES = [
    (("show", "labels/a"), "run", "--run", ("--out",)),
    (("locate", "labels/a"), "run", "--run", ("--out",)),
    (("known", "add", "labels/a", "--reason", "x"), "run", "--run", ("--out",)),
    (("repro", "labels/a"), "run", "--run", ("--dir",)),
    (("locate", "labels/a"), "backends", "--backends", ("--backend",)),
    (("run",), "backends", "--backends", ("--backend",)),
    (("model", "a.keras", "--data", "a.npz"), "backends", "--backends", ("--backend",)),
    (("record",), "backend", "--backend", ("--backends",)),
    (("compare", "reports"), "expect_backends", "--expect-backends", ("--backends", "--backend")),
    (("merge", "reports", "--out", "all"), "expect_backends", "--expect-backends", ("--backends", "--backend")),
]


def parsed(words: tuple[str, ...], *more: str) -> tuple[click.Command, click.Context]:
    command: Any = cli
    context = click.Context(cli, info_name="backendcheck")
    names = list(words)
    while isinstance(command, click.Group):
        name = names.pop(0)
        command = command.commands[name]
        if not isinstance(command, click.Group):
            context = command.make_context(name, [*names, *more], parent=context)
    return command, context


@pytest.mark.parametrize(("words", "name", "spelling", "aliases"), ALIASES, ids=lambda value: str(value).replace("/", "."))
def test_every_spelling_means_the_same_and_help_lists_one(
    words: tuple[str, ...], name: str, spelling: str, aliases: tuple[str, ...]
) -> None:
    expected: Any = Path("elsewhere") if name == "run" else "jax"
    for written in (spelling, *aliases):
        _, context = parsed(words, written, str(expected))
        assert context.params[name] == expected
    command, context = parsed(words, spelling, str(expected))
    (option,) = (parameter for parameter in command.params if parameter.name == name)
    record = option.get_help_record(context)
    assert record is not None
    assert record[0].split()[0] == spelling
    assert not any(alias in record[0].split() for alias in aliases)


def test_the_last_of_two_spellings_counts() -> None:
    assert parsed(("show", "labels/a"), "--out", "first", "--run", "second")[1].params["run"] == Path("second")


def test_a_message_names_the_listed_spelling() -> None:
    with pytest.raises(click.MissingParameter) as raised:
        parsed(("record",))
    assert raised.value.format_message() == "Missing option '--backend'."


def test_the_script_of_repro_is_still_written_with_out() -> None:
    assert parsed(("repro", "labels/a"), "--out", "a.py")[1].params["out"] == Path("a.py")


def test_the_run_that_is_read_is_the_latest_by_default() -> None:
    assert parsed(("show", "labels/a"))[1].params["run"] == Path("reports/latest")
