"""Refuse a selection that no case can match, from the source alone, before a backend is started."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backendcheck.case_files import PREFIX, builtin_cases, case_functions, case_names, find_case_files, split_node_id
from backendcheck.errors import UsageError
from backendcheck.sessions.request import RecordingRequest
from backendcheck.text.close_names import close_names, did_you_mean
from backendcheck.text.words import counted

# What can make names of cases that the source does not contain.
_COMPUTES_NAMES = frozenset({
    "dir", "vars", "globals", "eval", "exec", "open", "import_module", "__dict__", "__subclasses__", "getmembers",
    "listdir", "scandir", "iterdir", "glob", "rglob", "walk", "read_text", "pytest_generate_tests",
    "pytest_collection_modifyitems", "add_marker", "extra_keyword_matches",
})  # fmt: skip
_MOST_UNKNOWN = 10  # parts of an expression that a file may or may not have


def check_selection(request: RecordingRequest) -> None:
    """Check that node ids name cases of their files, and that some case can match -k.

    Parameters of cases are known after import only. What may match is left to the recording.

    Raises:
        UsageError: if a node id or -k certainly matches no case; the message has similar names.
    """
    for path in request.paths:
        _check_node_id(path)
    if request.keyword and not request.plugins:
        _check_keyword(request)


def _check_node_id(node_id: str) -> None:
    file, rest = split_node_id(node_id)
    if not rest or not file.is_file():
        return
    names = case_names(file)
    name = rest.removeprefix("::").partition("[")[0]
    if names and name not in names:
        wanted = PREFIX + name.rpartition("/")[2].removeprefix(PREFIX)
        close = did_you_mean(wanted, names, f"Its cases: backendcheck list {file}")
        message = f"{node_id}: {file} has no case {name}; expected one of its {counted(len(names), 'case')}. {close}"
        raise UsageError(message)


def _check_keyword(request: RecordingRequest) -> None:
    paths = [*request.paths] or [str(builtin_cases())]
    files = find_case_files(paths)
    if any(_may_match(request.keyword, file) for file in files):
        return
    functions = [function.id for file in files for function in case_functions(file)]
    words = sorted(re.findall(r"\w+", request.keyword), key=len, reverse=True)
    close = next((found for word in words if (found := close_names(word, functions))), [])
    command = " ".join(["backendcheck list", *request.paths])
    similar = f"Similar cases: {', '.join(close)}." if close else f"The cases: {command}"
    searched = f"{counted(len(functions), 'case')} in {counted(len(files), 'file')}"
    message = f"-k {request.keyword!r}: matches none of the {searched}. {similar}"
    raise UsageError(message)


def _may_match(keyword: str, file: Path) -> bool:
    """Whether a case of the file may match the expression. Names that the file does not contain cannot occur in its cases."""
    from _pytest.mark.expression import Expression

    try:
        source = file.read_text(encoding="utf-8")
        tree = ast.parse(source)
    except (OSError, ValueError, SyntaxError):
        return True
    conftests = [conftest for folder in file.resolve().parents if (conftest := folder / "conftest.py").is_file()]
    if _computes_names(tree) or any(_makes_cases(conftest) for conftest in conftests):
        return True
    text = f"{file.resolve()}\n{source}".lower()
    expression: Any = Expression.compile(keyword)
    names: set[str] = set()
    for value in (False, True):  # evaluation may stop early, so names are noted with both values
        expression.evaluate(_noting(names, value))
    possible = [name for name in names if not re.fullmatch(r"[^\W\d][^\W\d_]\w*", name) or _stem(name) in text]
    if len(possible) > _MOST_UNKNOWN:
        return True
    return any(
        expression.evaluate(_matcher(dict(zip(possible, values, strict=True))))
        for values in itertools.product((False, True), repeat=len(possible))
    )


def _noting(names: set[str], value: bool) -> Callable[..., bool]:
    def matcher(name: str, **_: object) -> bool:
        names.add(name)
        return value

    return matcher


def _matcher(present: Mapping[str, bool]) -> Callable[..., bool]:
    return lambda name, **_: present.get(name, False)


def _stem(name: str) -> str:
    """The name without a number at its end: pytest numbers parameters that have no name of their own."""
    return name.lower().rstrip("0123456789")


def _makes_cases(conftest: Path) -> bool:
    """Whether a conftest.py may give cases names or parameters. One that cannot be read may."""
    try:
        tree = ast.parse(conftest.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return True
    return any(name in _COMPUTES_NAMES or name in ("params", "parametrize") for name in _words(tree))


def _words(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg


def _computes_names(tree: ast.Module) -> bool:
    """Whether the parameters of its cases may have names that are not in the file."""
    decorators = [
        decorator
        for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if {"parametrize", "params"} & set(_words(decorator))
    ]  # fmt: skip
    if not decorators:
        return False
    imported = {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return any(name in _COMPUTES_NAMES or name in imported for name in _reached(decorators, tree))


def _reached(starts: Sequence[ast.AST], tree: ast.Module) -> set[str]:
    """The words in `starts`, and in what the names among them are bound to in the module."""
    bound: dict[str, list[ast.AST]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        bound.setdefault(name.id, []).append(node)
    reached: set[str] = set()
    pending = list(starts)
    while pending:
        for word in set(_words(pending.pop())) - reached:
            reached.add(word)
            pending.extend(bound.get(word, []))
    return reached
