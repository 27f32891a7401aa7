"""The source files behind the cases of a session, by name and digest: whether it is still the same code that is recorded."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backendcheck.case_files import BUILT_IN, builtin_cases, file_digest

if TYPE_CHECKING:
    import pytest  # which takes a while, where nothing is collected

_INSTALLED = frozenset({"site-packages", "dist-packages"})  # whose versions are noted


def sources(session: pytest.Session, plugins: pytest.PytestPluginManager, directory: Path) -> dict[str, str]:
    """The digests by name of the case files, their conftest files, and of what they have imported from the user's own code.

    That is what lies below `directory`, where the session was started, below the folder of a case file, or among the built-in
    cases, and is not installed.
    """
    cases = {item.path for item in session.items}
    roots = tuple(f"{root}{os.sep}" for root in {directory, builtin_cases(), *(path.parent for path in cases)})
    imported = {name for name in _files(list(sys.modules.values())) if name.startswith(roots)}
    conftests = {name for name in _files(plugins.get_plugins()) if name.endswith(f"{os.sep}conftest.py")}
    others = (Path(name) for name in imported | conftests)
    wanted = {*cases, *(path for path in others if not _INSTALLED & {*path.parts})}
    return {source_name(path, directory): file_digest(path) for path in sorted(wanted) if path.is_file()}


def _files(modules: Any) -> Iterator[str]:
    for module in modules:
        name = getattr(module, "__file__", None)  # which may be anything in a module made by hand
        if isinstance(name, str) and name.endswith(".py"):
            yield name


def source_name(path: Path, directory: Path) -> str:
    """The name of a source file: below `built-in cases`, or relative to `directory` if it is below that."""
    for root, prefix in ((builtin_cases(), f"{BUILT_IN}/"), (directory, "")):
        if path.is_relative_to(root):
            return prefix + path.relative_to(root).as_posix()
    return str(path)


def changed_since(noted: Mapping[str, str], directory: Path) -> list[str]:
    """The names of the source files that are not as they were noted, or not there any more."""
    changed = []
    for name, digest in noted.items():
        inside = name.removeprefix(f"{BUILT_IN}/")
        path = builtin_cases() / inside if inside != name else directory / name
        if not path.is_file() or file_digest(path) != digest:
            changed.append(name)
    return changed
