"""Pages that are made from the program are what the program would make of them, and links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import make
import pytest
from diagnosis_examples import EXAMPLES
from facets import facets_of
from what_differs import prose, site_pages, widest

import backendcheck
from backendcheck.case_files import builtin_cases, case_functions, find_case_files
from backendcheck.diagnose import CODES
from backendcheck.report.formats.text import verdict_line
from backendcheck.text.markdown import escape
from backendcheck.verdicts.known_entries import load, load_causes

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]


def test_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not missing


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert not [page.name for page in PAGES if page.parent == ROOT / "docs" and f": {page.name}" not in nav]


def test_every_public_name_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    names = re.findall(r"^::: backendcheck\.(\w+)$", text, re.MULTILINE)
    assert sorted(names) == sorted({*backendcheck.__all__} - {"__version__"})


# --- diagnoses -----------------------------------------------------------------------------------------------------


def described() -> dict[str, str]:
    """What docs/diagnoses.md says of each code."""
    text = (ROOT / "docs" / "diagnoses.md").read_text(encoding="utf-8")
    parts = re.split(r"^#### (.*)$", text.partition("## The class that a backend implied")[0], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_diagnosis_is_described_and_no_other() -> None:
    assert sorted(described()) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_diagnosis_has_an_example_a_cause_and_a_remedy(code: str) -> None:
    text = described()[code]
    assert re.findall(r"^(```text|- \*\*(?:Claims|Comes from|What to do)\*\*)", text, re.MULTILINE) == [
        "```text", "- **Claims**", "- **Comes from**", "- **What to do**",
    ]  # fmt: skip


@pytest.mark.parametrize("code", [code for code in CODES if code != "undiagnosed"])
def test_the_example_of_a_diagnosis_is_what_a_report_says(code: str) -> None:
    case, legs = EXAMPLES[code]
    result = make.results({case: legs}).cases[0]
    assert result.diagnoses[0].code == code
    assert re.search(r"```text\n(.*)\n```", described()[code]).group(1) == verdict_line(result)


# --- what differs --------------------------------------------------------------------------------------------------


def test_what_differs_is_about_cases_that_are_there_with_causes_and_reasons_that_are_on_file() -> None:
    text = (ROOT / "docs" / "what-differs.md").read_text(encoding="utf-8")
    functions = {function.id for file in find_case_files([str(builtin_cases())]) for function in case_functions(file)}
    index, *sections = re.split(r"^## (?=.)", text, flags=re.MULTILINE)
    causes = load_causes(builtin_cases() / "known_divergences")
    reasons = {prose(entry.reason) for entry in load(builtin_cases() / "known_divergences")}
    assert len(sections) > 60
    assert index.count("](#") == len(sections)
    for section in sections:
        cause = causes[section.partition("\n")[0]]
        assert f"**{prose(cause.title)}** {prose(cause.explanation)}" in section
        assert f"](#{cause.id}) |" in index
        cases = re.findall(r"^\*\*`([^`]+)`\*\*", section, re.MULTILINE)
        assert cases
        assert [case for case in cases if case.partition("[")[0] not in functions] == []
        assert [reason for reason in re.findall(r"^  <br>\*(.*)\*$", section, re.MULTILINE) if reason not in reasons] == []
    assert set(re.findall(r"\(diagnoses\.md#([a-z-]+)\)", text)) <= {*CODES}


def test_code_in_what_differs_is_shown_as_code() -> None:
    assert prose("`CategoryEncoding` drops | `label_1`, not <b>.") == "`CategoryEncoding` drops &#124; `label_1`, not &lt;b&gt;."
    assert prose("an ` alone") == escape("an ` alone")
    assert "&#96;" not in (ROOT / "docs" / "what-differs.md").read_text(encoding="utf-8")


def test_the_site_has_an_index_and_a_page_for_each_cause() -> None:
    text = (ROOT / "docs" / "what-differs.md").read_text(encoding="utf-8")
    index, pages = site_pages(text)
    assert list(pages) == re.findall(r"^## (.+)$", text, re.MULTILINE)
    for name, page in pages.items():
        row = next(line for line in index.splitlines() if f"](differs/{name}.md)" in line)
        assert page.startswith(f"# {row.partition('[')[2].partition('](differs/')[0].rstrip('.')}\n")
        assert "](diagnoses.md" not in page
        assert re.search(r"^backendcheck repro \S+", page, re.MULTILINE)
    assert "\n## " not in index


def test_a_cause_has_the_versions_of_its_widest_entry() -> None:
    assert widest({">=3.13", ">=3.5", ">=3.8"}) == ["Keras >=3.5"]
    assert widest({">=3.5,<3.9", ">=3.5"}) == ["Keras >=3.5", "Keras >=3.5,<3.9"]
    assert widest(set()) == []


@pytest.mark.parametrize(
    ("versions", "of_keras"),
    [
        ("Keras >=3.13", ["3.13", "3.14"]), ("Keras >=3.5,<3.7, Keras >=3.14", ["3.5", "3.6", "3.14"]),
        ("until Keras 3.6", ["3.4", "3.5"]), ("since Keras 3.12, until Keras 3.14", ["3.12", "3.13"]),
        ("since jax 0.5", [f"3.{minor}" for minor in range(4, 15)]),
    ],
)  # fmt: skip
def test_a_cause_is_found_by_each_version_of_keras_that_has_it(versions: str, of_keras: list[str]) -> None:
    facets = facets_of(f"x\n\nDeviates: jax, torch; {versions}.\n\n**`a/b`** Claim.\n\n: TIE ORDER: all of them\n", newest=14)
    used = {facet: [] for facet in ("loss", "metric", "layer", "operation")}
    assert facets == {"kind": ["tie order"], "backend": ["jax", "torch"], "keras": of_keras} | used


def test_the_schema_of_the_site_is_that_of_the_package() -> None:
    assert (ROOT / "docs" / "report.schema.json").read_text() == (
        ROOT / "backendcheck" / "report" / "formats" / "report.schema.json"
    ).read_text()
