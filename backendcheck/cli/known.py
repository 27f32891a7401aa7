"""`backendcheck known`: known divergences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backendcheck.cli.completion import case_argument
from backendcheck.cli.grouped_help import Subcommands
from backendcheck.cli.options import known_option, run_option
from backendcheck.cli.results import analyze_legs, recorded_case
from backendcheck.errors import UsageError
from backendcheck.text.close_names import did_you_mean
from backendcheck.text.escape import visible
from backendcheck.text.words import counted

if TYPE_CHECKING:
    from backendcheck.results.known_edit import FileEdits
    from backendcheck.results.results import Results
    from backendcheck.verdicts.known import Cause, Divergence

_FEWEST_WORDS = 3  # of a reason
_BISECT = "reports/bisect"  # where `bisect` writes

dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would change, and write nothing.")


@click.group(cls=Subcommands)
def known() -> None:
    """Known divergences: differences with a known reason, which are expected to occur again."""


@known.command("list")
@known_option
@click.option("--cause", "only", metavar="ID", default="", help="Only this cause, with its explanation.")
def known_list(known_files: Sequence[Path], only: str) -> None:
    """List known divergences by cause, with the cases, the backends that deviate, versions and link of each."""
    entries, causes = _read(known_files)
    if only and only not in causes:
        message = f"--cause {only}: no such cause; expected the ID of a [cause.ID]. {did_you_mean(only, causes)}".rstrip()
        raise UsageError(message)
    by_cause: dict[str, list[Divergence]] = {name: [] for name in causes}
    for entry in entries:
        by_cause.setdefault(entry.cause.id if entry.cause else "", []).append(entry)
    for name, of_cause in by_cause.items():
        if of_cause and (not only or name == only):
            _print_cause(causes.get(name), of_cause, explain=bool(only))
    if not only:
        n_links = sum(any(entry.link for entry in by_cause[name]) for name in causes)
        click.echo(f"{len({entry.key[:2] for entry in entries})} entries, {len(causes)} causes, {n_links} of them with a link")


def _print_cause(cause: Cause | None, entries: Sequence[Divergence], *, explain: bool) -> None:
    click.secho(visible(cause.id if cause else "without a cause"), bold=True)
    if cause is not None:
        click.echo(visible(f"  {cause.title}"))
        for text in filter(None, [cause.explanation if explain else "", cause.versions, cause.link, cause.page]):
            click.echo(visible(f"  {text}"))
    for entry in entries:
        versions = [f"{package} {specifier}" for package, specifier in sorted(entry.versions.items())]
        click.echo(visible(f"    {entry.case}  {'; '.join([', '.join(sorted(entry.backends)), *versions])}"))
        if cause is None:
            click.echo(visible(f"      {f'{entry.reason} {entry.link}'.strip()}"))


@known.command("check")
@known_option
@click.option("--run", "run", type=click.Path(path_type=Path), metavar="DIR",
              help="Compare with this run. Default: compare the patterns with the case files.")  # fmt: skip
@click.option("--require-links", is_flag=True, help="A cause without a link is an error too.")
def known_check(known_files: Sequence[Path], run: Path | None, require_links: bool) -> None:
    """Check known divergences: stale, changed, unmatched, overlapping, expired, misplaced, unused, or without a link.

    What a run no longer shows (stale), or shows differently (changed), is found with --run. Exit code 1 if anything is found,
    except causes without a link.
    """
    import datetime
    import sys

    from backendcheck.results.known_check import check_known

    results = _results(run, known_files) if run is not None else None
    entries, causes = _read(known_files, results)
    functions = [] if results is not None else _case_functions()
    today = datetime.datetime.now(datetime.UTC).date()
    problems = check_known(entries, causes, today=today, results=results, functions=functions)
    for problem in problems:
        click.echo(visible(str(problem)))
    n_errors = sum(problem.code.is_error or require_links for problem in problems)
    n_notes = len(problems) - n_errors
    click.echo(f"{counted(len(entries), 'pattern')} of cases checked: {counted(n_errors, 'error')}, {counted(n_notes, 'note')}")
    sys.exit(1 if n_errors else 0)


@known.command("prune")
@known_option
@run_option()
@dry_run_option
def known_prune(known_files: Sequence[Path], run: Path, dry_run: bool) -> None:
    """Remove entries that a run shows to be stale: nothing diverges, no case matches, or they have expired.

    The rest of each file stays as it is, byte for byte. A divergence that older versions still have needs a version range
    instead: use `known refresh`.
    """
    from backendcheck.results.known_refresh import prune

    results = _results(run, known_files)
    entries, causes = _read(known_files, results)
    _finish(prune(entries, causes, results), dry_run=dry_run)


@known.command("refresh")
@known_option
@run_option()
@click.option("--package", type=click.Choice(["keras", "tensorflow", "jax", "torch"]), default="keras", show_default=True,
              help="The package whose version has made the difference.")  # fmt: skip
@click.option("--add-outcomes", is_flag=True, help="Add an outcome to entries without one.")
@dry_run_option
def known_refresh(known_files: Sequence[Path], run: Path, package: str, add_outcomes: bool, dry_run: bool) -> None:
    """Update version ranges and outcomes to those of a run.

    A divergence that is gone ends before the version of the run. One that the run shows in an earlier version than its entry
    names begins there. Outcomes become those of the run.
    """
    from backendcheck.results.known_refresh import refresh

    results = _results(run, known_files)
    entries, _ = _read(known_files, results)
    _finish(refresh(entries, results, package=package, add_outcomes=add_outcomes), dry_run=dry_run)


@known.command("add")
@case_argument
@click.option("--reason", default="", metavar="TEXT", help="What happens and why: a sentence that is clear without the case.")
@click.option("--cause", default="", metavar="ID", help="The cause, defined as [cause.ID]; instead of a reason, or with one.")
@click.option("--link", default="", metavar="URL", help="The issue about it.")
@click.option("--expires", default="", metavar="DATE", help="When to look again, such as 2027-06-30.")
@click.option("--file", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Default: the file in use (in a folder, that of the case file), or known_divergences.toml next to the case.",
              )  # fmt: skip
@click.option("--bisect", "bisected", type=click.Path(path_type=Path, file_okay=False), is_flag=False, flag_value=_BISECT,
              metavar="[DIR]",
              help=f"Write since when, and a link, from a bisect of CASE. Its --out: {_BISECT} unless named.")  # fmt: skip
@run_option("--out")
def known_add(
    case: str, reason: str, cause: str, link: str, expires: str, file: Path | None, bisected: Path | None, run: Path
) -> None:  # fmt: skip
    """Write the entry for what a run has shown of CASE, and leave the rest of the file as it is.

    With --bisect the entry begins in the release that `backendcheck bisect CASE` has found. A cause that is named gets that
    release as `since` and the link, unless it has them; without a cause, the entry gets the link.

    \b
    backendcheck known add labels/one_hot --reason "JAX drops the label silently, the others raise."
    """
    from backendcheck.config import load_configuration
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.results.known_add import add, date_cause, entries_for
    from backendcheck.verdicts.known_entries import load_causes
    from backendcheck.verdicts.known_files import file_for, known_place
    from backendcheck.versions.found import read_found

    if not reason.strip() and not cause:
        message = "known add: expected --reason TEXT, or --cause ID of a cause that is defined. Say why it diverges."
        raise UsageError(message)
    if reason and len(reason.split()) < _FEWEST_WORDS:
        message = f"--reason {reason!r}: says too little; expected a sentence that tells a reader why the backends diverge."
        raise UsageError(message)
    paths = find_legs([run])
    case = recorded_case(case, paths, run)
    legs = read_legs(paths, only=case)
    result = analyze_legs(legs, None, ()).result(case)
    if result is None:
        message = f"{case}: has no readable recording in {run}. Record it again."
        raise UsageError(message)
    if expires:
        _check_date(expires)
    versions = sorted(version for leg in legs if (version := leg.environment.versions.get("keras")))
    since = {"keras": ".".join(versions[0].split(".")[:2])} if versions else {}
    found = read_found(bisected, result) if bisected else None
    if found:
        _check_package(found.package)
        since[found.package] = found.release
        link = link or ("" if cause else found.link)
    entries = entries_for(result, reason=reason, cause=cause, since=since, link=link, expires=expires)
    place = file or known_place(legs, load_configuration(Path.cwd()).known)
    path = file_for(place, case)
    add(path, entries, place=place)
    click.echo(f"{path}: {len(entries)} {'entry' if len(entries) == 1 else 'entries'} added.")
    if found and cause:
        edits = date_cause(load_causes(place)[cause], found.since, found.link)
        edits.write()
        for message in edits.messages:
            click.echo(visible(message))


def _check_package(package: str) -> None:
    from backendcheck.verdicts.known_entries import PACKAGES

    if package not in PACKAGES:
        message = f"--bisect: entries have no versions of {package}; expected a bisect of {', '.join(PACKAGES)}."
        raise UsageError(message)


def _check_date(text: str) -> None:
    import datetime

    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        message = f"--expires {text}: invalid date; expected one such as 2027-06-30."
        raise UsageError(message) from None


def _results(run: Path, known_files: Sequence[Path]) -> Results:
    from backendcheck.recordings.legs import find_legs, read_legs

    return analyze_legs(read_legs(find_legs([run])), None, known_files)


def _case_paths() -> list[str]:
    from backendcheck.case_files import builtin_cases
    from backendcheck.config import load_configuration

    return [*load_configuration(Path.cwd()).paths] or [str(builtin_cases())]


def _case_functions() -> list[str]:
    from backendcheck.case_files import case_functions, find_case_files

    return [function.id for file in find_case_files(_case_paths()) for function in case_functions(file)]


def _read(known_files: Sequence[Path], results: Results | None = None) -> tuple[list[Divergence], dict[str, Cause]]:
    """The entries of these files, of those in force for a run, or of those in force for the project's cases; and their causes."""
    from backendcheck.config import load_configuration
    from backendcheck.verdicts.known_entries import load, load_causes
    from backendcheck.verdicts.known_files import find_known, find_known_of_paths

    configured = load_configuration(Path.cwd()).known
    if known_files:
        places = list(known_files)
    elif results is not None:
        places = find_known(results.legs, configured)
    else:
        places = find_known_of_paths(_case_paths(), configured)
    if not places:
        message = "known divergences not found beside the cases or in pyproject.toml. Name a file or folder: --known PATH"
        raise UsageError(message)
    causes: dict[str, Cause] = {}
    for place in places:
        causes |= load_causes(place)
    return [entry for place in places for entry in load(place)], causes


def _finish(edits: FileEdits, *, dry_run: bool) -> None:
    edits.texts()
    for message in edits.messages:
        click.echo(visible(message))
    if not dry_run:
        edits.write()
    n_files = len(edits.edits)
    click.echo(f"{n_files} {'file' if n_files == 1 else 'files'} {'would change' if dry_run else 'changed'}")
