"""Legs with a name of their own: `[tool.backendcheck.legs.NAME]` in the nearest pyproject.toml."""

from __future__ import annotations

import functools
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from backendcheck.errors import UsageError
from backendcheck.files import read_text

_NAME = re.compile(r"[a-z][a-z0-9_.-]*")  # none of the signs that part a name of a leg or a list of them
_KEYS = ("backend", "python", "packages", "env")
_EXACT = re.compile(r"(?P<package>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.!+]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedLeg:
    """What a table says. `parts` is the leg by its parts, such as ``jax/keras-3.12.0``; `python` is absolute, or empty."""

    name: str
    parts: str
    python: str = ""
    env: tuple[tuple[str, str], ...] = ()


def named_legs() -> Mapping[str, NamedLeg]:
    """The named legs of the project around the working directory.

    Raises:
        UsageError: if a table is not as documented.
    """
    return _named_legs_at(os.getcwd())  # noqa: PTH109 - asked for each finding, and a Path takes longer to make than to look up


def read_again() -> None:
    """Forget the tables that were read, in a process that was there before a file changed."""
    _named_legs_at.cache_clear()


@functools.lru_cache(maxsize=8)
def _named_legs_at(start: str) -> Mapping[str, NamedLeg]:
    for folder in (Path(start), *Path(start).parents):
        path = folder / "pyproject.toml"
        try:
            tools = tomllib.loads(read_text(path)).get("tool", {})
        except (OSError, ValueError, RecursionError):
            continue  # `load_configuration` says what is wrong with it
        if isinstance(tools, dict) and isinstance(table := tools.get("backendcheck"), dict):
            return MappingProxyType(parse_named_legs(path, table.get("legs", {})))
    return MappingProxyType({})


def parse_named_legs(path: Path, tables: Any) -> dict[str, NamedLeg]:
    """The legs in `tables`, which is ``legs`` of ``[tool.backendcheck]`` in the file `path`.

    Raises:
        UsageError: if a table is not as documented.
    """
    if not isinstance(tables, dict):
        message = f"{path}: [tool.backendcheck] legs = {tables!r}; expected tables [tool.backendcheck.legs.NAME]."
        raise UsageError(message)
    return {name: _parse_leg(path, name, table) for name, table in tables.items()}


def _parse_leg(path: Path, name: str, table: Any) -> NamedLeg:
    def refuse(what: str) -> UsageError:
        return UsageError(f"{path}: [tool.backendcheck.legs.{name}] {what}.")

    if not _NAME.fullmatch(name):
        raise refuse(f"{name!r} is not a name; expected small letters, digits, '.', '_' and '-', such as old-jax")
    if not isinstance(table, dict) or set(table) - set(_KEYS):
        raise refuse(f"has {table!r}; expected some of {', '.join(_KEYS)}")
    backend, python, packages, env = (table.get(key, empty) for key, empty in zip(_KEYS, ("", "", [], {}), strict=True))
    if not isinstance(backend, str) or not backend:
        raise refuse(f"backend = {backend!r}; expected a backend, or a leg such as jax+eager")
    if not isinstance(python, str):
        raise refuse(f"python = {python!r}; expected the path of an interpreter")
    if not isinstance(packages, list) or not all(isinstance(text, str) and _EXACT.fullmatch(text) for text in packages):
        raise refuse(f"packages = {packages!r}; expected exact versions such as keras==3.14.1")
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise refuse(f"env = {env!r}; expected variables with text as values")
    versions = "".join(f"/{text.lower().replace('==', '-', 1)}" for text in packages)
    # The interpreter of a virtual environment is a link, and is another one where the link leads.
    interpreter = str((path.parent / python).absolute()) if python else ""
    return NamedLeg(name=name, parts=backend + versions, python=interpreter, env=tuple(sorted(env.items())))
