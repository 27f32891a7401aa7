"""The filter of the causes on the site: the script of the page, with the rows that the site makes of what-differs.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from what_differs import site_pages

pytestmark = pytest.mark.timeout(180)
DOCS = Path(__file__).parents[2] / "docs"
ADDRESS = "http://site.test/what-differs/"
LOADED = "<script>const document$ = {subscribe: (run) => run()};</script>"  # of the theme: runs when a page has loaded


@pytest.fixture(scope="module")
def index() -> str:
    """The page of the site as the browser gets it."""
    text, _ = site_pages((DOCS / "what-differs.md").read_text(encoding="utf-8"))
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if "](differs/" in line]
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    script = (DOCS / "what-differs.js").read_text(encoding="utf-8")
    table = f"<table><thead></thead><tbody>{body}</tbody></table>"
    return f"<!doctype html><meta charset=utf-8><article>{table}</article>{LOADED}<script>{script}</script>"


@pytest.fixture
def page(browser, index):
    page = browser.new_page()
    page.set_default_timeout(30_000)
    page.route("**/*", lambda route: route.fulfill(body=index, content_type="text/html"))
    yield page
    page.close()


def shown(page) -> list[str]:
    return [re.findall(r"differs/([\w-]+)\.md", text)[0] for text in page.locator("tbody tr:visible").all_inner_texts()]


def test_causes_are_chosen_by_what_they_are_about_and_the_address_keeps_the_choice(page):
    page.goto(ADDRESS)
    n_all = len(shown(page))
    assert n_all > 60
    page.select_option("#filter-operation", "one_hot")
    assert 0 < len(shown(page)) < n_all / 4
    assert "jax-one-hot-in-the-type-of-the-labels" in shown(page)
    page.select_option("#filter-keras", "3.5")
    page.select_option("#filter-backend", "jax")
    page.select_option("#filter-kind", "raised")
    page.fill("#filter-causes", "CategoryEncoding torch")
    chosen = shown(page)
    assert "jax-has-no-64-bit-integers" in chosen
    assert page.inner_text("output") == f"{len(chosen)} of {n_all} causes"
    page.goto(page.url)
    assert shown(page) == chosen
    page.fill("#filter-causes", "no such word")
    assert (shown(page), page.inner_text("output")) == ([], "No cause has all of this.")


def test_an_address_with_an_unknown_choice_shows_all(page):
    page.goto(f"{ADDRESS}?operation=nothing")
    assert page.inner_text("output").startswith(f"{len(shown(page))} of {len(shown(page))} ")


@pytest.mark.parametrize(
    ("facet", "value", "cause"),
    [
        ("loss", "CategoricalHinge", "losses-broadcast-labels"), ("metric", "F1Score", "f1-spreads-a-column-of-weights"),
        ("layer", "IntegerLookup", "jax-lookups-are-int32"), ("kind", "output_order", "sorted-output-names"),
    ],
)  # fmt: skip
def test_each_facet_has_its_causes(page, facet, value, cause):
    page.goto(f"{ADDRESS}?{facet}={value}")
    assert cause in shown(page)
    assert len(shown(page)) < 20
