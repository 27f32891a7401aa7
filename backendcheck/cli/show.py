"""`backendcheck show`: one case in full."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from backendcheck.cli.manner import Manner, manner_options, print_lines
from backendcheck.cli.options import LATEST, known_option
from backendcheck.cli.output import analysed, known_case, place_of, terminal_width


@click.command()
@click.argument("case")
@click.option(
    "--out", type=click.Path(path_type=Path), default=LATEST, show_default=True, metavar="DIR", help="A directory with legs."
)
@known_option
@manner_options
def show(case: str, out: Path, known_files: Sequence[Path], manner: Manner) -> None:
    """Print one case in full: verdict, findings, values on every backend.

    CASE is a case id as reports name it, or a pytest node id. --json prints its entry of report.json, --quiet what a run prints
    of it, --verbose the comparisons that passed, too.

    \b
    backendcheck show label_range/one_past_the_last_class
    """
    from backendcheck.leg import find_legs, read_legs
    from backendcheck.report import json_report, text
    from backendcheck.report.view import FAILING

    paths = find_legs([out])
    case = known_case(case, paths, out)
    results = analysed(read_legs(paths, only=case), None, known_files)
    result = results.result(case)
    if result is None:
        pass
    elif manner.as_json:
        print_lines([json_report.entry(result, results)])
    elif manner.quiet:
        in_short = text.failing(result, terminal_width(), place_of(results.legs))
        print_lines(in_short if result.verdict in FAILING else [text.first_line(result)])
    else:
        print_lines(text.case(result, results, width=terminal_width(), verbose=manner.verbose))
    sys.exit(0)
