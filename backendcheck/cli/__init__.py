"""A command line in, messages, files and an exit code out; no command imports a backend in this process."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import click

from backendcheck import __version__
from backendcheck.cli.bisect import bisect
from backendcheck.cli.certify import certify
from backendcheck.cli.compare import compare
from backendcheck.cli.demo import demo
from backendcheck.cli.explore import explore
from backendcheck.cli.farm import farm
from backendcheck.cli.grouped_help import write_commands
from backendcheck.cli.init import init
from backendcheck.cli.known import known
from backendcheck.cli.labels import labels
from backendcheck.cli.list import list_cases
from backendcheck.cli.locate import locate
from backendcheck.cli.merge import merge
from backendcheck.cli.migrate import migrate
from backendcheck.cli.model import model
from backendcheck.cli.process import resume_command
from backendcheck.cli.record import record
from backendcheck.cli.report import report
from backendcheck.cli.repro import repro
from backendcheck.cli.run import run
from backendcheck.cli.selftest import selftest
from backendcheck.cli.show import show
from backendcheck.cli.terminal import color_choice, lossy
from backendcheck.cli.upgrade import upgrade
from backendcheck.errors import BackendcheckError
from backendcheck.text.escape import visible

_EXIT_CODES = """\b
Exit codes
  0  every case PASSED or XFAILED (a known divergence)
  1  some case FAILED or XPASSED
  2  wrong usage, or input that cannot be read
  3  incomplete: some ERROR, a leg missing, or nothing compared
"""


_REMEDIES = {
    errno.EACCES: " Check its owner and its permissions.",
    errno.EPERM: " Check its owner and its permissions.",
    errno.ENOSPC: " Free the space.",
    errno.EDQUOT: " Free the space.",
    errno.EROFS: " Choose another directory.",
    errno.EMFILE: " Allow more open files, for example with 'ulimit -n 1024'.",
}
# What --resume goes on from after Ctrl-C, by command.
_RECORDED = "; recordings made so far are kept, and their legs are marked unfinished"
_KEPT = {"run": _RECORDED, "record": _RECORDED, "explore": "; what was found is kept"}


class _Commands(click.Group):
    """Prints our own errors in one line, and exits with code 2."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BackendcheckError as error:
            for line in str(error).splitlines():
                click.echo(f"backendcheck: {visible(line)}", err=True)
            context.exit(2)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader closed the pipe, which click handles
                raise
            where = f"{error.filename}: " if error.filename else ""
            if not where and error.errno == errno.ENOENT:
                click.echo("backendcheck: the working directory does not exist any more. Change to one that exists.", err=True)
                context.exit(2)
            remedy = _REMEDIES.get(error.errno or 0, "")
            click.echo(f"backendcheck: {visible(f'{where}{error.strerror or error}')}.{remedy}", err=True)
            context.exit(2)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "start new thread" not in str(error):
                raise
            what = f"not enough memory ({error})" if str(error) else "not enough memory"
            click.echo(f"backendcheck: {visible(what)}. Free some, raise its limit, or use fewer backends at a time.", err=True)
            context.exit(2)
        except KeyboardInterrupt:
            kept = _KEPT.get(context.invoked_subcommand or "", "")
            click.echo(f"backendcheck: interrupted{kept}.", err=True)
            if kept:
                click.echo(f"backendcheck: resume with: {visible(resume_command(sys.argv[1:]))}", err=True)
            context.exit(130)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their groups."""
        write_commands(self, ctx, formatter)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXIT_CODES)
@click.version_option(__version__, prog_name="backendcheck")
def cli() -> None:
    """Do your labels mean the same under every Keras 3 backend?

    Runs label-handling cases under TensorFlow, JAX and PyTorch, each in a process of its own. Reports whether and where losses,
    gradients or predictions differ.

    \b
    backendcheck demo                        what it finds, in about a minute
    backendcheck init                        a first case for your project
    backendcheck run                         the built-in cases, or your project's
    backendcheck run cases/labels.py         your own cases
    backendcheck labels --data d.npz         labels, before training
    backendcheck model m.keras --data d.npz  a saved model, with its labels
    backendcheck explore --out DIR           differences without a case
    backendcheck report --open               the page of the last run
    backendcheck show labels/one_hot         one case in full
    backendcheck locate labels/one_hot       the layer where a difference begins
    backendcheck repro labels/one_hot        a script that shows the difference
    """


for command in (
    demo, init, run, labels, model, explore, upgrade, migrate, certify, record, compare, merge, report, show, locate, bisect,
    repro, list_cases, known, selftest, farm,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    # Python has no stream where the caller has closed it, and the next file that is opened would take its number.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end of the process
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # an ASCII log must not stop a headline with other characters
    sys.stderr = lossy(sys.stderr)
    cli.main(prog_name="backendcheck", color=color_choice())
