"""`backendcheck run`: record under all backends, compare and report."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.farm_options import check_legs, farm_options, take_farm
from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import (
    LATEST,
    backends_option,
    baseline_option,
    check_resume,
    history_option,
    known_option,
    overwrite_option,
    paths_argument,
    recording_options,
    settle_workers,
    strict_known_option,
)
from backendcheck.cli.process import end_on_signals
from backendcheck.cli.recording import check_any_selected, echo_messages, record_legs, take_directory, with_backend
from backendcheck.cli.results import analyze_legs, write_and_exit
from backendcheck.cli.terminal import OutputOptions, output_options
from backendcheck.cli.unchanged import Shown
from backendcheck.cli.watch import Watch
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.progress.progress import Progress
    from backendcheck.results.results import Results
    from backendcheck.sessions.request import RecordingRequest

_SCRIPT_S = 30.0  # to make one case smaller; 'backendcheck repro' takes a minute


@click.command(cls=GroupedCommand)
@paths_argument
@backends_option
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help=f"Default: {LATEST}; an earlier run there is moved aside."
)
@recording_options
@farm_options
@known_option
@strict_known_option
@baseline_option
@history_option
@overwrite_option
@click.option(
    "--noise-floor",
    is_flag=True,
    help="Measure numerical noise: record again unchanged, with inputs changed by one unit in the last place, and in float64.",
)
@click.option(
    "--scripts", "n_scripts", type=click.IntRange(0), default=0, metavar="N",
    help="Add scripts of the N worst failed cases to the report, as written by 'backendcheck repro'.",
)  # fmt: skip
@click.option("--watch", is_flag=True, help="Keep running: after a change, run the cases again that depend on it. Ctrl-C ends.")
@output_options
def run(
    paths: Sequence[str], backends: str | None, out: Path | None, known_files: Sequence[Path], strict_known: bool,
    baseline: Path | None, history: Path | None, noise_floor: bool, n_scripts: int, watch: bool, output: OutputOptions,
    **options: Any,
) -> None:  # fmt: skip
    """Record cases under all backends at once, compare, and report.

    PATH is a case file, a directory of them, or a pytest node id. Without a PATH the built-in cases are run.

    A case is judged once its last backend has recorded it. A failing one is printed at once on standard error, with what to do.
    What failed in the run before comes first, then what is in case files that have changed since.

    \b
    backendcheck run
    backendcheck run tests/cases -k one_hot --backends tensorflow,torch
    backendcheck run tests/cases --noise-floor
    backendcheck run tests/cases --scripts 3
    backendcheck run tests/cases --watch     again after each save
    backendcheck run --resume                continue an interrupted run
    backendcheck run --farm tcp://desk:8786  on the workers of a Dask scheduler
    """
    from backendcheck.case_files import builtin_cases, find_case_files
    from backendcheck.config import load_configuration, selected_legs
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.files import read_environment
    from backendcheck.recordings.kept_layers import clear_layers
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.recordings.scripts import clear_scripts
    from backendcheck.recordings.store import CACHE
    from backendcheck.report import write_reports
    from backendcheck.sessions.leg_packages import install_packages
    from backendcheck.sessions.noise import clear_noise, record_noise
    from backendcheck.sessions.request import RecordingRequest, check_expressions
    from backendcheck.sessions.selection import check_selection
    from backendcheck.vocabulary.backends import check_some_installed

    end_on_signals()
    farm = take_farm(options, watch=watch, noise_floor=noise_floor)
    check_resume(options, farm=farm is not None)
    configuration = load_configuration(Path.cwd())
    paths = paths or configuration.paths
    find_case_files([*paths] or [str(builtin_cases())])
    selected = selected_legs(backends, configuration)
    check_legs(farm, selected)
    directory = out or LATEST
    settle_workers(options, selected, farm=farm is not None)
    # 'model' calls this without --durations, and click then leaves out the callback of that option.
    options |= {"store": Path.cwd() / CACHE, "seconds_before": options["seconds_before"] or {}}
    requests = [RecordingRequest(backend=backend, out=directory, paths=paths, **options) for backend in selected]
    if requests[0].shard:
        from backendcheck.sessions.durations import with_durations

        seconds_before = with_durations(requests[0]).seconds_before  # the same for all legs, so that a case is in one shard
        requests = [replace(request, seconds_before=seconds_before) for request in requests]
    check_expressions(requests[0])
    check_selection(requests[0])
    if farm is None:  # otherwise the workers have them
        check_some_installed([leg.backend for leg in selected if not leg.missing_modules()])
        for leg in selected:
            install_packages(leg)
    if watch:
        if options["resume"]:
            message = "--resume continues one run and --watch repeats it; expected one of the two."
            raise click.UsageError(message)
        files = [*known_files, *configuration.known, *([baseline] if baseline else [])]
        sys.exit(Watch(sys.argv[1:], requests, files).until_interrupted())
    is_new = not options["resume"]
    moved = take_directory(directory, requests, may_move=is_new and out is None and not options["overwrite"])
    if is_new:
        clear_noise(directory)
        clear_scripts(directory)
        clear_layers(directory)
    recordable = requests if farm else with_backend(requests)
    progress = functools.partial(progress_of, quiet=output.quiet)
    # Only these directories are read: without --resume other legs in them are of an earlier run.
    verdicts = None if output.quiet or len(recordable) < len(selected) else functools.partial(_with_verdicts, known_files)
    earlier_runs = [moved or directory, LATEST]
    leg_dirs = record_legs(recordable, progress, verdicts, earlier_runs=earlier_runs, quiet=output.quiet, farm=farm)
    if noise_floor:
        runs = {environment.backend: environment.run for environment in map(read_environment, leg_dirs)}
        for name, backend, noise_end in record_noise(recordable, runs, progress):
            echo_messages(f"{backend} {name}", noise_end.message)
    check_any_selected(leg_dirs, requests[0])
    shown = Shown(
        cache=Path.cwd() / CACHE, out=directory, legs=leg_dirs, expected=[str(backend) for backend in selected],
        known_files=known_files, strict_known=strict_known, baseline=baseline, shard=requests[0].shard, output=output,
    )  # fmt: skip
    may_be_kept = is_new and not noise_floor and not n_scripts and history is None
    if may_be_kept and (exit_code := shown.again()) is not None:
        sys.exit(exit_code)
    key = shown.key() if may_be_kept else ""
    legs = read_legs(find_legs(leg_dirs)) if leg_dirs else []
    results = analyze_legs(legs, [str(backend) for backend in selected], known_files, shard=requests[0].shard)
    _forget_errors(recordable, results)
    if n_scripts and results.counts["FAILED"]:
        write_reports(results, directory)  # before the scripts, which may be interrupted
        _make_scripts(results, directory, n_scripts, options["device"], quiet=output.quiet)
    write_and_exit(
        results, directory, strict_known=strict_known, baseline=baseline, history=history, output=output,
        keep=functools.partial(shown.keep, key) if key else None,
    )  # fmt: skip


def _with_verdicts(
    known_files: Sequence[Path], shown: Progress, requests: Sequence[RecordingRequest], ended: set[str]
) -> Progress:
    from backendcheck.cli.early_verdicts import EarlyVerdicts
    from backendcheck.vocabulary.leg_names import leg_order

    legs = {request.backend.value: request.leg for request in requests}
    in_order = {name: legs[name] for name in sorted(legs, key=leg_order)}  # as reports have them
    return EarlyVerdicts(shown, in_order, known_files, ended)


def _forget_errors(requests: Sequence[RecordingRequest], results: Results) -> None:
    """Have cases recorded again next time that every leg has recorded and that could not be compared, such as random ones."""
    from backendcheck.sessions.kept import forget
    from backendcheck.verdicts.verdict import Verdict

    errors = {result.case for result in results.cases if result.verdict is Verdict.ERROR}
    errors &= {result.case for result in results.cases if len(result.recordings) == len(results.backends) > 1}
    for request in requests if errors else ():
        forget(request, errors)


def _make_scripts(results: Results, directory: Path, n: int, device: str, *, quiet: bool) -> None:
    from backendcheck.config import load_configuration
    from backendcheck.repro.worst_cases import keep_worst

    overrides = load_configuration(Path.cwd()).tolerances
    for case, ended in keep_worst(
        results, directory, n, seconds=_SCRIPT_S, device=device, overrides=overrides,
        say=lambda text: None if quiet else click.echo(f"script: {visible(text)}", err=True),
    ):  # fmt: skip
        if not quiet:
            click.echo(f"script of {visible(case)}: {visible(ended)}", err=True)
