"""The filter of index.html: chips, words, the address."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from report_page import chip, counted, in_detail, listed, unfold_filters

from backendcheck.report.html import page as html_report

pytestmark = pytest.mark.timeout(180)


def test_a_verdict_is_chosen_and_left(visit, everything):
    page = visit(everything)
    before = listed(page)
    assert len(before) == 14  # the two that passed are folded
    chip(page, "FAILED").click()
    assert len(listed(page)) == 8
    expect(page.locator("#shown")).to_have_text("8 of 16 shown")
    expect(chip(page, "FAILED")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("details.case.FAILED:visible")).to_have_count(8)
    assert page.locator("details.case.ERROR:visible").count() == 0
    chip(page, "PASSED").click()
    assert len(listed(page)) == 8 + 2  # filtering unfolds those that passed
    chip(page, "PASSED").click()
    chip(page, "FAILED").click()
    expect(page.locator("#shown")).to_be_empty()
    assert listed(page) == before


@pytest.mark.parametrize("by", ["verdict", "codes", "legs", "topic"])
def test_a_chip_says_how_many_cases_it_shows(visit, everything, by):
    page = visit(everything)
    unfold_filters(page)
    chips = page.locator(f"button[data-by='{by}']")
    assert chips.count() > 1
    for one in chips.all():
        one.click()
        assert len(listed(page)) == int(one.locator("span").inner_text())
        one.click()


def test_a_chip_says_how_many_cases_it_would_show_beside_the_others(visit, everything):
    page = visit(everything)
    unfold_filters(page)
    chip(page, "losses").click()
    of_losses = counted(page, "verdict")
    assert of_losses == {"ERROR": 4, "FAILED": 3, "XPASSED": 0, "XFAILED": 0, "PASSED": 0}
    assert counted(page, "topic")["known"] == 3  # of its own kind a chip adds to what is chosen
    chip(page, "ERROR").click()
    assert len(listed(page)) == of_losses["ERROR"]
    assert counted(page, "verdict") == of_losses
    assert counted(page, "topic")["known"] == 0
    page.locator("#query").fill("nan")
    assert counted(page, "verdict")["FAILED"] == 1


def test_chips_of_one_kind_add_and_chips_of_two_kinds_restrict(visit, everything):
    page = visit(everything)
    unfold_filters(page)
    chip(page, "nan").click()
    assert sorted(listed(page)) == ["known/changed", "losses/nan"]
    chip(page, "output-order").click()
    assert sorted(listed(page)) == ["known/changed", "losses/nan", "multi_output/dict_labels"]
    page.locator("button[data-by='topic'][data-value='losses']").click()
    assert listed(page) == ["losses/nan"]
    assert in_detail(page) == ["losses/nan"]
    page.locator("#clear").click()
    assert len(listed(page)) == 14
    expect(page.locator("#query")).to_be_focused()


def test_many_chips_are_folded_and_what_is_chosen_is_not(visit, many):
    page = visit(many, "?topic=topic_13")
    unfold_filters(page)
    topics = page.locator("button[data-by='topic']:visible")
    assert topics.all_text_contents()[-1].startswith("topic_13")
    assert topics.count() == html_report._CHIPS_AT_ONCE + 1
    toggle = page.locator(".chips[aria-label='Topic'] .toggle")
    expect(toggle).to_have_attribute("aria-expanded", "false")
    toggle.click()
    expect(toggle).to_have_attribute("aria-expanded", "true")
    assert topics.count() == 20


def test_a_filter_is_in_the_address_and_survives_reloading(visit, everything):
    page = visit(everything)
    chip(page, "FAILED").click()
    unfold_filters(page)
    chip(page, "jax").click()
    page.locator("#query").fill("a<b & known")
    page.locator("#query").fill("known & <b>")
    page.locator("#query").fill("known")
    found = listed(page)
    assert found == ["known/changed"]
    page.reload()
    assert listed(page) == found
    expect(page.locator("#query")).to_have_value("known")
    expect(chip(page, "jax")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#chosen")).to_have_text("jax")
    page.locator("#query").press("Escape")
    chip(page, "FAILED").click()
    unfold_filters(page)
    chip(page, "jax").click()
    assert page.evaluate("location.hash") == ""


def test_an_address_that_filters_by_nonsense_does_nothing(visit, everything):
    page = visit(everything, "?codes=%3Cscript%3Ealert(1)%3C%2Fscript%3E&nonsense=1&verdict=%E0%A4%A")
    assert len(listed(page)) == 14


def test_words_are_looked_for_in_cases_headlines_and_cells(visit, everything):
    page = visit(everything)
    page.locator("#query").fill("TIMED  jax")
    assert listed(page) == ["losses/hangs"]
    page.locator("#query").fill("healthy")
    assert sorted(listed(page)) == ["healthy/loss", "healthy/rounding"]
    page.locator("#query").fill("no such thing")
    assert listed(page) == []
    expect(page.locator("#shown")).to_have_text("0 of 16 shown")
    expect(page.locator("#no-match")).to_be_in_viewport()
    assert page.locator("table[data-filtered]:visible").count() == 0
    page.locator("#clear").click()
    expect(page.locator("#no-match")).to_be_hidden()
    assert len(listed(page)) == 14
