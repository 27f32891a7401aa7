"""`backendcheck repro`: a script that shows what a case shows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from backendcheck.cli.options import device_option, known_option, run_option
from backendcheck.cli.results import analyze_legs, known_case
from backendcheck.errors import UsageError
from backendcheck.text.escape import visible


@click.command()
@click.argument("case")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="The script. Default: repro_<case>.py.")  # fmt: skip
@run_option("--dir")
@click.option("--file", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="PATH",
              help="The case file. Default: where it was recorded.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0), default=60.0, show_default=True, metavar="S",
              help="How long to make the case smaller; 0 leaves it as it is.")  # fmt: skip
@click.option("--issue", is_flag=True, help="Print a bug report in Markdown, with the script and what it printed.")
@device_option
@known_option
def repro(
    case: str, out: Path | None, run: Path, file: Path | None, seconds: float, issue: bool, device: str,
    known_files: Sequence[Path],
) -> None:  # fmt: skip
    """Write a script that shows the leading finding of a case, without backendcheck.

    The case is made smaller first, while the finding and its diagnosis stay: fewer examples, classes, outputs, layers, simpler
    numbers. The script is then run under every backend, and what it printed goes into a comment at its end. It needs the backends
    installed, and the case file as it was recorded. A copy is kept in DIR/scripts: the next report of that run shows it.

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
    from backendcheck.repro.worst_cases import keep
    from backendcheck.text.literals import shortened

    end_on_signals()
    paths = find_legs([run])
    case = known_case(case, paths, run)
    legs = read_legs(paths, only=case)
    result = analyze_legs(legs, None, known_files).result(case)
    if result is None:
        raise UsageError(f"{case}: no leg has a recording of it. Record it again.")
    path = out or Path(script_name(case))
    made = make_repro(
        result, nodeid=str(file or case_file(result, legs)), out=path, seconds=seconds, device=device,
        overrides=load_configuration(Path.cwd()).tolerances, say=lambda text: click.echo(f"{case}: {visible(text)}", err=True),
    )  # fmt: skip
    small, large = made.program.n_examples, made.first.n_examples
    examples = f"{small} of {large} examples; " if small is not None and large is not None else ""
    ended = f", {made.ended}" if made.ended else ""
    click.echo(f"{path}: {examples}{made.n_tried} smaller versions tried{ended}", err=True)
    for note in made.notes:
        click.echo(f"{path}: {visible(note)}", err=True)
    if made.data:
        click.echo(f"{path}: it reads {made.data}, which belongs beside it", err=True)
    try:
        kept = keep(made, result, legs, run)
        click.echo(f"{path}: kept as {kept}; 'backendcheck compare {run}' puts it into the report", err=True)
    except OutputInTheWay as error:  # a run that may only be read
        click.echo(f"{path}: not kept beside the run: {visible(str(error))}", err=True)
    if issue:
        text = issue_text(
            headline=made.headline, claim=result.claim, message=cause_in_words(result.diagnoses), script=made.script,
            outputs=made.outputs, environment=environment_lines(legs), data=made.data.name if made.data else None,
        )  # fmt: skip
        click.echo(text)
    else:
        for backend, output in made.outputs.items():
            click.echo(f"KERAS_BACKEND={backend}")
            for line in shortened(output).splitlines():
                click.echo(visible(f"    {line}"))
    click.echo(f"{path}: shows the difference: {'yes' if made.shows else 'no'}", err=issue)
    sys.exit(0 if made.shows else 1)
