"""What axe finds in index.html: nothing."""

from __future__ import annotations

import pytest
from report_page import LOOKS, open_everything, violations

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize(("scheme", "width"), [*LOOKS, ("dark", 1280), ("light", 390)])
def test_axe_finds_nothing_where_everything_is_open(visit, everything, scheme, width):
    page = visit(everything, color_scheme=scheme, viewport={"width": width, "height": 900})
    open_everything(page)
    assert violations(page) == []


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("which", ["pictures", "since"])
def test_axe_finds_nothing_in_pictures_scripts_and_changes(visit, request, which, scheme, width):
    page = visit(request.getfixturevalue(which), color_scheme=scheme, viewport={"width": width, "height": 900})
    open_everything(page)
    assert violations(page) == []


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_axe_finds_nothing_as_it_opens_and_where_it_is_filtered(visit, since, scheme, width):
    page = visit(since, color_scheme=scheme, viewport={"width": width, "height": 900})
    assert violations(page) == []
    page.locator("#query").fill("e")
    page.locator("button[data-by='verdict']").first.click()
    page.wait_for_timeout(100)
    assert violations(page) == []


@pytest.mark.parametrize("address", ["case/known/there", "?codes=nan", "?text=no+such+thing"])
def test_axe_finds_nothing_where_a_link_leads(visit, everything, address):
    page = visit(everything, address)
    page.wait_for_timeout(200)
    assert violations(page) == []


def test_axe_finds_nothing_in_print(visit, everything):
    page = visit(everything)
    page.emulate_media(media="print")
    assert violations(page) == []
