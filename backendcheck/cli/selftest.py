"""`backendcheck selftest`: inject faults into the live backends, and count how many are detected."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.completion import complete_faults
from backendcheck.cli.farm_options import check_legs, farm_options, record_with, take_farm
from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import (
    device_option,
    overwrite_option,
    settle_workers,
    timeout_option,
    worker_memory_option,
    workers_option,
)
from backendcheck.cli.process import end_on_signals
from backendcheck.errors import UsageError
from backendcheck.temporary import temporary_directory
from backendcheck.text.escape import visible
from backendcheck.vocabulary.backends import DEFAULT_NAMES

if TYPE_CHECKING:
    from backendcheck.farm.recording import Farm
    from backendcheck.vocabulary.faults import Fault
    from backendcheck.vocabulary.leg_names import LegName


@click.command(cls=GroupedCommand)
@click.option("--faults", "faults", metavar="LIST", default="", shell_complete=complete_faults, help="Only these faults.")
@click.option("--backend", "backend", metavar="B", help="Inject all faults on this leg. Default: the legs take turns.")
@click.option("--all", "every", is_flag=True, help="Inject each fault on each leg, and check all cases for false alarms.")
@click.option(
    "--backends", "--legs", "backends", metavar="LIST", default=DEFAULT_NAMES, show_default=True,
    help="Legs to record: backends, with qualifiers such as jax+eager.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Keep the recordings here. Default: delete them.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--judge", "kept", type=click.Path(path_type=Path), metavar="DIR",
              help="Record nothing; judge the recordings in DIR again, which --out kept.")  # fmt: skip
@click.option("--list", "only_list", is_flag=True, help="List the faults and exit.")
@workers_option
@timeout_option
@worker_memory_option
@device_option
@farm_options
@overwrite_option
def selftest(
    faults: str, backend: str | None, every: bool, backends: str, out: Path | None, as_json: bool, kept: Path | None,
    only_list: bool, **options: Any,
) -> None:  # fmt: skip
    """Inject faults into the live backends and check that they are detected and named.

    Each built-in case that a fault affects is recorded without it, with it, and without it again. The faulty recording then
    replaces the clean one, and the backends are compared. Exit code 0 if every fault with an effect is detected, without a
    false alarm; 1 if not; 3 if something could not be tried.

    \b
    backendcheck selftest
    backendcheck selftest --faults labels-reversed,mean-became-sum --backend jax --out reports/selftest
    """
    from backendcheck.config import load_configuration, selected_legs
    from backendcheck.files import write_atomically
    from backendcheck.report.formats.selftest import as_dict, listed_faults, table
    from backendcheck.results.selftest_legs import judge, read_injected
    from backendcheck.sessions.leg_packages import install_packages
    from backendcheck.vocabulary.faults import faults_named
    from backendcheck.vocabulary.leg_names import parse_leg

    end_on_signals()
    farm = take_farm(options, judge=kept)
    selected = faults_named([name.strip() for name in faults.split(",") if name.strip()])
    if only_list:
        click.echo("\n".join(listed_faults(selected)))
        return
    configuration = load_configuration(Path.cwd())
    recorded = list(selected_legs(backends, configuration))
    faulty = list(selected_legs(parse_leg(backend).value, configuration)) if backend else recorded
    if not set(faulty) <= set(recorded):
        message = f"--backend: {backend} is not in --backends {backends}. Add it there."
        raise UsageError(message)
    if kept is not None:
        pairs = [(fault, on) for fault in selected for on in faulty if read_injected(kept, fault.name, on.value)]
        result = judge(kept, pairs)
    else:
        pairs = _faults_and_legs(selected, faulty, every=every)
        check_legs(farm, recorded)
        settle_workers(options, recorded, farm=farm is not None)
        for leg in recorded if farm is None else ():  # otherwise the workers do that
            install_packages(leg)
        with temporary_directory("selftest") as folder:
            _record(out or folder, recorded, pairs, farm, every=every, **options)
            result = judge(out or folder, pairs)
    expected = () if kept is not None and not faults else selected  # the kept recordings may cover only some of the faults
    left_out = tuple(fault.name for fault in expected if fault not in {fault for fault, _ in pairs})
    result = replace(result, left_out=left_out)
    content = json.dumps(as_dict(result), indent=1)
    if out is not None and kept is None:
        write_atomically(out / "report.json", f"{content}\n".encode())
    click.echo(content if as_json else "\n".join(map(visible, table(result))))
    sys.exit(result.exit_code)


def _faults_and_legs(faults: tuple[Fault, ...], legs: list[LegName], *, every: bool) -> list[tuple[Fault, LegName]]:
    """Each fault with a leg to inject it on; with `every`, with each leg where it exists."""
    from backendcheck.vocabulary.faults import leg_of

    if every:
        pairs = [(fault, leg) for fault in faults for leg in legs if leg.backend in fault.backends]
    else:
        pairs = [(fault, leg) for fault in faults if (leg := leg_of(fault, legs)) is not None]
    if not pairs:
        message = f"{', '.join(fault.name for fault in faults)}: cannot be injected on {', '.join(map(str, legs))}."
        raise UsageError(message)
    return pairs


def _record(
    directory: Path, legs: list[LegName], pairs: list[tuple[Fault, LegName]], farm: Farm | None, *, every: bool, **options: Any
) -> None:  # fmt: skip
    from backendcheck.progress.terminal import progress_of
    from backendcheck.sessions.processes import check_out, record_all
    from backendcheck.sessions.request import RecordingRequest
    from backendcheck.vocabulary.faults import NO_FAULT

    cases = ["*"] if every else list(dict.fromkeys(case for fault, _ in pairs for case in fault.cases))
    requests = []
    for leg in legs:
        injections = {NO_FAULT: cases} | {fault.name: list(fault.cases) for fault, on in pairs if on == leg}
        requests.append(RecordingRequest(backend=leg, out=directory, injections=injections, **options))
    check_out(directory, requests)
    if farm is not None:
        record_with(farm, requests, progress_of, [], quiet=False)
        return
    with progress_of([str(leg) for leg in legs]) as progress:
        ends = record_all(requests, progress)
    for name, end in ends.items():
        for line in end.message.splitlines():
            click.echo(f"{name}: {visible(line)}", err=True)
