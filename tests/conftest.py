"""What all tests share: settings of hypothesis, and the marks that a folder gives to its tests."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

try:
    from hypothesis import settings
except ModuleNotFoundError as error:
    message = f"{error.name} is not installed; expected the dependency group 'tests'. Run: pip install -e '.[all]' --group tests"
    raise pytest.UsageError(message) from None

FOLDER_MARKS = {"backends": "backends", "browser": "browser"}

# How long an example takes says more about the machine than about the code. The same code has the same result each time;
# `--hypothesis-profile=search` looks at other examples in each run.
settings.register_profile("backendcheck", deadline=None, derandomize=True)
settings.register_profile("fast", deadline=None, derandomize=True, max_examples=25)  # in .ci/fast
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("backendcheck")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the folder that it lies in, so that no file can forget it."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0] if item.path.is_relative_to(here) else ""
        if folder in FOLDER_MARKS:
            item.add_marker(FOLDER_MARKS[folder])


def pytest_collection_finish() -> None:
    """Keep what collecting made out of garbage collection, which each session of `pytester` has done over the whole heap."""
    gc.collect()
    gc.freeze()
