"""`backendcheck migrate`: go or no go for moving a saved model to another backend."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import device_option, fresh_option, overwrite_option, plugins_option, timeout_option
from backendcheck.cli.process import end_on_signals
from backendcheck.cli.recording import record_legs, take_directory, with_backend
from backendcheck.cli.results import terminal_width
from backendcheck.cli.saved_model import SavedModelOptions, saved_model_options, write_saved_model_case
from backendcheck.cli.terminal import OutputOptions, output_options, print_lines
from backendcheck.migrate import EPOCHS

if TYPE_CHECKING:
    from backendcheck.migrate.decision import Migration
    from backendcheck.vocabulary.leg_names import LegName


@click.command(cls=GroupedCommand)
@saved_model_options
@click.option("--epochs", type=click.IntRange(1), default=EPOCHS, show_default=True, metavar="N", help="Epochs of training.")
@click.option("--from", "source_leg", required=True, metavar="LEG", help="The backend that the model runs on now.")
@click.option("--to", "target_leg", required=True, metavar="LEG", help="The backend that it is to run on.")
@click.option("--source", "source_paths", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
              help="Your source file or folder to search. Default: the modules named by --import, --loss and MODEL.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Default: reports/migrate/<name of the model>.")
@timeout_option
@device_option
@plugins_option
@fresh_option
@overwrite_option
@output_options
def migrate(
    saved: SavedModelOptions, epochs: int, source_leg: str, target_leg: str, source_paths: Sequence[Path], out: Path | None,
    output: OutputOptions, **options: Any,
) -> None:  # fmt: skip
    """Tell whether a saved model moves to another backend: go or no go.

    The old backend counts as right. On the new one the model is loaded. It has to predict the same, and to train the same for
    some epochs. Your source is searched for code that works on one backend only. A line decides only if the new backend raised
    in it, or if it takes outputs by position that come in another order there.

    Exit code 0 go, 1 no go, 3 no decision.

    \b
    backendcheck migrate classifier.keras --data validation.npz --from tensorflow --to jax
    backendcheck migrate classifier.keras --data photos/ --import my_package.layers --from tensorflow --to torch
    """
    from backendcheck.config import load_configuration
    from backendcheck.migrate.decision import Migration
    from backendcheck.migrate.source_scan import module_files, python_files, scan
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.recordings.store import CACHE
    from backendcheck.results.results import analyze
    from backendcheck.sessions.leg_packages import install_packages
    from backendcheck.sessions.request import RecordingRequest
    from backendcheck.vocabulary.backends import check_some_installed

    end_on_signals()
    legs = _two_legs(source_leg, target_leg)
    modules = [*saved.imports, *(text.partition(":")[0] for text in (saved.model, saved.loss or "") if _is_dotted(text))]
    files = python_files(source_paths) if source_paths else module_files(modules)
    source_findings = scan(files, str(legs[1].backend))
    directory = out or Path("reports/migrate") / saved.stem
    case = write_saved_model_case(saved, directory, epochs=epochs, command="migrate", quiet=output.quiet)
    requests = [
        RecordingRequest(backend=leg, out=directory, paths=[str(case.file)], store=Path.cwd() / CACHE, **options) for leg in legs
    ]
    check_some_installed([leg.backend for leg in legs if not leg.missing_modules()])
    for leg in legs:
        install_packages(leg)
    take_directory(directory, requests, may_move=False)
    progress = functools.partial(progress_of, quiet=output.quiet)
    recorded = record_legs(with_backend(requests), progress, earlier_runs=[directory], quiet=output.quiet)
    results = analyze(
        read_legs(find_legs(recorded)) if recorded else [], expected=[leg.value for leg in legs],
        overrides=load_configuration(Path.cwd()).tolerances,
    )  # fmt: skip
    _write_and_exit(
        Migration(
            model=case.title, source=legs[0].value, target=legs[1].value, results=results, label_findings=case.label_findings,
            source_findings=source_findings, scanned=[str(file) for file in files],
        ),
        directory, output,
    )  # fmt: skip


def _two_legs(source: str, target: str) -> tuple[LegName, LegName]:
    from backendcheck.config import load_configuration, selected_legs
    from backendcheck.vocabulary.leg_names import parse_leg

    configuration = load_configuration(Path.cwd())
    (before,), (after,) = (selected_legs(parse_leg(name).value, configuration) for name in (source, target))
    legs = before, after
    if legs[0].value == legs[1].value:
        message = f"--from {source} --to {target}: the same leg twice; expected two."
        raise click.UsageError(message)
    return legs


def _is_dotted(text: str) -> bool:
    """Whether it is ``package.module:name``, not a file whose name has a colon."""
    module, colon, name = text.partition(":")
    return bool(colon) and name.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _write_and_exit(migration: Migration, directory: Path, output: OutputOptions) -> None:
    from backendcheck.migrate.page import NAME, write_pages
    from backendcheck.migrate.text import exit_sentence, migration_lines

    content = write_pages(migration, directory)
    if output.as_json:
        click.echo(content)
    else:
        print_lines(migration_lines(migration, terminal_width(), verbose=output.verbose, quiet=output.quiet))
        if not output.quiet:
            click.echo(f"report: {directory / NAME}")
        click.echo(exit_sentence(migration))
    sys.exit(migration.exit_code)
