"""What backends do today with wrong labels: what is told is what was recorded, for cases and rules that exist."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from backendcheck.labels.contract.backend_behavior import facts

ROOT = Path(__file__).parents[2]
MAPPING = tomllib.loads((ROOT / "docs" / "today.toml").read_text(encoding="utf-8"))
SHOWN = [one for rule in facts()["rules"].values() for one in rule]


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> Any:
    """docs/generate_today.py, which is a script and no package."""
    spec = importlib.util.spec_from_file_location("generate_today", ROOT / "docs" / "generate_today.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, loaded)
    spec.loader.exec_module(loaded)
    return loaded
