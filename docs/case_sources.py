"""A hook of MkDocs that adds the sources of the built-in cases to the site, for the links of case-index.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parent.parent


def on_files(files: Files, config: Any) -> None:
    """Add the case files."""
    for path in sorted((ROOT / "cases").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path), inclusion=InclusionLevel.INCLUDED))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Correct the links: on the site the cases are next to the pages, in the repository next to the folder of the pages."""
    return markdown.replace("](../cases/", "](cases/")
