"""Links to a case, wherever it is: folded, packed, outside the filter."""

from __future__ import annotations

import make
import pytest
from playwright.sync_api import expect
from report_page import N_FAILING, N_MANY, listed

from backendcheck.report.html import matrix

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("case", [result.case for result in make.everything().cases], ids=range(16))
def test_a_permalink_survives_reloading(visit, everything, case):
    anchor = matrix.anchor(case)
    page = visit(everything, anchor)
    for _ in range(2):
        target = page.locator(f"details[id='{anchor}']")
        expect(target).to_have_attribute("open", "")
        expect(target.locator("> summary")).to_be_in_viewport()
        assert page.evaluate("location.hash") == f"#{anchor}"
        page.reload()


def test_a_link_in_the_matrix_opens_its_case(visit, everything):
    page = visit(everything)
    section = page.locator("details[id='case/known/there']")
    assert section.count() == 0  # packed
    page.locator("table[data-filtered] a", has_text="known/there").click()
    expect(section).to_have_attribute("open", "")
    expect(section.locator("> summary")).to_be_focused()
    assert page.url.endswith("#case/known/there")


def test_a_permalink_goes_before_the_filter(visit, everything):
    page = visit(everything)
    page.locator("#query").fill("healthy")
    page.evaluate("location.hash = 'case/losses/nan'")
    expect(page.locator("details[id='case/losses/nan']")).to_be_in_viewport()
    expect(page.locator("#query")).to_have_value("")


@pytest.mark.parametrize("number", [N_FAILING, N_MANY - 1])
def test_a_permalink_leads_to_a_case_that_is_packed_and_whose_row_came_as_data(visit, many, number):
    case = f"topic_{number % 20}/a_case_with_a_name_of_usual_length[{number}]"
    page = visit(many, matrix.anchor(case))
    for _ in range(2):
        section = page.locator(f"details[id='{matrix.anchor(case)}']")
        expect(section).to_have_attribute("open", "")
        expect(section.locator("> summary")).to_be_in_viewport()
        expect(section.locator("h3")).to_have_text(case)
        page.reload()


def test_two_links_one_after_the_other_end_at_the_second(visit, many):
    page = visit(many)
    cases = [f"topic_{n % 20}/a_case_with_a_name_of_usual_length[{n}]" for n in (100, 500)]
    first, second = map(matrix.anchor, cases)
    page.evaluate("([first, second]) => { location.hash = first; location.hash = second; }", [first, second])
    expect(page.locator(f"details[id='{second}'] > summary")).to_be_focused()
    expect(page.locator(f"details[id='{second}'] > summary")).to_be_in_viewport()


def test_an_address_that_names_nothing_does_nothing(visit, everything):
    page = visit(everything, "%E0%A4%A")
    assert len(listed(page)) == 14
