"""`backendcheck selftest`: faults planted into the live backends, and how many of them are found."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.options import device_option, overwrite_option, timeout_option, workers_option
from backendcheck.cli.process import end_on_signals, printable

if TYPE_CHECKING:
    from backendcheck.backends import Backend
    from backendcheck.faults import Fault
    from backendcheck.record.session import Request
    from backendcheck.selftest import SelfTest


@click.command()
@click.option("--faults", "faults", metavar="LIST", default="", help="Only these faults.")
@click.option("--backend", "backend", metavar="B", help="Plant all of them on this backend. Default: the backends take turns.")
@click.option("--all", "every", is_flag=True, help="Each fault on each backend, and every built-in case for false alarms.")
@click.option("--backends", metavar="LIST", default="tensorflow,jax,torch", show_default=True, help="Those to record.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Keep everything here. Default: nothing is kept.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--list", "only_list", is_flag=True, help="List the faults, and do nothing.")
@workers_option
@timeout_option
@device_option
@overwrite_option
def selftest(
    faults: str, backend: str | None, every: bool, backends: str, out: Path | None, as_json: bool, only_list: bool, **options: Any
) -> None:  # fmt: skip
    """Plant faults into the live backends and see whether they are found and named.

    Each built-in case that a fault concerns is recorded without it, with it, and without it again; the faulty recording then takes
    the place of the clean one among the other backends'. Exit code 0 if every fault that shows is detected, 99 % of them are named,
    and nothing is found where nothing was planted; 1 if not; 3 if something could not be tried.

    \b
    backendcheck selftest
    backendcheck selftest --faults labels-reversed,mean-became-sum --backend jax --out reports/selftest
    """
    from backendcheck.backends import parse_backend, parse_backends
    from backendcheck.cli.output import usage_error
    from backendcheck.faults import faults_named
    from backendcheck.report.selftest import as_dict, listed_faults, table

    end_on_signals()
    chosen = faults_named([name.strip() for name in faults.split(",") if name.strip()])
    if only_list:
        click.echo("\n".join(listed_faults(chosen)))
        return
    there = list(parse_backends(backends))
    on = [parse_backend(backend)] if backend else there
    if missing := [str(one) for one in on if one not in there]:
        message = f"--backend {missing[0]}: {missing[0]} is not among the backends to be recorded, {backends}. Add it to --backends."
        raise usage_error(message)
    with tempfile.TemporaryDirectory(prefix="backendcheck-selftest-") as folder:
        directory = out or Path(folder)
        pairs = _planting(chosen, on, every=every)
        left_out = tuple(fault.name for fault in chosen if fault not in {fault for fault, _ in pairs})
        result = _run(directory, there, pairs, every=every, as_json=as_json, **options)
        result = replace(result, left_out=left_out)
        content = as_dict(result)
        if out is not None:
            from backendcheck.recording import write_atomically

            write_atomically(out / "report.json", (json.dumps(content, indent=1) + "\n").encode())
    click.echo(json.dumps(content, indent=1) if as_json else "\n".join(map(printable, table(result))))
    sys.exit(result.exit_code)


def _planting(faults: tuple[Fault, ...], on: list[Backend], *, every: bool) -> list[tuple[Fault, Backend]]:
    """Which fault goes on which backend."""
    from backendcheck.cli.output import usage_error
    from backendcheck.faults import backend_of

    if every:
        pairs = [(fault, backend) for fault in faults for backend in on if backend in fault.backends]
    else:
        pairs = [(fault, backend) for fault in faults if (backend := backend_of(fault, on)) is not None]
    if not pairs:
        message = f"none of {', '.join(fault.name for fault in faults)} can be planted on {', '.join(map(str, on))}."
        raise usage_error(message)
    return pairs


def _run(
    directory: Path, there: list[Backend], pairs: list[tuple[Fault, Backend]], *, every: bool, as_json: bool, **options: Any
) -> SelfTest:
    from backendcheck.cli.options import renamed
    from backendcheck.cli.output import progress_of
    from backendcheck.faults import UNPLANTED
    from backendcheck.record.session import Request
    from backendcheck.run import check_out, record_all

    cases = ["*"] if every else list(dict.fromkeys(case for fault, _ in pairs for case in fault.cases))
    requests = []
    for backend in there:
        plants = {UNPLANTED: cases} | {fault.name: list(fault.cases) for fault, on in pairs if on is backend}
        requests.append(Request(backend=backend, out=directory, plants=plants, **renamed(dict(options))))
    check_out(directory, requests)
    with progress_of([str(backend) for backend in there]) as progress:
        ends = record_all(requests, progress)
    for name, end in ends.items():
        for line in end.message.splitlines():
            click.echo(f"{name}: {printable(line.removeprefix('backendcheck: '))}", err=True)
    if not as_json:
        click.echo("recorded; judging", err=True)
    return _judge(requests, pairs)


def _judge(requests: list[Request], pairs: list[tuple[Fault, Backend]]) -> SelfTest:
    """Read what was recorded and score it."""
    from backendcheck.faults import UNPLANTED
    from backendcheck.known import find_known, load
    from backendcheck.leg import find_legs, read_legs
    from backendcheck.results import analyse
    from backendcheck.selftest import SelfTest, compare_again, false_alarms, try_fault

    by_backend = {request.backend: request for request in requests}
    legs = read_legs(find_legs([request.leg for request in requests]))
    known = [entry for file in find_known(legs, ()) for entry in load(file)]
    clean = analyse(legs, expected=[str(request.backend) for request in requests], known=known)
    alarms, problems = false_alarms(clean), list(clean.problems)
    for leg in legs:
        again = read_legs([next(r for r in requests if r.leg == leg.path).planted_leg(UNPLANTED)])
        found, unlike = compare_again(leg, again[0])
        alarms += found
        problems += unlike
    trials = []
    for fault, backend in pairs:
        path = by_backend[backend].planted_leg(fault.name)
        planted = read_legs([path]) if (path / "environment.json").exists() else []
        trials += try_fault(
            fault, planted[0] if planted else None, _notes(path), clean, backend=str(backend), known=known
        )  # fmt: skip
    return SelfTest(trials=tuple(trials), false_alarms=tuple(alarms), problems=tuple(problems), n_clean=len(clean.cases))


def _notes(leg: Path) -> dict[str, dict[str, int]]:
    """What the plants of a leg counted, by case."""
    from backendcheck.recording import PLANTED_NOTES

    lines = [line for file in leg.glob(f"{PLANTED_NOTES}-*") for line in file.read_text(encoding="utf-8").splitlines()]
    return {note.pop("case"): note for note in map(json.loads, lines)}
