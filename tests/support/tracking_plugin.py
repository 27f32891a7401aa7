"""The plugin of a tracked session: what the plugin of a recording session does in a worker, without a backend."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from backendcheck.record.tracking.tracker import Tracker
from backendcheck.sessions.session_state import SessionState


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """What the plugin of a recording session does in a worker."""
    session = SessionState.load(Path(os.environ[SessionState.VARIABLE]))
    early_config.pluginmanager.register(Tracker(session, session.files.of_worker("gw0")), "tracker")


def pytest_pycollect_makemodule(module_path: Path) -> None:
    """As in a recording session: modules beside a case file are found."""
    if str(module_path.parent) not in sys.path:
        sys.path.append(str(module_path.parent))
