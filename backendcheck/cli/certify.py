"""`backendcheck certify`: what a backend supports, where it agrees and where it differs, by topic."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import (
    device_option,
    fresh_option,
    keyword_option,
    marks_option,
    overwrite_option,
    plugins_option,
    settle_workers,
    timeout_option,
    worker_memory_option,
    workers_option,
)
from backendcheck.cli.process import end_on_signals
from backendcheck.cli.recording import check_any_selected, record_legs, take_directory, with_backend
from backendcheck.cli.results import analyze_legs
from backendcheck.cli.terminal import OutputOptions, output_options, print_lines

_OUT = Path("reports/certify")
_NAME = "capabilities.json"


@click.command(cls=GroupedCommand)
@click.argument("leg", metavar="BACKEND")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--against", "others", default="tensorflow,jax,torch", show_default=True, metavar="LEGS",
    help="Legs to compare it with, separated by commas. Those that are not installed are left out.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help=f"Default: {_OUT}; an earlier run there is moved aside."
)
@workers_option
@timeout_option
@worker_memory_option
@keyword_option
@marks_option
@device_option
@plugins_option
@fresh_option
@overwrite_option
@output_options
def certify(leg: str, paths: Sequence[str], others: str, out: Path | None, output: OutputOptions, **options: Any) -> None:
    """Tell what a backend supports, what it agrees on and where it differs, by topic.

    Records the built-in cases, or those at PATH, on BACKEND and on the legs that it is compared with. Prints a table, and writes
    it to capabilities.json in the directory of the run, with the report of all cases beside it. For maintainers of a backend.

    Exit code 0 if every case has an outcome on BACKEND, 3 if one has none.

    \b
    backendcheck certify openvino
    backendcheck certify mlx --against jax,torch
    backendcheck certify torch+compile --against torch tests/cases
    """
    from backendcheck.case_files import builtin_cases, find_case_files
    from backendcheck.config import load_configuration, selected_legs
    from backendcheck.labels.contract.backend_behavior import cases_of_rules
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.recordings.store import CACHE
    from backendcheck.report import write_reports
    from backendcheck.report.formats import capabilities
    from backendcheck.report.formats.strict_json import plain
    from backendcheck.sessions.leg_packages import install_packages
    from backendcheck.sessions.request import RecordingRequest, check_expressions
    from backendcheck.sessions.selection import check_selection
    from backendcheck.vocabulary.leg_names import parse_leg

    end_on_signals()
    find_case_files([*paths] or [str(builtin_cases())])
    configuration = load_configuration(Path.cwd())
    (certified,) = selected_legs(parse_leg(leg).value, configuration)
    others_there = [other for other in selected_legs(others, configuration) if not other.missing_modules()]
    against = [other for other in others_there if other.value != certified.value]
    if certified.missing_modules() or not against:
        missing = f"{certified} is" if certified.missing_modules() else f"{others} are"
        message = f"{missing} not installed; expected BACKEND and one leg to compare it with. {certified.install_command}"
        raise click.UsageError(message)
    selected = [*against, certified]
    settle_workers(options, selected)
    directory = out or _OUT
    new = functools.partial(RecordingRequest, out=directory, paths=list(paths), store=Path.cwd() / CACHE, **options)
    requests = [new(backend=selected_leg) for selected_leg in selected]
    check_expressions(requests[0])
    check_selection(requests[0])
    for selected_leg in selected:
        install_packages(selected_leg)
    take_directory(directory, requests, may_move=out is None and not options["overwrite"])
    legs = record_legs(
        with_backend(requests), functools.partial(progress_of, quiet=output.quiet), earlier_runs=[directory], quiet=output.quiet,
    )  # fmt: skip
    check_any_selected(legs, requests[0])
    results = analyze_legs(read_legs(find_legs(legs)), [selected_leg.value for selected_leg in selected], ())
    write_reports(results, directory)
    report = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    content = plain(capabilities.document(report, cases_of_rules()))
    (directory / _NAME).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    without = sum(topic["legs"][certified.value].get("not recorded", 0) for topic in content["topics"])
    if output.as_json:
        click.echo(json.dumps(content, indent=1))
    else:
        shown = [selected_leg.value for selected_leg in selected] if output.verbose else [certified.value]
        print_lines(capabilities.text_lines(report, shown))
        click.echo(f"report: {directory / 'index.html'}, table: {directory / _NAME}")
        words = f"{without} cases have no outcome on {certified}" if without else f"every case has an outcome on {certified}"
        click.echo(f"exit code {3 if without else 0}: {words}")
    sys.exit(3 if without else 0)
