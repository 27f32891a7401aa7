"""``[tool.backendcheck]`` in pyproject.toml: expected backends and cases, tolerances, known divergences.

```toml
[tool.backendcheck]
backends = ["tensorflow", "jax", "torch"]    # legs that have to be there
cases = ["labels/*"]                         # case ids (patterns) that have to be there
paths = ["tests/cases"]                      # what `run`, `record` and `list` take when no PATH is given
known_divergences = "known_divergences.toml"

[[tool.backendcheck.tolerance]]
observation = "gradient/*"                   # a pattern; `case = "labels/*"` narrows it down
rtol = 1e-3
atol = 1e-6
```
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.backends import parse_backend
from backendcheck.case import Tolerance
from backendcheck.errors import UsageError
from backendcheck.tolerance import Override

_KEYS = ("backends", "cases", "paths", "known_divergences", "tolerance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the project asks for; everything is optional."""

    backends: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    known: tuple[Path, ...] = ()
    tolerances: tuple[Override, ...] = ()


def load_configuration(start: Path) -> Configuration:
    """The configuration of the nearest pyproject.toml at or above `start` that has one; otherwise an empty one.

    Raises:
        UsageError: if it is not as documented, naming the key.
    """
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            try:
                table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("backendcheck")
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                message = f"{path}: cannot be read as TOML ({error}). Correct it."
                raise UsageError(message) from error
            return _parse(path, table) if table is not None else Configuration()
    return Configuration()


def _parse(path: Path, table: Any) -> Configuration:
    def refuse(what: str) -> UsageError:
        return UsageError(f"{path}: [tool.backendcheck] {what}.")

    if not isinstance(table, dict):
        raise refuse("is not a table")
    if unknown := sorted(set(table) - set(_KEYS)):
        raise refuse(f"has unknown keys {', '.join(unknown)}; expected some of {', '.join(_KEYS)}")
    lists = {}
    for key in ("backends", "cases", "paths"):
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise refuse(f"{key} = {value!r}; expected a list of strings")
        lists[key] = tuple(value)
    known = table.get("known_divergences", [])
    known = [known] if isinstance(known, str) else known
    tolerances = []
    for entry in table.get("tolerance", []):
        unexpected = set(entry) - {"observation", "case", "rtol", "atol"} if isinstance(entry, dict) else {"?"}
        if unexpected or not {"observation", "rtol", "atol"} <= set(entry):
            raise refuse(f"tolerance = {entry!r}; expected observation, rtol and atol (and case)")
        try:
            tolerance = Tolerance(rtol=entry["rtol"], atol=entry["atol"])
        except ValueError as error:
            raise refuse(str(error).rstrip(".")) from error
        tolerances.append(Override(observation=entry["observation"], case=entry.get("case", "*"), tolerance=tolerance))
    return Configuration(
        backends=tuple(parse_backend(name).value for name in lists["backends"]),
        cases=lists["cases"],
        paths=tuple(str(path.parent / one) for one in lists["paths"]),
        known=tuple(path.parent / one for one in known),
        tolerances=tuple(tolerances),
    )
