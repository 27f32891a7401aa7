"""`backendcheck model`: run a saved model with data on every backend, compare and report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import (
    backends_option,
    baseline_option,
    device_option,
    known_option,
    oracles_option,
    overwrite_option,
    plugins_option,
    strict_known_option,
    timeout_option,
)
from backendcheck.cli.run import run
from backendcheck.cli.saved_model import SavedModelOptions, saved_model_options, write_saved_model_case
from backendcheck.cli.terminal import OutputOptions, output_options, styled


@click.command(cls=GroupedCommand)
@saved_model_options
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Epochs of training. Default: 1.")
@backends_option
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Default: reports/<name of the model>.")
@timeout_option
@device_option
@oracles_option
@plugins_option
@known_option
@strict_known_option
@baseline_option
@overwrite_option
@output_options
def model(saved: SavedModelOptions, epochs: int | None, out: Path | None, output: OutputOptions, **options: Any) -> None:
    """Run one batch through a saved model on all backends, train it once, compare, and report.

    MODEL is a .keras file, or a function that builds the model, such as my_package.models:build. Loss, metrics and optimizer are
    those in the file, unless options replace them. Without labels in the data, only predictions are compared. Keras's safe mode
    stays on. The command writes an ordinary case file, DIR/cases/<name>.py, with its data next to it.

    \b
    backendcheck model classifier.keras --data validation.npz --class-names cat,dog,fox
    backendcheck model classifier.keras --data photos/ --import my_package.layers
    backendcheck model my_package.models:build --weights best.weights.h5 --data patients.csv --label-column stage
    """
    from backendcheck.labels import report
    from backendcheck.vocabulary.leg_names import parse_legs

    if options["backends"]:
        parse_legs(options["backends"])
    directory = out or Path("reports") / saved.stem
    case = write_saved_model_case(saved, directory, epochs=epochs, command="model", quiet=output.quiet)
    for line in () if output.quiet else report.lines(case.label_findings):
        click.echo(styled(line), err=True)
    options |= {"as_json": output.as_json, "quiet": output.quiet, "verbose": output.verbose}
    click.get_current_context().invoke(run, paths=[str(case.file)], out=directory, **options)
