"""`backendcheck merge`: join legs and shards that were recorded elsewhere, check them, compare and report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import (
    baseline_option,
    expect_backends_option,
    history_option,
    known_option,
    overwrite_option,
    strict_known_option,
)
from backendcheck.cli.process import without_garbage_collection
from backendcheck.cli.results import analyze_legs, required_legs, warn_if_known_not_found, write_and_exit
from backendcheck.cli.terminal import OutputOptions, output_options


@click.command(cls=GroupedCommand)
@click.argument("directories", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Directory of the joined legs and the report."
)
@expect_backends_option
@known_option
@strict_known_option
@baseline_option
@history_option
@overwrite_option
@output_options
def merge(
    directories: Sequence[Path], out: Path, expect_backends: str | None, known_files: Sequence[Path],
    strict_known: bool, baseline: Path | None, history: Path | None, overwrite: bool, output: OutputOptions,
) -> None:  # fmt: skip
    """Join recordings from several places, compare, and report. Needs no backend.

    Each DIR contains legs, shards of legs or other parts of legs, at any depth. Parts of one backend are refused (exit code 2) if
    they share a case, or if their versions, settings, options or case files differ. A shard that is missing or did not finish
    leaves its leg incomplete (exit code 3).

    \b
    backendcheck merge artifacts --out reports --expect-backends tensorflow,jax,torch
    """
    from backendcheck.files import locked
    from backendcheck.recordings.legs import read_legs
    from backendcheck.recordings.merge import find_parts, merge_parts, read_parts
    from backendcheck.recordings.merged_legs import check_place, write_legs
    from backendcheck.text.words import counted

    with without_garbage_collection():
        joined = merge_parts(read_parts(find_parts(directories, out)))
        check_place(out, joined, overwrite=overwrite)
        in_use = f"{out}: is being written by another process. Wait for it, or choose another --out."
        click.get_current_context().with_resource(locked(out, in_use))
        for leg in joined if not output.quiet else ():
            parts = counted(len(leg.parts), "part")
            click.echo(f"{leg.environment.backend}: {counted(len(leg.files), 'recording')} from {parts}", err=True)
        legs = read_legs(write_legs(out, joined))
        results = analyze_legs(legs, required_legs(expect_backends), known_files)
        warn_if_known_not_found(results, known_files)
        write_and_exit(results, out, strict_known=strict_known, baseline=baseline, history=history, output=output)
