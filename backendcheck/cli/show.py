"""`backendcheck show`: one case in full."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from backendcheck.cli.completion import case_argument
from backendcheck.cli.options import known_option, run_option
from backendcheck.cli.results import analyze_legs, directory_of, recorded_case, terminal_width
from backendcheck.cli.terminal import OutputOptions, output_options, print_lines


@click.command()
@case_argument
@run_option("--out")
@known_option
@output_options
def show(case: str, run: Path, known_files: Sequence[Path], output: OutputOptions) -> None:
    """Print one case in full: verdict, findings, values on every backend.

    CASE is a case id as in the report, or a pytest node id. --json prints the entry in report.json. --quiet prints the summary
    that 'run' prints. --verbose adds the comparisons that passed.

    \b
    backendcheck show label_range/one_past_the_last_class
    """
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.report.formats import json as json_report
    from backendcheck.report.formats import text
    from backendcheck.report.views.case import FAILING

    paths = find_legs([run])
    case = recorded_case(case, paths, run)
    results = analyze_legs(read_legs(paths, only=case), None, known_files)
    result = results.result(case)
    if result is None:
        pass
    elif output.as_json:
        print_lines([json_report.entry(result, results)])
    elif output.quiet:
        in_short = text.failing(result, terminal_width(), directory_of(paths))
        print_lines(in_short if result.verdict in FAILING else [text.verdict_line(result)])
    else:
        print_lines(text.case(result, results, width=terminal_width(), verbose=output.verbose))
    sys.exit(0)
