"""`backendcheck list`: the cases and their claims."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from backendcheck.case_files import PREFIX, CaseFunction
from backendcheck.cli.options import paths_argument
from backendcheck.errors import UsageError
from backendcheck.text.escape import visible
from backendcheck.text.words import counted


@click.command("list")
@paths_argument
@click.option("-k", "keyword", metavar="EXPR", default="",
              help="Only cases whose names match, as in pytest, or whose id or claim contains the text.")  # fmt: skip
@click.option("--check", is_flag=True,
              help="Check the style of the cases instead: claims, names, syntax. Files without cases are left out.")  # fmt: skip
def list_cases(paths: Sequence[str], keyword: str, *, check: bool) -> None:
    """List cases with their claims. The source is read; nothing is imported or run.

    A case with parameters is listed once, as name[...]. Its parameters are known after it was recorded.

    With --check, print what is wrong with the style of cases as FILE:LINE: MESSAGE. Exit code 1 if there is anything.
    """
    from backendcheck.case_files import builtin_cases, case_functions, find_case_files, holds_cases
    from backendcheck.config import load_configuration

    searched = [*(paths or load_configuration(Path.cwd()).paths)] or [str(builtin_cases())]
    if check:
        searched = [path for path in searched if not Path(path).is_file() or (path.endswith(".py") and holds_cases(Path(path)))]
        _check_style(find_case_files(searched) if searched else [])
        return
    files = find_case_files(searched)
    matches = _matcher(keyword)
    n_cases = n_parametrized = n_files = 0
    for file in files:
        functions = [function for function in case_functions(file) if matches(function)]
        if functions:
            click.secho(visible(str(_as_typed(file))), bold=True)
        n_files += bool(functions)
        for function in functions:
            n_cases += 1
            n_parametrized += function.parametrized
            click.echo(f"  {function.id}{'[...]' if function.parametrized else ''}")
            if claim := function.claim.partition("\n")[0].strip():
                click.secho(visible(f"      {claim}"), dim=True)
    parametrized = f", {n_parametrized} of them with parameters" if n_parametrized else ""
    click.echo(f"{counted(n_cases, 'case')} in {counted(n_files, 'file')}{parametrized}")


def _as_typed(file: Path) -> Path:
    """The path of a file as a command in this directory takes it."""
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def _check_style(files: Sequence[Path]) -> None:
    """Print what is wrong with the cases in these files, and exit with 1 if there is anything."""
    from backendcheck.case_files import case_functions, defined_twice

    problems = []
    by_id: dict[str, CaseFunction] = {}
    for file in files:
        for name, first, second in defined_twice(file):
            remedy = "Rename one; Python keeps only the last."
            problems.append(f"{file}:{second}: {name} is defined twice, first in line {first}. {remedy}")
        try:
            functions = case_functions(file)
        except UsageError as error:
            problems.append(str(error))
            continue
        for function in functions:
            where, name = f"{file}:{function.line}:", f"{PREFIX}{function.id.partition('/')[2]}"
            if not function.claim:
                problems.append(f"{where} {name} has no claim. Add a docstring that says what is right, in one sentence.")
            earlier = by_id.setdefault(function.id, function)
            if earlier.file != file:
                first_place = f"{earlier.file}:{earlier.line}"
                problems.append(f"{where} the id {function.id} is also that of {first_place}. Rename a file or a case.")
    for problem in problems:
        click.echo(visible(problem))
    n_cases = len(by_id)
    click.echo(f"{n_cases} case{'s' * (n_cases != 1)} in {len(files)} file{'s' * (len(files) != 1)}: "
               f"{len(problems) or 'no'} problem{'s' * (len(problems) != 1)}")  # fmt: skip
    if problems:
        sys.exit(1)


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
