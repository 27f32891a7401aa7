"""Names shared by the pytest plugin and the judging session. Imports the standard library and pytest only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

PLUGIN = "backendcheck.pytest_plugin"  # the module that pytest loads; it defines the fixture
FIXTURE = "backends_agree"
SELECTED_FILE = "selected.json"  # in the exchange directory
NONE = "none"  # value of --backends that turns off a --backends in addopts
JUDGING = "backendcheck-judging"  # name of the plugin that does the work, once it is needed
OWN_OPTIONS = pytest.StashKey[frozenset[str]]()  # options added by conftest.py files, by dest
_SESSION_ID = pytest.StashKey[str]()
NODEID = pytest.StashKey[str]()


def base_nodeid(item: pytest.Item) -> str:
    """The node id of an item, without the group that pytest-xdist appends."""
    return item.stash.get(NODEID, item.nodeid)


def session_id(config: pytest.Config) -> str:
    """The id that a session shares with its recorders and its workers; the controller creates it."""
    if hasattr(config, "workerinput"):
        return str(config.workerinput["backendcheck_meeting"])
    return config.stash.setdefault(_SESSION_ID, os.urandom(8).hex())


def exchange_directory(config: pytest.Config) -> Path:
    """The directory of the files that they exchange; it is created with the first file."""
    out: Path = config.invocation_params.dir / config.option.backendcheck_out
    return out / f".session-{session_id(config)}"


def takes_fixture(item: pytest.Item) -> bool:
    """Whether a test takes the fixture of this plugin, and not another fixture of that name."""
    if FIXTURE not in getattr(item, "fixturenames", ()):
        return False
    fixtures: Any = getattr(item, "_fixtureinfo", None)
    for definition in reversed(fixtures.name2fixturedefs.get(FIXTURE, ()) if fixtures is not None else ()):
        if getattr(definition.func, "__module__", "") == PLUGIN:
            return True
        if FIXTURE not in definition.argnames:  # it overrides ours without using it
            return False
    return False
