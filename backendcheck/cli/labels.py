"""`backendcheck labels`: the label contract, before training and without a backend."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.terminal import print_lines
from backendcheck.cli.values import parse_class_names, parse_losses
from backendcheck.errors import UsageError
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.data import Data
    from backendcheck.labels import ClassMap
    from backendcheck.model_file import ModelFile

_DATA = click.Path(path_type=Path)


@click.command()
@click.option("--data", type=_DATA, metavar="PATH",
              help="A .npz, .npy, .csv or .parquet file, or a directory of images by class. An .npy alone: labels.")  # fmt: skip
@click.option("--labels", type=_DATA, metavar="FILE", help="The labels, where --data is an .npy of inputs.")
@click.option("--label-column", "label_columns", multiple=True, metavar="NAME", help="A column of a table that is a label.")
@click.option("--weight-column", default="", metavar="NAME", help="The column of a table that weighs the examples.")
@click.option("--validation", type=_DATA, metavar="PATH", help="Data of another split, to be held against the first.")
@click.option("--test", type=_DATA, metavar="PATH", help="Likewise.")
@click.option("--model", type=_DATA, metavar="FILE",
              help="The .keras file that they are for: its heads and its losses. It is not loaded.")  # fmt: skip
@click.option("--loss", metavar="LOSS",
              help="Not that of the file: a name, NAME(from_logits=True), OUTPUT=NAME,…; MODULE:NAME for your own.")  # fmt: skip
@click.option("--head", metavar="HEAD",
              help="In place of a file: units, an activation, or both: 3, softmax, 3:softmax; OUTPUT=HEAD,….")  # fmt: skip
@click.option("--class-names", metavar="LIST", help="The names of the classes in order: cat,dog,fox, or a .txt or .json file.")
@click.option("--n-classes", type=click.IntRange(1), metavar="N", help="How many classes there are, where nothing else says so.")
@click.option("--against", type=_DATA, metavar="FILE", help="A class map that class names have to be those of.")
@click.option("--write-class-map", type=_DATA, metavar="FILE", help="Write the class map of these data, if there is no error.")
@click.option("--select", default="", metavar="CODES", help="Only these rules, or those that begin so: L1,L403.")
@click.option("--ignore", default="", metavar="CODES", help="All but these, besides those that pyproject.toml ignores.")
@click.option("--imbalance", type=click.FloatRange(1, min_open=True), metavar="RATIO",
              help="From which ratio of the largest to the smallest class on L701 speaks. Default: 10.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Warnings count as errors do.")
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-q", "--quiet", is_flag=True, help="Errors and warnings only, and the last line.")
@click.option("--list", "listed", is_flag=True, help="List the rules.")
@click.option("--explain", metavar="CODE", help="Say all of one rule.")
def labels(
    data: Path | None, labels: Path | None, label_columns: Sequence[str], weight_column: str, validation: Path | None,
    test: Path | None, model: Path | None, loss: str | None, head: str | None, class_names: str | None, n_classes: int | None,
    against: Path | None, write_class_map: Path | None, select: str, ignore: str, imbalance: float | None, form: str,
    listed: bool, explain: str | None, strict: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Hold labels against the loss, the head and the class names that they are for. Nothing is trained, no backend is imported.

    \b
    backendcheck labels --data train.npz --model classifier.keras --validation val.npz
    backendcheck labels --data patients.csv --label-column stage --loss sparse_categorical_crossentropy --head 3:softmax
    backendcheck labels --data photos/train --write-class-map class_map.json
    backendcheck labels --data photos/serving --against class_map.json
    backendcheck labels --explain L104

    Exit codes: 0 no error · 1 an error (with --strict, a warning) · 2 wrong usage, or input that cannot be read. Rules that a
    project ignores stand in its pyproject.toml, [tool.backendcheck.labels] ignore = ["L701"].
    """
    from backendcheck.labels import report
    from backendcheck.labels.check import IMBALANCE, check_labels
    from backendcheck.labels.contract.rules import find_rule

    if listed or explain:
        print_lines(report.rule_list() if explain is None else report.rule_lines(find_rule(explain)))
        return
    if data is None:
        message = "Missing option '--data'; expected the labels to look at, or --list, or --explain CODE."
        raise click.UsageError(message)
    chosen, left_out, ratio = _settings(select, ignore, imbalance)
    said = _read_model(model)
    read = {
        split: _read(path, said, labels if split == "training" else None, label_columns, weight_column)
        for split, path in (("training", data), ("validation", validation), ("test", test)) if path is not None
    }  # fmt: skip
    training = read["training"]
    names = parse_class_names(class_names)
    class_map = _class_map(names if names is not None else training.class_names, training)
    if names is None and write_class_map is not None and class_map is not None:
        names = class_map.plain  # text becomes what the map says that is to be written
    findings = check_labels(
        training, loss=parse_losses(loss), model=said, head=_parsed_head(head), class_names=names, n_classes=n_classes,
        validation=read.get("validation"), test=read.get("test"), against=against, select=chosen, ignore=left_out,
        imbalance=ratio or IMBALANCE,
    )  # fmt: skip
    code = report.exit_code(findings, strict=strict)
    if as_json or form == "json":
        click.echo(json.dumps(report.document(findings, str(data), class_map, strict=strict), indent=1))
    elif form == "github":
        print_lines(report.github_commands(findings))
    else:
        shown = [one for one in findings if not quiet or one.severity.value != "info"]
        print_lines([*report.lines(shown, today=not quiet), report.last_line(findings, str(data), _n_labels(training.y))])
    if write_class_map is not None:
        _write(class_map, write_class_map, data, failed=bool(report.exit_code(findings, strict=False)), quiet=quiet)
    sys.exit(code)


def _settings(select: str, ignore: str, imbalance: float | None) -> tuple[tuple[str, ...], tuple[str, ...], float | None]:
    """What is asked for here, besides what pyproject.toml says."""
    from backendcheck.config import load_configuration
    from backendcheck.labels.contract.rules import check_codes

    project = load_configuration(Path.cwd()).labels
    wanted = check_codes(select, "--select") or check_codes(project.select, "pyproject.toml, [tool.backendcheck.labels] select")
    of_project = check_codes(project.ignore, "pyproject.toml, [tool.backendcheck.labels] ignore")
    return wanted, (*of_project, *check_codes(ignore, "--ignore")), imbalance or project.imbalance


def _read_model(path: Path | None) -> ModelFile | None:
    if path is None:
        return None
    from backendcheck.model_file import read_model_file

    said = read_model_file(path)
    for note in said.notes:
        click.echo(visible(f"{path}: {note}; what it would tell is not looked at"), err=True)
    return said


def _read(path: Path, model: ModelFile | None, labels: Path | None, columns: Sequence[str], weight_column: str) -> Data:
    from dataclasses import replace

    from backendcheck.data import read_data

    outputs = [one.name for one in model.outputs if one.name] if model is not None else []
    inputs = [one.name for one in model.inputs] if model is not None and path.suffix.lower() == ".npz" else []
    read = read_data(
        path, labels=labels, label_columns=columns, weight_column=weight_column, inputs=inputs, outputs=outputs, as_found=True
    )
    if read.y is None and path.suffix.lower() == ".npy":
        return replace(read, x=None, y=read.x)
    if read.y is None:
        message = f"{path}: holds no labels; expected y beside x."
        raise UsageError(message)
    return read


def _parsed_head(given: str | None) -> Any:
    if given is None or "=" not in given:
        return given if given is None or not given.isdecimal() else int(given)
    pairs = [part.partition("=") for part in given.split(",")]
    return {name.strip(): one.strip() for name, _, one in pairs}


def _class_map(names: Any, training: Data) -> ClassMap | None:
    """The map of the names that are known, or of text labels in the order of their text."""
    import numpy as np

    from backendcheck.labels import ClassMap

    if names:
        return ClassMap.of(names)
    by_output = training.y if isinstance(training.y, Mapping) else {"": training.y}
    texts = {output: sorted(set(one.ravel().tolist())) for output, one in by_output.items() if np.asarray(one).dtype.kind == "U"}
    return ClassMap.of(texts) if texts else None


def _write(class_map: ClassMap | None, path: Path, data: Path, *, failed: bool, quiet: bool) -> None:
    if class_map is None:
        wanted = "labels that are text, folders, or --class-names"
        message = f"--write-class-map {path}: nothing in {data} names classes; expected {wanted}."
        raise UsageError(message)
    if failed:
        click.echo(visible(f"{path}: not written, for there are errors."), err=True)
        return
    class_map.write(path)
    if not quiet:
        click.echo(visible(f"{path}: written, {class_map.short}"), err=True)


def _n_labels(y: Any) -> int:
    arrays = list(y.values()) if isinstance(y, Mapping) else [y]
    return max((len(one) if one.ndim else 1 for one in arrays), default=0)
