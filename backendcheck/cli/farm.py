"""`backendcheck farm`: workers for `--farm`, and what a farm does."""

from __future__ import annotations

import sys

import click

from backendcheck.cli.completion import complete_backends
from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.text.escape import visible


@click.group()
def farm() -> None:
    """Workers on other machines for --farm.

    A farm is a Dask scheduler, workers on any number of machines, and a command with --farm. All listen on this machine
    alone unless you say otherwise.

    \b
    dask scheduler --host 127.0.0.1
    backendcheck farm worker tcp://127.0.0.1:8786
    backendcheck run --farm tcp://127.0.0.1:8786
    """


@farm.command(cls=GroupedCommand)
@click.argument("address")
@click.option(
    "--legs", "--backends", "names", metavar="LIST", shell_complete=complete_backends,
    help="Backends to serve. Default: all that are installed here.",
)  # fmt: skip
@click.option(
    "--slots", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Recordings at the same time."
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="HOST",
    help="Address of this machine at which the worker listens. Schedulers on other machines need to reach it.",
)  # fmt: skip
@click.option("--name", default="", metavar="NAME", help="Name of the worker in the cluster. Default: its address.")
def worker(address: str, names: str | None, slots: int, host: str, name: str) -> None:
    """Record for a scheduler until Ctrl-C.

    ADDRESS is that of a Dask scheduler, such as tcp://desk:8786. The backends that are installed here are found without
    importing them, and offered as resources of the worker. A worker that loses its scheduler waits for the next one.
    """
    from backendcheck.cli.process import end_on_signals
    from backendcheck.farm.cluster import check_distributed, installed_legs
    from backendcheck.farm.worker import serve
    from backendcheck.vocabulary.backends import check_some_installed, installed_backends, parse_backend

    check_distributed()
    end_on_signals()
    legs = [backend.value for backend in installed_backends(names)] if names else installed_legs()
    check_some_installed([parse_backend(leg) for leg in legs])
    try:
        serve(address, dict.fromkeys(legs, slots), slots, host, name, lambda line: click.echo(visible(line), err=True))
    except KeyboardInterrupt:
        sys.exit(130)


@farm.command(cls=GroupedCommand)
@click.argument("address")
def status(address: str) -> None:
    """Show who serves which legs, and how many chunks are queued and done."""
    from backendcheck.farm.cluster import check_distributed
    from backendcheck.farm.status import status_lines

    check_distributed()
    for line in status_lines(address):
        click.echo(visible(line))
