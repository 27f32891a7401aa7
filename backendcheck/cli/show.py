"""`backendcheck show`: one case in full."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from backendcheck.cli.options import LATEST, known_option
from backendcheck.cli.output import analysed, print_lines, terminal_width, usage_error


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
    from backendcheck.leg import find_legs, known_cases, read_legs
    from backendcheck.node_id import case_id
    from backendcheck.report import text

    paths = find_legs([out])
    case = case_id(case) if "::" in case else case
    cases = known_cases(paths)
    if case not in cases:
        import difflib

        close = difflib.get_close_matches(case, cases, n=3, cutoff=0.4) or cases[:3]
        message = f"{case}: no such case in {out}; expected one of its {len(cases)}, such as {', '.join(close)}."
        raise usage_error(message)
    results = analysed(read_legs(paths, only=case), None, known_files)
    result = results.result(case)
    if result is not None:
        print_lines(text.case(result, results, width=terminal_width(), verbose=verbose))
    sys.exit(0)
