"""`backendcheck upgrade`: what changes from one version of Keras to another."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.farm_options import check_legs, farm_options, take_farm
from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import (
    backends_option,
    device_option,
    fresh_option,
    keyword_option,
    marks_option,
    overwrite_option,
    paths_argument,
    plugins_option,
    settle_workers,
    timeout_option,
    worker_memory_option,
    workers_option,
)
from backendcheck.cli.process import end_on_signals
from backendcheck.cli.recording import check_any_selected, record_legs, take_directory, with_backend
from backendcheck.cli.results import terminal_width
from backendcheck.cli.terminal import OutputOptions, output_options, print_lines

if TYPE_CHECKING:
    from backendcheck.results.results import Results
    from backendcheck.versions.upgrade import Upgrade
    from backendcheck.vocabulary.leg_names import PackageVersion

_OUT = Path("reports/upgrade")
_CHANGES = "changes"  # folder of the reports of each backend


@click.command(cls=GroupedCommand)
@paths_argument
@click.option("--from", "before", required=True, metavar="PACKAGE==VERSION", help="The earlier version, such as keras==3.14.1.")
@click.option("--to", "after", metavar="PACKAGE==VERSION", help="The later version, or keras-git. Default: the installed one.")
@backends_option
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
@farm_options
@overwrite_option
@output_options
def upgrade(
    paths: Sequence[str], before: str, after: str | None, backends: str | None, out: Path | None, output: OutputOptions,
    **options: Any,
) -> None:  # fmt: skip
    """Tell what changes from one version of Keras to another, or of jax, torch, tensorflow or numpy.

    Records the cases on each backend under both versions and compares each backend with itself: values, exceptions, order, dtype.
    A difference between backends that both versions show is no change. A change is recorded a second time, and counts only if it
    is there again.

    Exit code 0 if nothing changes, 1 if something does, 3 if something could not be compared.

    \b
    backendcheck upgrade --from keras==3.14.1                         to the installed version
    backendcheck upgrade --from keras==3.14.1 --to keras==3.15.1 tests/cases
    backendcheck upgrade --from jax==0.9.2                            on jax
    """
    from backendcheck.case_files import builtin_cases, find_case_files
    from backendcheck.config import load_configuration, selected_legs, with_source
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.recordings.store import CACHE
    from backendcheck.sessions.leg_packages import install_packages
    from backendcheck.sessions.request import RecordingRequest, check_expressions
    from backendcheck.sessions.selection import check_selection
    from backendcheck.versions.changes import Pair
    from backendcheck.versions.repeats import confirmed_changes
    from backendcheck.versions.requirements import leg_with, legs_that_use, parse_versions
    from backendcheck.vocabulary.backends import check_some_installed

    end_on_signals()
    farm = take_farm(options)
    configuration = load_configuration(Path.cwd())
    paths = paths or configuration.paths
    find_case_files([*paths] or [str(builtin_cases())])
    earlier, later = parse_versions(before, after)
    versions = with_source(earlier, configuration), with_source(later, configuration)
    selected = selected_legs(backends, configuration)
    selected = legs_that_use(selected, versions[0].package, are_named=bool(backends))
    settle_workers(options, selected, farm=farm is not None)
    directory = out or _OUT
    new = functools.partial(RecordingRequest, out=directory, paths=paths, store=Path.cwd() / CACHE, **options)
    legs_of = {leg.value: [leg_with(leg, version) for version in versions] for leg in selected}
    pairs = [Pair(backend=backend, before=before.value, after=after.value) for backend, (before, after) in legs_of.items()]
    by_leg = {leg.value: new(backend=leg) for of_backend in legs_of.values() for leg in of_backend}
    requests = list(by_leg.values())
    check_expressions(requests[0])
    check_selection(requests[0])
    check_legs(farm, [request.backend for request in requests])
    if farm is None:  # otherwise the workers have them
        check_some_installed([leg.backend for leg in selected if not leg.missing_modules()])
        for request in requests:
            install_packages(request.backend)
    take_directory(directory, requests, may_move=out is None and not options["overwrite"])
    recordable = requests if farm else with_backend(requests)
    progress = functools.partial(progress_of, quiet=output.quiet)
    record = functools.partial(record_legs, progress=progress, earlier_runs=[directory], quiet=output.quiet, farm=farm)
    legs: list[Path] = []
    for names in ([pair.before for pair in pairs], [pair.after for pair in pairs]):  # in turn: half as many processes in memory
        of_version = [request for request in recordable if request.backend.value in names]
        legs += record(of_version)
    check_any_selected(legs, requests[0])
    read = read_legs(find_legs(legs)) if legs else []
    results = {
        pair.backend: confirmed_changes(pair, [by_leg[name] for name in pair.names], read, configuration.tolerances, record)
        for pair in pairs
    }
    _write_and_exit(_upgrade(versions, results, configuration.known), directory, output)


def _upgrade(
    versions: tuple[PackageVersion, PackageVersion], results: Mapping[str, Results], configured: Sequence[Path]
) -> Upgrade:
    from backendcheck.verdicts.known import EntriesByCase
    from backendcheck.verdicts.known_files import known_in_force
    from backendcheck.versions.upgrade import Upgrade

    legs = [leg for of_backend in results.values() for leg in of_backend.legs]
    entries = EntriesByCase(known_in_force(legs, configured))
    cases = {result.case for of_backend in results.values() for result in of_backend.cases}
    known = {
        case: tuple(dict.fromkeys(entry.cause.title if entry.cause else entry.reason for entry in entries(case)))
        for case in cases
    }
    before, after = versions
    return Upgrade(package=before.package, before=before.version, after=after.version, results=results, known=known)


def _write_and_exit(upgrade: Upgrade, directory: Path, output: OutputOptions) -> None:
    from backendcheck.files import write_atomically
    from backendcheck.report import write_reports
    from backendcheck.report.formats.strict_json import plain
    from backendcheck.versions.text import exit_sentence, upgrade_lines
    from backendcheck.vocabulary.leg_names import folder_of

    content = json.dumps(plain(upgrade.as_json()), indent=1)
    write_atomically(directory / "upgrade.json", f"{content}\n".encode())
    pages = []
    for backend, results in upgrade.results.items():
        folder = directory / _CHANGES / folder_of(backend)
        write_reports(results, folder)
        pages.append(folder / "index.html")
    if output.as_json:
        click.echo(content)
    else:
        print_lines(upgrade_lines(upgrade, terminal_width(), verbose=output.verbose, quiet=output.quiet))
        if not output.quiet:
            for page in pages:
                click.echo(f"report: {page}")
        click.echo(exit_sentence(upgrade))
    sys.exit(upgrade.exit_code)
