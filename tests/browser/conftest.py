"""Chromium, the pages that it opens, and what they must never do."""

from __future__ import annotations

from pathlib import Path

import chromium
import make
import pytest
from report_page import N_FAILING, N_MANY, written


@pytest.fixture(scope="module")
def browser():
    with chromium.browser() as started:
        yield started


@pytest.fixture(scope="session")
def everything(tmp_path_factory) -> Path:
    return written(make.everything(), tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="session")
def since(tmp_path_factory) -> Path:
    return written(make.since_a_baseline(), tmp_path_factory.mktemp("since"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    return written(make.many(9, 6), tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def many(tmp_path_factory) -> Path:
    return written(make.many(N_MANY, N_FAILING), tmp_path_factory.mktemp("many"))


@pytest.fixture
def visit(browser):
    """Opens a page, and fails where one that it opened complained, opened a dialog or asked for anything but itself."""
    faults: list[str] = []
    contexts = []

    def open_page(path: Path, anchor: str = "", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked(request.url, path))
        page.goto(path.as_uri() + (f"#{anchor}" if anchor else ""))
        return page

    def asked(url: str, path: Path) -> None:
        if url.partition("#")[0] not in (path.as_uri(), "data:,"):
            faults.append(f"request: {url}")

    open_page.browser = browser
    yield open_page
    for context in contexts:
        context.close()
    assert faults == []
