"""Every command takes the options that it declares."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
import pytest

from backendcheck.cli import cli


def commands(group: click.Group = cli) -> Iterator[click.Command]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from commands(command)
        else:
            yield command


@pytest.mark.parametrize("command", list(commands()), ids=lambda command: command.name)
def test_a_function_takes_the_options_of_its_command(command: click.Command) -> None:
    assert command.callback is not None
    values = {str(parameter.name): None for parameter in command.params if parameter.expose_value}
    if hasattr(command.callback, "__wrapped__"):  # `output_options` hands its own over as one value
        values = {name: None for name in values if name not in ("as_json", "quiet", "verbose")} | {"output": None}
    inspect.signature(command.callback).bind(**values)


def test_there_are_commands() -> None:
    assert {"run", "record", "compare", "show", "locate", "repro"} <= {command.name for command in commands()}
