"""`backendcheck labels`: the label contract, before training and without a backend."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.completion import complete_backends, complete_rules
from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.terminal import print_lines
from backendcheck.cli.values import parse_class_names, parse_losses
from backendcheck.errors import UsageError
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.data import Data
    from backendcheck.labels import ClassMap
    from backendcheck.labels.contract.finding import LabelFinding
    from backendcheck.model_file import ModelFile

_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """The options of the command, as click parses them."""

    data: Path | None
    labels: Path | None
    label_columns: Sequence[str]
    weight_column: str
    validation: Path | None
    test: Path | None
    model: Path | None
    loss: str | None
    head: str | None
    class_names: str | None
    n_classes: int | None
    against: Path | None
    write_class_map: Path | None
    select: str
    ignore: str
    imbalance: float | None
    strict: bool
    form: str
    as_json: bool
    quiet: bool
    list_rules: bool
    explain: str | None


@click.command(cls=GroupedCommand)
@click.option("--data", type=_PATH, metavar="PATH",
              help="Training data: a .npz, .npy, .csv or .parquet file, or a directory of images by class. An .npy alone holds "
              "labels.")  # fmt: skip
@click.option("--labels", type=_PATH, metavar="FILE", help="The labels, if --data is an .npy of inputs.")
@click.option("--label-column", "label_columns", multiple=True, metavar="NAME", help="Column of a table that holds labels.")
@click.option("--weight-column", default="", metavar="NAME", help="Column of a table that holds sample weights.")
@click.option("--validation", type=_PATH, metavar="PATH", help="Validation data, compared with --data.")
@click.option("--test", type=_PATH, metavar="PATH", help="Test data, compared with --data.")
@click.option("--model", type=_PATH, metavar="FILE",
              help="The .keras or .h5 file of the model. Its heads and losses are read; it is not loaded.")  # fmt: skip
@click.option("--loss", metavar="LOSS",
              help="Replaces the loss in the file: NAME, NAME(from_logits=True), OUTPUT=NAME,…; MODULE:NAME for your "
              "own.")  # fmt: skip
@click.option("--head", metavar="HEAD",
              help="Replaces --model: units, an activation, or both: 3, softmax, 3:softmax; OUTPUT=HEAD,….")  # fmt: skip
@click.option("--class-names", metavar="LIST", help="Class names in order: cat,dog,fox, or a .txt or .json file.")
@click.option("--n-classes", type=click.IntRange(1), metavar="N", help="Number of classes, if nothing else gives it.")
@click.option("--against", type=_PATH, metavar="FILE", help="Class map that the class names must match.")
@click.option("--write-class-map", type=_PATH, metavar="FILE", help="Write the class map of the data, unless there are errors.")
@click.option("--select", default="", metavar="CODES", shell_complete=complete_rules,
              help="Only rules with these codes or code prefixes: L1,L403.")  # fmt: skip
@click.option("--ignore", default="", metavar="CODES", shell_complete=complete_rules,
              help="Skip these rules, in addition to those ignored in pyproject.toml.")  # fmt: skip
@click.option("--imbalance", type=click.FloatRange(1, min_open=True), metavar="RATIO",
              help="Report imbalance (L701) above this largest/smallest class ratio. Default: 10.")  # fmt: skip
@click.option("--backends", metavar="LIST", shell_complete=complete_backends,
              help="Backends of which to say what they do with such labels. Default: those that are installed.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors, warnings and the last line only.")
@click.option("--list", "list_rules", is_flag=True, help="List the rules.")
@click.option("--explain", metavar="CODE", shell_complete=complete_rules, help="Explain one rule.")
def labels(backends: str | None, **options: Any) -> None:
    """Check labels against the loss, the head and the class names they are used with. Trains nothing, imports no backend.

    \b
    backendcheck labels --data train.npz --model classifier.keras --validation val.npz
    backendcheck labels --data patients.csv --label-column stage --loss sparse_categorical_crossentropy --head 3:softmax
    backendcheck labels --data photos/train --write-class-map class_map.json
    backendcheck labels --data photos/serving --against class_map.json
    backendcheck labels --explain L104

    Exit codes: 0 no error · 1 an error (with --strict, a warning) · 2 wrong usage, or input that cannot be read. A project lists
    the rules it ignores in pyproject.toml: [tool.backendcheck.labels] ignore = ["L701"].
    """
    from backendcheck.labels import report
    from backendcheck.labels.contract.backend_behavior import speak_of
    from backendcheck.labels.contract.rules import find_rule
    from backendcheck.vocabulary.backends import parse_backends

    if backends:
        speak_of([backend.value for backend in parse_backends(backends)])
    asked = _Options(**options)
    if asked.list_rules or asked.explain:
        print_lines(report.rule_list() if asked.explain is None else report.rule_lines(find_rule(asked.explain)))
    elif asked.data is None:
        message = "Missing option '--data'; expected the labels to check, or --list, or --explain CODE."
        raise click.UsageError(message)
    else:
        sys.exit(_check(asked, asked.data))


def _check(options: _Options, data: Path) -> int:
    """Check, print and write what the options ask for; returns the exit code."""
    from backendcheck.labels import report
    from backendcheck.labels.check import IMBALANCE, check_labels

    select, ignore, imbalance = _rule_settings(options)
    model = _read_model(options.model)
    paths = {"training": data, "validation": options.validation, "test": options.test}
    names = parse_class_names(options.class_names)
    known_names = _names_of_map(options.against) if names is None else names
    splits = {name: _read_split(path, model, options, known_names, split=name) for name, path in paths.items() if path}
    training = splits["training"]
    class_map = _class_map(names if names is not None else training.class_names, training)
    if names is None and options.write_class_map is not None and class_map is not None:
        names = class_map.as_json  # text labels become the indices of the map that is written
    findings = check_labels(
        training, loss=parse_losses(options.loss), model=model, head=_parse_heads(options.head), class_names=names,
        n_classes=options.n_classes, validation=splits.get("validation"), test=splits.get("test"), against=options.against,
        select=select, ignore=ignore, imbalance=imbalance or IMBALANCE,
    )  # fmt: skip
    _print_findings(findings, options, data, training, class_map)
    if options.write_class_map is not None:
        _write_class_map(class_map, options.write_class_map, data, failed=bool(report.exit_code(findings, strict=False)),
                         quiet=options.quiet)  # fmt: skip
    return report.exit_code(findings, strict=options.strict)


def _print_findings(
    findings: Sequence[LabelFinding], options: _Options, data: Path, training: Data, class_map: ClassMap | None
) -> None:
    from backendcheck.labels import report

    if options.as_json or options.form == "json":
        click.echo(json.dumps(report.document(findings, str(data), class_map, strict=options.strict), indent=1))
    elif options.form == "github":
        print_lines(report.github_commands(findings))
    else:
        printed = [finding for finding in findings if not options.quiet or finding.severity.value != "info"]
        last = report.last_line(findings, str(data), _n_labels(training.y))
        print_lines([*report.lines(printed, today=not options.quiet), last])


def _rule_settings(options: _Options) -> tuple[tuple[str, ...], tuple[str, ...], float | None]:
    """The rules to select, those to ignore, and the imbalance to report, of the options and of pyproject.toml."""
    from backendcheck.config import load_configuration
    from backendcheck.labels.contract.rules import parse_codes

    project = load_configuration(Path.cwd()).labels
    select = parse_codes(options.select, "--select")
    select = select or parse_codes(project.select, "pyproject.toml, [tool.backendcheck.labels] select")
    ignore = parse_codes(project.ignore, "pyproject.toml, [tool.backendcheck.labels] ignore")
    return select, (*ignore, *parse_codes(options.ignore, "--ignore")), options.imbalance or project.imbalance


def _read_model(path: Path | None) -> ModelFile | None:
    if path is None:
        return None
    from backendcheck.model_file import read_model_file

    model = read_model_file(path)
    for note in model.notes:
        click.echo(visible(f"{path}: {note}; this part is not checked"), err=True)
    return model


def _names_of_map(path: Path | None) -> Any:
    """The class names of a class map: a list, or a dict of lists by output."""
    if path is None:
        return None
    from backendcheck.labels import ClassMap

    return ClassMap.read(path).as_json


def _read_split(path: Path, model: ModelFile | None, options: _Options, names: Any, *, split: str) -> Data:
    from backendcheck.data import read_data

    outputs = [head.name for head in model.outputs if head.name] if model is not None else []
    inputs = [declared.name for declared in model.inputs] if model is not None and path.suffix.lower() == ".npz" else []
    data = read_data(
        path, labels=options.labels if split == "training" else None, label_columns=options.label_columns,
        weight_column=options.weight_column, inputs=inputs, outputs=outputs, as_found=True, class_names=names, split=split,
    )  # fmt: skip
    for note in () if options.quiet else data.notes:
        click.echo(visible(f"{path}: {note}"), err=True)
    if data.y is None and path.suffix.lower() == ".npy":
        return replace(data, x=None, y=data.x)
    if data.y is None:
        message = f"{path}: has no labels; expected y beside x."
        raise UsageError(message)
    return data


def _parse_heads(text: str | None) -> Any:
    if text is None or "=" not in text:
        return text if text is None or not text.isdecimal() else int(text)
    pairs = [part.partition("=") for part in text.split(",")]
    return {output.strip(): head.strip() for output, _, head in pairs}


def _class_map(names: Any, training: Data) -> ClassMap | None:
    """The class map of the names; without names, that of text labels, sorted."""
    import numpy as np

    from backendcheck.labels import ClassMap

    if names:
        return ClassMap.of(names)
    by_output = training.y if isinstance(training.y, Mapping) else {"": training.y}
    texts = {output: sorted(set(y.ravel().tolist())) for output, y in by_output.items() if np.asarray(y).dtype.kind == "U"}
    return ClassMap.of(texts) if texts else None


def _write_class_map(class_map: ClassMap | None, path: Path, data: Path, *, failed: bool, quiet: bool) -> None:
    if class_map is None:
        expected = "labels that are text, folders, or --class-names"
        message = f"--write-class-map {path}: no class names in {data}; expected {expected}."
        raise UsageError(message)
    if failed:
        click.echo(visible(f"{path}: not written because of the errors above."), err=True)
        return
    class_map.write(path)
    if not quiet:
        click.echo(visible(f"{path}: written, {class_map.short}"), err=True)


def _n_labels(y: Any) -> int:
    arrays = list(y.values()) if isinstance(y, Mapping) else [y]
    return max((len(array) if array.ndim else 1 for array in arrays), default=0)
