"""Options that several commands share, and other spellings of options, which work and are not listed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.completion import complete_backends, complete_oracles, complete_paths
from backendcheck.errors import UsageError
from backendcheck.vocabulary.findings import Oracle

if TYPE_CHECKING:
    from backendcheck.vocabulary.leg_names import LegName

LATEST = Path("reports/latest")
_LONGEST_S = 10_000_000


# --- spellings -------------------------------------------------------------------------------------------------


class _Option(click.Option):
    """An option whose `aliases` are taken as well. Help texts and messages do not name them."""

    def __init__(self, *arguments: Any, aliases: tuple[str, ...] = (), **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.aliases = aliases

    def _without_aliases(self) -> click.Option:
        option = copy.copy(self)
        option.opts = [spelling for spelling in self.opts if spelling not in self.aliases]
        return option

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        return click.Option.get_help_record(self._without_aliases(), ctx)

    def get_error_hint(self, ctx: click.Context | None) -> str:
        return click.Option.get_error_hint(self._without_aliases(), ctx)


def option_with_aliases(spelling: str, *aliases: str, name: str, **attributes: Any) -> Callable[..., Any]:
    """A click option `spelling` that also takes the spellings `aliases`, without listing them."""
    return click.option(spelling, *aliases, name, cls=_Option, aliases=aliases, **attributes)


def run_option(*aliases: str) -> Callable[..., Any]:
    """``--run DIR``: the run that a command reads. `aliases` are earlier names of the option in that command."""
    return option_with_aliases(
        "--run", *aliases, name="run", type=click.Path(path_type=Path), default=LATEST, show_default=True, metavar="DIR",
        help="Directory of the run.",
    )  # fmt: skip


# --- which backends --------------------------------------------------------------------------------------------

backends_option = option_with_aliases(
    "--backends", "--legs", "--backend", "--leg", name="backends", metavar="LIST", shell_complete=complete_backends,
    help="Legs to use: backends, with qualifiers such as jax+eager. Default: those in pyproject.toml, or tensorflow,jax,torch.",
)  # fmt: skip
backend_option = option_with_aliases(
    "--backend", "--leg", "--backends", "--legs", name="backend", required=True, metavar="B", shell_complete=complete_backends,
    help="The leg: a backend such as jax, with qualifiers such as jax+eager.",
)
expect_backends_option = option_with_aliases(
    "--expect-backends", "--expect-legs", "--backends", "--legs", "--backend", name="expect_backends", metavar="LIST",
    shell_complete=complete_backends,
    help="Legs that must be present, such as tensorflow,jax,torch.",
)  # fmt: skip

# --- which cases, and how they are recorded ----------------------------------------------------------------------

paths_argument = click.argument("paths", nargs=-1, metavar="[PATH]...", shell_complete=complete_paths)
keyword_option = click.option("-k", "keyword", metavar="EXPR", default="", help="Only cases whose names match, as in pytest.")
marks_option = click.option("-m", "marks", metavar="EXPR", default="", help="Only cases with these marks, as in pytest.")
class _WorkersType(click.ParamType):  # type: ignore[type-arg]  # generic in later versions of click only
    name = "workers"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """The number of workers; 0 for as many as fit."""
        return 0 if value == "auto" else int(click.IntRange(1).convert(value, parameter, context))


workers_option = click.option(
    "-n", "workers", type=_WorkersType(), default="1", show_default=True, metavar="N",
    help="Worker processes per backend; auto for as many as cores and memory allow.",
)  # fmt: skip


def settle_workers(options: dict[str, Any], legs: Sequence[LegName], *, farm: bool = False) -> None:
    """Put a number in the place of `-n auto`. These legs record at the same time.

    Raises:
        UsageError: on a farm, because the cores and the memory of its machines are not known here.
    """
    from backendcheck.sessions.worker_count import workers_that_fit

    if farm and not options["workers"]:
        message = "--farm: does not go with -n auto; expected a number of processes for each chunk, such as -n 1. Leave it out."
        raise UsageError(message)
    options["workers"] = options["workers"] or workers_that_fit(legs, options["worker_memory"])


def _parse_seconds(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not 0 < value <= _LONGEST_S:  # NaN fails this test too
        message = f"{value:g} is not in the range 0<x<={_LONGEST_S}."
        raise click.BadParameter(message)
    return value


timeout_option = click.option(
    "--timeout", "timeout_s", type=float, callback=_parse_seconds, default=300.0, show_default=True, metavar="S",
    help="Seconds a case may take. After that it is stopped and recorded as timed out.",
)  # fmt: skip


def _parse_worker_memory(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from backendcheck.config import load_configuration
    from backendcheck.vocabulary.memory import parse_size

    if value is None:
        return load_configuration(Path.cwd()).worker_memory
    try:
        return parse_size(value)
    except UsageError as error:
        raise click.BadParameter(str(error), context, parameter) from None


worker_memory_option = click.option(
    "--worker-memory", callback=_parse_worker_memory, metavar="SIZE",
    help="Replace a worker that keeps more memory than this between two cases, such as 1500M or 2G; 0 for never. "
    "Default: that in pyproject.toml, or 1300M for TensorFlow, 1200M for JAX, 1150M for PyTorch.",
)  # fmt: skip
device_option = click.option(
    "--device", type=click.Choice(["cpu", "gpu", "auto"]), default="cpu", show_default=True,
    help="cpu hides accelerators from every backend; with gpu, a backend that finds none ends; auto takes what it chooses.",
)  # fmt: skip


def _parse_oracles(context: click.Context, parameter: click.Parameter, value: str) -> tuple[Oracle, ...]:
    from backendcheck.vocabulary.findings import parse_oracles

    try:
        return parse_oracles(value)
    except UsageError as error:
        raise click.BadParameter(str(error), context, parameter) from None


oracles_option = click.option(
    "--oracles", "oracles", default="agreement,paths,order,reference", show_default=True, metavar="LIST", callback=_parse_oracles,
    shell_complete=complete_oracles, help="Comparisons to make: agreement (always on), paths, order, reference.",
)  # fmt: skip
plugins_option = click.option(
    "-p", "plugins", multiple=True, metavar="NAME", help="Load this pytest plugin. No other plugins are loaded."
)


def _parse_shard(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    from backendcheck.vocabulary.shards import parse_shard

    try:
        return None if value is None else parse_shard(value)
    except UsageError as error:
        raise click.BadParameter(str(error), context, parameter) from None


shard_option = click.option(
    "--shard", metavar="K/N", callback=_parse_shard,
    help="Only part K of N of the cases, such as 2/8. Case ids decide the part, or how long cases took if a run of all is kept.",
)  # fmt: skip


def _parse_durations(context: click.Context, parameter: click.Parameter, value: Path | None) -> dict[str, float]:
    from backendcheck.sessions.durations import read_durations

    try:
        return {} if value is None else read_durations(value)
    except UsageError as error:
        raise click.BadParameter(str(error), context, parameter) from None


durations_option = click.option(
    "--durations", "seconds_before", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    callback=_parse_durations,
    help="With --shard or --farm: a report.json of an earlier run, for parts of the same time. Give all shards the same FILE.",
)  # fmt: skip
resume_option = click.option(
    "--resume", is_flag=True,
    help="Continue an interrupted run. Refused if files, versions or options have changed since.",
)  # fmt: skip
retry_option = click.option(
    "--retry-errors", "retry", is_flag=True,
    help="With --resume: record cases again that crashed, timed out or could not be observed.",
)  # fmt: skip

fresh_option = click.option(
    "--fresh", is_flag=True,
    help="Record all cases. Without it, recordings are kept from earlier runs where nothing that they depend on has changed.",
)  # fmt: skip


def check_resume(options: dict[str, Any], *, farm: bool = False) -> None:
    """Refuse options that contradict each other or need another: --resume, --overwrite, --fresh, --retry-errors, --durations."""
    if options["seconds_before"] and not options["shard"] and not farm:
        message = "--durations divides the cases into shards; expected --shard K/N or --farm ADDRESS with it."
        raise click.UsageError(message)
    if options["resume"] and options["overwrite"]:
        message = "--resume keeps the recordings and --overwrite replaces them; expected one of the two."
        raise click.UsageError(message)
    if options["resume"] and options["fresh"]:
        message = "--resume keeps the recordings and --fresh records all cases; expected one of the two."
        raise click.UsageError(message)
    if options["retry"] and not options["resume"]:
        message = "--retry-errors applies to the recordings of an earlier run; expected --resume with it."
        raise click.UsageError(message)


def recording_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that records cases its options: workers, time, memory, selection, device, oracles, plugins."""
    options = (
        workers_option, timeout_option, worker_memory_option, keyword_option, marks_option, shard_option, durations_option,
        device_option, oracles_option, plugins_option, resume_option, retry_option, fresh_option,
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


# --- reports -----------------------------------------------------------------------------------------------------

baseline_option = click.option(
    "--baseline", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="report.json of an earlier run. What is new, changed or gone since then is listed first.",
)  # fmt: skip
history_option = click.option(
    "--history", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR",
    help="Folder with report.json files of earlier runs. The report shows the verdicts of each case in the last 30 of them.",
)  # fmt: skip
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace another run in the output directory.")
known_option = click.option(
    "--known", "known_files", multiple=True, type=click.Path(path_type=Path, exists=True), metavar="PATH",
    help="Known divergences, a file or a folder. Default: those next to or above the cases, and those named in pyproject.toml.",
)  # fmt: skip
strict_known_option = click.option(
    "--strict-known", is_flag=True, help="Fail (exit code 1) if an entry has expired or matches no case."
)
