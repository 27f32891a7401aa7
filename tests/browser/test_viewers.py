"""Viewers with less: no scripts, a frame in a notebook, no unpacking, no Chromium."""

from __future__ import annotations

import chromium
import pytest
from markupsafe import escape
from playwright.sync_api import expect
from report_page import N_FAILING

from backendcheck.report.html import page as html_report

pytestmark = pytest.mark.timeout(180)


def test_without_scripts_it_says_what_is_wrong_and_what_is_left_out(visit, many):
    page = visit(many, java_script_enabled=False)
    assert page.locator("table[data-filtered] tbody tr:visible").count() == html_report.N_WRITTEN
    expect(page.locator("noscript p").first).to_be_visible()
    expect(page.locator("noscript p").first).to_contain_text(
        f"The other {N_FAILING - html_report.N_WRITTEN} are listed by a script"
    )
    assert page.locator("details.case").count() == html_report.N_SECTIONS_WRITTEN
    expect(page.locator("#in-detail noscript p")).to_contain_text("backendcheck show CASE")
    expect(page.locator(".cause").first).to_be_visible()


def test_it_works_inside_another_page_as_a_notebook_shows_it(visit, everything, tmp_path):
    outer = tmp_path / "outer.html"
    inner = escape(everything.read_text(encoding="utf-8"))
    outer.write_text(f'<!doctype html><iframe sandbox="allow-scripts" width="1000" height="800" srcdoc="{inner}"></iframe>')
    page = visit(outer).frame_locator("iframe")
    page.locator(".more-filters > summary").click()
    page.locator("button[data-value='losses']").click()
    expect(page.locator("#shown")).to_have_text("7 of 16 shown")
    page.locator("#clear").click()
    page.locator("table[data-filtered] a", has_text="known/there").click()
    expect(page.locator("details[id='case/known/there']")).to_have_attribute("open", "")
    page.locator("details[id='case/known/there'] .copies button").first.press("Escape")
    expect(page.locator("tr.at a")).to_have_text("known/there")


def test_a_browser_that_cannot_unpack_says_so(visit, everything):
    page = visit(everything)
    page.evaluate("() => { delete window.DecompressionStream; }")
    page.evaluate("location.hash = 'case/known/there'")
    expect(page.locator("[id='case/known/there']")).to_contain_text("known/there: this browser cannot unpack the case")
    expect(page.locator("[id='case/known/there']")).to_be_in_viewport()


def test_a_missing_browser_says_what_to_install(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    with pytest.raises(RuntimeError, match=r"got /nowhere/chromium\..*apt-get install chromium"):
        chromium.executable()
    monkeypatch.delenv("CHROMIUM")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RuntimeError, match="got none"):
        chromium.executable()
