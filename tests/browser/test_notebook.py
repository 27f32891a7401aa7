"""What a notebook shows of a check: compact, without scripts and buttons, readable in a light and in a dark theme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import make
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from report_page import WCAG

from backendcheck.check import Report
from backendcheck.results.results import Results

pytestmark = pytest.mark.timeout(120)

SCORES = [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.1, 0.7], [0.8, 0.15, 0.05]]
DIFFERS: dict[str, dict[str, Any]] = {
    backend: {
        "predictions": [[row[1], row[0], row[2]] for row in SCORES] if backend == "torch" else SCORES,
        "loss": 0.75 if backend == "torch" else 0.5,
        "class_names": ["cat", "dog", "fox"], "labels": {"y_true": [0, 1, 2, 0]},
    }
    for backend in make.BACKENDS
}  # fmt: skip
RAISES = {"tensorflow": {"raised": f"ValueError: {make.HOSTILE}"}, "jax": {"loss": 0.5}, "torch": {"loss": 0.5}}
KNOWN = [make.divergence("a/b", "torch", number=1, reason="PyTorch & friends do that.")]
THEMES = {"light": "#ffffff; color: #1f1f1f", "dark": "#111111; color: #d4d4d4"}


def results(by_backend: dict[str, Any] | None = None, **more: Any) -> Results:
    return make.results({"a/b": by_backend} if by_backend is not None else {}, **more)


OUTPUTS = {
    "differs": results(DIFFERS),
    "raises": results(RAISES),
    "passes": results(make.everywhere(loss=0.5)),
    "known": results(DIFFERS, known=KNOWN),
    "one value": results({"tensorflow": {"loss": 0.5}, "jax": {"loss": 0.75}, "torch": {"loss": 0.5}}),
    "nothing": results(),
}


@pytest.fixture(params=[*OUTPUTS])
def shown(request) -> str:
    return Report(OUTPUTS[request.param], Path("run"))._repr_html_()


def in_theme(browser, html: str, theme: str, width: int = 900):
    page = browser.new_page(viewport={"width": width, "height": 700})
    page.set_content(
        f'<!doctype html><html lang="en"><title>notebook</title><main style="background: {THEMES[theme]}; '
        f'font: 14px system-ui; padding: 1em"><h1>Output</h1>{html}</main>'
    )
    return page


@pytest.mark.parametrize("theme", [*THEMES])
def test_it_is_readable_in_a_theme(browser, shown, theme):
    page = in_theme(browser, shown, theme)
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}}).response
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])
    assert [(rule["id"], node["html"][:200]) for rule in found["violations"] for node in rule["nodes"]] == []
    page.close()


def test_it_has_nothing_that_viewers_of_notebooks_leave_out(shown):
    for part in ("<script", "<style", "<button", "<iframe", "<input", " onclick", " class=", " id=", "href=", "\x1b", "var(--"):
        assert part not in shown
    assert len(shown) < 12_000


def test_it_is_compact_and_has_the_backends_side_by_side(browser):
    page = in_theme(browser, Report(OUTPUTS["differs"], Path("run"))._repr_html_(), "light")
    output = page.locator("main > div")
    assert output.bounding_box()["height"] < 320
    expect(output.locator("thead th")).to_have_text(["Side by side", *make.BACKENDS])
    expect(output.locator("tbody tr").nth(1)).to_contain_text("predictions")
    assert output.locator("tbody tr").nth(1).locator("td b").count() == 1  # the value of torch stands apart
    expect(output).to_contain_text("What to do")
    expect(output).to_contain_text("Where it begins")
    expect(output).to_contain_text("The whole report: run/index.html.")
    page.close()


def test_it_fits_a_narrow_window(browser, shown):
    page = in_theme(browser, shown, "light", 390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


def test_it_gives_no_advice_that_needs_a_shell():
    text = Report(OUTPUTS["one value"], Path("run"))._repr_html_()
    assert "backendcheck repro" not in text
    assert "What to do" not in text


def test_what_agrees_says_how_much_was_compared(tmp_path):
    text = Report(OUTPUTS["passes"], tmp_path, temporary=True)._repr_html_()
    assert "tensorflow, jax and torch agree in 3 comparisons" in text
    assert 'pass <code>out="DIR"</code>' in text
    assert "<table" not in text


def test_what_is_known_says_why():
    text = Report(OUTPUTS["known"], Path("run"))._repr_html_()
    assert "XFAILED" in text
    assert "<b>Known</b> PyTorch &amp; friends do that." in text


def test_a_check_without_a_case_says_what_is_wrong():
    report = Report(OUTPUTS["nothing"], Path("run"))
    assert repr(report) == "<Report ERROR>"
    text = report._repr_html_()
    assert "ERROR" in text
    assert "agree" not in text
