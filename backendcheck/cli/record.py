"""`backendcheck record`: cases under one backend."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from backendcheck.cli.farm_options import check_legs, farm_options, record_with, take_farm
from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import (
    backend_option,
    check_resume,
    overwrite_option,
    paths_argument,
    recording_options,
    settle_workers,
)
from backendcheck.cli.process import end_on_signals
from backendcheck.errors import BackendcheckError, UsageError
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.farm.recording import Farm
    from backendcheck.sessions.request import RecordingRequest
    from backendcheck.sessions.session import Outcome


def _record_for_parent(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    """Record the request in a file. The parent gets progress and messages as events, and prints them itself."""
    if path is None:
        return
    from backendcheck.sessions.events import Message, report
    from backendcheck.sessions.request import RecordingRequest
    from backendcheck.sessions.session import record as record_session

    end_on_signals(with_parent=True)
    try:
        request = RecordingRequest.load(path)
        outcome = record_session(request)
    except BackendcheckError as error:
        report(Message(str(error)))
        sys.exit(2)
    except KeyboardInterrupt:
        report(Message("interrupted; recordings made so far are kept, and the leg is marked unfinished."))
        sys.exit(130)
    for message in outcome.messages(request):
        report(Message(message))
    sys.exit(outcome.exit_code)


def _record_there(request: RecordingRequest) -> NoReturn:
    """Record a leg with its own interpreter in a process of that, and exit as it does."""
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.files import read_environment
    from backendcheck.sessions.leg_packages import install_packages
    from backendcheck.sessions.processes import record_all
    from backendcheck.text.words import counted

    leg = request.backend
    if missing := leg.missing_in_words():
        message = f"{leg}: {missing}"
        raise UsageError(message)
    install_packages(leg)
    with progress_of([leg.value], quiet=True) as progress:
        end = record_all([request], progress)[leg.value]
    if end.recorded:
        environment = read_environment(request.leg)
        cases = counted(len(environment.digests), "case")
        click.echo(f"{leg}: {cases} recorded in {environment.duration_s:.1f} s by {leg.python} -> {request.leg}")
    for line in end.message.splitlines():
        click.echo(visible(f"backendcheck: {line}"), err=True)
    sys.exit(end.exit_code)


@click.command(cls=GroupedCommand)
@paths_argument
@backend_option
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True, metavar="DIR",
              help="Directory of the legs; recordings go to DIR/<backend>.")  # fmt: skip
@recording_options
@farm_options
@overwrite_option
@click.option("--request", type=click.Path(path_type=Path), hidden=True, is_eager=True, expose_value=False,
              callback=_record_for_parent, help="Record what this file says, and report to the parent.")  # fmt: skip
def record(paths: Sequence[str], backend: str, out: Path, **options: Any) -> None:
    """Record cases under one backend.

    PATH is a case file, a directory of them, or a pytest node id. Without a PATH the built-in cases are recorded. Exit code 3
    if a case crashed, hung or could not be observed. Differences between backends are found by 'compare'.

    \b
    backendcheck record cases --backend jax --out reports
    backendcheck record cases --backend jax --out reports --shard 2/8
    backendcheck record cases --backend jax --out reports --farm tcp://desk:8786
    """
    from collections import Counter

    from backendcheck.config import load_configuration, selected_legs
    from backendcheck.recordings.store import CACHE
    from backendcheck.sessions.durations import with_durations
    from backendcheck.sessions.request import RecordingRequest, check_expressions
    from backendcheck.sessions.selection import check_selection
    from backendcheck.sessions.session import record as record_session
    from backendcheck.vocabulary.leg_names import parse_leg

    end_on_signals()
    farm = take_farm(options)
    check_resume(options, farm=farm is not None)
    configuration = load_configuration(Path.cwd())
    paths = paths or configuration.paths
    (leg,) = selected_legs(parse_leg(backend).value, configuration)
    check_legs(farm, [leg])
    settle_workers(options, [leg], farm=farm is not None)
    request = RecordingRequest(backend=leg, out=out, paths=paths, store=Path.cwd() / CACHE, **options)
    request = with_durations(request)
    check_expressions(request)
    check_selection(request)
    if leg.python:
        _record_there(request)
    outcome = record_session(request) if farm is None else _on_farm(farm, request)
    environment = outcome.environment
    counts = ", ".join(f"{n} {status}" for status, n in Counter(outcome.statuses.values()).most_common())
    kept = f" ({outcome.n_kept} of them {'kept' if environment.kept else 'before'})" if outcome.n_kept else ""
    part = f" of {len(environment.all_cases)} in shard {request.shard}" if request.shard else ""
    click.echo(f"{environment.backend}: {counts or 'no case'}{kept}{part} in {environment.duration_s:.1f} s -> {request.leg}")
    for message in outcome.messages(request):
        click.echo(visible(f"backendcheck: {message}"), err=True)
    sys.exit(outcome.exit_code)


def _on_farm(farm: Farm, request: RecordingRequest) -> Outcome:
    """Record on a farm; how it ended as that of a session. Ends the command if nothing has come back."""
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.legs import read_leg
    from backendcheck.sessions.session import Outcome

    if not record_with(farm, [request], progress_of, [request.out], quiet=False):
        click.echo(f"backendcheck: {request.backend}: nothing was recorded, so this leg is missing.", err=True)
        sys.exit(3)
    leg = read_leg(request.leg)
    statuses = {case: recording.status for case, recording in leg.recordings.items()}
    return Outcome(environment=leg.environment, statuses=statuses)
