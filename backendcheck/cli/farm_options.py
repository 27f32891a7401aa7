"""The options of a farm, for commands that record: ``--farm`` and what belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.errors import UsageError

if TYPE_CHECKING:
    from backendcheck.farm.recording import Farm
    from backendcheck.sessions.request import RecordingRequest
    from backendcheck.vocabulary.leg_names import LegName

_OPTIONS = (
    click.option(
        "--farm", "farm_address", metavar="ADDRESS",
        help="Record on the workers of a Dask scheduler, such as tcp://HOST:8786, or on N workers of this machine with local:N.",
    ),
    click.option(
        "--farm-wait", "farm_wait_s", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, metavar="S",
        help="With --farm: seconds after which a leg that no worker serves is given up.",
    ),
    click.option(
        "--farm-files", "farm_files", multiple=True, type=click.Path(path_type=Path, exists=True), metavar="PATH",
        help="With --farm: what the cases need of the project. Default: all below the working directory that is not hidden.",
    ),
)  # fmt: skip
_CHUNK = click.option(
    "--farm-chunk", "farm_chunk_s", type=click.FloatRange(0, min_open=True), default=120.0, show_default=True, metavar="S",
    help="With --farm: seconds that the cases of one task should take, by their durations in an earlier run.",
)  # fmt: skip


def farm_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a farm."""
    return farm_options_without_chunks(_CHUNK(command))


def farm_options_without_chunks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that records no legs the options of a farm."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_farm(options: dict[str, Any], **excluded: Any) -> Farm | None:
    """Take the options of a farm out of all options; None without ``--farm``.

    `excluded` are options by their names that do not go with it, as they were passed.

    Raises:
        UsageError: if the address has another form, or `distributed` is not installed.
    """
    names = ("address", "wait_s", "chunk_s", "files")
    passed = {name: options.pop(f"farm_{name}") for name in names if f"farm_{name}" in options}
    address = passed["address"]
    if address is None:
        return None
    from backendcheck.farm.cluster import check_address
    from backendcheck.farm.recording import Farm

    check_address(address)
    for name, value in {**excluded, "shard": options.get("shard")}.items():
        if value:
            message = f"--farm: does not go with --{name.replace('_', '-')}; expected one of the two. Leave one out."
            raise UsageError(message)
    return Farm(**passed)


def check_legs(farm: Farm | None, legs: Sequence[LegName]) -> None:
    """Refuse legs with a name of their own on a farm: their interpreters and variables are those of this machine.

    Raises:
        UsageError: if there is one.
    """
    if farm is None:
        return
    named = [leg.name for leg in legs if leg.name]
    if named:
        message = (
            f"--farm: does not go with {', '.join(named)}, which pyproject.toml defines for this machine; expected legs such as "
            "jax or jax/keras-3.14.1. Leave it out, or record it here and join both with 'backendcheck merge'."
        )
        raise UsageError(message)
    source = [leg.value for leg in legs if any(package.is_source for package in leg.packages)]
    if source:
        message = (
            f"--farm: does not go with {', '.join(source)}, whose source is on this machine; expected released versions, which "
            "each worker installs. Leave --farm out."
        )
        raise UsageError(message)


def record_with(
    farm: Farm, requests: Sequence[RecordingRequest], progress: Any, earlier_runs: Sequence[Path], *, quiet: bool
) -> list[Path]:
    """Record on a farm, with a display of the progress; returns the directories of the legs."""
    from backendcheck.farm.recording import record_on_farm

    lines: list[str] = []
    with progress([str(request.backend) for request in requests]) as shown:

        def tell(line: str) -> None:
            if quiet:
                lines.append(line)
            else:
                shown.tell([f"farm: {line}"])

        legs = record_on_farm(requests, farm, shown, earlier_runs, tell)
    for line in lines:
        click.echo(f"farm: {line}", err=True)
    return legs
