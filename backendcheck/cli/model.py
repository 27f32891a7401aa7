"""`backendcheck model`: a saved model and data, on every backend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
        message = f"{value!r} is neither a number, 1 or more, nor 'all'."
        raise click.BadParameter(message, context, parameter)
    return int(value)


@click.command()
@click.argument("model")
@click.option("--data", required=True, type=click.Path(path_type=Path), metavar="PATH",
              help="A .npz, .npy, .csv or .parquet file, or a directory of images by class.")  # fmt: skip
@click.option("--labels", type=click.Path(path_type=Path), metavar="FILE", help="The labels, where --data is an .npy of inputs.")
@click.option("--label-column", "label_columns", multiple=True, metavar="NAME", help="A column of a table that is a label.")
@click.option("--weight-column", default="", metavar="NAME", help="The column of a table that weighs the examples.")
@click.option("--class-names", metavar="LIST", help="The names of the classes in order: cat,dog,fox, or a .txt or .json file.")
@click.option("--loss", metavar="LOSS", help="In place of the one in the file: a name, OUTPUT=NAME,…, or MODULE:OBJECT.")
@click.option("--metrics", metavar="LIST", help="In place of those in the file.")
@click.option("--optimizer", metavar="NAME", help="In place of the one in the file.")
@click.option("--weights", type=click.Path(path_type=Path), metavar="FILE", help="A .weights.h5, where MODEL is a function.")
@click.option("--import", "imports", multiple=True, metavar="MODULE", help="Import this first, for what it registers with Keras.")
@click.option("--examples", default="256", show_default=True, callback=_examples, metavar="N",
              help="How many examples to take, evenly spread over the data; or all.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Of training. Default: all examples.")
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Of training. Default: 1.")
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
    """Feed one batch to a saved model on all backends, train it once, compare, and report.

    MODEL is a .keras file, or a function that builds the model, such as my_package.models:build. The loss, the metrics and the
    optimizer that the file was compiled with are used unless others are given; without labels in the data, predictions alone are
    compared. Keras's safe mode stays on. What is recorded is an ordinary case file, DIR/cases/<name>.py, with its data beside it.

    \b
    backendcheck model classifier.keras --data validation.npz --class-names cat,dog,fox
    backendcheck model classifier.keras --data photos/ --import my_package.layers
    backendcheck model my_package.models:build --weights best.weights.h5 --data patients.csv --label-column stage
    """
    from backendcheck.check.batch import Batch, sampled
    from backendcheck.check.case_source import CaseSource
    from backendcheck.check.model_case import NAME, claim, model_case
    from backendcheck.check.model_source import check_model_file, subject_of
    from backendcheck.check.run import CASES, write_case
    from backendcheck.data import read_data
    from backendcheck.data.read import labels_as_indices
    from backendcheck.vocabulary.backends import parse_backends

    path = Path(model) if ":" not in model or Path(model).exists() else None
    if path is not None:
        check_model_file(path, weights)
    said = _read_file(path)
    declared_loss = parse_losses(loss, registered=bool(imports))
    if options["backends"]:
        parse_backends(options["backends"])
    read = read_data(
        data, labels=labels, label_columns=label_columns, weight_column=weight_column, examples=examples,
        inputs=[one.name for one in said.inputs] if said else (), image_shape=_image_shape(said),
        outputs=[one.name for one in said.outputs if one.name] if said else (),
    )  # fmt: skip
    names = parse_class_names(class_names) or read.class_names
    y = labels_as_indices(read.y, names, source=read.source, remedy="Give --class-names")
    batch = sampled(Batch(x=read.x, y=y, sample_weight=read.sample_weight), examples)
    if y is not None and loss is None and said is not None and said.compiled is None:
        raise UsageError(f"{path}: was saved without a loss, and the data has labels. Give --loss, or leave the labels out.")
    if not output.quiet and read.y is not None:
        _tell_of_labels(read, said, names, declared_loss)
    source = CaseSource()
    for name in imports:
        source.import_module(name)
    directory = out or Path("reports") / (path.stem if path else model.rpartition(":")[2])
    subject = subject_of(source, path or model, directory / CASES, weights=weights)
    declared = {
        "loss": map_losses(lambda one: _loss_as_source(source, one), loss),
        "metrics": metrics.split(",") if metrics else None, "optimizer": optimizer,
        "batch_size": batch_size, "epochs": epochs, "class_names": names,
    }  # fmt: skip
    words = f"{subject.called} on {data.name} ({batch.words})"
    file = write_case(
        source, directory / CASES, subject.stem, name=NAME, claim=claim(subject, batch), parcel=None,
        why=f"{words}, as backendcheck model was asked.", body=model_case(source, subject, batch, declared),
    )  # fmt: skip
    if not output.quiet:
        click.echo(visible(f"{words} -> {file}"), err=True)
    if said is not None and said.custom and not imports:
        hint = f"holds what is not Keras's ({', '.join(said.custom)}); --import its module, if it cannot be loaded"
        click.echo(visible(f"{subject.called}: {hint}"), err=True)
    options |= {"as_json": output.as_json, "quiet": output.quiet, "verbose": output.verbose}
    click.get_current_context().invoke(run, paths=[str(file)], out=directory, **options)


def _tell_of_labels(read: Data, said: ModelFile | None, names: Any, loss: Any) -> None:
    """What the label contract has against all the labels, above the verdict. It is advice, and changes none."""
    from backendcheck.config import load_configuration
    from backendcheck.labels import Severity, check_labels, report
    from backendcheck.labels.check import IMBALANCE

    settings = load_configuration(Path.cwd()).labels
    found = check_labels(
        read, model=said, loss=loss, class_names=names, select=settings.select, ignore=settings.ignore,
        imbalance=settings.imbalance or IMBALANCE,
    )  # fmt: skip
    serious = [one for one in found if one.severity is not Severity.INFO]
    for line in report.lines(serious):
        click.echo(styled(line), err=True)


def _read_file(path: Path | None) -> ModelFile | None:
    """What the file of the model says of itself; None of a function, or of a file in the older format."""
    if path is None or path.suffix != ".keras":
        return None
    from backendcheck.model_file import read_model_file

    return read_model_file(path)


def _image_shape(said: ModelFile | None) -> tuple[int | None, ...] | None:
    shape = said.inputs[0].shape if said is not None and len(said.inputs) == 1 else None
    return shape[1:] if shape is not None and len(shape) == _SHAPE_OF_IMAGES else None


def _loss_as_source(source: CaseSource, given: str) -> Any:
    """A name, or something to be imported."""
    if "(" in given:
        message = f"--loss {given}: options are for a case file; expected a name, or MODULE:NAME. Write the case, or a module."
        raise UsageError(message)
    return source.attribute(given) if ":" in given else given
