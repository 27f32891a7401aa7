"""index.html in a real browser: what a reader does with it, and what it must never do."""

from __future__ import annotations

from pathlib import Path

import chromium
import make
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from backendcheck.report import html_report, matrix

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
N_MANY = 700
N_FAILING = 120


@pytest.fixture(scope="module")
def browser():
    with chromium.browser() as started:
        yield started


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> Path:
    return written(make.everything(), tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return written(make.many(9, 6), tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    return written(make.many(N_MANY, N_FAILING), tmp_path_factory.mktemp("many"))


def written(results, folder: Path) -> Path:
    path = folder / "index.html"
    path.write_text(html_report.render(results), encoding="utf-8")
    return path


@pytest.fixture
def visit(browser):
    """Opens a page, and fails where one that it opened complained, opened a dialog or asked for anything but itself."""
    faults: list[str] = []
    contexts = []

    def open_page(path: Path, anchor: str = "", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked(request.url, path))
        page.goto(path.as_uri() + (f"#{anchor}" if anchor else ""))
        return page

    def asked(url: str, path: Path) -> None:
        if url.partition("#")[0] not in (path.as_uri(), "data:,"):
            faults.append(f"request: {url}")

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def listed(page, within: str = "") -> list[str]:
    """The cases whose rows are seen, from above."""
    return page.locator(f"{within} table[data-filtered] tbody tr:visible th a").all_inner_texts()


def chip(page, name: str):
    return page.locator(f"button[data-verdict='{name}'], button[data-value='{name}']")


# --- filters -------------------------------------------------------------------------------------------------------


def test_a_verdict_is_taken_away_and_brought_back(visit, everything):
    page = visit(everything)
    before = listed(page)
    assert len(before) == 14  # the two that passed are folded
    chip(page, "FAILED").click()
    assert len(listed(page)) == 14 - 8 + 2  # filtering unfolds those that passed
    expect(page.locator("#shown")).to_have_text("8 of 16 shown")
    expect(chip(page, "FAILED")).to_have_attribute("aria-pressed", "false")
    assert page.locator("details.case.FAILED:visible").count() == 0
    assert page.locator("details.case.ERROR:visible").count() == 4
    chip(page, "FAILED").click()
    expect(page.locator("#shown")).to_be_empty()
    assert listed(page) == before


@pytest.mark.parametrize("by", ["codes", "legs", "topic"])
def test_a_chip_says_how_many_cases_it_shows(visit, everything, by):
    page = visit(everything)
    chips = page.locator(f"button[data-by='{by}']")
    assert chips.count() > 1
    chips.first.locator("xpath=ancestor::details").locator("summary").click()
    for one in chips.all():
        one.click()
        assert len(listed(page)) == int(one.locator("span").inner_text())
        one.click()


def test_chips_of_one_kind_add_and_chips_of_two_kinds_restrict(visit, everything):
    page = visit(everything)
    for summary in page.locator("details.more > summary").all():
        summary.click()
    chip(page, "nan").click()
    assert sorted(listed(page)) == ["known/changed", "losses/nan"]
    chip(page, "output-order").click()
    assert sorted(listed(page)) == ["known/changed", "losses/nan", "multi_output/dict_labels"]
    page.locator("button[data-by='topic'][data-value='losses']").click()
    assert listed(page) == ["losses/nan"]
    assert page.locator("details.case:visible h3").all_text_contents() == ["losses/nan"]


def test_words_are_looked_for_in_cases_headlines_and_cells(visit, everything):
    page = visit(everything)
    page.locator("#query").fill("TIMED  jax")
    assert listed(page) == ["losses/hangs"]
    page.locator("#query").fill("healthy")
    assert sorted(listed(page)) == ["healthy/loss", "healthy/rounding"]
    page.locator("#query").fill("no such thing")
    assert listed(page) == []
    expect(page.locator("#shown")).to_have_text("0 of 16 shown")


# --- permalinks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [result.case for result in make.everything().cases], ids=range(16))
def test_a_permalink_survives_reloading(visit, everything, case):
    anchor = matrix.anchor(case)
    page = visit(everything, anchor)
    for _ in range(2):
        target = page.locator(f"[id='{anchor}']")
        expect(target).to_be_visible()
        expect(target).to_be_in_viewport()
        if target.evaluate("node => node.tagName") == "DETAILS":
            assert target.evaluate("node => node.open")
        assert page.evaluate("location.hash") == f"#{anchor}"
        page.reload()


def test_a_link_in_the_matrix_opens_its_case(visit, everything):
    page = visit(everything)
    section = page.locator("details[id='case/known/there']")
    assert not section.evaluate("node => node.open")
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
def test_a_permalink_leads_to_a_row_that_came_as_data(visit, many, number):
    case = f"topic_{number % 20}/a_case_with_a_name_of_usual_length[{number}]"
    page = visit(many, matrix.anchor(case))
    for _ in range(2):
        row = page.locator(f"tr[id='{matrix.anchor(case)}']")
        expect(row).to_be_in_viewport()
        expect(row.locator("a")).to_have_text(case)
        page.reload()


def test_an_address_that_names_nothing_does_nothing(visit, everything):
    page = visit(everything, "%E0%A4%A")
    assert len(listed(page)) == 14


# --- rows that came as data ----------------------------------------------------------------------------------------


def test_rows_made_from_data_are_as_those_in_html(visit, many, tmp_path, monkeypatch):
    def rows(path):
        page = visit(path)
        page.locator("#passed-fold > summary").click()
        while page.locator(".rest button:visible").count():
            page.locator(".rest button:visible").first.click()
        return page.evaluate("[...document.querySelectorAll('table[data-filtered] tbody tr')].map(row => row.outerHTML.trim())")

    from_data = rows(many)
    monkeypatch.setattr(html_report, "N_WRITTEN", 10_000)
    assert len(from_data) == N_MANY
    for made, expected in zip(from_data, rows(written(make.many(N_MANY, N_FAILING), tmp_path)), strict=True):
        assert attributes_sorted(made) == attributes_sorted(expected)


def attributes_sorted(html: str) -> list[str]:
    return sorted(html.replace(">", " ").replace("<", " <").split())


def test_hostile_text_that_came_as_data_does_nothing(visit, tmp_path, monkeypatch):
    monkeypatch.setattr(html_report, "N_WRITTEN", 1)
    page = visit(written(make.everything(), tmp_path))
    while page.locator(".rest button:visible").count():
        page.locator(".rest button:visible").first.click()
    hostile = [name for name in listed(page) if name.startswith("hostile/<script>alert(1)</script>")]
    assert len(hostile) == 1
    assert page.locator("table script").count() == 0


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
    page.locator("summary", has_text="Topics").click()
    chip(page, "topic_7").click()
    expect(page.locator("#shown")).to_have_text(f"{N_MANY // 20} of {N_MANY} shown")
    assert len(listed(page)) == N_MANY // 20


# --- keyboard ------------------------------------------------------------------------------------------------------


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
    assert page.evaluate("location.hash") == ""
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page.locator("#query")).to_have_value("")
    assert len(listed(page)) == 14


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
    expect(page.locator("#query")).to_be_focused()
    page.keyboard.press("Tab")
    expect(chip(page, "ERROR")).to_be_focused()
    page.keyboard.press("Space")
    expect(chip(page, "ERROR")).to_have_attribute("aria-pressed", "false")


# --- copying -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clipboard", ["allowed", "refused", "absent"])
@pytest.mark.parametrize("what", ["Copy command", "Copy repro command", "Copy bug report", "Copy TOML entry"])
def test_a_button_copies(visit, everything, what, clipboard):
    page = visit(everything, "case/losses/nan", permissions=["clipboard-read", "clipboard-write"])
    if clipboard == "refused":
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    elif clipboard == "absent":
        page.evaluate("() => { Object.defineProperty(navigator, 'clipboard', { value: undefined }); }")
    buttons = page.locator("details[id='case/losses/nan'] .copies button")
    button = buttons.nth(buttons.all_inner_texts().index(what))
    button.click()
    expect(button).to_have_text("Copied")
    button.click()
    expect(button).to_have_text(what)
    page.evaluate("() => { document.body.append(document.createElement('textarea')); }")
    page.locator("textarea").focus()
    page.keyboard.press("Control+V")
    copied = page.locator("textarea").input_value()
    assert copied == button.get_attribute("data-copy")
    expected = {"Copy command": "backendcheck show losses/nan", "Copy repro command": "backendcheck repro losses/nan"}
    assert copied == expected.get(what, copied)
    assert "losses/nan" in copied


# --- how it looks --------------------------------------------------------------------------------------------------


def test_it_follows_the_colour_scheme(visit, everything):
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
    assert page.locator("details.case:visible").count() == 14
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("width", [390, 320, 1280])
@pytest.mark.parametrize("which", ["everything", "many"])
def test_nothing_is_wider_than_the_screen(visit, request, which, width):
    page = visit(request.getfixturevalue(which), viewport={"width": width, "height": 844})
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = page.evaluate(
        """width => [...document.querySelectorAll("main *")].filter(node => {
          const box = node.getBoundingClientRect();
          return box.width && box.right > width + 1 && !node.closest(".scroll, thead, svg");
        }).map(node => node.outerHTML.slice(0, 120))""",
        width,
    )
    assert cut == []


# --- who may read it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["everything", "pictures"])
def test_axe_finds_nothing(visit, request, which, scheme, width):
    page = visit(request.getfixturevalue(which), color_scheme=scheme, viewport={"width": width, "height": 900})
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    page.locator("#query").fill("e")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    assert len(found.response["passes"]) > 15
    assert [(one["id"], node["html"][:200]) for one in found.response["violations"] for node in one["nodes"][:3]] == []


def test_hostile_text_does_nothing(visit, everything):
    page = visit(everything)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.locator("script").count() == 1
    assert (
        page.evaluate(
            "document.querySelectorAll('main script, main [onclick], main img, main iframe, main a[href^=javascript]').length"
        )
        == 0
    )
    assert any("<script>alert(1)</script>" in name for name in listed(page))


def test_without_scripts_it_still_says_everything(visit, many):
    page = visit(many, java_script_enabled=False)
    assert page.locator("table[data-filtered] tbody tr:visible").count() == html_report.N_WRITTEN
    expect(page.locator("noscript p").first).to_be_visible()
    expect(page.locator("noscript p").first).to_contain_text(
        f"The other {N_FAILING - html_report.N_WRITTEN} are listed by a script"
    )
    assert page.locator("details.case").count() == N_FAILING


def test_a_missing_browser_says_what_to_install(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    with pytest.raises(RuntimeError, match=r"got /nowhere/chromium\..*apt-get install chromium"):
        chromium.executable()
    monkeypatch.delenv("CHROMIUM")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RuntimeError, match="got none"):
        chromium.executable()
