"""A hook of MkDocs: the sources of the built-in cases are part of the site, so that the links of case-index.md work there too."""

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
    """On the site they lie beside the pages, in the repository beside the folder of the pages."""
    return markdown.replace("](../cases/", "](cases/")
