"""The public address of the project: [project.urls] in pyproject.toml defines it, other files take it from there.

Until it is known, files have `OWNER/backendcheck` in its place, and the links of README.md are relative.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOST = "https://github.com/"
PLACEHOLDER = "OWNER/backendcheck"
PATTERNS = ("README.md", "CITATION.cff", "docs/*.md", "docs/recipes/*", "docs/recipes/.*", ".github/**/*.yml", ".github/*.md")


def repository() -> str:
    """The address as owner/name; empty as long as it is not known."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project.get("urls", {}).get("Repository", "")).removeprefix(HOST)


def files() -> list[Path]:
    """The files that may name the address."""
    return sorted({path for pattern in PATTERNS for path in ROOT.glob(pattern) if path.is_file()})


def filled(text: str, address: str, *, readme: bool = False) -> str:
    """`text` with the address in it. README.md is shown by the package index too, where relative links lead nowhere."""
    if not address:
        return text
    if readme:
        text = re.sub(r"(!\[[^\]]*\]\()(?![a-z]+:|#)", rf"\1https://raw.githubusercontent.com/{address}/main/", text)
        text = re.sub(r"((?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\()(?![a-z]+:|#)", rf"\1{HOST}{address}/blob/main/", text)
    return text.replace(PLACEHOLDER, address)
