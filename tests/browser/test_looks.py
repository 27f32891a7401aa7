"""Colors, print, widths."""

from __future__ import annotations

import pytest
from report_page import open_everything

from backendcheck.report.html import page as html_report

pytestmark = pytest.mark.timeout(180)


def test_it_follows_the_color_scheme(visit, everything):
    def background(scheme):
        page = visit(everything, color_scheme=scheme)
        return page.evaluate("getComputedStyle(document.body).backgroundColor"), page.evaluate(
            "getComputedStyle(document.body).color"
        )

    assert background("light") == ("rgb(247, 247, 245)", "rgb(29, 32, 35)")
    assert background("dark") == ("rgb(21, 23, 26)", "rgb(229, 231, 234)")


def test_print_has_the_cases_and_no_controls(visit, everything):
    page = visit(everything, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 32, 35)"
    for selector in (".filter", ".copies", ".skip", ".permalink"):
        assert page.locator(f"{selector}:visible").count() == 0
    assert page.locator("details.case:visible").count() == html_report.N_SECTIONS_WRITTEN
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("width", [390, 320, 1280])
@pytest.mark.parametrize("which", ["everything", "many"])
def test_nothing_is_wider_than_the_screen(visit, request, which, width):
    page = visit(request.getfixturevalue(which), viewport={"width": width, "height": 844})
    open_everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = page.evaluate(
        """width => [...document.querySelectorAll("main *")].filter(node => {
          const box = node.getBoundingClientRect();
          return box.width && box.right > width + 1 && !node.closest(".scroll, thead, svg");
        }).map(node => node.outerHTML.slice(0, 120))""",
        width,
    )
    assert cut == []


@pytest.mark.parametrize("width", [680, 794, 1040])  # A4 between margins, without them, and across
@pytest.mark.parametrize("which", ["everything", "pictures"])
def test_a_print_cuts_nothing_off(visit, request, which, width):
    page = visit(request.getfixturevalue(which), viewport={"width": width, "height": 1000})
    page.emulate_media(media="print")
    open_everything(page)
    cut = page.evaluate(
        """width => [...document.querySelectorAll("body *")].filter(node => node.getBoundingClientRect().right > width + 1)
          .map(node => node.outerHTML.slice(0, 120))""",
        width,
    )
    assert cut == []
