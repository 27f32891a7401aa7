"""One case: its first screen, what is folded, and a print of all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import make
import pytest
from playwright.sync_api import expect
from report_page import show_all, written

from backendcheck.report.html import matrix

pytestmark = pytest.mark.timeout(180)
SOURCE = 'def case_swapped(rng):\n    """What swapped claims."""\n    return {"value": rng.random(3)}'
ADDRESS = f"https://github.com/owner/name/blob/{'c0' * 20}/tests"
BACKENDS = ("tensorflow", "jax", "torch")
FOLDED = ["why", "charts", "findings", "values", "passed"]


@pytest.fixture(scope="module")
def swapped(tmp_path_factory) -> Path:
    """Two classes are exchanged on torch."""
    scores = [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.1, 0.7], [0.8, 0.15, 0.05]]
    turned = [[row[1], row[0], row[2]] for row in scores]
    by_backend = {
        backend: {
            "observations": {"predictions": value, "predicted_class": [row.index(max(row)) for row in value], "loss": 0.5},
            "class_names": ["cat", "dog", "fox"], "labels": {"y_true": [0, 1, 2, 0]}, "source": SOURCE,
        }
        for backend, value in (("tensorflow", scores), ("jax", scores), ("torch", turned))
    }  # fmt: skip
    return written(make.results({"a/first": {"jax": {"loss": 1.0}, "torch": {"loss": 2.0}}, "a/swapped": by_backend}),
                   tmp_path_factory.mktemp("swapped"))  # fmt: skip


def section(page):
    return page.locator("details[id='case/a/swapped']")


def test_the_first_screen_has_what_differs_what_to_do_where_it_begins_and_the_source(visit, swapped):
    page = visit(swapped, matrix.anchor("a/swapped"), viewport={"width": 1280, "height": 900})
    for part in (".headline", "> .todo", ".side-by-side", ".stages", "pre.source"):
        expect(section(page).locator(part)).to_be_in_viewport(ratio=1)
    expect(section(page).locator("pre.source")).to_have_text(SOURCE)
    expect(section(page).locator("h4", has_text="Source")).to_have_text("Source cases/a.py:7")


@pytest.mark.parametrize(
    ("sources", "href"),
    [
        ([ADDRESS] * 3, f"{ADDRESS}/cases/a.py#L7"),
        ([ADDRESS, ADDRESS, ADDRESS.replace("c", "d")], None),  # the legs are of different commits
        (["javascript:alert(1)"] * 3, None),
        ([""] * 3, None),
    ],
)
def test_the_place_of_a_case_leads_to_its_source(visit, tmp_path, sources, href):
    cases = {f"a/case_{n}": {leg: {"loss": float(leg == "jax"), "source": SOURCE} for leg in BACKENDS} for n in range(12)}
    results = make.results(cases)
    legs = [
        replace(leg, environment=replace(leg.environment, checkout={"source": source} if source else {}))
        for leg, source in zip(results.legs, sources, strict=True)
    ]
    path = written(replace(results, legs=tuple(legs)), tmp_path)
    for case in ("a/case_0", "a/case_11"):  # the first is in the page, the last is unpacked
        page = visit(path, matrix.anchor(case))
        place = page.locator(f"details[id='case/{case}'] h4 code")
        expect(place).to_have_text("cases/a.py:7")
        assert [link.get_attribute("href") for link in place.locator("a").all()] == ([href] if href else [])


def test_the_first_screen_of_a_phone_has_what_differs_what_to_do_and_the_values(visit, swapped):
    page = visit(swapped, matrix.anchor("a/swapped"), viewport={"width": 390, "height": 844})
    for part in (".headline", "> .todo"):
        expect(section(page).locator(part)).to_be_in_viewport(ratio=1)
    expect(section(page).locator(".side-by-side tbody tr").first).to_be_in_viewport(ratio=1)


def test_the_rest_is_folded_under_headings_that_say_what_it_is(visit, swapped):
    page = visit(swapped, matrix.anchor("a/swapped"))
    folds = section(page).locator("details[data-part]:not([open])")
    parts = [fold.get_attribute("data-part") for fold in folds.all()]
    assert [part for part in parts if part in FOLDED] == FOLDED
    assert section(page).locator(".findings:visible, figure:visible, .values:visible, .why:visible").count() == 0
    expect(section(page).locator("details[data-part=why] > summary")).to_contain_text("class-order")
    for fold in folds.all():
        assert fold.locator("> summary h4").count() == 1
    section(page).locator("details[data-part=charts] > summary").click()
    expect(section(page).locator("figure").first).to_be_visible()
    section(page).locator("details[data-part=findings] > summary").focus()
    page.keyboard.press("Enter")
    expect(section(page).locator(".findings")).to_be_visible()


def test_the_line_of_the_author_is_open_at_once(visit, tmp_path):
    error = make.authors("NameError: name 'kears' is not defined")
    path = written(make.results({"a/b": {backend: {"raised": error} for backend in make.BACKENDS}}), tmp_path)
    page = visit(path)
    expect(page.locator("details.origin")).to_have_attribute("open", "")
    expect(page.locator("details.origin pre").first).to_be_visible()


def test_a_print_has_what_is_folded_and_folds_it_again(visit, everything):
    page = visit(everything)
    show_all(page)
    closed = "[...document.querySelectorAll('details:not([open])')].filter(node => !node.closest('[hidden]')).length"
    before = page.evaluate(closed)
    assert before > 20
    page.evaluate(f"addEventListener('beforeprint', () => {{ window.closedInPrint = {closed}; }})")
    assert page.pdf().startswith(b"%PDF")
    assert page.evaluate("window.closedInPrint") == 0
    assert page.evaluate(closed) == before


def test_a_print_says_how_many_cases_it_lacks(visit, everything):
    page = visit(everything)
    page.emulate_media(media="print")
    expect(page.locator("#more-sections span")).to_be_visible()
    expect(page.locator("#more-sections button").first).to_be_hidden()
