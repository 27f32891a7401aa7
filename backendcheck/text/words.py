"""Words: lists of names as a sentence has them, and the first line of a message."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "no backend"


def first_line(text: str, limit: int = 200) -> str:
    """The first line of a message that says something, cut to `limit` characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines or [""])[0][:limit]
