"""Where a version comes from: when it was made, what it says of itself, and where to read more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What is known of a release or a commit; empty where nothing is. `release` is the first one that has the commit."""

    release: str = ""
    date: str = ""
    subject: str = ""
    link: str = ""
