"""Names that the pytest plugin and the session behind it share; standard library and pytest only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

PLUGIN = "backendcheck.pytest_plugin"  # the module that pytest loads, and in which the fixture is defined
FIXTURE = "backends_agree"
NONE = "none"  # for --backends: what addopts asks for is not wanted this time
JUDGING = "backendcheck-judging"  # the name of the plugin that does the rest, once it is woken
OWN_OPTIONS = pytest.StashKey[frozenset[str]]()  # those that conftest.py files have added, by the names of their values
_MEETING = pytest.StashKey[str]()
NODEID = pytest.StashKey[str]()


def base_nodeid(item: pytest.Item) -> str:
    """The node id of an item, without its group."""
    return item.stash.get(NODEID, item.nodeid)


def meeting(config: pytest.Config) -> str:
    """The name under which a session, its recorders and its workers meet: its controller makes it up."""
    if hasattr(config, "workerinput"):
        return str(config.workerinput["backendcheck_meeting"])
    return config.stash.setdefault(_MEETING, os.urandom(8).hex())


def meeting_place(config: pytest.Config) -> Path:
    """The directory of what they tell each other; it is made when there is something to tell."""
    out: Path = config.invocation_params.dir / config.option.backendcheck_out
    return out / f".session-{meeting(config)}"


def takes_fixture(item: pytest.Item) -> bool:
    """Whether a test takes the fixture of this plugin, and not one that somebody else calls so."""
    if FIXTURE not in getattr(item, "fixturenames", ()):
        return False
    known: Any = getattr(item, "_fixtureinfo", None)
    for definition in reversed(known.name2fixturedefs.get(FIXTURE, ()) if known is not None else ()):
        if getattr(definition.func, "__module__", "") == PLUGIN:
            return True
        if FIXTURE not in definition.argnames:  # it does not build upon ours
            return False
    return False
