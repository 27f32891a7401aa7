"""The browser that the tests of the page drive: the Chromium of the system, headless. Never downloaded, never skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def executable() -> str:
    """Where Chromium is; ``CHROMIUM`` in the environment says otherwise.

    Raises:
        RuntimeError: if it is not installed, with what to do.
    """
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if not found or not shutil.which(found):
        message = (
            f"Chromium: not found; expected {', '.join(_NAMES)} on PATH, or CHROMIUM=/path/to/it, got {found or 'none'}. "
            "The tests of the page need it: `apt-get install chromium` on Debian, or deselect them with -m 'not browser'."
        )
        raise RuntimeError(message)
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium without network of its own; no sandbox, for containers run as root have none."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=executable(), args=["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
        )
        try:
            yield started
        finally:
            started.close()
