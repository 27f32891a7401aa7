"""Results in commands: analyze the legs, write the reports, print, exit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from backendcheck.cli.terminal import OutputOptions, print_lines, while_read
from backendcheck.errors import BackendcheckError, OutputInTheWay, UsageError
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.recordings.legs import Leg
    from backendcheck.report.kept import Frames
    from backendcheck.report.views.moment import Moment
    from backendcheck.results.results import Results
    from backendcheck.vocabulary.shards import Shard


def required_legs(option: str | None) -> list[str] | None:
    """The legs that must be present, from the option or from pyproject.toml."""
    from backendcheck.config import load_configuration
    from backendcheck.vocabulary.leg_names import parse_legs

    names = option or ",".join(load_configuration(Path.cwd()).backends)
    return [leg.value for leg in parse_legs(names)] if names else None


def analyze_legs(
    legs: Sequence[Leg], expected: Sequence[str] | None, known_files: Sequence[Path], *, shard: Shard | None = None
) -> Results:
    from backendcheck.config import load_configuration
    from backendcheck.results.results import analyze
    from backendcheck.verdicts.known_files import known_in_force

    configuration = load_configuration(Path.cwd())
    known = known_in_force(legs, configuration.known, known_files)
    return analyze(
        legs, expected=expected, expected_cases=configuration.cases, known=known, overrides=configuration.tolerances, shard=shard,
    )  # fmt: skip


def warn_if_known_not_found(results: Results, known_files: Sequence[Path]) -> None:
    """Warn where case files are missing: known divergences next to them cannot be found either."""
    from backendcheck.case_files import BUILT_IN, split_node_id
    from backendcheck.config import load_configuration
    from backendcheck.verdicts.known_files import find_known

    legs = results.legs
    if not results.counts["FAILED"] or known_files or find_known(legs, load_configuration(Path.cwd()).known):
        return
    paths = dict.fromkeys(path for leg in legs for path in leg.environment.selection.paths if path != BUILT_IN)
    if missing := [path for path in paths if not split_node_id(path)[0].exists()]:
        message = (
            f"{', '.join(missing)}: case files not found, so no known_divergences.toml next to them was read. "
            "Pass it with --known FILE."
        )
        click.echo(message, err=True)


def recorded_case(case: str, legs: Sequence[Path], run: Path) -> str:
    """The id of a recorded case, from its id or its pytest node id.

    Raises:
        UsageError: if the legs in `run` do not have the case; the message suggests similar ones.
    """
    from backendcheck.recordings.legs import known_cases
    from backendcheck.vocabulary.case_ids import case_id

    case = case_id(case) if "::" in case else case
    cases = known_cases(legs)
    if case not in cases:
        from backendcheck.text.close_names import did_you_mean
        from backendcheck.text.words import counted

        if not cases:
            message = f"{case}: no such case in {run}; that run has no case. Record cases with 'backendcheck run'."
            raise UsageError(message)
        close = did_you_mean(case, cases, f"They are such as {', '.join(cases[:3])}.")
        message = f"{case}: no such case in {run}; expected one of its {counted(len(cases), 'case')}. {close}"
        raise UsageError(message)
    return case


def check_report_directory(out: Path, legs: Sequence[Leg], *, overwrite: bool) -> None:
    """Refuse to put a report next to legs that it does not cover."""
    from backendcheck.errors import OutputInTheWay
    from backendcheck.recordings.earlier_report import runs_in
    from backendcheck.recordings.files import read_environment
    from backendcheck.recordings.leg_directory import describe
    from backendcheck.recordings.legs import find_legs

    compared = {leg.path.resolve() for leg in legs}
    try:
        existing = find_legs([out]) if out.is_dir() else []
    except BackendcheckError:
        existing = []
    unrelated = [leg for leg in existing if leg.resolve() not in compared]
    remedy = "Choose another --out, or use --overwrite."
    if unrelated and not overwrite:
        message = f"{unrelated[0]}: holds a leg that is not compared here: {describe(read_environment(unrelated[0]))}. {remedy}"
        raise OutputInTheWay(message)
    runs = {leg.environment.run for leg in legs}
    if not overwrite and (earlier := runs_in(out)) is not None and earlier != runs and not existing:
        message = f"{out}: holds the report of another run. {remedy}"
        raise OutputInTheWay(message)


def completed(
    results: Results, out: Path, *, strict_known: bool, baseline: Path | None = None, history: Path | None = None,
    quiet: bool = False,
) -> Results:  # fmt: skip
    """The results with all that a report shows besides: the baseline, earlier runs, and what lies beside the run."""
    from dataclasses import replace

    from backendcheck.recordings.kept_layers import find_layers
    from backendcheck.recordings.scripts import find_scripts
    from backendcheck.results.changes import read_baseline

    results = replace(results, strict_known=strict_known)
    if baseline is not None:
        results = results.compared_with(read_baseline(baseline))
    if history is not None:
        results = results.with_history(history)
        if results.history is not None and results.history.ignored and not quiet:
            click.echo(f"history: {visible(results.history.ignored)}", err=True)
    places = [out, *(leg.path.parent for leg in results.legs)]
    return results.with_scripts(find_scripts(places, results.legs)).with_layers(find_layers(places, results.legs))


def write_and_exit(
    results: Results, out: Path, *, strict_known: bool, baseline: Path | None = None, history: Path | None = None,
    output: OutputOptions | None = None, keep: Callable[[Results, Frames], None] | None = None,
) -> NoReturn:  # fmt: skip
    """Write the reports, print the summary, and exit with the exit code of the run. `keep` gets what was shown."""
    import os
    from dataclasses import replace

    from backendcheck.report import frames_of
    from backendcheck.report.formats import github, text
    from backendcheck.report.kept import Frames
    from backendcheck.report.views.moment import Moment

    output = output or OutputOptions()
    results = completed(results, out, strict_known=strict_known, baseline=baseline, history=history)
    place, width = directory_of([leg.path for leg in results.legs]), terminal_width()
    summary = [] if output.as_json else text.summary_frame(
        results, width=width, verbose=output.verbose, quiet=output.quiet, run=place
    )  # fmt: skip
    frames = Frames(
        files=frames_of(results),
        summary=list(summary),
        last_line=list(text.last_line(results, width=width)),
        annotations=[] if os.environ.get("GITHUB_ACTIONS") != "true" else list(github.annotation_commands(results)),
        exit_code=results.exit_code,
    )
    files = dict(frames.files)
    if keep is None:
        frames = replace(frames, files={})
    exit_code = show(frames, files, Moment.of(results), out, output)
    if keep is not None:
        keep(results, frames)
    sys.exit(exit_code)


def show(frames: Frames, files: dict[str, str], moment: Moment, out: Path, output: OutputOptions) -> int:
    """Write the reports of a run and print its summary; returns the exit code. `files` has their frames, and is used up."""
    import os

    from backendcheck.report import filled_files, write_files
    from backendcheck.report.formats.moment import in_text

    texts = filled_files(files, moment)
    unwritten = []
    try:
        write_files(texts, out)
    except OutputInTheWay as error:  # the verdict is printed all the same
        unwritten += str(error).splitlines()
    if job_summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            # A pipe that has no reader would otherwise be waited for.
            handle = os.open(job_summary, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666)
            with os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(texts["summary.md"])
        except OSError as error:
            message = f"GITHUB_STEP_SUMMARY {job_summary}: cannot be written ({error.strerror or error}). The verdict is below."
            click.echo(visible(message), err=True)
    with while_read():
        if output.as_json:
            click.echo(texts["report.json"], nl=False)
        else:
            print_lines(in_text(frames.summary, moment, terminal_width()))
        for line in frames.annotations:
            click.echo(line, err=output.as_json)
        if not output.quiet and not unwritten:
            click.echo(f"report: {out / 'index.html'}", err=output.as_json)
        if not (output.as_json and output.quiet):
            for line in frames.last_line:
                click.echo(line, err=output.as_json)
    for line in unwritten:
        click.echo(f"backendcheck: {visible(line)}", err=True)
    return frames.exit_code or (2 if unwritten else 0)


def directory_of(legs: Sequence[Path]) -> str:
    """The directory to pass as --run for the legs at these paths; empty if it is the default, or if they are in several."""
    from backendcheck.cli.options import LATEST

    directories = {leg.parent for leg in legs}
    if len(directories) != 1 or (directory := directories.pop()).resolve() == LATEST.resolve():
        return ""
    return str(directory)


def terminal_width() -> int | None:
    """The width of the terminal; None without a terminal, so that lines of a log stay whole."""
    import shutil

    return max(80, shutil.get_terminal_size((100, 24)).columns) if sys.stdout.isatty() else None
