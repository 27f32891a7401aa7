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
from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import backends_option, device_option, plugins_option, timeout_option
from backendcheck.cli.process import end_on_signals
from backendcheck.cli.recording import record_legs, take_directory
from backendcheck.cli.terminal import OutputOptions, output_options
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.versions.bisect import Bisection, Outcome
    from backendcheck.vocabulary.leg_names import LegName

_OUT = Path("reports/bisect")
_OLDEST = "3.4"  # the first version of Keras that backendcheck supports


@click.command(cls=GroupedCommand)
@case_argument
@click.option("--package", default="keras", show_default=True, metavar="NAME", help="The package whose versions are tried.")
@click.option("--good", metavar="VERSION", help="The first version to try. Default: the oldest in the list.")
@click.option("--bad", metavar="VERSION", help="The last version to try. Default: the newest in the list.")
@click.option("--versions", metavar="LIST", help="Versions, with commas. Default: the releases on the package index.")
@backends_option
@click.option("--out", type=click.Path(path_type=Path), default=_OUT, show_default=True, metavar="DIR", help="Recordings.")
@timeout_option
@device_option
@plugins_option
@output_options
def bisect(
    case: str, package: str, good: str | None, bad: str | None, versions: str | None, backends: str | None, out: Path,
    output: OutputOptions, **options: Any,
) -> None:  # fmt: skip
    """Find the first version of Keras in which a finding of a case appears, or disappears.

    CASE is a case id, or FILE.py::case_name. The case is recorded and judged in the two versions at the ends, then in the middle
    of what is left. A version that cannot be installed, or does not work with the installed backends, is skipped. Recordings are
    kept. Exit code 0 when the version is found, 2 when the ends do not differ or cannot be judged.

    \b
    backendcheck bisect tests/cases/mine.py::case_loss --good 3.12.0 --backends jax
    """
    from backendcheck.config import load_configuration
    from backendcheck.recordings.store import CACHE
    from backendcheck.sessions.request import RecordingRequest
    from backendcheck.versions.bisect import bisect as find_first
    from backendcheck.versions.requirements import check_package
    from backendcheck.vocabulary.backends import DEFAULT_NAMES
    from backendcheck.vocabulary.case_ids import case_id
    from backendcheck.vocabulary.leg_names import parse_legs

    end_on_signals()
    check_package(package, "--package")
    configuration = load_configuration(Path.cwd())
    selected = parse_legs(backends or ",".join(configuration.backends) or DEFAULT_NAMES)
    node = _node_id(case, configuration.paths)
    listed = _listed(package, versions, good, bad)
    new = functools.partial(RecordingRequest, paths=[node], store=Path.cwd() / CACHE, overwrite=True, **options)

    def judge(version: str) -> Outcome:
        outcome = _judged(case_id(node), package, version, selected, functools.partial(new, out=out / version))
        if not output.quiet:
            click.echo(visible(f"{package} {version}: {outcome.problem or outcome.headline or 'no finding'}"), err=True)
        return outcome

    _echo(case_id(node), package, listed, find_first(listed, judge), output)


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


def _listed(package: str, versions: str | None, good: str | None, bad: str | None) -> list[str]:
    """The versions to try, from the good one to the bad one."""
    from packaging.version import Version

    from backendcheck.errors import UsageError
    from backendcheck.versions.releases import in_order, releases_of

    listed = in_order(versions.split(","), "--versions") if versions else releases_of(package)
    ends = {option: in_order([text], option)[0] for option, text in (("--good", good), ("--bad", bad)) if text}
    listed = in_order([*listed, *ends.values()], "--versions")
    low, high = Version(ends.get("--good", listed[0] if versions else _OLDEST)), Version(ends.get("--bad", listed[-1]))
    tried = [version for version in listed if low <= Version(version) <= high]
    if len(tried) < 2:  # noqa: PLR2004 - two ends
        message = f"{package}: {len(tried)} versions from {low} to {high}; expected --good before --bad, and two at least."
        raise UsageError(message)
    return tried


def _judged(case: str, package: str, version: str, selected: Sequence[LegName], new: Any) -> Outcome:
    """Record and judge the case in one version."""
    from backendcheck.config import load_configuration
    from backendcheck.errors import UsageError
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.results.results import analyze
    from backendcheck.sessions.leg_packages import install_packages
    from backendcheck.versions.bisect import Outcome, outcome_of
    from backendcheck.versions.requirements import leg_with
    from backendcheck.vocabulary.leg_names import PackageVersion

    legs = [leg_with(leg, PackageVersion(package, version)) for leg in selected]
    if missing := [module for leg in legs for module in leg.missing_modules()]:
        message = f"{' and '.join(dict.fromkeys(missing))}: not installed here. Install it, or choose other --backends."
        raise UsageError(message)
    try:
        for leg in legs:
            install_packages(leg)
    except UsageError as error:
        return Outcome(problem=str(error))
    requests = [new(backend=leg) for leg in legs]
    take_directory(requests[0].out, requests, may_move=False)
    recorded = record_legs(requests, functools.partial(progress_of, quiet=True), earlier_runs=[], quiet=True)
    read = read_legs(find_legs(recorded)) if recorded else []
    results = analyze(read, expected=[leg.value for leg in legs], overrides=load_configuration(Path.cwd()).tolerances)
    return outcome_of(results.result(case), [str(problem) for problem in results.problems])


def _echo(case: str, package: str, versions: Sequence[str], found: Bisection, output: OutputOptions) -> None:
    from backendcheck.versions.releases import release_notes

    notes = release_notes(package, found.first)
    undecided = found.undecided(versions)
    if output.as_json:
        click.echo(json.dumps({"schema": 1, "case": case, "package": package, **asdict(found), "undecided": undecided,
                               "release_notes": notes or None}, indent=1))  # fmt: skip
        return
    oracle, left, right, observation, kind = found.target
    click.echo(visible(f"{case}: {observation} ({kind}, {oracle}) of {left} and {right}"))
    click.echo(visible(f"  {found.message}"))
    word = "appears" if found.appears else "disappears"
    click.echo(f"{word} in {package} {found.first}; {package} {found.last} is the last one before")
    for version in undecided:
        click.echo(visible(f"  or in {version}, which was skipped: {found.skipped[version]}"))
    if notes:
        click.echo(f"release notes: {notes}")
    click.echo(f"{len(found.outcomes)} of {len(versions)} versions judged, {len(found.skipped)} skipped")
