"""What the shell completes: ids of recorded cases, backends, codes of rules, names of faults, files. Nothing here raises."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from backendcheck.errors import BackendcheckError

_MOST = 200


def case_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument CASE, completed from the run that the command reads."""
    return click.argument("case", shell_complete=complete_cases)(command)


def complete_cases(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of the cases in the directory of --run that begin with `incomplete`, or else contain it."""
    from backendcheck.recordings.legs import find_legs, known_cases

    with contextlib.suppress(BackendcheckError, OSError, ValueError):
        cases = known_cases(find_legs([Path(context.params.get("run") or "reports/latest")]))
        matching = [case for case in cases if case.startswith(incomplete)] or [case for case in cases if incomplete in case]
        return [CompletionItem(case) for case in matching[:_MOST]]
    return []


def complete_paths(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files and directories; behind ``FILE.py::`` the cases of that file."""
    from backendcheck.case_files import case_names

    file, separator, name = incomplete.partition("::")
    if not separator:
        return [CompletionItem(incomplete, type="file")]
    with contextlib.suppress(BackendcheckError, OSError, ValueError):
        return [CompletionItem(f"{file}::{case}") for case in sorted(case_names(Path(file))) if case.startswith(name)]
    return []


def complete_backends(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The next backend of a comma-separated list."""
    from backendcheck.vocabulary.backends import backends_by_name

    return _next_of_list(incomplete, list(backends_by_name()))


def complete_oracles(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The next oracle of a comma-separated list."""
    from backendcheck.vocabulary.findings import ORACLES

    return _next_of_list(incomplete, list(map(str, ORACLES)))


def complete_rules(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The next code of a rule in a comma-separated list, with its name."""
    from backendcheck.labels import RULES

    return _next_of_list(incomplete, RULES, {code: rule.name for code, rule in RULES.items()})


def complete_faults(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The next fault of a comma-separated list, with its effect."""
    from backendcheck.vocabulary.faults import FAULTS

    return _next_of_list(incomplete, [fault.name for fault in FAULTS], {fault.name: fault.what for fault in FAULTS})


def _next_of_list(incomplete: str, names: Iterable[str], help_of: dict[str, str] | None = None) -> list[CompletionItem]:
    listed, comma, last = incomplete.rpartition(",")
    before = set(listed.split(","))
    matching = [name for name in names if name.lower().startswith(last.lower()) and name not in before]
    return [CompletionItem(f"{listed}{comma}{name}", help=(help_of or {}).get(name)) for name in matching]
