"""`backendcheck list`: the cases and their claims."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from backendcheck.case_files import PREFIX, CaseFunction
from backendcheck.cli.options import paths_argument
from backendcheck.text.escape import visible


@click.command("list")
@paths_argument
@click.option("-k", "keyword", metavar="EXPR", default="",
              help="Only cases whose names match, as in pytest, or whose id or claim contains the text.")  # fmt: skip
def list_cases(paths: Sequence[str], keyword: str) -> None:
    """List cases with their claims. The source is read; nothing is imported or run.

    A case with parameters is listed once, as name[...]. Its parameters are known after it was recorded.
    """
    from backendcheck.case_files import builtin_cases, case_functions, find_case_files
    from backendcheck.config import load_configuration

    files = find_case_files([*(paths or load_configuration(Path.cwd()).paths)] or [str(builtin_cases())])
    matches = _matcher(keyword)
    n_cases = n_parametrized = 0
    for file in files:
        functions = [function for function in case_functions(file) if matches(function)]
        if functions:
            click.secho(visible(f"{file.parent.name}/{file.name}"), bold=True)
        for function in functions:
            n_cases += 1
            n_parametrized += function.parametrized
            click.echo(f"  {function.id}{'[...]' if function.parametrized else ''}")
            if claim := function.claim.partition("\n")[0].strip():
                click.secho(visible(f"      {claim}"), dim=True)
    parametrized = f", {n_parametrized} of them with parameters" if n_parametrized else ""
    click.echo(f"{n_cases} cases in {len(files)} files{parametrized}")


def _matcher(keyword: str) -> Callable[[CaseFunction], bool]:
    """Whether a case contains `keyword` in its id or claim, or matches it as an expression of pytest's ``-k``."""
    text = keyword.lower()
    expression: Any = None
    if re.search(r"\b(?:and|or|not)\b", text):
        from _pytest.mark.expression import Expression

        with contextlib.suppress(Exception):  # text that is not an expression; its class changed with pytest's versions
            expression = Expression.compile(keyword)

    def matches(function: CaseFunction) -> bool:
        if text in f"{function.id} {function.claim}".lower():
            return True
        names = f"{function.file.name}/{PREFIX}{function.id.partition('/')[2]}".lower()
        return expression is not None and bool(expression.evaluate(lambda name, **_: name.lower() in names))

    return matches
