"""`backendcheck list`: what cases there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from backendcheck.cli.options import paths_argument
from backendcheck.text.escape import visible


@click.command("list")
@paths_argument
@click.option("-k", "keyword", metavar="TEXT", default="", help="Only cases whose id or claim contains this.")
def list_cases(paths: Sequence[str], keyword: str) -> None:
    """List cases with their claims, from their source: nothing is imported or run.

    A case with parameters is listed once, as name[...]; what its parameters are is known once it is recorded.
    """
    from backendcheck.case_files import builtin_cases, case_functions, find_case_files
    from backendcheck.config import load_configuration

    files = find_case_files([*(paths or load_configuration(Path.cwd()).paths)] or [str(builtin_cases())])
    n_cases = n_parametrized = 0
    for file in files:
        functions = [one for one in case_functions(file) if keyword.lower() in f"{one.id} {one.claim}".lower()]
        if functions:
            click.secho(visible(f"{file.parent.name}/{file.name}"), bold=True)
        for one in functions:
            n_cases += 1
            n_parametrized += one.parametrized
            click.echo(f"  {one.id}{'[...]' if one.parametrized else ''}")
            if claim := one.claim.partition("\n")[0].strip():
                click.secho(visible(f"      {claim}"), dim=True)
    parametrized = f", {n_parametrized} of them with parameters" if n_parametrized else ""
    click.echo(f"{n_cases} cases in {len(files)} files{parametrized}")
