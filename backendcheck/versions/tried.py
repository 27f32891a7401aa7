"""The versions that a search tries: releases of a package, or commits of its source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backendcheck.versions.origin import Origin
from backendcheck.vocabulary.leg_names import PackageVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """`versions` from the oldest on. With a `checkout` they are commits, which are exported before they are recorded."""

    package: str
    versions: tuple[str, ...]
    as_package: Callable[[str], PackageVersion]
    origin: Callable[[str], Origin]
    checkout: Path | None = None

    def called(self, version: str) -> str:
        """The version as people call it."""
        return f"{self.package} {'commit ' if self.checkout else ''}{version}"
