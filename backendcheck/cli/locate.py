"""`backendcheck locate`: the layer in which a difference begins."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backendcheck.cli.options import option_with_aliases, plugins_option, run_option, timeout_option
from backendcheck.cli.process import end_on_signals
from backendcheck.cli.results import analyze_legs, known_case, terminal_width
from backendcheck.cli.terminal import print_lines
from backendcheck.errors import UsageError

if TYPE_CHECKING:
    from backendcheck.recordings.legs import Leg
    from backendcheck.recordings.recording import Recording
    from backendcheck.results.results import CaseResult
    from backendcheck.vocabulary.backends import Backend


@click.command()
@click.argument("case")
@run_option("--out")
@option_with_aliases(
    "--backends", "--backend", name="backends", metavar="LIST",
    help="Backends to compare. Inputs recorded on the first are replayed on the others. "
    "Default: those with findings, and one that agrees.",
)  # fmt: skip
@timeout_option
@plugins_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def locate(case: str, run: Path, backends: str | None, timeout: float, plugins: Sequence[str], as_json: bool) -> None:
    """Find the layer in which a difference between backends begins.

    Records the outputs and gradients of every layer on the backends concerned, then replays each layer with the inputs that
    one backend had: what differs then is the layer's own doing, what does not it has inherited. CASE is a case id as reports
    name it, or a pytest node id; start it where the run was started. Exit code 0 when located or when nothing differs, 3 when
    the backends cannot be compared.

    \b
    backendcheck locate labels/one_hot --run reports/nightly
    """
    import tempfile

    from backendcheck.compare.layers import locate as locate_layer
    from backendcheck.config import load_configuration
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.report.formats import layers as locate_report
    from backendcheck.sessions.layers import LayersOf, files_of, record_layers
    from backendcheck.verdicts.verdict import incomparable

    end_on_signals()
    paths = find_legs([run])
    case = known_case(case, paths, run)
    legs = [leg for leg in read_legs(paths, only=case) if case in leg.recordings]
    result = analyze_legs(legs, [leg.label for leg in legs], ()).result(case)
    if result is None:
        message = f"{case}: not recorded on any backend in {run}. Record it first: backendcheck run"
        raise UsageError(message)
    _check_layers(result)
    teacher, *others = _concerned(result, legs, backends)
    wanted = LayersOf(
        case=case,
        paths=files_of(case, legs[0]),
        device=str(legs[0].environment.selection.get("device", "cpu")),
        plugins=tuple(plugins),
        timeout_s=timeout,
    )
    with (
        tempfile.TemporaryDirectory(prefix="backendcheck-") as work,
        progress_of([str(one) for one in (teacher, *others)]) as progress,
    ):
        recordings = record_layers(wanted, teacher, others, Path(work), progress)
    problems = [*incomparable(recordings), *_without_layers(recordings)]
    if problems:
        for problem in problems:
            click.echo(f"backendcheck: {case}: {problem}", err=True)
        sys.exit(3)
    before = {recording.file_digest for recording in result.recordings.values()}
    if before.isdisjoint(recording.file_digest for recording in recordings.values()):
        click.echo(f"backendcheck: {result.file}: has changed since the run; its layers are those of today.", err=True)
    overrides = load_configuration(Path.cwd()).tolerances
    first = recordings[teacher.value]
    locations = [locate_layer(first, recordings[other.value], overrides) for other in others]
    if as_json:
        click.echo(locate_report.as_json(case, locations))
    else:
        print_lines(locate_report.text(case, locations, terminal_width()))
    sys.exit(0)


def _check_layers(result: CaseResult) -> None:
    """Refuse what has no layers."""
    from backendcheck.results.stages import kind_of_case

    kind = kind_of_case(result.recordings)
    if kind in ("model", "loss"):
        return
    what = "a dict of values or a ValueCase" if kind == "value" else "nothing that was recorded"
    message = f"{result.case}: has no layers to look at, it is {what}; expected a ModelCase or a LossCase. See backendcheck show."
    raise UsageError(message)


def _without_layers(recordings: Mapping[str, Recording]) -> list[str]:
    """The backends on which no layer was ever called, with what came instead."""
    found = []
    for backend, recording in recordings.items():
        if recording.layers is None:
            why = f"raised {recording.raised[0].type} in stage {recording.raised[0].stage}" if recording.raised else "ran"
            found.append(f"{backend} {why} before any layer was called; see backendcheck show")
    return found


def _concerned(result: CaseResult, legs: Sequence[Leg], names: str | None) -> list[Backend]:
    """The backends to record: first the one that all others are held against.

    That is one that a reference confirms, or that agrees with another, and that raised nothing; the others are those that differ.
    """
    from backendcheck.vocabulary.backends import parse_backend, parse_backends

    if names:
        wanted = list(parse_backends(names))
    else:
        from backendcheck.report.views.case import confirmed_legs

        confirmed, _ = confirmed_legs(result)
        there = [leg.label for leg in legs]
        apart = {side.partition(":")[0] for finding in result.findings if finding.oracle == "agreement" for side in finding.sides}
        if result.odd_one_out in there:
            apart = {result.odd_one_out}

        def doubts(label: str) -> tuple[bool, bool, bool, int]:
            return label not in confirmed, bool(result.recordings[label].raised), label in apart, there.index(label)

        first, *rest = sorted(there, key=doubts)
        labels = [first, *(label for label in rest if label in apart or first in apart or not apart)]
        wanted = [parse_backend(name) for name in dict.fromkeys(label.partition("#")[0] for label in labels)]
    if len(wanted) < 2:  # noqa: PLR2004 - one to be held against the other
        message = (
            f"{result.case}: is to be located on {', '.join(map(str, wanted))} alone; expected two backends. Say --backends A,B."
        )
        raise UsageError(message)
    for backend in wanted:
        if missing := backend.missing_modules():
            message = f"{backend}: {' and '.join(missing)} is not installed here. Install with: {backend.install_command}"
            raise UsageError(message)
    return wanted
