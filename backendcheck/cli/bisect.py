"""`backendcheck bisect`: the first version with a finding, or without it."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.completion import case_argument
from backendcheck.cli.farm_options import check_legs, farm_options, take_farm
from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import backends_option, device_option, plugins_option, timeout_option
from backendcheck.cli.process import end_on_signals
from backendcheck.cli.recording import record_legs, take_directory
from backendcheck.cli.terminal import OutputOptions, output_options
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.farm.recording import Farm
    from backendcheck.versions.bisect import Bisection, Outcome
    from backendcheck.versions.tried import Tried
    from backendcheck.vocabulary.leg_names import LegName

_OUT = Path("reports/bisect")


@click.command(cls=GroupedCommand)
@case_argument
@click.option("--package", default="keras", show_default=True, metavar="NAME", help="The package whose versions are tried.")
@click.option("--good", metavar="VERSION", help="The first version to try. Default: the oldest in the list.")
@click.option("--bad", metavar="VERSION", help="The last version to try. Default: the newest in the list.")
@click.option("--git", "checkout", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR",
              help="Try commits of a git repository of Keras. --good and --bad are commits, branches or tags.")  # fmt: skip
@click.option("--versions", metavar="LIST", help="Versions, with commas. Default: the releases on the package index.")
@backends_option
@click.option("--out", type=click.Path(path_type=Path), default=_OUT, show_default=True, metavar="DIR",
              help="Recordings and bisect.json.")  # fmt: skip
@timeout_option
@device_option
@plugins_option
@farm_options
@output_options
def bisect(
    case: str, package: str, good: str | None, bad: str | None, versions: str | None, checkout: Path | None, backends: str | None,
    out: Path, output: OutputOptions, **options: Any,
) -> None:  # fmt: skip
    """Find the first version of Keras in which a finding of a case appears, or disappears.

    CASE is a case id, or FILE.py::case_name. It is recorded and judged in the two versions at the ends, then in the middle of
    what is left. --git tries commits of Keras, --package versions of jax, torch, tensorflow or numpy. A version that cannot be
    installed, or does not work with the installed backends, is skipped. Recordings are kept. Exit code 0 when the version is
    found, 2 when the ends do not differ or cannot be judged.

    \b
    backendcheck bisect tests/cases/mine.py::case_loss --good 3.12.0 --backends jax
    backendcheck bisect tests/cases/mine.py::case_loss --git ../keras --good v3.14.0 --bad v3.15.0
    """
    from backendcheck.config import load_configuration, selected_legs
    from backendcheck.recordings.store import CACHE
    from backendcheck.sessions.request import RecordingRequest
    from backendcheck.versions.bisect import bisect as find_first
    from backendcheck.versions.requirements import check_package, legs_that_use
    from backendcheck.vocabulary.case_ids import case_id

    end_on_signals()
    farm = take_farm(options, git=checkout)
    check_package(package, "--package")
    configuration = load_configuration(Path.cwd())
    selected = selected_legs(backends, configuration)
    selected = legs_that_use(selected, package, are_named=bool(backends))
    check_legs(farm, selected)
    node = _node_id(case, configuration.paths)
    tried = _commits(package, checkout, versions, good, bad) if checkout else _releases(package, versions, good, bad)
    new = functools.partial(RecordingRequest, paths=[node], store=Path.cwd() / CACHE, overwrite=True, **options)

    def judge(version: str) -> Outcome:
        outcome = _judged(case_id(node), tried, version, selected, functools.partial(new, out=out / version), farm)
        if not output.quiet:
            click.echo(visible(f"{tried.called(version)}: {outcome.problem or outcome.headline or 'no finding'}"), err=True)
        return outcome

    _write(case_id(node), tried, find_first(tried.versions, judge), out, output)


def _node_id(case: str, configured: Sequence[str]) -> str:
    from backendcheck.case_files import find_case_files
    from backendcheck.errors import UsageError
    from backendcheck.versions.repeats import node_ids

    if "::" in case:
        find_case_files([case])
        return case
    nodes = list(node_ids([case], configured))
    if len(nodes) != 1:
        where = "the paths of pyproject.toml" if configured else "the built-in cases"
        message = f"{case}: {'several cases' if nodes else 'no case'} with this id in {where}. Pass FILE.py::case_name."
        raise UsageError(message)
    return nodes[0]


def _releases(package: str, versions: str | None, good: str | None, bad: str | None) -> Tried:
    """The releases to try, from the good one to the bad one."""
    from packaging.version import Version

    from backendcheck.errors import UsageError
    from backendcheck.versions.releases import OLDEST_KERAS, in_order, origin_of_release, releases_of
    from backendcheck.versions.tried import Tried
    from backendcheck.vocabulary.leg_names import PackageVersion

    listed = in_order(versions.split(","), "--versions") if versions else releases_of(package)
    ends = {option: in_order([text], option)[0] for option, text in (("--good", good), ("--bad", bad)) if text}
    listed = in_order([*listed, *ends.values()], "--versions")
    oldest = listed[0] if versions else OLDEST_KERAS if package == "keras" else ""
    if not (oldest or good):
        message = f"--package {package}: expected --good VERSION, the oldest version that works with the installed Keras."
        raise UsageError(message)
    low, high = Version(ends.get("--good", oldest)), Version(ends.get("--bad", listed[-1]))
    tried = [version for version in listed if low <= Version(version) <= high]
    if len(tried) < 2:  # noqa: PLR2004 - two ends
        message = f"{package}: {len(tried)} versions from {low} to {high}; expected --good before --bad, and two at least."
        raise UsageError(message)
    return Tried(
        package=package, versions=tuple(tried), as_package=functools.partial(PackageVersion, package),
        origin=functools.partial(origin_of_release, package),
    )  # fmt: skip


def _commits(package: str, checkout: Path, versions: str | None, good: str | None, bad: str | None) -> Tried:
    """The commits to try, from the good one to the bad one."""
    from backendcheck.errors import UsageError
    from backendcheck.versions.commits import commits_between, origin_of_commit
    from backendcheck.versions.tried import Tried
    from backendcheck.vocabulary.leg_names import PackageVersion

    if package != "keras" or versions or not good:
        given = f"--package {package}" if package != "keras" else "--versions" if versions else "no --good"
        message = f"--git {checkout}: {given}; expected commits of keras, with --good COMMIT, and --bad COMMIT unless it is HEAD."
        raise UsageError(message)
    return Tried(
        package=package, versions=tuple(commits_between(checkout, good, bad or "HEAD")), checkout=checkout,
        as_package=functools.partial(PackageVersion.of_commit, package), origin=functools.partial(origin_of_commit, checkout),
    )  # fmt: skip


def _judged(case: str, tried: Tried, version: str, selected: Sequence[LegName], new: Any, farm: Farm | None) -> Outcome:
    """Record and judge the case in one version."""
    from backendcheck.config import load_configuration
    from backendcheck.errors import UsageError
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.results.results import analyze
    from backendcheck.sessions.leg_packages import export_commit, install_packages
    from backendcheck.versions.bisect import Outcome, outcome_of
    from backendcheck.versions.requirements import leg_with

    legs = [leg_with(leg, tried.as_package(version)) for leg in selected]
    missing = [module for leg in legs for module in leg.missing_modules()] if farm is None else []
    if missing:
        message = f"{' and '.join(dict.fromkeys(missing))}: not installed here. Install it, or choose other --backends."
        raise UsageError(message)
    try:
        if tried.checkout:
            export_commit(tried.checkout, tried.as_package(version))
        for leg in legs if farm is None else ():  # otherwise the workers do that
            install_packages(leg)
    except UsageError as error:
        return Outcome(problem=str(error))
    requests = [new(backend=leg) for leg in legs]
    take_directory(requests[0].out, requests, may_move=False)
    recorded = record_legs(requests, functools.partial(progress_of, quiet=True), earlier_runs=[], quiet=True, farm=farm)
    read = read_legs(find_legs(recorded)) if recorded else []
    results = analyze(read, expected=[leg.value for leg in legs], overrides=load_configuration(Path.cwd()).tolerances)
    return outcome_of(results.result(case), [str(problem) for problem in results.problems])


def _write(case: str, tried: Tried, found: Bisection, out: Path, output: OutputOptions) -> None:
    from backendcheck.files import write_atomically
    from backendcheck.versions.found import FOUND

    origin = tried.origin(found.first)
    undecided = found.undecided(tried.versions)
    known = {name: value or None for name, value in asdict(origin).items()}
    found_json = {"schema": 1, "case": case, "package": tried.package, **asdict(found), "undecided": undecided, **known}
    write_atomically(out / FOUND, f"{json.dumps(found_json, indent=1)}\n".encode())
    if output.as_json:
        click.echo(json.dumps(found_json, indent=1))
        return
    oracle, left, right, observation, kind = found.target
    click.echo(visible(f"{case}: {observation} ({kind}, {oracle}) of {left} and {right}"))
    click.echo(visible(f"  {found.message}"))
    word = "appears" if found.appears else "disappears"
    first = f"{tried.called(found.first)}{f' of {origin.date}' if origin.date else ''}"
    click.echo(visible(f"{word} in {first}; {tried.called(found.last)} is the last one before"))
    released = f"first released in {tried.package} {origin.release}" if tried.checkout and origin.release else ""
    for line in filter(None, (origin.subject, origin.link, released)):
        click.echo(visible(f"  {line}"))
    for version in undecided:
        click.echo(visible(f"  or in {version}, which was skipped: {found.skipped[version]}"))
    what = "commits" if tried.checkout else "versions"
    click.echo(f"{len(found.outcomes)} of {len(tried.versions)} {what} judged, {len(found.skipped)} skipped")
