"""``[tool.backendcheck]`` in pyproject.toml: required backends and cases, tolerances, known divergences.

```toml
[tool.backendcheck]
backends = ["tensorflow", "jax", "torch"]    # legs that must be present
cases = ["labels/*"]                         # case ids (patterns) that must be present
paths = ["tests/cases"]                      # for `run`, `record` and `list` without a PATH
known_divergences = "known_divergences.toml"
worker_memory = "2G"                         # for --worker-memory

[tool.backendcheck.packages]
keras-git = "../keras"                       # what the leg /keras-git runs: a directory, a git checkout or an archive

[[tool.backendcheck.tolerance]]
observation = "gradient/*"                   # a pattern; `case = "labels/*"` and `legs = ["jax", "torch@gpu"]` restrict it
rtol = 1e-3
atol = 1e-6

[tool.backendcheck.legs.old]                 # a leg by a name of its own, for --legs
backend = "jax"                              # or a leg, such as "jax+eager"
python = "envs/old/bin/python"               # its own interpreter
packages = ["keras==3.14.1"]                 # in place of the installed versions
env = {XLA_FLAGS = "--xla_cpu_enable_fast_math=true"}

[tool.backendcheck.labels]                   # for `backendcheck labels` and `backendcheck model`
select = ["L1", "L4"]                        # rule codes or their prefixes; all by default
ignore = ["L701"]
imbalance = 20                               # report L701 above this largest/smallest class ratio
```
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backendcheck.case import Tolerance
from backendcheck.compare.tolerances import Override
from backendcheck.errors import UsageError
from backendcheck.files import read_text
from backendcheck.sessions.leg_packages import put_source
from backendcheck.vocabulary.backends import DEFAULT_NAMES
from backendcheck.vocabulary.leg_names import LegName, PackageVersion, parse_leg, parse_legs
from backendcheck.vocabulary.memory import parse_size
from backendcheck.vocabulary.named_legs import parse_named_legs

_KEYS = ("backends", "cases", "paths", "known_divergences", "worker_memory", "packages", "tolerance", "labels", "legs")
_SOURCE = "keras-git"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings:
    """The rules of the label contract that are checked."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    imbalance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The settings of a project; all are optional."""

    backends: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    known: tuple[Path, ...] = ()
    worker_memory: int | None = None
    source: Path | None = None
    tolerances: tuple[Override, ...] = ()
    labels: LabelSettings = LabelSettings()


def load_configuration(start: Path) -> Configuration:
    """The configuration in the nearest pyproject.toml at or above `start` that has one; else an empty one.

    Raises:
        UsageError: if it is not as documented, with the key.
    """
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            try:
                tools = tomllib.loads(read_text(path)).get("tool", {})
            except OSError as error:
                message = f"{path}: cannot be read ({error.strerror or error}). Check its owner and its permissions."
                raise UsageError(message) from error
            except (ValueError, RecursionError) as error:
                message = f"{path}: cannot be read as TOML ({error}). Correct it."
                raise UsageError(message) from error
            if not isinstance(tools, dict):
                message = f"{path}: tool = {tools!r}; expected a table."
                raise UsageError(message)
            if "backendcheck" in tools:
                return _parse(path, tools["backendcheck"])
    return Configuration()


def selected_legs(names: str | None, configuration: Configuration) -> tuple[LegName, ...]:
    """The legs of a command: those that it names, else those of the project, else the default ones.

    Raises:
        UsageError: as `parse_legs` and `with_source`.
    """
    legs = parse_legs(names or ",".join(configuration.backends) or DEFAULT_NAMES)
    return tuple(
        replace(leg, packages=tuple(with_source(package, configuration) for package in leg.packages)) for leg in legs
    )  # fmt: skip


def with_source(package: PackageVersion, configuration: Configuration) -> PackageVersion:
    """The package, where it is ``keras-git`` in the state that the source of the project has now.

    Raises:
        UsageError: if the project names no source, or that cannot be read.
    """
    if not package.is_source or package.commit:
        return package
    if configuration.source is None:
        message = f"{package}: has no source; expected {_SOURCE} = PATH in [tool.backendcheck.packages] of pyproject.toml."
        raise UsageError(message)
    return put_source(configuration.source, package.package)


def _parse(path: Path, table: Any) -> Configuration:
    def refuse(what: str) -> UsageError:
        return UsageError(f"{path}: [tool.backendcheck] {what.rstrip('.')}.")

    if not isinstance(table, dict):
        raise refuse("is not a table")
    if unknown := sorted(set(table) - set(_KEYS)):
        raise refuse(f"has unknown keys {', '.join(unknown)}; expected some of {', '.join(_KEYS)}")
    lists = {}
    for key in ("backends", "cases", "paths"):
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise refuse(f"{key} = {value!r}; expected a list of strings")
        lists[key] = tuple(value)
    known = table.get("known_divergences", [])
    known = [known] if isinstance(known, str) else known
    if not isinstance(known, list) or not all(isinstance(entry, str) for entry in known):
        raise refuse(f"known_divergences = {known!r}; expected a path or a list of paths")
    entries = table.get("tolerance", [])
    tolerances = []
    for entry in entries if isinstance(entries, list) else [entries]:
        if not _is_override(entry):
            raise refuse(f"tolerance = {entry!r}; expected observation, rtol and atol (and case, and legs as a list)")
        try:
            tolerance = Tolerance(rtol=entry["rtol"], atol=entry["atol"])
        except ValueError as error:
            raise refuse(str(error)) from error
        tolerances.append(Override(
            observation=entry["observation"], case=entry.get("case", "*"), legs=tuple(entry.get("legs", ())), tolerance=tolerance,
        ))  # fmt: skip
    try:
        backends = tuple(parse_leg(name).value for name in lists["backends"])
        memory = parse_size(str(table["worker_memory"])) if "worker_memory" in table else None
    except UsageError as error:
        raise refuse(str(error)) from error
    packages = table.get("packages", {})
    if not isinstance(packages, dict) or set(packages) - {_SOURCE} or not all(isinstance(of, str) for of in packages.values()):
        raise refuse(f"packages = {packages!r}; expected {_SOURCE} = a path of a directory or an archive")
    parse_named_legs(path, table.get("legs", {}))
    return Configuration(
        backends=backends,
        cases=lists["cases"],
        paths=tuple(str(path.parent / relative) for relative in lists["paths"]),
        known=tuple(path.parent / relative for relative in known),
        worker_memory=memory,
        source=path.parent / packages[_SOURCE] if packages else None,
        tolerances=tuple(tolerances),
        labels=_labels(table.get("labels", {}), refuse),
    )


def _labels(table: Any, refuse: Callable[[str], UsageError]) -> LabelSettings:
    if not isinstance(table, dict) or set(table) - {"select", "ignore", "imbalance"}:
        raise refuse(f"labels = {table!r}; expected a table of select, ignore and imbalance")
    codes = {}
    for key in ("select", "ignore"):
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise refuse(f"labels.{key} = {value!r}; expected a list of rule codes")
        codes[key] = tuple(value)
    imbalance = table.get("imbalance")
    if imbalance is not None and (isinstance(imbalance, bool) or not isinstance(imbalance, int | float) or not imbalance > 1):
        raise refuse(f"labels.imbalance = {imbalance!r}; expected a ratio above 1")
    return LabelSettings(select=codes["select"], ignore=codes["ignore"], imbalance=imbalance)


def _is_override(entry: Any) -> bool:
    if not isinstance(entry, dict) or set(entry) | {"case", "legs"} != {"observation", "case", "legs", "rtol", "atol"}:
        return False
    legs = entry.get("legs", [])
    texts = [entry["observation"], entry.get("case", "*"), *(legs if isinstance(legs, list) else [legs])]
    return isinstance(legs, list) and all(isinstance(text, str) for text in texts)
