"""The page of a report as the browser tests use it: written to a file, filtered, listed, opened, checked by axe."""

from __future__ import annotations

from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from backendcheck.report.html import page as html_report

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOKS = [("light", 1280), ("dark", 390)]
N_MANY = 700
N_FAILING = 120


def written(results, folder: Path) -> Path:
    path = folder / "index.html"
    path.write_text(html_report.render(results), encoding="utf-8")
    return path


def listed(page, within: str = "") -> list[str]:
    """The cases whose rows are seen, from above."""
    return page.locator(f"{within} table[data-filtered] tbody tr:visible th a").all_inner_texts()


def unfold_filters(page) -> None:
    """The chips of diagnoses, backends and topics, which are folded at first."""
    page.locator(".more-filters:not([open]) > summary").click()


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
