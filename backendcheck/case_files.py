"""Find cases by reading source, without importing it: files with cases, and the names, lines and claims of cases.

Importing a case file imports keras. Therefore `list`, the search for files and the first checks of a command use the syntax
tree only.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backendcheck.errors import UsageError
from backendcheck.files import read_bytes
from backendcheck.text.close_names import close_names

PREFIX = "case_"
BUILT_IN = "built-in cases"  # in a selection
# Folders with installed code or build products; the same as pytest's defaults.
SKIPPED_FOLDERS = frozenset({"build", "dist", "node_modules", "venv", "__pycache__", "site-packages"})


_DEEPEST = 4  # folders below this one, in which a case file is looked for by its name


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFunction:
    """A ``case_*`` function as its source shows it."""

    id: str
    file: Path
    line: int
    claim: str
    parametrized: bool


def builtin_cases() -> Path:
    """The directory of the built-in cases: in the installed package, or next to it in a checkout."""
    inside = Path(__file__).parent / "cases"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "cases"


def is_built_in(path: Path) -> bool:
    """Whether a path lies in the directory of the built-in cases, or is that."""
    return path.absolute().is_relative_to(builtin_cases().absolute())


def split_node_id(path: str) -> tuple[Path, str]:
    """A pytest node id such as ``cases/x.py::case_a[b]`` as its file and the rest (``::case_a[b]`` or nothing)."""
    file, separator, rest = path.partition("::")
    return Path(file), separator + rest


def find_case_files(paths: Sequence[str]) -> list[Path]:
    """The files with cases among `paths` (files, directories, node ids), each once, in order.

    Raises:
        UsageError: if a path does not exist, or a file in `paths` has no case.
    """
    files: dict[Path, None] = {}
    for node_id in paths:
        path, _ = split_node_id(node_id)
        if not node_id.strip():
            message = "PATH: is empty; expected a case file, a directory of them, or a pytest node id."
            raise UsageError(message)
        if path.is_dir():
            files.update(dict.fromkeys(_files_in(path)))
        elif not path.exists():
            raise UsageError(_no_such_path(node_id))
        elif path.suffix != ".py":
            message = f"{path}: not a Python file; expected a .py file with case_* functions."
            raise UsageError(message)
        elif not holds_cases(path):
            message = f"{path}: has no cases; expected at least one function named case_*. 'backendcheck init' writes an example."
            raise UsageError(message)
        else:
            files[path] = None
    if not files:
        message = f"{', '.join(paths)}: no case found; expected a Python file with a function named case_*."
        raise UsageError(message)
    return list(files)


def _no_such_path(node_id: str) -> str:
    """What is wrong with a path that does not exist: the node id of the case if it is a case id, or similar paths."""
    path, _ = split_node_id(node_id)
    message = f"{path}: no such file or directory; expected a case file, a directory of them, or a pytest node id."
    stem, _, name = node_id.partition("/")
    if name and "/" not in name and not path.suffix:
        function = PREFIX + name.partition("[")[0]
        for folder in (Path(), builtin_cases()):
            for file in _files_named(f"{stem}.py", folder):
                if function in case_names(file):
                    return f"{node_id}: is the id of a case; expected a path or a node id. Did you mean {file}::{PREFIX}{name}?"
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    close = [str(folder / name) for name in close_names(path.name, [name for name in names if not name.startswith(".")])]
    return f"{message} Did you mean {' or '.join(close)}?" if close else message


def _files_named(name: str, folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(entry for entry in folders if not entry.startswith(".") and entry not in SKIPPED_FOLDERS)
        if len(Path(parent).relative_to(folder).parts) >= _DEEPEST:
            folders.clear()
        if name in files:
            yield Path(parent) / name


def _files_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if path.name not in SKIPPED_FOLDERS and not (path / "pyvenv.cfg").exists():
                yield from _files_in(path)
        elif path.suffix == ".py" and holds_cases(path):
            yield path


def holds_cases(path: Path) -> bool:
    """Whether the file binds a ``case_*`` name at its top level. A file that does not parse counts if it contains ``case_``."""
    return _binds_cases(_source(path))


@functools.lru_cache(maxsize=10_000)
def _binds_cases(source: bytes) -> bool:
    if PREFIX.encode() not in source:
        return False
    try:
        tree = _parsed(source)
    except (SyntaxError, ValueError):
        return True
    return any(True for _ in _bindings(tree))


def _source(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error}). Check its owner and its permissions."
        raise UsageError(message) from error


def _parsed(source: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about backslashes come when the file is imported
        return ast.parse(source)  # bytes may have a byte order mark or a coding line


def file_digest(path: Path) -> str:
    """SHA-256 of a case file, which identifies its version."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _bindings(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Names that start with ``case_``, bound at the top level or inside an if, try or with."""
    pending: list[ast.stmt] = list(reversed(tree.body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith(PREFIX):
                yield node.name, node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id.startswith(PREFIX):
                    yield target.id, node
        elif not isinstance(node, ast.ClassDef):
            pending.extend(child for child in reversed(list(ast.iter_child_nodes(node))) if isinstance(child, ast.stmt))


def case_names(path: Path) -> frozenset[str]:
    """The ``case_*`` names that the file binds itself; empty if it does not parse."""
    try:
        return frozenset(name for name, _ in _bindings(_parsed(_source(path))))
    except (SyntaxError, ValueError):
        return frozenset()


def defined_twice(path: Path) -> list[tuple[str, int, int]]:
    """Functions defined twice at the top level: name, first line, second line. Python keeps only the last."""
    try:
        tree = _parsed(_source(path))
    except (SyntaxError, ValueError):
        return []
    first: dict[str, int] = {}
    twice = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith(PREFIX):
            if node.name in first:
                twice.append((node.name, first[node.name], node.lineno))
            first.setdefault(node.name, node.lineno)
    return twice


def case_functions(path: Path) -> list[CaseFunction]:
    """The cases that the source of `path` defines, with their claims.

    Raises:
        UsageError: if the file does not parse, with the line.
    """
    try:
        tree = _parsed(_source(path))
    except (SyntaxError, ValueError) as error:
        message = f"{path}:{getattr(error, 'lineno', None) or 1}: does not parse ({error}). Correct it."
        raise UsageError(message) from error
    return [
        CaseFunction(
            id=f"{path.stem}/{name.removeprefix(PREFIX)}",
            file=path,
            line=node.lineno,
            claim=(ast.get_docstring(node) or "").strip() if isinstance(node, ast.FunctionDef) else "",
            parametrized="parametrize" in "".join(map(ast.unparse, getattr(node, "decorator_list", []))),
        )
        for name, node in _bindings(tree)
    ]
