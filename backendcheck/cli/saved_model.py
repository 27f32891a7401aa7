"""What `model` and `migrate` share: the options that say which model and which data, and the case file made of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.values import map_losses, parse_class_names, parse_losses
from backendcheck.errors import UsageError
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.check.case_source import CaseSource
    from backendcheck.data import Data
    from backendcheck.labels import LabelFinding
    from backendcheck.model_file import ModelFile

_SHAPE_OF_IMAGES = 4  # examples, height, width, channels


def _examples(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    if value == "all":
        return None
    if not value.isdecimal() or int(value) < 1:
        message = f"invalid number of examples {value!r}: expected 1 or more, or 'all'."
        raise click.BadParameter(message, context, parameter)
    return int(value)


_OPTIONS = (
    click.option("--data", required=True, type=click.Path(path_type=Path), metavar="PATH",
                  help="A .npz, .npy, .csv or .parquet file, or a directory of images by class."),
    click.option("--labels", type=click.Path(path_type=Path), metavar="FILE", help="The labels, if --data is an .npy of inputs."),
    click.option("--label-column", "label_columns", multiple=True, metavar="NAME",
                 help="Column of a table that holds labels."),
    click.option("--weight-column", default="", metavar="NAME", help="Column of a table that holds sample weights."),
    click.option("--class-names", metavar="LIST", help="Class names in order: cat,dog,fox, or a .txt or .json file."),
    click.option("--loss", metavar="LOSS", help="Replaces the loss in the file: NAME, OUTPUT=NAME,…, or MODULE:NAME."),
    click.option("--metrics", metavar="LIST", help="Replaces the metrics in the file."),
    click.option("--optimizer", metavar="NAME", help="Replaces the optimizer in the file."),
    click.option("--weights", type=click.Path(path_type=Path), metavar="FILE",
                 help="A .weights.h5 file, if MODEL is a function."),
    click.option("--import", "imports", multiple=True, metavar="MODULE",
                  help="Import this module first, so that it registers its classes with Keras."),
    click.option("--examples", default="256", show_default=True, callback=_examples, metavar="N",
                  help="Number of examples, evenly spread over the data; or all."),
    click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Batch size of training. Default: all examples."),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedModelOptions:
    """Which model, which data, and what replaces the arguments that it was compiled with."""

    model: str
    data: Path
    labels: Path | None
    label_columns: Sequence[str]
    weight_column: str
    class_names: str | None
    loss: str | None
    metrics: str | None
    optimizer: str | None
    weights: Path | None
    imports: Sequence[str]
    examples: int | None
    batch_size: int | None

    @property
    def path(self) -> Path | None:
        """The file of the model; None for a function."""
        return Path(self.model) if ":" not in self.model or Path(self.model).exists() else None

    @property
    def stem(self) -> str:
        """The name of the model, for a directory."""
        return self.path.stem if self.path else self.model.rpartition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedModelCase:
    """A case file that was written, the title of its model, and what its labels break."""

    file: Path
    title: str
    label_findings: Sequence[LabelFinding]


def saved_model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `SavedModelOptions`; it receives them as `saved`."""

    @functools.wraps(command)
    def with_saved(*arguments: Any, **options: Any) -> Any:
        saved = SavedModelOptions(**{name: options.pop(name) for name in SavedModelOptions.__dataclass_fields__})
        return command(*arguments, saved=saved, **options)

    for option in reversed((click.argument("model"), *_OPTIONS)):
        with_saved = option(with_saved)
    return with_saved


def write_saved_model_case(
    saved: SavedModelOptions, directory: Path, *, epochs: int | None, command: str, quiet: bool
) -> SavedModelCase:
    """Write the case file of a saved model, with its data next to it, below `directory`.

    Raises:
        UsageError: if the model or the data cannot be used.
    """
    from backendcheck.check.batch import Batch, sampled
    from backendcheck.check.case_source import CaseSource
    from backendcheck.check.model_case import NAME, claim, model_case
    from backendcheck.check.model_source import check_loadable, check_model_file, model_source_of
    from backendcheck.check.run import CASES, write_case
    from backendcheck.data import read_data
    from backendcheck.data.read import labels_as_indices

    path = saved.path
    if path is not None:
        check_model_file(path, saved.weights)
    model_file = _read_file(path)
    check_loadable(model_file)
    declared_loss = parse_losses(saved.loss, registered=bool(saved.imports))
    names = parse_class_names(saved.class_names)
    loaded = read_data(
        saved.data, labels=saved.labels, label_columns=saved.label_columns, weight_column=saved.weight_column,
        examples=saved.examples, inputs=[declared.name for declared in model_file.inputs] if model_file else (),
        image_shape=_image_shape(model_file),
        outputs=[head.name for head in model_file.outputs if head.name] if model_file else (), class_names=names,
    )  # fmt: skip
    for note in () if quiet else loaded.notes:
        click.echo(visible(f"{saved.data}: {note}"), err=True)
    names = names or loaded.class_names
    y = labels_as_indices(loaded.y, names, source=loaded.source, remedy="Give --class-names")
    batch = sampled(Batch(x=loaded.x, y=y, sample_weight=loaded.sample_weight), saved.examples)
    if y is not None and saved.loss is None and model_file is not None and model_file.lacks_loss:
        raise UsageError(f"{path}: was saved without a loss, but the data has labels. Pass --loss, or leave the labels out.")
    findings = [] if loaded.y is None else _label_findings(loaded, model_file, names, declared_loss)
    source = CaseSource()
    for name in saved.imports:
        source.import_module(name)
    model_source = model_source_of(source, path or saved.model, directory / CASES, weights=saved.weights)
    declared = {
        "loss": map_losses(lambda text: _loss_as_source(source, text), saved.loss),
        "metrics": saved.metrics.split(",") if saved.metrics else None, "optimizer": saved.optimizer,
        "batch_size": saved.batch_size, "epochs": epochs, "class_names": names,
    }  # fmt: skip
    words = f"{model_source.title} on {saved.data.name} ({batch.words})"
    file = write_case(
        source, directory / CASES, model_source.stem, name=NAME, claim=claim(model_source, batch),
        why=f"{words}, written by backendcheck {command}.", body=model_case(source, model_source, batch, declared),
    )  # fmt: skip
    if not quiet:
        click.echo(visible(f"{words} -> {file}"), err=True)
    if model_file is not None and model_file.custom and not saved.imports:
        hint = f"contains custom objects ({', '.join(model_file.custom)}). If it cannot be loaded, pass --import MODULE"
        click.echo(visible(f"{model_source.title}: {hint}"), err=True)
    return SavedModelCase(file=file, title=model_source.title, label_findings=findings)


def _label_findings(data: Data, model_file: ModelFile | None, names: Any, loss: Any) -> list[LabelFinding]:
    """The errors and warnings of the label contract. They change no verdict."""
    from backendcheck.config import load_configuration
    from backendcheck.labels import Severity, check_labels
    from backendcheck.labels.check import IMBALANCE

    settings = load_configuration(Path.cwd()).labels
    findings = check_labels(
        data, model=model_file, loss=loss, class_names=names, select=settings.select, ignore=settings.ignore,
        imbalance=settings.imbalance or IMBALANCE,
    )  # fmt: skip
    return [finding for finding in findings if finding.severity is not Severity.INFO]


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
