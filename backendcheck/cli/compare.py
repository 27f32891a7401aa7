"""`backendcheck compare`: compare recordings and report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import (
    LATEST,
    baseline_option,
    expect_backends_option,
    history_option,
    known_option,
    overwrite_option,
    strict_known_option,
)
from backendcheck.cli.process import without_garbage_collection
from backendcheck.cli.results import analyze_legs, check_report_directory, required_legs, warn_if_known_not_found, write_and_exit
from backendcheck.cli.terminal import OutputOptions, output_options


@click.command(cls=GroupedCommand)
@click.argument("directories", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR",
    help="Directory of the report. Default: DIR if only one is given, else reports/latest.",
)  # fmt: skip
@expect_backends_option
@known_option
@strict_known_option
@baseline_option
@history_option
@overwrite_option
@output_options
def compare(
    directories: Sequence[Path], out: Path | None, expect_backends: str | None, known_files: Sequence[Path],
    strict_known: bool, baseline: Path | None, history: Path | None, overwrite: bool, output: OutputOptions,
) -> None:  # fmt: skip
    """Compare recordings and write the report. Needs no backend.

    Each DIR is a leg (the recordings of one backend) or contains legs. A backend that occurs twice is compared with itself.

    \b
    backendcheck compare reports --expect-backends tensorflow,jax,torch
    backendcheck compare monday/jax tuesday/jax --out reports/a-a
    """
    from backendcheck.recordings.legs import find_legs, read_legs

    with without_garbage_collection():
        legs = read_legs(find_legs(directories))
        out = out or (directories[0] if len(directories) == 1 else LATEST)
        check_report_directory(out, legs, overwrite=overwrite)
        results = analyze_legs(legs, required_legs(expect_backends), known_files)
        warn_if_known_not_found(results, known_files)
        write_and_exit(results, out, strict_known=strict_known, baseline=baseline, history=history, output=output)
