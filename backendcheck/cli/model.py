"""`backendcheck model`: run a saved model with data on every backend, compare and report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from backendcheck.cli.terminal import OutputOptions, output_options, styled
from backendcheck.cli.values import map_losses, parse_class_names, parse_losses
from backendcheck.errors import UsageError
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.check.case_source import CaseSource
    from backendcheck.data import Data
    from backendcheck.model_file import ModelFile

_SHAPE_OF_IMAGES = 4  # examples, height, width, channels


def _examples(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    if value == "all":
        return None
    if not value.isdecimal() or int(value) < 1:
        message = f"invalid number of examples {value!r}: expected 1 or more, or 'all'."
        raise click.BadParameter(message, context, parameter)
    return int(value)


@click.command(cls=GroupedCommand)
@click.argument("model")
@click.option("--data", required=True, type=click.Path(path_type=Path), metavar="PATH",
              help="A .npz, .npy, .csv or .parquet file, or a directory of images by class.")  # fmt: skip
@click.option("--labels", type=click.Path(path_type=Path), metavar="FILE", help="The labels, if --data is an .npy of inputs.")
@click.option("--label-column", "label_columns", multiple=True, metavar="NAME", help="Column of a table that holds labels.")
@click.option("--weight-column", default="", metavar="NAME", help="Column of a table that holds sample weights.")
@click.option("--class-names", metavar="LIST", help="Class names in order: cat,dog,fox, or a .txt or .json file.")
@click.option("--loss", metavar="LOSS", help="Replaces the loss in the file: NAME, OUTPUT=NAME,…, or MODULE:NAME.")
@click.option("--metrics", metavar="LIST", help="Replaces the metrics in the file.")
@click.option("--optimizer", metavar="NAME", help="Replaces the optimizer in the file.")
@click.option("--weights", type=click.Path(path_type=Path), metavar="FILE", help="A .weights.h5 file, if MODEL is a function.")
@click.option("--import", "imports", multiple=True, metavar="MODULE",
              help="Import this module first, so that it registers its classes with Keras.")  # fmt: skip
@click.option("--examples", default="256", show_default=True, callback=_examples, metavar="N",
              help="Number of examples, evenly spread over the data; or all.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Batch size of training. Default: all examples.")
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
def model(
    model: str, data: Path, labels: Path | None, label_columns: Sequence[str], weight_column: str,
    class_names: str | None, loss: str | None, metrics: str | None, optimizer: str | None, weights: Path | None,
    imports: Sequence[str], examples: int | None, batch_size: int | None, epochs: int | None, out: Path | None,
    output: OutputOptions, **options: Any,
) -> None:  # fmt: skip
    """Run one batch through a saved model on all backends, train it once, compare, and report.

    MODEL is a .keras file, or a function that builds the model, such as my_package.models:build. Loss, metrics and optimizer are
    those in the file, unless options replace them. Without labels in the data, only predictions are compared. Keras's safe mode
    stays on. The command writes an ordinary case file, DIR/cases/<name>.py, with its data next to it.

    \b
    backendcheck model classifier.keras --data validation.npz --class-names cat,dog,fox
    backendcheck model classifier.keras --data photos/ --import my_package.layers
    backendcheck model my_package.models:build --weights best.weights.h5 --data patients.csv --label-column stage
    """
    from backendcheck.check.batch import Batch, sampled
    from backendcheck.check.case_source import CaseSource
    from backendcheck.check.model_case import NAME, claim, model_case
    from backendcheck.check.model_source import check_loadable, check_model_file, model_source_of
    from backendcheck.check.run import CASES, write_case
    from backendcheck.data import read_data
    from backendcheck.data.read import labels_as_indices
    from backendcheck.vocabulary.leg_names import parse_legs

    path = Path(model) if ":" not in model or Path(model).exists() else None
    if path is not None:
        check_model_file(path, weights)
    model_file = _read_file(path)
    check_loadable(model_file)
    declared_loss = parse_losses(loss, registered=bool(imports))
    if options["backends"]:
        parse_legs(options["backends"])
    names = parse_class_names(class_names)
    loaded = read_data(
        data, labels=labels, label_columns=label_columns, weight_column=weight_column, examples=examples,
        inputs=[declared.name for declared in model_file.inputs] if model_file else (), image_shape=_image_shape(model_file),
        outputs=[head.name for head in model_file.outputs if head.name] if model_file else (), class_names=names,
    )  # fmt: skip
    for note in () if output.quiet else loaded.notes:
        click.echo(visible(f"{data}: {note}"), err=True)
    names = names or loaded.class_names
    y = labels_as_indices(loaded.y, names, source=loaded.source, remedy="Give --class-names")
    batch = sampled(Batch(x=loaded.x, y=y, sample_weight=loaded.sample_weight), examples)
    if y is not None and loss is None and model_file is not None and model_file.lacks_loss:
        raise UsageError(f"{path}: was saved without a loss, but the data has labels. Pass --loss, or leave the labels out.")
    if not output.quiet and loaded.y is not None:
        _print_label_findings(loaded, model_file, names, declared_loss)
    source = CaseSource()
    for name in imports:
        source.import_module(name)
    directory = out or Path("reports") / (path.stem if path else model.rpartition(":")[2])
    model_source = model_source_of(source, path or model, directory / CASES, weights=weights)
    declared = {
        "loss": map_losses(lambda text: _loss_as_source(source, text), loss),
        "metrics": metrics.split(",") if metrics else None, "optimizer": optimizer,
        "batch_size": batch_size, "epochs": epochs, "class_names": names,
    }  # fmt: skip
    words = f"{model_source.title} on {data.name} ({batch.words})"
    file = write_case(
        source, directory / CASES, model_source.stem, name=NAME, claim=claim(model_source, batch),
        why=f"{words}, written by backendcheck model.", body=model_case(source, model_source, batch, declared),
    )  # fmt: skip
    if not output.quiet:
        click.echo(visible(f"{words} -> {file}"), err=True)
    if model_file is not None and model_file.custom and not imports:
        hint = f"contains custom objects ({', '.join(model_file.custom)}). If it cannot be loaded, pass --import MODULE"
        click.echo(visible(f"{model_source.title}: {hint}"), err=True)
    options |= {"as_json": output.as_json, "quiet": output.quiet, "verbose": output.verbose}
    click.get_current_context().invoke(run, paths=[str(file)], out=directory, **options)


def _print_label_findings(data: Data, model_file: ModelFile | None, names: Any, loss: Any) -> None:
    """Print the errors and warnings of the label contract. They change no verdict."""
    from backendcheck.config import load_configuration
    from backendcheck.labels import Severity, check_labels, report
    from backendcheck.labels.check import IMBALANCE

    settings = load_configuration(Path.cwd()).labels
    findings = check_labels(
        data, model=model_file, loss=loss, class_names=names, select=settings.select, ignore=settings.ignore,
        imbalance=settings.imbalance or IMBALANCE,
    )  # fmt: skip
    serious = [finding for finding in findings if finding.severity is not Severity.INFO]
    for line in report.lines(serious):
        click.echo(styled(line), err=True)


def _read_file(path: Path | None) -> ModelFile | None:
    """The description in a .keras file; None for a function, or for a file in an older format."""
    if path is None or path.suffix != ".keras":
        return None
    from backendcheck.model_file import read_model_file

    return read_model_file(path)


def _image_shape(model_file: ModelFile | None) -> tuple[int | None, ...] | None:
    shape = model_file.inputs[0].shape if model_file is not None and len(model_file.inputs) == 1 else None
    return shape[1:] if shape is not None and len(shape) == _SHAPE_OF_IMAGES else None


def _loss_as_source(source: CaseSource, text: str) -> Any:
    """The name of a loss, or source that imports it."""
    if "(" in text:
        message = f"--loss {text}: options of a loss need a case file; expected NAME or MODULE:NAME. Write a case, or a module."
        raise UsageError(message)
    return source.attribute(text) if ":" in text else text
