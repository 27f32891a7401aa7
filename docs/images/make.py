"""The images of the report in README.md and docs/, from the cases next to this file.

    backendcheck run docs/images/cases --out DIR --scripts 2
    python docs/images/make.py DIR [CASE]

Writes three files next to this one: report.png (the run), report-case.png (a case) and report-dark.png (the charts of the same
case in dark mode). The default case is the first whose classes are in another order, or else the first that fails. Needs
Chromium, like the tests of the page.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests" / "support"))

import chromium  # noqa: E402 - of the tests

from backendcheck.report.html.matrix import anchor  # noqa: E402

WIDTH, HEIGHT = 1180, 940


def main() -> None:
    folder = Path(sys.argv[1])
    results = json.loads((folder / "report.json").read_text(encoding="utf-8"))["results"]
    ordered = [
        result["case"] for result in results if any(diagnosis["code"] == "class-order" for diagnosis in result["diagnoses"])
    ]
    case = sys.argv[2] if len(sys.argv) > 2 else [*ordered, results[0]["case"]][0]
    page_of = (folder / "index.html").resolve().as_uri()
    images = (
        ("report", "light", "", ""), ("report-case", "light", case, ""), ("report-dark", "dark", case, "[data-part=charts]"),
    )  # fmt: skip
    with chromium.browser() as browser:
        for name, scheme, of_case, part in images:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, device_scale_factor=1.5)
            page.goto(page_of + (f"#{anchor(of_case)}" if of_case else ""))
            page.wait_for_timeout(500)
            page.evaluate("document.activeElement.blur()")
            if part:
                page.locator(f"[id='{anchor(of_case)}'] {part}").evaluate("node => { node.open = true; node.scrollIntoView(); }")
            page.screenshot(path=HERE / f"{name}.png")


if __name__ == "__main__":
    main()
