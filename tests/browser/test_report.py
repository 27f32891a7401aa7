"""index.html in a real browser: what a reader does with it, and what it must never do."""

from __future__ import annotations

from pathlib import Path

import chromium
import make
import pytest
from axe_playwright_python.sync_playwright import Axe
from markupsafe import Markup, escape
from playwright.sync_api import expect

from backendcheck.report.html import matrix
from backendcheck.report.html import page as html_report

pytestmark = pytest.mark.timeout(180)
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
def since(tmp_path_factory) -> Path:
    return written(make.since_a_baseline(), tmp_path_factory.mktemp("since"))


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

    open_page.browser = browser
    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def listed(page, within: str = "") -> list[str]:
    """The cases whose rows are seen, from above."""
    return page.locator(f"{within} table[data-filtered] tbody tr:visible th a").all_inner_texts()


def chip(page, name: str):
    return page.locator(f"button[data-value='{name}']")


def counted(page, by: str) -> dict[str, int]:
    """What the chips of one kind say, by name."""
    chips = page.locator(f"button[data-by='{by}']").all()
    return {one.get_attribute("data-value"): int(one.locator("span").inner_text()) for one in chips}


def in_detail(page) -> list[str]:
    """The cases that are shown in detail, folded or not."""
    expect(page.locator("#more-sections span")).to_contain_text("shown in detail")
    return page.locator("#sections > details:visible h3").all_text_contents()


def list_all(page) -> None:
    """Every row, those that come as data too."""
    while page.locator(".scroll .rest button:visible").count():
        page.locator(".scroll .rest button:visible").first.click()


def show_all(page) -> None:
    """Every case that did not pass in detail, those that are packed too."""
    button = page.locator("#more-sections button", has_text="Show more")
    for _ in range(100):
        before = page.locator("#more-sections span").inner_text()
        if not button.is_visible():
            return
        button.click()
        expect(page.locator("#more-sections span")).not_to_have_text(before)
    raise AssertionError("there are always more")


# --- filters -------------------------------------------------------------------------------------------------------


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
    chips = page.locator(f"button[data-by='{by}']")
    assert chips.count() > 1
    for one in chips.all():
        one.click()
        assert len(listed(page)) == int(one.locator("span").inner_text())
        one.click()


def test_a_chip_says_how_many_cases_it_would_show_beside_the_others(visit, everything):
    page = visit(everything)
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
    page.locator("#query").press("Escape")
    chip(page, "FAILED").click()
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


# --- permalinks ----------------------------------------------------------------------------------------------------


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


# --- rows that came as data ----------------------------------------------------------------------------------------


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


def test_hostile_text_that_came_as_data_or_packed_does_nothing(visit, tmp_path, monkeypatch):
    monkeypatch.setattr(html_report, "N_WRITTEN", 1)
    monkeypatch.setattr(html_report, "N_SECTIONS_WRITTEN", 0)
    page = visit(written(make.everything(), tmp_path))
    list_all(page)
    show_all(page)
    expect(page.locator("#more-sections span")).to_have_text("14 of 14 cases are shown in detail")
    page.locator("#open-all").click()
    hostile = [name for name in listed(page) if name.startswith("hostile/<script>alert(1)</script>")]
    assert len(hostile) == 1
    assert page.locator("table script, #sections script, #sections img, #sections iframe").count() == 0
    assert page.locator("#sections").get_by_text("<script>alert(1)</script>").count() > 5


def test_markup_that_got_through_would_not_run(visit, tmp_path, monkeypatch):
    """Were a case ever not escaped, the policy of the page still runs no script but its own."""
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script><a href='javascript:alert(3)'>x</a>"
    render = html_report._sections
    monkeypatch.setattr(html_report, "N_SECTIONS_WRITTEN", 1)
    monkeypatch.setattr(
        html_report, "_sections",
        lambda *given: (Markup(str(text).replace("<summary>", f"{evil}<summary>")) for text in render(*given)),
    )  # fmt: skip
    opened = []
    differs = {"jax": {"loss": 1.0}, "torch": {"loss": 2.0}}
    path = written(make.results({"a/b": differs, "a/c": differs}), tmp_path)
    page = visit.browser.new_page()
    page.on("dialog", lambda dialog: (opened.append(dialog.message), dialog.dismiss()))
    page.goto(path.as_uri())
    expect(page.locator("#sections img")).to_have_count(2)  # it is there, in what was written and in what was packed
    page.locator("#sections img").first.evaluate("node => node.dispatchEvent(new Event('error'))")
    page.wait_for_timeout(200)
    page.close()
    assert opened == []


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
    page.locator(".chips[aria-label='Topic'] .toggle").click()
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


# --- copying -------------------------------------------------------------------------------------------------------


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


# --- the whole run -------------------------------------------------------------------------------------------------


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
    assert counted(page, "change") == {"new": 1, "changed": 1}
    chip(page, "new").click()
    assert listed(page) == ["losses/exact"]
    page.locator(".changes a", has_text="losses/nan").click()
    expect(page.locator("details[id='case/losses/nan'] > summary")).to_be_focused()


# --- how it looks --------------------------------------------------------------------------------------------------


def test_it_follows_the_color_scheme(visit, everything):
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
    assert page.locator("details.case:visible").count() == html_report.N_SECTIONS_WRITTEN
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("width", [390, 320, 1280])
@pytest.mark.parametrize("which", ["everything", "many"])
def test_nothing_is_wider_than_the_screen(visit, request, which, width):
    page = visit(request.getfixturevalue(which), viewport={"width": width, "height": 844})
    open_everything(page)
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


def open_everything(page) -> None:
    """Every case in detail, every row, every fold."""
    list_all(page)
    show_all(page)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 100)))")


def violations(page) -> list[tuple[str, str]]:
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    assert len(found.response["passes"]) > 15
    return [(one["id"], node["html"][:200]) for one in found.response["violations"] for node in one["nodes"][:3]]


LOOKS = [("light", 1280), ("dark", 390)]


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


def test_hostile_text_does_nothing(visit, since):
    page = visit(since)
    open_everything(page)
    assert page.locator("script:not([type])").count() == 1
    assert page.locator("main script:not([type='text/plain'])").count() == 0
    found = "main [onclick], main img, main iframe, main a[href^=javascript]"
    assert page.evaluate("selector => document.querySelectorAll(selector).length", found) == 0
    assert any("<script>alert(1)</script>" in name for name in listed(page))


def test_without_scripts_it_says_what_is_wrong_and_what_is_left_out(visit, many):
    page = visit(many, java_script_enabled=False)
    assert page.locator("table[data-filtered] tbody tr:visible").count() == html_report.N_WRITTEN
    expect(page.locator("noscript p").first).to_be_visible()
    expect(page.locator("noscript p").first).to_contain_text(
        f"The other {N_FAILING - html_report.N_WRITTEN} are listed by a script"
    )
    assert page.locator("details.case").count() == html_report.N_SECTIONS_WRITTEN
    expect(page.locator("#in-detail noscript p")).to_contain_text("backendcheck show CASE")
    expect(page.locator(".cause").first).to_be_visible()


def test_it_works_inside_another_page_as_a_notebook_shows_it(visit, everything, tmp_path):
    outer = tmp_path / "outer.html"
    inner = escape(everything.read_text(encoding="utf-8"))
    outer.write_text(f'<!doctype html><iframe sandbox="allow-scripts" width="1000" height="800" srcdoc="{inner}"></iframe>')
    page = visit(outer).frame_locator("iframe")
    page.locator("button[data-value='losses']").click()
    expect(page.locator("#shown")).to_have_text("7 of 16 shown")
    page.locator("#clear").click()
    page.locator("table[data-filtered] a", has_text="known/there").click()
    expect(page.locator("details[id='case/known/there']")).to_have_attribute("open", "")
    page.locator("details[id='case/known/there'] .copies button").first.press("Escape")
    expect(page.locator("tr.at a")).to_have_text("known/there")


def test_a_browser_that_cannot_unpack_says_so(visit, everything):
    page = visit(everything)
    page.evaluate("() => { delete window.DecompressionStream; }")
    page.evaluate("location.hash = 'case/known/there'")
    expect(page.locator("[id='case/known/there']")).to_contain_text("known/there: this browser cannot unpack the case")
    expect(page.locator("[id='case/known/there']")).to_be_in_viewport()


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


def test_a_missing_browser_says_what_to_install(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    with pytest.raises(RuntimeError, match=r"got /nowhere/chromium\..*apt-get install chromium"):
        chromium.executable()
    monkeypatch.delenv("CHROMIUM")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RuntimeError, match="got none"):
        chromium.executable()
