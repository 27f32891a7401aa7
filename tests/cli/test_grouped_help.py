"""Help texts have every command and every option once, in groups, and fit a terminal of 80 columns."""

from __future__ import annotations

import re

import click
import pytest

from backendcheck.cli import cli
from backendcheck.cli.grouped_help import COMMANDS


def commands(group: click.Group = cli) -> list[click.Command]:
    nested = [commands(command) if isinstance(command, click.Group) else [command] for command in group.commands.values()]
    return [command for each in nested for command in each]


def help_of(command: click.Command, name: str) -> str:
    return command.get_help(click.Context(command, info_name=name, terminal_width=80, max_content_width=80))


def test_every_command_is_listed_once_with_its_whole_sentence() -> None:
    text = help_of(cli, "backendcheck")
    assert sorted(name for names in COMMANDS.values() for name in names) == sorted(cli.commands)
    for name in cli.commands:
        assert len(re.findall(rf"^  {name}\s", text, re.MULTILINE)) == 1
    assert "..." not in text.partition("Begin:")[2]
    assert max(map(len, text.splitlines())) <= 80


def test_the_commands_of_known_have_their_whole_sentences() -> None:
    known = cli.commands["known"]
    assert isinstance(known, click.Group)
    listed = help_of(known, "known").partition("Commands:")[2]
    assert "..." not in listed
    assert re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE) == [*known.commands]


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)
def test_every_option_is_listed_once(command: click.Command) -> None:
    context = click.Context(command, info_name=command.name)
    text = help_of(command, str(command.name))
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)) is not None:
            assert len(re.findall(rf"^  {re.escape(record[0])}(?:\s|$)", text, re.MULTILINE)) == 1, record[0]


def test_options_are_in_groups() -> None:
    text = help_of(cli.commands["run"], "run")
    titles = re.findall(r"^([A-Z][\w ]+):$", text, re.MULTILINE)
    expected = ["Which backends and cases", "Recording", "Farm", "Output directory", "Verdicts", "What is printed", "Options"]
    assert titles == expected
    assert text.index("Which backends and cases:") < text.index("--shard") < text.index("Recording:") < text.index("--timeout")
