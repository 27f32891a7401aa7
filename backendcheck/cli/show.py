"""`backendcheck show`: one case in full."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from backendcheck.cli.options import LATEST, known_option
from backendcheck.cli.output import analysed, known_case, print_lines, terminal_width


@click.command()
@click.argument("case")
@click.option(
    "--out", type=click.Path(path_type=Path), default=LATEST, show_default=True, metavar="DIR", help="A directory with legs."
)
@click.option("-v", "--verbose", is_flag=True, help="The comparisons that passed, too.")
@known_option
def show(case: str, out: Path, verbose: bool, known_files: Sequence[Path]) -> None:
    """Print one case in full: verdict, findings, values on every backend.

    CASE is a case id as reports name it, or a pytest node id.

    \b
    backendcheck show label_range/one_past_the_last_class
    """
    from backendcheck.leg import find_legs, read_legs
    from backendcheck.report import text

    paths = find_legs([out])
    case = known_case(case, paths, out)
    results = analysed(read_legs(paths, only=case), None, known_files)
    result = results.result(case)
    if result is not None:
        print_lines(text.case(result, results, width=terminal_width(), verbose=verbose))
    sys.exit(0)
