"""index.html: one file, offline, trusting nothing that it shows."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import zlib
from collections import Counter
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise
from urllib.parse import unquote

import make
import numpy as np
import pytest
from markupsafe import Markup

from backendcheck.compare.findings import Comparison
from backendcheck.diagnose import Diagnosis
from backendcheck.recordings.recording import Recording
from backendcheck.report import write_reports
from backendcheck.report.html import page as html_report
from backendcheck.report.html.section import section
from backendcheck.report.views import run as view_run
from backendcheck.report.views.case import web_link
from backendcheck.results.results import CaseResult
from backendcheck.verdicts.known import Cause, Divergence

TEMPLATES = resources.files("backendcheck.report.html").joinpath("templates")
KNOWN_TAGS = {
    "html", "head", "meta", "title", "link", "style", "body", "a", "header", "p", "h1", "h2", "h3", "h4", "span", "time", "div",
    "ul", "ol", "li", "b", "small", "main", "section", "table", "caption", "thead", "tbody", "tr", "th", "td", "details",
    "summary",
    "code", "em", "dl", "dt", "dd", "pre", "mark", "form", "input", "button", "output", "footer", "script",
    "figure", "figcaption", "svg", "g", "text", "rect", "line", "path", "circle", "polyline", "kbd", "noscript",
}  # fmt: skip
VOID = {"meta", "link", "input", "br", "wbr"}


class Page(HTMLParser):
    """A page taken apart: elements with their attributes, the text of scripts and styles, the visible lines; checks nesting."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.lines: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names))
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID:
            self.open.append(tag)
        if tag in self.raw:
            self.raw[tag].append("")
        if tag in ("p", "h1", "h2", "h3", "h4", "tr", "li", "caption", "summary", "pre", "dt"):
            self.lines.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]][-1] += data
        elif self.lines:
            self.lines[-1] += f"{data} "

    @property
    def text(self) -> str:
        lines = (" ".join(line.split()) for line in self.lines)
        return "\n".join(line for line in lines if line) + "\n"

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


def unpacked(html: str) -> list[str]:
    """What the page holds packed, as the browser unpacks it: cases in detail, and folded tables."""
    found = []
    for text in re.findall(r'<script type="text/plain"[^>]*>([^<]*)</script>', html):
        found += zlib.decompress(base64.b64decode(text, validate=True)).decode().split(html_report.SEPARATOR)
    return found


def whole(html: str) -> str:
    """The page with everything unpacked, the cases where the browser puts them."""
    return html.replace("</main>", "\n".join(unpacked(html)) + "</main>")


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(whole(html_report.render(make.everything())))


def test_what_it_shows(page):
    make.assert_golden("index.txt", page.text)


def test_a_known_case_names_its_cause():
    cause = Cause(id="jax-halves-losses", title="JAX halves the loss.")
    legs = make.everywhere(loss=0.5) | {"jax": {"loss": 0.25}}
    known = [make.divergence("a/b", "jax", cause=cause), make.divergence("a/c", "jax")]
    page = whole(html_report.render(make.results({"a/b": legs, "a/c": legs}, known=known)))
    assert page.count("cause <code>jax-halves-losses</code>") == 1


def test_the_data_that_is_rendered():
    results = make.everything()
    view = {
        "compared": view_run.expected_and_compared(results),
        "causes": view_run.causes(results),
        "sections": [section(result, results) for result in results.cases],
    }
    make.assert_golden("view.json", json.dumps(plain(view), indent=1, ensure_ascii=True) + "\n")


def plain(value):
    """View data as JSON: what comes from elsewhere by its name alone, and no pictures."""
    if isinstance(value, CaseResult | Recording):
        return f"<{value.case}>"
    if isinstance(value, Comparison):
        return f"<{value.oracle} {value.observation}: {value.left} and {value.right}>"
    if isinstance(value, Divergence | Diagnosis):
        return f"<{type(value).__name__}>"
    if isinstance(value, Markup):
        return "<picture>"
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(plain(one) for one in value)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def test_it_asks_the_network_for_nothing(page):
    assert page.attributes("src") == []
    assert [attributes["href"] for tag, attributes in page.elements if tag == "link"] == ["data:,"]
    assert not any(re.search(r"url\(|@import|expression", style) for style in page.raw["style"])
    assert not re.search(r"fetch|XMLHttp|import\(|WebSocket|innerHTML|eval", page.raw["script"][-1])
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")


def test_the_policy_runs_the_script_of_the_page_and_no_other(page):
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    allowed = re.search(r"script-src ([^;]*);", policy).group(1)
    digest = base64.b64encode(hashlib.sha256(page.raw["script"][-1].encode()).digest()).decode()
    assert allowed == f"'sha256-{digest}'"


def test_no_element_comes_from_what_is_shown(page):
    own = "".join(TEMPLATES.joinpath(name).read_text(encoding="utf-8") for name in html_report._SCRIPTS)
    *data, program = page.raw["script"]
    assert program == f'"use strict";\n(() => {{\n{own}}})();\n'
    assert all(re.fullmatch(r"[A-Za-z0-9+/]+=*", one) for one in data)  # packed: nothing in it ends the element
    kinds = [attributes.get("type") for tag, attributes in page.elements if tag == "script"]
    assert kinds == ["text/plain"] * len(data) + [None]
    assert page.raw["style"] == [TEMPLATES.joinpath("style.css").read_text(encoding="utf-8")]
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert {tag for tag, _ in page.elements} <= KNOWN_TAGS


def test_only_plain_web_addresses_are_clickable(page):
    outside = {href for href in page.attributes("href") if not href.startswith(("#", "data:,"))}
    assert outside == {"https://github.com/keras-team/keras/issues/1"}
    for link in (
        "javascript:alert(1)",
        "http:",
        "https://x/\x00",
        "https://x/<y>",
        "//x/y",
        "file:///etc/passwd",
        "https://x y",
        "http://[x",
    ):
        assert web_link(link) == ""


def test_control_characters_are_written_out():
    html = html_report.render(make.everything())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", html)
    assert "\\x1b[31m" in html
    html.encode()


def test_anchors_are_unique_and_every_link_has_its_target(page):
    ids = Counter(page.attributes("id"))
    assert max(ids.values()) == 1
    for href in page.attributes("href"):
        if href.startswith("#?"):
            assert re.fullmatch(r"#\?(verdict|codes|legs)=[A-Za-z-]+(&(verdict|codes|legs)=[A-Za-z-]+)*", href), href
        elif href.startswith("#"):
            assert unquote(href[1:]) == href[1:]
            assert href[1:] in ids
    for result in make.everything().cases:
        assert html_report.anchor(result.case) in ids


def test_anchors_are_stable_and_never_shared():
    assert html_report.anchor("label_range/one_past_the_last_class") == "case/label_range/one_past_the_last_class"
    assert html_report.anchor("a/b[x]") == "case/a/b~5B~x~5D~"
    names = ["a/b[x]", "a/b(x)", "a/b~5B~x~5D~", "a/" + "x" * 300, "a/" + "x" * 301, "a/é", "a/\ud800", "a/ b", "a/b"]
    assert len({html_report.anchor(name) for name in names}) == len(names)


def test_every_case_is_in_the_matrix_with_a_cell_for_each_backend():
    rows = re.findall("<tr data-verdict.*?</tr>", html_report.render(make.everything()), re.DOTALL)
    assert len(rows) == len(make.everything().cases)
    assert all(re.findall('<td class="(?:good|bad|neutral)" data-leg="([a-z]+)">', one) == list(make.BACKENDS) for one in rows)


@pytest.mark.parametrize(
    "words",
    [
        "✗ crashed", "✗ timed out", "✗ missing", "· not compared", "✓ raised InvalidArgumentError",
        "✗ returned loss 0.25 odd one out", "✗ NaN or Inf odd one out", "✗ order differs odd one out",
        "✗ differs from reference", "✓ matches reference odd one out",
    ],
)  # fmt: skip
def test_cells_say_in_words_what_a_backend_did(page, words):
    assert words in page.text


def test_the_title_says_how_the_run_stands():
    def title(results):
        return re.search(r"<h1 class=\"state (\w+)\">([^<]*)</h1>", html_report.render(results)).groups()

    assert title(make.everything()) == ("incomplete", "4 of 16 cases could not be compared, and 9 fail")
    assert title(make.results({})) == ("incomplete", "Nothing was compared")
    assert title(make.results({"a/b": make.everywhere(loss=1.0)})) == ("good", "1 case agrees")
    assert title(make.results({"a/b": {"jax": {"loss": 1.0}, "torch": {"loss": 2.0}}})) == ("bad", "1 case fails")
    lacking = make.results({"a/b": {"jax": {"raised": "E: x", "expect": {}}}}, expected=["jax", "torch"])
    assert title(lacking)[0] == "incomplete"


def test_a_run_of_passes_shows_them_unfolded():
    html = html_report.render(make.results({"a/b": make.everywhere(loss=1.0)}))
    assert '<details class="fold" id="passed-fold" open>' in html
    assert 'id="in-detail" hidden' in html


def test_a_thousand_cases_make_a_page_below_three_megabytes():
    assert len(html_report.render(make.many(1000, 50)).encode()) < 3_000_000


def test_hundreds_of_failing_cases_are_all_there_in_full():
    html = html_report.render(make.many(200, 200))
    sections = unpacked(html)
    assert html.count('<details class="case FAILED"') == html_report.N_SECTIONS_WRITTEN
    assert len(sections) == 200 - html_report.N_SECTIONS_WRITTEN
    assert all(text.startswith('<details class="case FAILED" id="case/topic_') for text in sections)
    assert all("Error against magnitude" in text and 'data-part="passed"' in text for text in sections)
    assert len(html.encode()) < 1_000_000


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(scheme):
    css = TEMPLATES.joinpath("style.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{([^}]*)\}", css)
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[0]))
    if scheme == "dark":
        colors |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[1]))
    pairs = [(text, back) for text in ("ink", "soft", "link") for back in ("paper", "card", "sunk")]
    pairs += [(text, back) for text in ("good", "bad", "error", "amber", "known") for back in ("paper", "card", f"{text}-tint")]
    pairs += [
        ("on-solid", "bad"),
        ("on-solid", "error"),
        *((text, "mark") for text in ("ink", "soft", "good", "bad", "error", "amber", "known")),
        ("ink", "error-tint"),
        ("ink", "known-tint"),
        ("soft", "known-tint"),
    ]
    for text, back in pairs:
        high, low = sorted((luminance(colors[text]), luminance(colors[back])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{text} on {back} ({scheme})"


def test_headings_go_down_one_level_at_a_time(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_all_reports_are_written(tmp_path):
    written = write_reports(make.everything(), tmp_path / "out")
    names = ["report.json", "index.html", "summary.md", "junit.xml", "report.sarif", "badge.json"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in written)
    assert all(path.stat().st_size for path in written)
