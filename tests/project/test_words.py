"""Words that readers from elsewhere stumble over are gone: from messages, help, reports, comments and docs."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each is a pattern, and the plain words to use in its place.
GONE = {
    r"\bheld against\b|\bhold(?:s|ing)? (?:it|them|these|those|its|the|each)?\b[^.]{0,25}\bagainst\b": "compared with",
    r"\b(?:is|are|was) (?-i:none)\b(?! and is)": "is not a ..., not found",
    r"\bnobody\b|\bwhoever\b|\banybody\b|\bsomebody\b|\beverybody\b": "no one, a user, each ...",
    r"\bin so many words\b": "explicitly",
    r"\b(?:is|are|be) told of\b": "is reported",
    r"\bis to be had\b|\bwhence\b|\bwhat is the matter\b": "a plain verb",
    r"\bhead-room\b": "headroom",
    r"\bcolour|\bbehaviour|\bneighbour|\bfavour|\bhonour|\bcentre\b|\bgrey\b|\blicence\b": "American spelling: -or, -er, gray",
    r"\b(?:label|model|cancel|signal|travel)led\b": "American spelling: one l",
    r"(?<!weights-)\b(?:normal|general|organ|recogn|real|initial|serial|summar|minim|maxim)is(?:e|es|ed|ing|ation)\b": "-ize",
    r"\banalys(?:e|es|ed|ing)\b": "American spelling: analyze",
}
FILES = (
    "backendcheck/**/*.py", "backendcheck/**/*.jinja", "backendcheck/**/*.js", "cases/**/*.py", "cases/**/*.toml",
    "tests/**/*.py", "*.md", "docs/*.md",
)  # fmt: skip


@cache
def lines() -> list[tuple[str, str]]:
    """Every line of code, cases, tests and docs, with its place."""
    paths = sorted(path for pattern in FILES for path in ROOT.glob(pattern) if path != Path(__file__))
    return [
        (f"{path.relative_to(ROOT)}:{number}", line)
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if not (path.name == "CONTRIBUTING.md" and line.startswith("| "))  # the table of words before and after
    ]


@pytest.mark.parametrize("pattern", GONE, ids=GONE.get)
def test_words_that_went(pattern: str) -> None:
    search = re.compile(pattern, re.IGNORECASE).search
    places = [f"{place}: {line.strip()[:120]}" for place, line in lines() if search(line)]
    assert not places, f"use instead: {GONE[pattern]}\n" + "\n".join(places)


def test_files_are_searched_at_all() -> None:
    assert len({place.partition(":")[0] for place, _ in lines()}) > 300
