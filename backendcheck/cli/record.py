"""`backendcheck record`: cases under one backend."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from backendcheck.cli.options import backend_option, check_resume, overwrite_option, paths_argument, recording_options, renamed
from backendcheck.cli.process import end_on_signals
from backendcheck.recordings.noise import MEASURES
from backendcheck.text.escape import visible


@click.command()
@paths_argument
@backend_option
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True, metavar="DIR",
              help="The recordings go to DIR/<backend>.")  # fmt: skip
@recording_options
@overwrite_option
@click.option("--events", is_flag=True, hidden=True, help="Tell the progress on standard output, one JSON object a line.")
@click.option("--plant", "plants", multiple=True, hidden=True, metavar="FAULT=CASE;…", help="What selftest asks for.")
@click.option("--noise", hidden=True, default="", type=click.Choice(["", *MEASURES]), help="Make this noise recording.")
@click.option("--noise-of", hidden=True, default="", metavar="RUN", help="The run that the noise recording belongs to.")
@click.option("--only", default="", hidden=True, help="The id of the one case to record.")
@click.option("--layers", is_flag=True, hidden=True, help="Record the calls of its layers instead, for 'locate'.")
@click.option("--chosen", type=click.Path(path_type=Path), hidden=True, help="The items that a pytest session has chosen.")
@click.option("--teacher", type=click.Path(path_type=Path), hidden=True, help="A leg with layers whose inputs to replay.")
def record(
    paths: Sequence[str], backend: str, out: Path, events: bool, plants: Sequence[str], chosen: Path | None, **options: Any
) -> None:  # fmt: skip
    """Record cases under one backend.

    PATH is a case file, a directory of them, or a pytest node id. Without a PATH the built-in cases are recorded. Exit code 3
    if a case crashed, hung or could not be observed; what differs between backends is for 'compare' to say.

    \b
    backendcheck record cases --backend jax --out reports
    backendcheck record cases --backend jax --out reports --shard 2/8
    """
    from backendcheck.config import load_configuration
    from backendcheck.sessions.request import Request
    from backendcheck.sessions.session import record as record_session
    from backendcheck.vocabulary.backends import parse_backend
    from backendcheck.vocabulary.faults import parse_plants

    end_on_signals(with_parent=events)
    check_resume(options)
    request = Request(
        backend=parse_backend(backend), out=out, report_events=events, chosen=chosen,
        paths=paths or (() if chosen else load_configuration(Path.cwd()).paths), plants=parse_plants(plants), **renamed(options),
    )  # fmt: skip
    outcome = record_session(request)
    environment = outcome.environment
    if not events:
        from collections import Counter

        counts = ", ".join(f"{n} {status}" for status, n in Counter(outcome.statuses.values()).most_common())
        kept = f" ({outcome.n_kept} of them before)" if outcome.n_kept else ""
        part = f" of {len(environment.all_cases)} in shard {request.shard}" if request.shard else ""
        found = f"{counts or 'no case'}{kept}{part}"
        click.echo(f"{environment.backend}: {found} in {environment.duration_s:.1f} s -> {request.leg}")
    for problem in environment.problems:
        click.echo(visible(f"backendcheck: {problem['file']}:{problem['line']}: {problem['message']}."), err=True)
    if outcome.exit_code == 2:  # noqa: PLR2004 - see the exit codes
        narrowed = "".join(f" {flag} {value!r}" for flag, value in (("-k", request.keyword), ("-m", request.marks)) if value)
        by = f" by{narrowed}" if narrowed else ""
        click.echo(f"backendcheck: {', '.join(paths) or 'built-in cases'}: no case is selected{by}.", err=True)
    sys.exit(outcome.exit_code)
