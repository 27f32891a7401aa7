"""The filter bar stays in view with its results under it, and covers nothing that has the focus or that a link leads to."""

from __future__ import annotations

import make
import pytest
from playwright.sync_api import expect
from report_page import LOOKS, chip, listed, unfold_filters, violations

from backendcheck.report.html import matrix

pytestmark = pytest.mark.timeout(180)
WIDTHS = [1280, 390]


def box(page, selector: str) -> dict[str, float]:
    page.wait_for_function("getComputedStyle(document.documentElement).getPropertyValue('--bar') !== ''")
    return page.locator(selector).first.evaluate("node => node.getBoundingClientRect().toJSON()")


def scroll_into_details(page) -> None:
    page.evaluate("document.getElementById('details').scrollIntoView({ behavior: 'instant' })")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")


@pytest.mark.parametrize("width", WIDTHS)
def test_it_stays_in_view(visit, everything, width):
    page = visit(everything, viewport={"width": width, "height": 844})
    scroll_into_details(page)
    bar = box(page, "#filter")
    assert abs(bar["top"]) <= 1
    assert bar["height"] < 844 / 4
    assert box(page, "#details")["top"] >= bar["bottom"]
    expect(page.locator("#query")).to_be_in_viewport(ratio=1)
    page.locator("#environments").scroll_into_view_if_needed()
    assert box(page, "#filter")["bottom"] <= box(page, "#environments")["top"]  # it ends with the results


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("case", [result.case for result in make.everything().cases[3::5]], ids=range(3))
def test_it_does_not_cover_what_a_link_leads_to(visit, everything, width, case):
    page = visit(everything, matrix.anchor(case), viewport={"width": width, "height": 844})
    summary = f"details[id='{matrix.anchor(case)}'] > summary"
    expect(page.locator(summary)).to_be_in_viewport(ratio=1)
    page.wait_for_timeout(100)
    assert box(page, summary)["top"] >= box(page, "#filter")["bottom"]


@pytest.mark.parametrize("width", WIDTHS)
def test_it_does_not_cover_what_has_the_focus(visit, everything, width):
    page = visit(everything, matrix.anchor("multi_output/dict_labels"), viewport={"width": width, "height": 844})
    page.locator("details[id='case/multi_output/dict_labels'] > summary").focus()
    tops = []
    for _ in range(25):
        page.keyboard.press("Shift+Tab")
        page.wait_for_timeout(20)
        top = page.evaluate("document.activeElement.getBoundingClientRect().top")
        tops.append(top - box(page, "#filter")["bottom"])
    assert min(tops) >= -1
    assert len(set(tops)) > 3


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("far_below", [True, False])
def test_the_first_result_is_brought_under_it(visit, everything, width, far_below):
    page = visit(everything, viewport={"width": width, "height": 844})
    if far_below:
        scroll_into_details(page)
    page.keyboard.press("/")
    page.keyboard.type("known/")
    assert len(listed(page)) == 3
    expect(page.locator("table[data-filtered] tbody tr").first).to_be_in_viewport(ratio=1)
    assert box(page, "table[data-filtered] tbody tr")["top"] >= box(page, "#filter")["bottom"]


def test_the_other_filters_are_reached_by_the_keyboard(visit, everything):
    page = visit(everything)
    page.locator(".more-filters > summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(chip(page, "unexplained")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator("#chosen")).to_have_text("unexplained")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#chosen")).to_be_visible()  # what is chosen is said where it is folded, too


def test_chips_that_would_show_nothing_are_left_out(visit, everything):
    page = visit(everything)
    unfold_filters(page)
    chip(page, "losses").click()
    expect(chip(page, "XFAILED")).to_be_hidden()
    chip(page, "losses").click()
    expect(chip(page, "XFAILED")).to_be_visible()


def test_it_scrolls_away_where_the_screen_is_low(visit, everything):
    page = visit(everything, viewport={"width": 800, "height": 400})
    scroll_into_details(page)
    assert box(page, "#filter")["bottom"] < 0
    assert box(page, "#details")["top"] < 40


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_axe_finds_nothing_where_it_covers_a_part_of_the_page(visit, everything, scheme, width):
    page = visit(everything, color_scheme=scheme, viewport={"width": width, "height": 900})
    unfold_filters(page)
    scroll_into_details(page)
    assert violations(page) == []
