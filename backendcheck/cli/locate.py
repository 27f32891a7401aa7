"""`backendcheck locate`: the layer where a difference begins."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backendcheck.cli.completion import case_argument
from backendcheck.cli.options import option_with_aliases, plugins_option, run_option, timeout_option
from backendcheck.cli.process import end_on_signals
from backendcheck.cli.results import analyze_legs, recorded_case, terminal_width
from backendcheck.cli.terminal import print_lines
from backendcheck.errors import OutputInTheWay, UsageError
from backendcheck.text.escape import visible
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.sides import Side

if TYPE_CHECKING:
    from backendcheck.recordings.legs import Leg
    from backendcheck.recordings.recording import Recording
    from backendcheck.results.results import CaseResult
    from backendcheck.vocabulary.leg_names import LegName


@click.command()
@case_argument
@run_option("--out")
@option_with_aliases(
    "--backends", "--backend", name="backends", metavar="LIST",
    help="Backends to compare. Inputs recorded on the first are replayed on the others. "
    "Default: those with findings, and one that agrees.",
)  # fmt: skip
@timeout_option
@plugins_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def locate(case: str, run: Path, backends: str | None, timeout_s: float, plugins: Sequence[str], as_json: bool) -> None:
    """Find the layer where a difference between backends begins.

    Records the outputs and gradients of every layer on each backend. Then replays each layer with the inputs of one backend: a
    difference that remains is caused by the layer, any other is inherited. CASE is a case id as in the report, or a pytest node
    id. Start the command in the directory where the run was started. The layers are kept in DIR/layers, and the next report of
    the run shows them. Exit code 0 when located or when nothing differs, 3 when the backends cannot be compared.

    \b
    backendcheck locate labels/one_hot --run reports/nightly
    """
    from backendcheck.compare.layers import locate as locate_layer
    from backendcheck.config import load_configuration
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.kept_layers import keep_layers
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.report.formats import layers as locate_report
    from backendcheck.sessions.layers import LayersOf, files_of, record_layers
    from backendcheck.temporary import temporary_directory
    from backendcheck.verdicts.verdict import incomparable

    end_on_signals()
    paths = find_legs([run])
    case = recorded_case(case, paths, run)
    legs = [leg for leg in read_legs(paths, only=case) if case in leg.recordings]
    result = analyze_legs(legs, [leg.label for leg in legs], ()).result(case)
    if result is None:
        message = f"{case}: not recorded on any backend in {run}. Record it first: backendcheck run"
        raise UsageError(message)
    _check_layers(result)
    source, *targets = _backends_to_record(result, legs, backends)
    request = LayersOf(
        case=case,
        paths=files_of(case, legs[0]),
        device=legs[0].environment.selection.device or "cpu",
        plugins=tuple(plugins),
        timeout_s=timeout_s,
    )
    with (
        temporary_directory("locate") as work,
        progress_of([str(backend) for backend in (source, *targets)]) as progress,
    ):
        recordings = record_layers(request, source, targets, work, progress)
    problems = [*incomparable(recordings), *_without_layers(recordings)]
    if problems:
        for problem in problems:
            click.echo(f"backendcheck: {case}: {problem}", err=True)
        sys.exit(3)
    before = {recording.file_digest for recording in result.recordings.values()}
    is_of_run = not before.isdisjoint(recording.file_digest for recording in recordings.values())
    if not is_of_run:
        click.echo(f"backendcheck: {result.file}: has changed since the run. The layers are those of the current file.", err=True)
    overrides = load_configuration(Path.cwd()).tolerances
    source_recording = recordings[source.value]
    locations = [locate_layer(source_recording, recordings[target.value], overrides) for target in targets]
    report = locate_report.as_json(case, locations)
    if is_of_run:
        try:
            kept = keep_layers(run, case, report, legs)
            click.echo(f"backendcheck: layers kept as {kept}; 'backendcheck report {run}' adds them to the page", err=True)
        except OutputInTheWay as error:  # a run that is read-only
            click.echo(f"backendcheck: layers not kept in the run: {visible(str(error))}", err=True)
    if as_json:
        click.echo(report)
    else:
        print_lines(locate_report.text(case, locations, terminal_width()))
    sys.exit(0)


def _check_layers(result: CaseResult) -> None:
    """Refuse a case without layers."""
    from backendcheck.results.stages import case_type

    type_of_case = case_type(result.recordings)
    if type_of_case in ("model", "loss"):
        return
    got = "a dict of values or a ValueCase" if type_of_case == "value" else "a case of which nothing was recorded"
    message = f"{result.case}: has no layers; expected a ModelCase or a LossCase, got {got}. See backendcheck show."
    raise UsageError(message)


def _without_layers(recordings: Mapping[str, Recording]) -> list[str]:
    """A problem for each backend on which no layer was called."""
    problems = []
    for backend, recording in recordings.items():
        if recording.layers is None:
            why = f"raised {recording.raised[0].type} in stage {recording.raised[0].stage}" if recording.raised else "ran"
            problems.append(f"{backend} {why} before any layer was called; see backendcheck show")
    return problems


def _backends_to_record(result: CaseResult, legs: Sequence[Leg], names: str | None) -> list[LegName]:
    """The backends to record. The others are compared with the first.

    The first is preferably one that a reference confirms, that raised nothing and that agrees with another; then come those that
    differ from it.
    """
    from backendcheck.config import load_configuration, selected_legs
    from backendcheck.vocabulary.leg_names import parse_leg

    if names:
        backends = list(selected_legs(names, load_configuration(Path.cwd())))
    else:
        from backendcheck.report.views.case import confirmed_legs

        confirmed, _ = confirmed_legs(result)
        recorded = [leg.label for leg in legs]
        between = [finding for finding in result.findings if finding.oracle is Oracle.AGREEMENT]
        differing = {side.leg for finding in between for side in finding.sides}
        if result.odd_one_out in recorded:
            differing = {result.odd_one_out}

        def doubts(label: str) -> tuple[bool, bool, bool, int]:
            return label not in confirmed, bool(result.recordings[label].raised), label in differing, recorded.index(label)

        first, *rest = sorted(recorded, key=doubts)
        labels = [first, *(label for label in rest if label in differing or first in differing or not differing)]
        backends = [parse_leg(name) for name in dict.fromkeys(Side(label).backend for label in labels)]
    if len(backends) < 2:  # noqa: PLR2004 - locating compares two backends
        message = f"{result.case}: expected two backends, got {', '.join(map(str, backends))}. Pass --backends A,B."
        raise UsageError(message)
    for backend in backends:
        if missing := backend.missing_modules():
            message = f"{backend}: {' and '.join(missing)} is not installed here. Install with: {backend.install_command}"
            raise UsageError(message)
    return backends
