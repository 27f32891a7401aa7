"""What index.html says of the whole run, and of what to do."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from report_page import chip, counted, listed, show_all, unfold_filters

pytestmark = pytest.mark.timeout(180)


def test_what_is_wrong_and_what_to_do_is_seen_at_once(visit, everything):
    page = visit(everything, viewport={"width": 1180, "height": 900})
    first = page.locator(".cause").first
    expect(first).to_be_in_viewport(ratio=1)
    expect(first).to_contain_text("CRASHED on jax")
    expect(first.locator(".todo")).to_contain_text("backendcheck record cases/losses.py::case_crashes --backend jax")
    expect(page.locator(".cause .todo").nth(1)).to_be_in_viewport(ratio=1)
    first.locator("a", has_text="losses/crashes").click()
    expect(page.locator("details[id='case/losses/crashes'] > summary")).to_be_focused()


def test_every_case_that_fails_says_what_to_do_before_all_else(visit, everything):
    page = visit(everything)
    show_all(page)
    expect(page.locator("#more-sections span")).to_have_text("14 of 14 cases are shown in detail")
    for section in page.locator("details.case:not(.XFAILED)").all():
        assert section.locator("> .todo").count() == 1, section.locator("h3").text_content()
        assert section.evaluate("node => [...node.children].slice(1, 3).some(one => one.className === 'todo')")


def test_a_cause_filters_by_itself(visit, everything):
    page = visit(everything)
    page.locator(".cause a", has_text="2 cases").click()
    expect(page.locator("#shown")).to_have_text("2 of 16 shown")
    assert sorted(listed(page)) == ["known/changed", "losses/nan"]
    page.locator(".codes a", has_text="output-order").click()
    expect(page.locator("#shown")).to_have_text("1 of 16 shown")


def test_what_is_missing_is_named_in_words(visit, everything):
    page = visit(everything)
    rows = page.locator(".compared li").all_inner_texts()
    assert [" ".join(row.split()) for row in rows] == [
        "✓3 of 3 backends", "✗12 of 16 cases", "✗45 of 48 recordings missing: 2 on jax, 1 on torch", "✓55 of 55 comparisons",
    ]  # fmt: skip


def test_what_is_new_since_a_baseline_comes_first_and_can_be_filtered(visit, since):
    page = visit(since)
    expect(page.locator("#changes")).to_have_text("Since 2026-02-01: 1 new, 1 changed, 1 gone")
    expect(page.locator(".cause").first).to_contain_text("1 new or changed")
    unfold_filters(page)
    assert counted(page, "change") == {"new": 1, "changed": 1}
    chip(page, "new").click()
    assert listed(page) == ["losses/exact"]
    page.locator(".changes a", has_text="losses/nan").click()
    expect(page.locator("details[id='case/losses/nan'] > summary")).to_be_focused()
