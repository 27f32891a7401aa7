"""`backendcheck run`: record under all backends, compare and report."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.options import (
    LATEST,
    backends_option,
    baseline_option,
    check_resume,
    known_option,
    overwrite_option,
    paths_argument,
    recording_options,
    strict_known_option,
)
from backendcheck.cli.process import end_on_signals
from backendcheck.cli.results import analyze_legs, write_and_exit
from backendcheck.cli.terminal import OutputOptions, output_options
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.progress.progress import Progress
    from backendcheck.results.results import Results
    from backendcheck.sessions.request import RecordingRequest

_SCRIPT_S = 30.0  # to make one case smaller; 'backendcheck repro' takes a minute


@click.command()
@paths_argument
@backends_option
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help=f"Default: {LATEST}; an earlier run there is moved aside."
)
@recording_options
@known_option
@strict_known_option
@baseline_option
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
@output_options
def run(
    paths: Sequence[str], backends: str | None, out: Path | None, known_files: Sequence[Path], strict_known: bool,
    baseline: Path | None, noise_floor: bool, n_scripts: int, output: OutputOptions, **options: Any,
) -> None:  # fmt: skip
    """Record cases under all backends at once, compare, and report.

    PATH is a case file, a directory of them, or a pytest node id. Without a PATH the built-in cases are run.

    \b
    backendcheck run
    backendcheck run tests/cases -k one_hot --backends tensorflow,torch
    backendcheck run tests/cases --noise-floor
    backendcheck run tests/cases --scripts 3
    backendcheck run --resume                continue an interrupted run
    """
    from backendcheck.case_files import builtin_cases, find_case_files
    from backendcheck.config import load_configuration
    from backendcheck.files import locked
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.files import read_environment
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.recordings.scripts import clear_scripts
    from backendcheck.report import write_reports
    from backendcheck.sessions.noise import clear_noise, record_noise
    from backendcheck.sessions.processes import check_out, move_aside
    from backendcheck.sessions.request import RecordingRequest, check_expressions
    from backendcheck.vocabulary.backends import parse_backends

    end_on_signals()
    check_resume(options)
    configuration = load_configuration(Path.cwd())
    paths = paths or configuration.paths
    find_case_files([*paths] or [str(builtin_cases())])
    selected = parse_backends(backends or ",".join(configuration.backends) or "tensorflow,jax,torch")
    directory = out or LATEST
    requests = [RecordingRequest(backend=backend, out=directory, paths=paths, **options) for backend in selected]
    check_expressions(requests[0])
    is_new = not options["resume"]
    in_use = f"{directory}: is being written by another process. Wait for it, or choose another --out."
    keep_out = click.get_current_context().with_resource  # until the command ends
    if directory.is_dir():
        keep_out(locked(directory, in_use))
    if is_new and out is None and not options["overwrite"] and (moved := move_aside(directory, requests)):
        click.echo(f"{directory} held another run; it is now {moved}", err=True)
    is_locked = directory.is_dir()
    check_out(directory, requests)
    if not is_locked:
        keep_out(locked(directory, in_use))
    if is_new:
        clear_noise(directory)
        clear_scripts(directory)
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
    leg_dirs = _record(recordable, progress, quiet=output.quiet)
    if noise_floor:
        runs = {leg.name: read_environment(leg).run for leg in leg_dirs}
        for name, backend, noise_end in record_noise(recordable, runs, progress):
            _echo_messages(f"{backend} {name}", noise_end.message)
    legs = read_legs(find_legs(leg_dirs)) if leg_dirs else []
    results = analyze_legs(legs, [str(backend) for backend in selected], known_files, shard=requests[0].shard)
    if n_scripts and results.counts["FAILED"]:
        write_reports(results, directory)  # before the scripts, which may be interrupted
        _make_scripts(results, directory, n_scripts, options["device"], quiet=output.quiet)
    write_and_exit(results, directory, strict_known=strict_known, baseline=baseline, output=output)


def _record(requests: Sequence[RecordingRequest], progress: Callable[..., Progress], *, quiet: bool) -> list[Path]:
    """Record what is not recorded yet; returns the directories of the legs."""
    from backendcheck.errors import UsageError
    from backendcheck.sessions.processes import record_all
    from backendcheck.sessions.resume import earlier, seconds_before

    before = {request.backend: session for request in requests if request.resume and (session := earlier(request))}
    for backend, session in before.items() if not quiet else ():
        click.echo(f"{backend}: {session.in_words}", err=True)
    left = [request for request in requests if request.backend not in before or not before[request.backend].is_whole]
    legs = [request.leg for request in requests if request not in left]
    if left:
        earlier_s = {request.backend.value: seconds_before(request) for request in left}
        with progress([str(request.backend) for request in left], earlier_s=earlier_s) as shown:
            ends = record_all(left, shown)
        resumed = [ends[request.backend.value] for request in left if request.backend in before]
        if refused := [end.message for end in resumed if end.refused]:
            raise UsageError("\n".join(refused))
        for name, end in ends.items():
            _echo_messages(name, end.message)
        legs += [request.leg for request in left if ends[request.backend.value].recorded]
    return legs


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
