"""Hostile text in every place of index.html does nothing."""

from __future__ import annotations

import make
import pytest
from markupsafe import Markup
from playwright.sync_api import expect
from report_page import list_all, listed, open_everything, show_all, written

from backendcheck.report.html import page as html_report

pytestmark = pytest.mark.timeout(180)


def test_hostile_text_that_came_as_data_or_packed_does_nothing(visit, tmp_path, monkeypatch):
    monkeypatch.setattr(html_report, "N_WRITTEN", 1)
    monkeypatch.setattr(html_report, "N_SECTIONS_WRITTEN", 0)
    page = visit(written(make.everything(), tmp_path))
    list_all(page)
    show_all(page)
    expect(page.locator("#more-sections span")).to_have_text("14 of 14 cases are shown in detail")
    page.locator("#open-all").click()
    hostile = [name for name in listed(page) if name.startswith("hostile/<script>alert(1)</script>")]
    assert len(hostile) == 1
    assert page.locator("table script, #sections script, #sections img, #sections iframe").count() == 0
    assert page.locator("#sections").get_by_text("<script>alert(1)</script>").count() > 5


def test_markup_that_got_through_would_not_run(visit, tmp_path, monkeypatch):
    """Were a case ever not escaped, the policy of the page still runs no script but its own."""
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script><a href='javascript:alert(3)'>x</a>"
    render = html_report._sections
    monkeypatch.setattr(html_report, "N_SECTIONS_WRITTEN", 1)
    monkeypatch.setattr(
        html_report, "_sections",
        lambda *given: (Markup(str(text).replace("<summary>", f"{evil}<summary>", 1)) for text in render(*given)),
    )  # fmt: skip
    opened = []
    differs = {"jax": {"loss": 1.0}, "torch": {"loss": 2.0}}
    path = written(make.results({"a/b": differs, "a/c": differs}), tmp_path)
    page = visit.browser.new_page()
    page.on("dialog", lambda dialog: (opened.append(dialog.message), dialog.dismiss()))
    page.goto(path.as_uri())
    expect(page.locator("#sections img")).to_have_count(2)  # it is there, in what was written and in what was packed
    page.locator("#sections img").first.evaluate("node => node.dispatchEvent(new Event('error'))")
    page.wait_for_timeout(200)
    page.close()
    assert opened == []


def test_hostile_text_does_nothing(visit, since):
    page = visit(since)
    open_everything(page)
    assert page.locator("script:not([type])").count() == 1
    assert page.locator("main script:not([type='text/plain'])").count() == 0
    found = "main [onclick], main img, main iframe, main a[href^=javascript]"
    assert page.evaluate("selector => document.querySelectorAll(selector).length", found) == 0
    assert any("<script>alert(1)</script>" in name for name in listed(page))
