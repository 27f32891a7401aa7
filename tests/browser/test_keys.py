"""The keyboard, and what is copied."""

from __future__ import annotations

import make
import pytest
from playwright.sync_api import expect
from report_page import N_FAILING, chip, listed

from backendcheck.report.html import matrix
from backendcheck.report.html import page as html_report

pytestmark = pytest.mark.timeout(180)


def test_the_keyboard_searches_moves_opens_and_comes_back(visit, everything):
    page = visit(everything)
    page.keyboard.press("/")
    expect(page.locator("#query")).to_be_focused()
    page.keyboard.type("known/")
    names = listed(page)
    assert len(names) == 3
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("tr.at a")).to_have_text(names[1])
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.locator("tr.at a")).to_have_text(names[0])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(f"details[id='case/{names[1]}'] > summary")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("tr.at a")).to_be_focused()
    assert page.evaluate("location.hash") == "#?text=known%2F"
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page.locator("#query")).to_have_value("")
    assert len(listed(page)) == 14


def test_arrows_turn_to_the_next_case_and_back(visit, everything):
    page = visit(everything)
    names = listed(page)
    page.locator("table[data-filtered] a", has_text=names[10]).click()
    for name, key in ((names[10], "ArrowRight"), (names[11], "ArrowLeft"), (names[10], "ArrowRight")):
        expect(page.locator(f"details[id='{matrix.anchor(name)}'] > summary")).to_be_focused()
        page.keyboard.press(key)
    expect(page.locator(f"details[id='{matrix.anchor(names[11])}'] > summary")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("tr.at a")).to_have_text(names[11])


def test_arrows_go_on_where_rows_are_not_made_yet(visit, many):
    page = visit(many)
    page.locator("table[data-filtered] tbody tr th a").nth(html_report.N_WRITTEN - 1).focus()
    for _ in range(html_report.N_WRITTEN + 1):
        page.keyboard.press("ArrowDown")
    assert len(listed(page)) == N_FAILING
    assert page.locator("tr.at").evaluate("row => row.rowIndex") == html_report.N_WRITTEN + 1


def test_arrows_scroll_where_something_else_is_read(visit, everything):
    page = visit(everything, "case/losses/crashes")
    page.locator("details[id='case/losses/crashes'] pre").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("tr.at").count() == 0


def test_everything_that_is_pressed_can_be_reached_by_tab(visit, everything):
    page = visit(everything)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".codes a").first).to_be_focused()
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#query")).to_be_focused()
    page.keyboard.press("Tab")
    expect(chip(page, "ERROR")).to_be_focused()
    page.keyboard.press("Space")
    expect(chip(page, "ERROR")).to_have_attribute("aria-pressed", "true")


COPIED = {
    "Copy run command": "backendcheck run cases/losses.py::case_nan",
    "Copy show command": "backendcheck show losses/nan",
    "Copy repro command": "backendcheck repro losses/nan",
    "Copy bug report": "**Expected.** What nan claims.",
    "Copy TOML entry": '[[divergence]]\ncase = "losses/nan"',
    "Copy script": make.SCRIPT.source,
}


def copied(page, what: str) -> str:
    """What is in the clipboard once the button of losses/nan has been pressed."""
    buttons = page.locator("details[id='case/losses/nan'] .copies button")
    expect(buttons.first).to_be_visible()
    button = buttons.nth(buttons.all_inner_texts().index(what))
    button.click()
    expect(button).to_have_text("Copied")
    button.click()
    expect(button).to_have_text(what)
    page.evaluate("() => { document.body.append(document.createElement('textarea')); }")
    page.locator("textarea").focus()
    page.keyboard.press("Control+V")
    return page.locator("textarea").input_value()


@pytest.mark.parametrize("clipboard", ["allowed", "refused", "absent"])
@pytest.mark.parametrize("what", [what for what in COPIED if what != "Copy script"])
def test_a_button_copies(visit, everything, what, clipboard):
    page = visit(everything, "case/losses/nan", permissions=["clipboard-read", "clipboard-write"])
    if clipboard == "refused":
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    elif clipboard == "absent":
        page.evaluate("() => { Object.defineProperty(navigator, 'clipboard', { value: undefined }); }")
    text = copied(page, what)
    assert COPIED[what] in text
    assert "\n" in text or text == COPIED[what]


def test_the_script_itself_is_copied_and_is_in_the_bug_report(visit, since):
    page = visit(since, "case/losses/nan", permissions=["clipboard-read", "clipboard-write"])
    assert copied(page, "Copy script") == make.SCRIPT.source
    page.reload()
    report = copied(page, "Copy bug report")
    pieces = (make.SCRIPT.source, "```python", "With `KERAS_BACKEND=jax`:", "loss: NaN", "**Environment.**", "tensorflow 2.21.0")
    for piece in pieces:
        assert piece in report
    assert page.locator("details[id='case/losses/nan'] .copies button", has_text="repro").count() == 0
    page.locator("details.script > summary").click()
    expect(page.locator("details.script pre")).to_have_text(make.SCRIPT.source)
