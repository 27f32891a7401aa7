"""Recording in commands: the output directory, the legs that can be recorded, and recording them with a progress display."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backendcheck.cli.farm_options import record_with
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.farm.recording import Farm
    from backendcheck.progress.progress import Progress
    from backendcheck.sessions.request import RecordingRequest


def take_directory(directory: Path, requests: Sequence[RecordingRequest], *, may_move: bool) -> Path | None:
    """Lock the output directory until the command ends, and check that it holds no other run.

    With `may_move`, another run is moved aside instead; returns its new place.
    """
    from backendcheck.files import locked
    from backendcheck.sessions.processes import check_out, move_aside

    in_use = f"{directory}: is being written by another process. Wait for it, or choose another --out."
    keep_out = click.get_current_context().with_resource  # until the command ends
    if directory.is_dir():
        keep_out(locked(directory, in_use))
    moved = move_aside(directory, requests) if may_move else None
    if moved:
        click.echo(f"{directory} held another run; it is now {moved}", err=True)
    is_locked = directory.is_dir()
    if moved or not may_move:
        check_out(directory, requests)
    if not is_locked:
        keep_out(locked(directory, in_use))
    return moved


def with_backend(requests: Sequence[RecordingRequest]) -> list[RecordingRequest]:
    """The requests whose backend is installed. The legs of the others are announced as missing."""
    recordable = []
    for request in requests:
        if missing := request.backend.missing_modules():
            what = f"{' and '.join(missing)} is not installed {request.backend.place}"
            remedy = f"Install with: {request.backend.install_command}"
            click.echo(f"{request.backend}: {what}, so this leg will be missing. {remedy}", err=True)
        else:
            recordable.append(request)
    return recordable


def record_legs(
    requests: Sequence[RecordingRequest], progress: Callable[..., Progress], verdicts: Callable[..., Progress] | None = None,
    *, earlier_runs: Sequence[Path], quiet: bool, farm: Farm | None = None,
) -> list[Path]:  # fmt: skip
    """Record what is not recorded yet; returns the directories of the legs. `verdicts` adds verdicts to a display here.

    The first of `earlier_runs` that has a report says what comes first.
    """
    if farm is not None:
        return record_with(farm, requests, progress, earlier_runs, quiet=quiet)
    from backendcheck.errors import UsageError
    from backendcheck.recordings.leg_directory import clear_work
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
    for leg in legs:
        clear_work(leg)
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
            echo_messages(name, end.message)
        legs += [request.leg for request in left if ends[request.backend.value].recorded]
    return legs


def check_any_selected(legs: Sequence[Path], request: RecordingRequest) -> None:
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


def echo_messages(name: str, message: str) -> None:
    for line in message.splitlines():
        click.echo(f"{name}: {visible(line)}", err=True)
