"""Hooks of MkDocs: sources of the built-in cases, a page for each cause of a difference, and links to edit a page."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "docs"))

import address  # noqa: E402 - beside this file
import what_differs  # noqa: E402

GENERATED = {
    "capabilities.md", "case-index.md", "commands.md", "format.md", "label-rules.md", "report-json.md", "state.md",
    "what-differs.md",
}  # fmt: skip


def on_config(config: Any) -> Any:
    """Links to the repository, once pyproject.toml has its address."""
    if known := address.repository():
        config["repo_url"], config["repo_name"] = address.HOST + known, known
        config["edit_uri"] = "edit/main/docs/"
        config["theme"]["features"].append("content.action.edit")
    return config


def on_files(files: Files, config: Any) -> None:
    """Add the case files, and the pages of the causes."""
    for path in sorted((ROOT / "cases").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path), inclusion=InclusionLevel.INCLUDED))
    _, pages = what_differs.site_pages((ROOT / "docs" / "what-differs.md").read_text(encoding="utf-8"))
    for name, text in pages.items():
        path = f"{what_differs.SITE_FOLDER}/{name}.md"
        files.append(File.generated(config, path, content=text, inclusion=InclusionLevel.NOT_IN_NAV))


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Correct the links: on the site the cases are next to the pages, in the repository next to the folder of the pages."""
    if page.file.src_uri in GENERATED or page.file.src_uri.startswith(f"{what_differs.SITE_FOLDER}/"):
        page.edit_url = None  # an edit would be lost
    if page.file.src_uri == "what-differs.md":
        markdown, _ = what_differs.site_pages(markdown)
    markdown = re.sub(r"\]\(what-differs\.md#([\w-]+)\)", rf"]({what_differs.SITE_FOLDER}/\1.md)", markdown)
    return markdown.replace("](../cases/", "](cases/")
