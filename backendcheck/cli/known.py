"""`backendcheck known`: known divergences."""

from __future__ import annotations

from pathlib import Path

import click

from backendcheck.cli.options import run_option
from backendcheck.cli.results import analyze_legs
from backendcheck.errors import UsageError


@click.group()
def known() -> None:
    """Known divergences: what was looked at, with its reason, and is expected to be seen again."""


@known.command("add")
@click.argument("case")
@click.option("--reason", required=True, metavar="TEXT", help="What happens and why; a sentence a reader understands by itself.")
@click.option("--link", default="", metavar="URL", help="The issue about it.")
@click.option("--expires", default="", metavar="DATE", help="When somebody should look again, such as 2027-06-30.")
@click.option("--file", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Default: the file in force, or known_divergences.toml beside the case.")  # fmt: skip
@run_option("--out")
def known_add(case: str, reason: str, link: str, expires: str, file: Path | None, run: Path) -> None:
    """Write the entry for what was just seen of CASE, and leave the rest of the file as it is.

    \b
    backendcheck known add labels/one_hot --reason "JAX drops the label silently, the others raise."
    """
    from backendcheck.config import load_configuration
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.results.known_add import add, entries_for
    from backendcheck.verdicts.known import known_place

    legs = read_legs(find_legs([run]), only=case)
    result = analyze_legs(legs, None, ()).result(case)
    if result is None:
        message = f"{case}: no such case in {run}. See 'backendcheck show' for those that are there."
        raise UsageError(message)
    if expires:
        _check_date(expires)
    versions = sorted(version for leg in legs if (version := leg.environment.versions.get("keras")))
    seen_on = ".".join(versions[0].split(".")[:2]) if versions else ""
    entries = entries_for(result, reason=reason, keras=seen_on, link=link, expires=expires)
    path = file or known_place(legs, load_configuration(Path.cwd()).known)
    add(path, entries)
    click.echo(f"{path}: {len(entries)} {'entry' if len(entries) == 1 else 'entries'} added.")


def _check_date(text: str) -> None:
    import datetime

    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        message = f"--expires {text}: is no date; expected one such as 2027-06-30."
        raise UsageError(message) from None
