"""What an earlier report in a directory was about."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from backendcheck.errors import UsageError
from backendcheck.files import read_text
from backendcheck.vocabulary.shards import Shard, parse_shard
from backendcheck.vocabulary.sides import Side

# The beginning of the line of a result. A report is large, and this is asked before a run begins.
_FAILING = re.compile(r'^  \{"case": ("(?:[^"\\]|\\.)*"), "verdict": "(?:FAILED|ERROR|XPASSED)"', re.MULTILINE)


def runs_in(directory: Path) -> frozenset[str] | None:
    """The ids of the runs that the report.json in `directory` is about; None without a report."""
    path = directory / "report.json"
    try:
        report = json.loads(read_text(path))
        return frozenset(str(environment["run"]) for environment in report["environments"].values())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return frozenset()  # a file of that name that backendcheck has not written


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a run had to have: its backends, empty if it was not said, and its shard if it was to be one alone."""

    backends: tuple[str, ...]
    shard: Shard | None


def asked_in(directory: Path, runs: frozenset[str]) -> Asked | None:
    """What the report.json in `directory` expected, if it is about the runs with these ids."""
    if not runs or runs_in(directory) != runs:
        return None
    try:
        report = json.loads(read_text(directory / "report.json"))
        shard = parse_shard(report["shard"]) if report["shard"] else None
        # Legs of one backend that is there twice are numbered, and no option names them so.
        backends = dict.fromkeys(Side(str(label)).backend for label in report["backends"])
        if any("this is the only leg" in problem for problem in report["problems"]):
            backends = {}  # nothing was asked for
        return Asked(backends=tuple(backends), shard=shard)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError):
        return None


def failing_in(directory: Path) -> list[str] | None:
    """The cases that fail in the report.json in `directory`; None without a report."""
    try:
        return [str(json.loads(case)) for case in _FAILING.findall(read_text(directory / "report.json"))]
    except (OSError, ValueError):
        return None
