"""Terminal output shared by commands: --json/--quiet/--verbose, color, closed pipes."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

import click


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """`as_json` prints one JSON document only, `quiet` failures and the last line only, `verbose` everything."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --json, --quiet and --verbose; it receives them as `output`."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output, and nothing else.")
    @click.option("-q", "--quiet", is_flag=True, help="Print failures and the last line only, without progress.")
    @click.option("-v", "--verbose", is_flag=True, help="Print everything, without shortening.")
    @functools.wraps(command)
    def with_output(*arguments: Any, as_json: bool, quiet: bool, verbose: bool, **options: Any) -> Any:
        if quiet and verbose:
            message = "--quiet and --verbose contradict each other; expected one of the two."
            raise click.UsageError(message)
        return command(*arguments, output=OutputOptions(as_json=as_json, quiet=quiet, verbose=verbose), **options)

    return with_output


def color_choice() -> bool | None:
    """Whether to print colors, from NO_COLOR, FORCE_COLOR and TERM=dumb, in this order.

    None lets click decide: colors go to a terminal only.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") not in (None, "", "0"):
        return True
    return False if os.environ.get("TERM") == "dumb" else None


class _Lossy(io.FileIO):
    """Standard error of which the reader may go away: what is printed there must not end a run."""

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError:
            return len(content)


def lossy(stream: TextIO) -> TextIO:
    """The same stream, on which an error of writing ends nothing."""
    raw = _Lossy(stream.fileno(), "w", closefd=False)
    buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, encoding=stream.encoding, errors="backslashreplace", line_buffering=True)


@contextlib.contextmanager
def while_read() -> Iterator[None]:
    """Print until the reader closes the pipe, as `| head` does. That is not an error and does not change the exit code."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # otherwise Python prints an error when it flushes at exit
        os.close(null)
    except OSError as error:  # the exit code still tells the verdict
        click.echo(f"standard output: cannot be written ({error.strerror or error}). The exit code has the verdict.", err=True)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


_COLORS = {"FAILED": "red", "ERROR": "magenta", "PROBLEM": "magenta", "XPASSED": "yellow", "XFAILED": "cyan", "PASSED": "green"}
_STYLES: dict[str, dict[str, Any]] = {
    **{verdict: {"fg": name} for verdict, name in _COLORS.items()},
    "dim": {"dim": True},
    "bold": {"bold": True},
}


def styled(line: str) -> str:
    """The line in its own styles, or in the color of the verdict that it begins with. click drops colors that are off."""
    from backendcheck.text.styled import StyledLine

    if isinstance(line, StyledLine):
        return "".join(click.style(text, **_STYLES.get(style, {})) if style else text for text, style in line.parts)
    word, space, rest = line.partition(" ")
    return click.style(word, fg=_COLORS[word], bold=True) + space + rest if word in _COLORS else line


def print_lines(lines: Any) -> None:
    """Print lines in color until the reader closes the pipe."""
    with while_read():
        for line in lines:
            click.echo(styled(line))
