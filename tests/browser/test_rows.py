"""Rows that came as data, and what is packed."""

from __future__ import annotations

import make
import pytest
from playwright.sync_api import expect
from report_page import N_FAILING, N_MANY, chip, list_all, listed, unfold_filters, written

from backendcheck.report.html import page as html_report

pytestmark = pytest.mark.timeout(180)


def test_rows_made_from_data_are_as_those_in_html(visit, many, tmp_path, monkeypatch):
    def rows(path):
        page = visit(path)
        page.locator("#passed-fold > summary").click()
        list_all(page)
        return page.evaluate("[...document.querySelectorAll('table[data-filtered] tbody tr')].map(row => row.outerHTML.trim())")

    from_data = rows(many)
    monkeypatch.setattr(html_report, "N_WRITTEN", 10_000)
    assert len(from_data) == N_MANY
    for made, expected in zip(from_data, rows(written(make.many(N_MANY, N_FAILING), tmp_path)), strict=True):
        assert attributes_sorted(made) == attributes_sorted(expected)


def attributes_sorted(html: str) -> list[str]:
    return sorted(html.replace(">", " ").replace("<", " <").split())


def test_how_many_rows_are_listed_is_said_and_more_can_be_had(visit, many):
    page = visit(many)
    page.locator("#passed-fold > summary").click()
    assert len(listed(page, "#passed-fold")) == html_report.N_WRITTEN
    expect(page.locator("#passed-fold .rest")).to_contain_text(
        f"{html_report.N_WRITTEN} of {N_MANY - N_FAILING} cases are listed"
    )
    page.locator("#passed-fold .rest button").click()
    assert len(listed(page, "#passed-fold")) == N_MANY - N_FAILING
    expect(page.locator("#passed-fold .rest")).to_be_hidden()


def test_filters_reach_rows_that_came_as_data(visit, many):
    page = visit(many)
    page.locator("#query").fill(f"[{N_MANY - 2}]")
    assert [name[-6:-1] for name in listed(page)] == [f"h[{N_MANY - 2}"]
    expect(page.locator("#shown")).to_have_text(f"1 of {N_MANY} shown")
    page.locator("#query").fill("")
    unfold_filters(page)
    page.locator(".chips[aria-label='Topic'] .toggle").click()
    chip(page, "topic_7").click()
    expect(page.locator("#shown")).to_have_text(f"{N_MANY // 20} of {N_MANY} shown")
    assert len(listed(page)) == N_MANY // 20


def test_folded_entries_of_known_divergences_are_unpacked(visit, tmp_path):
    cases = {f"a/{n}": {"jax": {"loss": 1.0}, "torch": {"loss": 2.0}} for n in range(15)}
    known = [make.divergence(case, "jax", number=n, reason="<b>why</b> not") for n, case in enumerate(cases, 1)]
    page = visit(written(make.results(cases, known=known), tmp_path))
    fold = page.locator("#known").locator("xpath=ancestor::section").locator("details.packed")
    assert fold.locator("table").count() == 0
    fold.locator("summary").click()
    expect(fold.locator("table tbody tr")).to_have_count(15)
    expect(fold.locator(".because").first).to_have_text("<b>why</b> not")
    fold.locator("a", has_text="a/7").click()
    expect(page.locator("details[id='case/a/7'] > summary")).to_be_focused()
