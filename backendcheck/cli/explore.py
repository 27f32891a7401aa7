"""`backendcheck explore`: search for differences that no case covers."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backendcheck.cli.farm_options import farm_options_without_chunks, take_farm
from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import backends_option, device_option, overwrite_option
from backendcheck.cli.process import end_on_signals
from backendcheck.errors import OutputInTheWay, UsageError
from backendcheck.text.escape import visible

if TYPE_CHECKING:
    from backendcheck.explore.explore import Exploration, Found

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``10m`` or ``2h``.

    Raises:
        UsageError: if it is something else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if match is None or float(match[1]) <= 0:
        message = f"invalid duration {text!r}; expected a number with s, m or h, such as 10m."
        raise UsageError(message)
    return float(match[1]) * _UNITS[match[2]]


@click.command(cls=GroupedCommand)
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@backends_option
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Directory of the findings.")
@click.option("--budget", metavar="TIME", help="How long to search, such as 90s, 10m or 2h. Default: 10m.")
@click.option("--situations", "n_situations", type=click.IntRange(1), metavar="N", help="How many situations to try, instead.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Seed of the search.")
@click.option("--resume", is_flag=True, help="Continue the search in the output directory, with its seed, legs and targets.")
@click.option("--bisect", is_flag=True, help="Find for each new finding the release of Keras since which it shows.")
@click.option("--accept", "accepted", metavar="ID",
              help="Explore nothing: make this finding a case of the project. The ID is the name of its script.")  # fmt: skip
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), default=Path("cases"), show_default=True, metavar="DIR",
              help="With --accept: the folder of the case.")  # fmt: skip
@device_option
@farm_options_without_chunks
@overwrite_option
def explore(
    targets: Sequence[str], backends: str | None, out: Path, budget: str | None, n_situations: int | None, seed: int,
    resume: bool, bisect: bool, accepted: str | None, into: Path, device: str, overwrite: bool, **farm_options: Any,
) -> None:  # fmt: skip
    """Search for differences that no case covers.

    TARGET is a loss or a metric: keras.losses.Huber, or your own as package.module:Name, with arguments if it needs them. A
    package stands for all that it defines; a .keras file, a case file or a folder of cases for what it declares of Keras.
    Without a TARGET, all losses, metrics, label layers and label functions of Keras are explored, and a model that predicts.

    Labels, types, shapes, weights, predictions and options are combined, pair by pair and then at random, in plain calls and in
    small models. Each difference is made small and confirmed in fresh processes. Exit code 1 if a finding is new; 0 if not.

    \b
    backendcheck explore --out reports/explore --budget 10m
    backendcheck explore keras.losses.Huber --out reports/huber --situations 500
    backendcheck explore "mypackage.losses:FocalTversky(gamma=2.0)" --out reports/focal
    backendcheck explore mypackage --out reports/mine --legs torch/keras-3.14.1,torch
    backendcheck explore --out reports/mine --accept focal_tversky_negative_value --into tests/cases
    backendcheck explore keras.losses.Huber --out reports/huber --bisect
    backendcheck explore --out reports/explore --budget 8h --farm tcp://desk:8786
    """
    from backendcheck.explore.farm_legs import FarmLost
    from backendcheck.explore.run import Options, run
    from backendcheck.files import locked

    end_on_signals()
    if accepted is not None:
        from backendcheck.cli.explore_accept import accept

        accept(out, accepted.removeprefix("case_").removesuffix(".py"), into, device)
        return
    farm = take_farm(farm_options)
    if resume and overwrite:
        message = "--resume goes on with the search and --overwrite replaces it; expected one of the two."
        raise click.UsageError(message)
    if bisect and farm is not None:
        message = "--bisect runs releases of Keras here and --farm elsewhere; expected one of the two."
        raise click.UsageError(message)
    budget_s = parse_duration(budget) if budget is not None else None if n_situations is not None else 600.0
    _check_out(out, resume=resume, overwrite=overwrite)

    def report(text: str) -> None:
        click.echo(visible(text), err=True)

    names = _earlier_legs(out) if resume and backends is None else backends
    legs = _usable_legs(names, here=farm is None)
    options = Options(
        targets=tuple(targets), legs=legs, out=out, budget_s=budget_s, n_situations=n_situations, seed=seed, device=device,
        resume=resume, farm=farm, dated=_dated(legs, device, report) if bisect else None,
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    in_use = f"{out}: is being written by another process. Wait for it, or choose another --out."
    with locked(out, in_use):
        try:
            exploration, content = run(options, report)
        except FarmLost as error:
            report(f"backendcheck: {error}")
            sys.exit(3)
    _echo(exploration, content, out)
    if not content["compared"]:
        sys.exit(3)
    sys.exit(1 if any(finding["known"] is None for finding in content["findings"]) else 0)


def _dated(legs: Sequence[str], device: str, report: Callable[[str], None]) -> Callable[[Mapping[Path, Found], str], None]:
    """What notes since when findings show.

    Raises:
        UsageError: if a leg has a release of Keras already.
    """
    from backendcheck.versions.since import check_legs, find_since, shown_in_release

    check_legs(legs)
    return functools.partial(find_since, legs=legs, device=device, report=report, shown_in=shown_in_release)


def _earlier_legs(out: Path) -> str:
    """The legs of the search that goes on."""
    from backendcheck.explore.findings import read_earlier

    return ",".join(read_earlier(out)["legs"])


def _usable_legs(names: str | None, *, here: bool) -> tuple[str, ...]:
    """The legs by name. Their packages are installed, if they run `here`; otherwise the workers have them.

    Raises:
        UsageError: if one has another form, or what it needs is not installed.
    """
    from backendcheck.config import load_configuration, selected_legs
    from backendcheck.sessions.leg_packages import install_packages

    legs = selected_legs(names, load_configuration(Path.cwd()))
    for leg in legs if here else ():
        if missing := leg.missing_in_words():
            message = f"{leg}: {missing}"
            raise UsageError(message)
        install_packages(leg)
    return tuple(leg.value for leg in legs)


def _check_out(out: Path, *, resume: bool, overwrite: bool) -> None:
    from backendcheck.explore.findings import FINDINGS

    if not out.exists() or resume:
        return
    if not out.is_dir():
        message = f"{out}: is not a directory. Choose another --out."
        raise OutputInTheWay(message)
    holds = [path.name for path in out.iterdir() if path.name not in (".lock", ".backendcheck-lock")]
    if holds and FINDINGS not in holds:
        names = ", ".join(sorted(holds)[:3])
        message = f"{out}: contains other files ({names}); expected an empty directory. Choose another --out."
        raise OutputInTheWay(message)
    if holds and not overwrite:
        message = f"{out}: holds another exploration. Choose another --out, or use --resume or --overwrite."
        raise OutputInTheWay(message)


def _echo(exploration: Exploration, content: dict[str, Any], out: Path) -> None:
    for note in exploration.notes:
        click.echo(f"note: {visible(note)}", err=True)
    findings = sorted(content["findings"], key=lambda finding: (finding["known"] is not None, finding["target"]))
    for finding in findings:
        state = "NEW  " if finding["known"] is None else "known"
        click.echo(visible(f"{state} {finding['target']}  {finding['headline']}"))
        since = f"  since Keras {finding['since']}{'' if finding['not_in'] else ' or earlier'}" if finding["since"] else ""
        click.echo(visible(f"      {out / finding['script']}{since}" + (f"  ({finding['known']})" if finding["known"] else "")))
    n_new = sum(finding["known"] is None for finding in findings)
    rate = content["situations"] / exploration.seconds if exploration.seconds else 0.0
    click.echo(
        f"{content['situations']} situations in {exploration.seconds:.0f} s ({rate:.1f} a second), "
        f"{100 * content['pairs_covered']:.1f} % of pairs; {len(findings)} findings, {n_new} new, "
        f"{content['not_confirmed']} not confirmed"
    )
    click.echo(visible(f"report: {out / 'index.html'}"))
