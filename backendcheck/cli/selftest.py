"""`backendcheck selftest`: inject faults into the live backends, and count how many are detected."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.options import device_option, overwrite_option, timeout_option, workers_option
from backendcheck.cli.process import end_on_signals
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.vocabulary.backends import Backend
    from backendcheck.vocabulary.faults import Fault


@click.command()
@click.option("--faults", "faults", metavar="LIST", default="", help="Only these faults.")
@click.option("--backend", "backend", metavar="B", help="Inject all faults on this backend. Default: the backends take turns.")
@click.option("--all", "every", is_flag=True, help="Inject each fault on each backend, and check all built-in cases for false alarms.")
@click.option("--backends", metavar="LIST", default="tensorflow,jax,torch", show_default=True, help="Backends to record.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Keep all recordings here. Default: they are deleted.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--judge", "kept", type=click.Path(path_type=Path), metavar="DIR",
              help="Record nothing; judge the recordings in DIR again, which --out kept.")  # fmt: skip
@click.option("--list", "only_list", is_flag=True, help="List the faults and exit.")
@workers_option
@timeout_option
@device_option
@overwrite_option
def selftest(
    faults: str, backend: str | None, every: bool, backends: str, out: Path | None, as_json: bool, kept: Path | None,
    only_list: bool, **options: Any,
) -> None:  # fmt: skip
    """Inject faults into the live backends and check that they are detected and named.

    Each built-in case that a fault affects is recorded without it, with it, and without it again. The faulty recording then
    replaces the clean one, and the backends are compared. Exit code 0 if every fault with an effect is detected and there is no
    false alarm; 1 if not; 3 if something could not be tried.

    \b
    backendcheck selftest
    backendcheck selftest --faults labels-reversed,mean-became-sum --backend jax --out reports/selftest
    """
    from backendcheck.errors import UsageError
    from backendcheck.files import write_atomically
    from backendcheck.report.formats.selftest import as_dict, listed_faults, table
    from backendcheck.results.selftest_legs import judge, read_planted
    from backendcheck.vocabulary.backends import Backend, parse_backend, parse_backends
    from backendcheck.vocabulary.faults import faults_named

    end_on_signals()
    chosen = faults_named([name.strip() for name in faults.split(",") if name.strip()])
    if only_list:
        click.echo("\n".join(listed_faults(chosen)))
        return
    on = list(Backend) if kept is not None else list(parse_backends(backends))
    there = on
    if backend:
        on = [parse_backend(backend)]
        if on[0] not in there:
            message = f"--backend: {backend} is not among the backends to be recorded, {backends}. Add it to --backends."
            raise UsageError(message)
    if kept is not None:
        pairs = [(fault, one) for fault in chosen for one in on if read_planted(kept, fault.name, one.value)]
        result = judge(kept, pairs)
    else:
        pairs = _planting(chosen, on, every=every)
        with tempfile.TemporaryDirectory(prefix="backendcheck-selftest-") as folder:
            _record(out or Path(folder), there, pairs, every=every, **options)
            result = judge(out or Path(folder), pairs)
    asked = () if kept is not None and not faults else chosen  # what is kept may be of a few faults
    left_out = tuple(fault.name for fault in asked if fault not in {fault for fault, _ in pairs})
    result = replace(result, left_out=left_out)
    content = json.dumps(as_dict(result), indent=1)
    if out is not None and kept is None:
        write_atomically(out / "report.json", f"{content}\n".encode())
    click.echo(content if as_json else "\n".join(map(visible, table(result))))
    sys.exit(result.exit_code)


def _planting(faults: tuple[Fault, ...], on: list[Backend], *, every: bool) -> list[tuple[Fault, Backend]]:
    """Which fault goes on which backend."""
    from backendcheck.errors import UsageError
    from backendcheck.vocabulary.faults import backend_of

    if every:
        pairs = [(fault, backend) for fault in faults for backend in on if backend in fault.backends]
    else:
        pairs = [(fault, backend) for fault in faults if (backend := backend_of(fault, on)) is not None]
    if not pairs:
        message = f"none of {', '.join(fault.name for fault in faults)} can be planted on {', '.join(map(str, on))}."
        raise UsageError(message)
    return pairs


def _record(
    directory: Path, there: list[Backend], pairs: list[tuple[Fault, Backend]], *, every: bool, **options: Any
) -> None:  # fmt: skip
    from backendcheck.cli.options import renamed
    from backendcheck.progress.terminal import progress_of
    from backendcheck.sessions.processes import check_out, record_all
    from backendcheck.sessions.request import Request
    from backendcheck.vocabulary.faults import NO_FAULT

    cases = ["*"] if every else list(dict.fromkeys(case for fault, _ in pairs for case in fault.cases))
    requests = []
    for backend in there:
        plants = {NO_FAULT: cases} | {fault.name: list(fault.cases) for fault, on in pairs if on is backend}
        requests.append(Request(backend=backend, out=directory, plants=plants, **renamed(dict(options))))
    check_out(directory, requests)
    with progress_of([str(backend) for backend in there]) as progress:
        ends = record_all(requests, progress)
    for name, end in ends.items():
        for line in end.message.splitlines():
            click.echo(f"{name}: {visible(line.removeprefix('backendcheck: '))}", err=True)
