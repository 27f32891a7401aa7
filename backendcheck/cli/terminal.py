"""How a command says what it has to say: options that commands share, color, and readers that go away."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """`as_json` prints one JSON document and nothing else, `quiet` what fails and the last line, `verbose` everything."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command --json, --quiet and --verbose, which it gets as `output`."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON: one document on standard output, and nothing else there.")
    @click.option("-q", "--quiet", is_flag=True, help="Print what fails and the last line only; no progress.")
    @click.option("-v", "--verbose", is_flag=True, help="Print everything, however long.")
    @functools.wraps(command)
    def with_output(*arguments: Any, as_json: bool, quiet: bool, verbose: bool, **options: Any) -> Any:
        if quiet and verbose:
            message = "--quiet and --verbose contradict each other; expected one of them."
            raise click.UsageError(message)
        return command(*arguments, output=OutputOptions(as_json=as_json, quiet=quiet, verbose=verbose), **options)

    return with_output


def color() -> bool | None:
    """Whether output has colors: as NO_COLOR, FORCE_COLOR and TERM=dumb say, the first of them before the others.

    None leaves it to whether there is a terminal.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") not in (None, "", "0"):
        return True
    return False if os.environ.get("TERM") == "dumb" else None


@contextlib.contextmanager
def while_read() -> Iterator[None]:
    """Print as long as somebody reads it: `| head` closes the pipe, which changes no exit code and is no error."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # or Python would complain when it flushes at its end
        os.close(null)


_COLORS = {"FAILED": "red", "ERROR": "magenta", "PROBLEM": "magenta", "XPASSED": "yellow", "XFAILED": "cyan", "PASSED": "green"}
_STYLES: dict[str, dict[str, Any]] = {
    **{verdict: {"fg": name} for verdict, name in _COLORS.items()},
    "dim": {"dim": True},
    "bold": {"bold": True},
}


def styled(line: str) -> str:
    """A line in its own styles, or in the color of the verdict that it begins with; click leaves out what is not wanted."""
    from backendcheck.text.styled import Painted

    if isinstance(line, Painted):
        return "".join(click.style(text, **_STYLES.get(style, {})) if style else text for text, style in line.parts)
    word, space, rest = line.partition(" ")
    return click.style(word, fg=_COLORS[word], bold=True) + space + rest if word in _COLORS else line


def print_lines(lines: Any) -> None:
    """Print lines in color, where there is any, as long as somebody reads them."""
    with while_read():
        for line in lines:
            click.echo(styled(line))
