"""Accept a finding: its case moves from the result of an exploration into a case file of the project."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.explore.findings import CASES, FINDINGS, read_earlier
from backendcheck.files import read_text, write_atomically
from backendcheck.text.close_names import did_you_mean

_FILE = "explored.py"


def finding_named(out: Path, name: str) -> dict[str, Any]:
    """The entry of a finding in findings.json, by the name of its case, which its script has too.

    Raises:
        UsageError: if there is no such finding.
        UnreadableInput: if there is no exploration in `out`.
    """
    entries: dict[str, dict[str, Any]] = {_name_of(entry): entry for entry in read_earlier(out)["findings"]}
    if name not in entries:
        expected = ", ".join(sorted(entries)) or "none, because nothing was found"
        message = f"--accept {name}: no such finding in {out}; expected one of {expected}. {did_you_mean(name, entries)}".rstrip()
        raise UsageError(message)
    return entries[name]


def _name_of(entry: Mapping[str, Any]) -> str:
    return str(entry["case"]).partition("::case_")[2]


def put_case(out: Path, name: str, folder: Path) -> Path:
    """Append the case of a finding to the file for such cases in `folder`, with the imports that it needs; returns the file.

    Raises:
        UsageError: if the file does not parse, or has a case of that name.
        UnreadableInput: if the case file of the exploration is damaged.
    """
    source = read_text(out / CASES)
    try:
        tree = ast.parse(source)
        function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == f"case_{name}")
    except (SyntaxError, ValueError, RecursionError, StopIteration):
        message = f"{out / CASES}: expected a Python file with the function case_{name}, which is not there. Explore anew."
        raise UnreadableInput(message) from None
    case = ast.get_source_segment(source, function)
    imports = _needed_imports(tree, function)
    path = folder / _FILE
    if not path.exists():
        head = [f'"""{ast.get_docstring(tree)}"""', "\n".join(imports)]
        write_atomically(path, ("\n\n".join(filter(None, head)) + f"\n\n\n{case}\n").encode())
        return path
    before = read_text(path)
    try:
        there = ast.parse(before)
    except SyntaxError as error:
        message = f"{path}:{error.lineno}: does not parse ({error.msg}). Correct it."
        raise UsageError(message) from error
    if any(isinstance(node, ast.FunctionDef) and node.name == function.name for node in there.body):
        message = f"{path}: has a {function.name} already; expected a new name. Rename or remove that one."
        raise UsageError(message)
    write_atomically(path, f"{_with_imports(before, there, imports).rstrip()}\n\n\n{case}\n".encode())
    return path


def _needed_imports(tree: ast.Module, function: ast.FunctionDef) -> list[str]:
    """The imports of a file that one of its functions needs."""
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    needed = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias for alias in node.names if (alias.asname or alias.name) in used]
            node.names = names
            needed += [ast.unparse(node)] if names else []
    return needed


def _with_imports(text: str, there: ast.Module, needed: Sequence[str]) -> str:
    """The text with those imports that it lacks, behind its last one."""
    imports = [node for node in there.body if isinstance(node, ast.Import | ast.ImportFrom)]
    present = set(map(ast.unparse, imports))
    missing = [line for line in needed if line not in present]
    docstring = there.body[0].end_lineno or 0 if there.body and ast.get_docstring(there) is not None else 0
    place = max((node.end_lineno or 0 for node in imports), default=docstring)
    lines = text.splitlines()
    return "\n".join([*lines[:place], *missing, *lines[place:]])


def mark_accepted(out: Path, name: str, case: str) -> None:
    """Note in findings.json that a case of the project has the finding now."""
    content = read_earlier(out)
    for entry in content["findings"]:
        if _name_of(entry) == name:
            entry["known"] = case
    write_atomically(out / FINDINGS, (json.dumps(content, indent=1) + "\n").encode())
