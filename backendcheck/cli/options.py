"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

LATEST = Path("reports/latest")


def _parse_oracles(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    from backendcheck.sessions.request import ORACLES

    names = [name.strip() for name in value.split(",") if name.strip()]
    if unknown := [name for name in names if name not in ORACLES]:
        message = f"{', '.join(unknown)}: no such oracle; expected some of {', '.join(ORACLES)}."
        raise click.BadParameter(message, context, parameter)
    return tuple(name for name in ORACLES if name in names or name == "agreement")


paths_argument = click.argument("paths", nargs=-1, metavar="[PATH]...")
keyword_option = click.option("-k", "keyword", metavar="EXPR", default="", help="Only cases whose names match, as in pytest.")
marks_option = click.option("-m", "marks", metavar="EXPR", default="", help="Only cases with these marks, as in pytest.")
workers_option = click.option(
    "-n", "workers", type=click.IntRange(1), default=1, show_default=True, help="Worker processes per backend."
)


def _seconds(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not 0 < value <= _LONGEST_S:  # which is no number is neither
        message = f"{value:g} is not in the range 0<x<={_LONGEST_S}."
        raise click.BadParameter(message)
    return value


_LONGEST_S = 10_000_000
timeout_option = click.option(
    "--timeout", type=float, callback=_seconds, default=300.0, show_default=True, metavar="S",
    help="Seconds a case may take before it is ended and recorded as timed out.",
)  # fmt: skip
device_option = click.option(
    "--device", type=click.Choice(["cpu", "gpu", "auto"]), default="cpu", show_default=True,
    help="cpu hides accelerators from every backend; gpu and auto leave the choice to the backend.",
)  # fmt: skip
oracles_option = click.option(
    "--oracles", "oracles", default="agreement,paths,order,reference", show_default=True, metavar="LIST", callback=_parse_oracles,
    help="What to hold against what: backends (agreement is always on), paths inside one, orders, a float64 reference.",
)  # fmt: skip
plugins_option = click.option(
    "-p", "plugins", multiple=True, metavar="NAME", help="Load this pytest plugin too (others are not loaded)."
)
baseline_option = click.option(
    "--baseline", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="The report.json of an earlier run: what is new, changed or gone since then is told first.",
)  # fmt: skip
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace another run that lies in the output directory.")
known_option = click.option(
    "--known", "known_files", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="Known divergences. Default: known_divergences.toml beside the cases, and the one pyproject.toml names.",
)  # fmt: skip
strict_known_option = click.option(
    "--strict-known", is_flag=True, help="Entries that match no case, or have expired, fail (exit code 1)."
)


def _parse_shard(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    from backendcheck.errors import UsageError
    from backendcheck.vocabulary.shards import parse_shard

    try:
        return None if value is None else parse_shard(value)
    except UsageError as error:
        raise click.BadParameter(str(error), context, parameter) from None


shard_option = click.option(
    "--shard", metavar="K/N", callback=_parse_shard,
    help="Only this part of the cases, such as 2/8. It goes by their ids, so a case stays where it is when others are added.",
)  # fmt: skip
resume_option = click.option(
    "--resume", is_flag=True,
    help="Go on with the same run where it was interrupted. Refused if files, versions or options have changed since.",
)  # fmt: skip
retry_option = click.option(
    "--retry-errors", "retry", is_flag=True,
    help="With --resume: record cases again that crashed, timed out or could not be observed.",
)  # fmt: skip


def check_resume(options: dict[str, Any]) -> None:
    """Refuse what does not go together."""
    if options["resume"] and options["overwrite"]:
        message = "--resume keeps what is there and --overwrite replaces it; expected one of them."
        raise click.UsageError(message)
    if options["retry"] and not options["resume"]:
        message = "--retry-errors says what to do with the recordings of an earlier run; expected --resume with it."
        raise click.UsageError(message)


def renamed(options: dict[str, Any]) -> dict[str, Any]:
    options["timeout_s"] = options.pop("timeout")
    return options


def recording_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every command takes that records cases: workers, time, selection, device, oracles, plugins."""
    options = (
        workers_option, timeout_option, keyword_option, marks_option, shard_option, device_option, oracles_option, plugins_option,
        resume_option, retry_option,
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command
