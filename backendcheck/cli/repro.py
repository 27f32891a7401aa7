"""`backendcheck repro`: a script that shows the finding of a case."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from backendcheck.cli.completion import case_argument
from backendcheck.cli.options import device_option, known_option, run_option
from backendcheck.cli.results import analyze_legs, recorded_case
from backendcheck.errors import UsageError
from backendcheck.text.escape import visible


@click.command()
@case_argument
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="The script to write. Default: repro_<case>.py.")  # fmt: skip
@run_option("--dir")
@click.option("--file", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="PATH",
              help="The case file. Default: the path it was recorded from.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0), default=60.0, show_default=True, metavar="S",
              help="Time to spend on making the case smaller; 0 leaves it as it is.")  # fmt: skip
@click.option("--issue", is_flag=True, help="Print a bug report in Markdown, with the script and its output.")
@device_option
@known_option
def repro(
    case: str, out: Path | None, run: Path, file: Path | None, seconds: float, issue: bool, device: str,
    known_files: Sequence[Path],
) -> None:  # fmt: skip
    """Write a script that shows the leading finding of a case, without backendcheck.

    The case is made smaller first, with fewer examples, classes, outputs and layers and simpler numbers. The finding and its
    diagnosis stay the same. Then the script is run under every backend, and its outputs are added as a comment. This needs the
    backends installed and the case file unchanged. A copy is kept in DIR/scripts, and the next report of the run shows it.

    \b
    backendcheck repro label_range/one_past_the_last_class
    backendcheck repro named_outputs/predict_returns_declared_order --issue > issue.md
    """
    from backendcheck.cli.process import end_on_signals
    from backendcheck.config import load_configuration
    from backendcheck.errors import OutputInTheWay
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.report.formats.bug_report import cause_in_words, issue_text
    from backendcheck.report.views.environment import environment_lines
    from backendcheck.repro.make import make_repro
    from backendcheck.repro.paths import case_file, script_name
    from backendcheck.repro.worst_cases import keep as keep_copy
    from backendcheck.text.literals import shortened

    end_on_signals()
    paths = find_legs([run])
    case = recorded_case(case, paths, run)
    legs = read_legs(paths, only=case)
    result = analyze_legs(legs, None, known_files).result(case)
    if result is None:
        raise UsageError(f"{case}: not recorded on any leg. Record it again.")
    path = out or Path(script_name(case))
    script = make_repro(
        result, nodeid=str(file or case_file(result, legs)), out=path, seconds=seconds, device=device,
        overrides=load_configuration(Path.cwd()).tolerances, say=lambda text: click.echo(f"{case}: {visible(text)}", err=True),
    )  # fmt: skip
    small, large = script.program.n_examples, script.first.n_examples
    examples = f"{small} of {large} examples; " if small is not None and large is not None else ""
    ended = f", {script.ended}" if script.ended else ""
    click.echo(f"{path}: {examples}{script.n_tried} smaller versions tried{ended}", err=True)
    for note in script.notes:
        click.echo(f"{path}: {visible(note)}", err=True)
    if script.data:
        click.echo(f"{path}: reads {script.data}, which must be in the same directory", err=True)
    try:
        copy = keep_copy(script, result, legs, run)
        click.echo(f"{path}: copy kept as {copy}; 'backendcheck compare {run}' adds it to the report", err=True)
    except OutputInTheWay as error:  # a run that is read-only
        click.echo(f"{path}: no copy kept in the run: {visible(str(error))}", err=True)
    if issue:
        text = issue_text(
            headline=script.headline, claim=result.claim, message=cause_in_words(result.diagnoses), script=script.script,
            outputs=script.outputs, environment=environment_lines(legs), data=script.data.name if script.data else None,
        )  # fmt: skip
        click.echo(text)
    else:
        for backend, output in script.outputs.items():
            click.echo(f"KERAS_BACKEND={backend}")
            for line in shortened(output).splitlines():
                click.echo(visible(f"    {line}"))
    click.echo(f"{path}: shows the difference: {'yes' if script.shows else 'no'}", err=issue)
    sys.exit(0 if script.shows else 1)
