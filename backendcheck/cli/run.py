"""`backendcheck run`: record under all backends, compare and report."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
@click.option("--watch", is_flag=True, help="Stay, and run what is concerned again when a file changes. Ctrl-C ends.")
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
    """
    from backendcheck.case_files import builtin_cases, find_case_files
    from backendcheck.config import load_configuration
    from backendcheck.files import locked
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.files import read_environment
    from backendcheck.recordings.kept_layers import clear_layers
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.recordings.scripts import clear_scripts
    from backendcheck.recordings.store import CACHE
    from backendcheck.report import write_reports
    from backendcheck.sessions.leg_packages import install_packages
    from backendcheck.sessions.noise import clear_noise, record_noise
    from backendcheck.sessions.processes import check_out, move_aside
    from backendcheck.sessions.request import RecordingRequest, check_expressions
    from backendcheck.sessions.selection import check_selection
    from backendcheck.vocabulary.backends import DEFAULT_NAMES, check_some_installed
    from backendcheck.vocabulary.leg_names import parse_legs

    end_on_signals()
    check_resume(options)
    configuration = load_configuration(Path.cwd())
    paths = paths or configuration.paths
    find_case_files([*paths] or [str(builtin_cases())])
    selected = parse_legs(backends or ",".join(configuration.backends) or DEFAULT_NAMES)
    directory = out or LATEST
    settle_workers(options, selected)
    # 'model' calls this without --durations, and click then leaves out the callback of that option.
    options |= {"store": Path.cwd() / CACHE, "seconds_before": options["seconds_before"] or {}}
    requests = [RecordingRequest(backend=backend, out=directory, paths=paths, **options) for backend in selected]
    if requests[0].shard:
        from backendcheck.sessions.durations import with_durations

        seconds_before = with_durations(requests[0]).seconds_before  # the same for all legs, so that a case is in one shard
        requests = [replace(request, seconds_before=seconds_before) for request in requests]
    check_expressions(requests[0])
    check_selection(requests[0])
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
    in_use = f"{directory}: is being written by another process. Wait for it, or choose another --out."
    keep_out = click.get_current_context().with_resource  # until the command ends
    if directory.is_dir():
        keep_out(locked(directory, in_use))
    was_checked = is_new and out is None and not options["overwrite"]
    moved = move_aside(directory, requests) if was_checked else None
    if moved:
        click.echo(f"{directory} held another run; it is now {moved}", err=True)
    is_locked = directory.is_dir()
    if moved or not was_checked:
        check_out(directory, requests)
    if not is_locked:
        keep_out(locked(directory, in_use))
    if is_new:
        clear_noise(directory)
        clear_scripts(directory)
        clear_layers(directory)
    recordable: list[RecordingRequest] = []
    for request in requests:
        if missing := request.backend.missing_modules():
            names = " and ".join(missing)
            remedy = f"Install with: {request.backend.install_command}"
            click.echo(f"{request.backend}: {names} is not installed here, so this leg will be missing. {remedy}", err=True)
        else:
            recordable.append(request)
    progress = functools.partial(progress_of, quiet=output.quiet)
    # Only these directories are read: without --resume other legs in them are of an earlier run.
    verdicts = None if output.quiet or len(recordable) < len(selected) else functools.partial(_with_verdicts, known_files)
    leg_dirs = _record(recordable, progress, verdicts, earlier_runs=[moved or directory, LATEST], quiet=output.quiet)
    if noise_floor:
        runs = {leg.name: read_environment(leg).run for leg in leg_dirs}
        for name, backend, noise_end in record_noise(recordable, runs, progress):
            _echo_messages(f"{backend} {name}", noise_end.message)
    _check_any_selected(leg_dirs, requests[0])
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


def _check_any_selected(legs: Sequence[Path], request: RecordingRequest) -> None:
    """Refuse a selection that no leg has a case for, although it was read without a problem. Its empty legs are removed.

    Raises:
        UsageError: if nothing was selected.
    """
    from backendcheck.errors import UsageError
    from backendcheck.recordings.files import read_environment
    from backendcheck.recordings.leg_directory import clear_leg
    from backendcheck.vocabulary.states import ExitState

    environments = [read_environment(leg) for leg in legs]
    empty = [not (env.all_cases or env.cases or env.problems) and env.exit_state == ExitState.COMPLETE for env in environments]
    if not empty or not all(empty):
        return
    for leg in legs:
        clear_leg(leg)
    what = " ".join(request.paths) or "built-in cases"
    flags = "".join(f" {flag} {value!r}" for flag, value in (("-k", request.keyword), ("-m", request.marks)) if value)
    listed = " ".join(["backendcheck list", *request.paths])
    message = f"{what}: no case is selected{' by' if flags else ''}{flags}. The cases: {listed}"
    raise UsageError(message)


def _with_verdicts(
    known_files: Sequence[Path], shown: Progress, requests: Sequence[RecordingRequest], ended: set[str]
) -> Progress:
    from backendcheck.cli.early_verdicts import EarlyVerdicts
    from backendcheck.vocabulary.leg_names import leg_order

    legs = {request.backend.value: request.leg for request in requests}
    in_order = {name: legs[name] for name in sorted(legs, key=leg_order)}  # as reports have them
    return EarlyVerdicts(shown, in_order, known_files, ended)


def _record(
    requests: Sequence[RecordingRequest], progress: Callable[..., Progress], verdicts: Callable[..., Progress] | None = None,
    *, earlier_runs: Sequence[Path], quiet: bool,
) -> list[Path]:  # fmt: skip
    """Record what is not recorded yet; returns the directories of the legs. `verdicts` adds verdicts to a display.

    The first of `earlier_runs` that has a report says what comes first.
    """
    from backendcheck.errors import UsageError
    from backendcheck.sessions.case_order import first_cases
    from backendcheck.sessions.processes import record_all
    from backendcheck.sessions.resume import earlier, seconds_before
    from backendcheck.sessions.session import record_if_kept

    before = {request.backend: session for request in requests if request.resume and (session := earlier(request))}
    for backend, session in before.items() if not quiet else ():
        click.echo(f"{backend}: {session.in_words}", err=True)
    left = [
        request for request in requests
        if not (before[request.backend].is_whole if request.backend in before else record_if_kept(request))
    ]  # fmt: skip
    legs = [request.leg for request in requests if request not in left]
    whole = {request.backend.value for request in requests if request not in left}
    if left:
        first = first_cases(earlier_runs, [request.backend for request in requests])
        left = [replace(request, first=first) for request in left]
        earlier_s = {request.backend.value: seconds_before(request) for request in left}
        display = progress([str(request.backend) for request in left], earlier_s=earlier_s)
        with verdicts(display, requests, whole) if verdicts else display as shown:
            ends = record_all(left, shown)
        resumed = [ends[request.backend.value] for request in left if request.backend in before]
        if refused := [end.message for end in resumed if end.refused]:
            raise UsageError("\n".join(refused))
        for name, end in ends.items():
            _echo_messages(name, end.message)
        legs += [request.leg for request in left if ends[request.backend.value].recorded]
    return legs


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


def _echo_messages(name: str, message: str) -> None:
    for line in message.splitlines():
        click.echo(f"{name}: {visible(line)}", err=True)
