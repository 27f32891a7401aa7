"""What a bisect has found, as `known add` reads it: the release since which a finding is there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.errors import UsageError
from backendcheck.files import read_text
from backendcheck.results.case_result import CaseResult
from backendcheck.versions.bisect import signature_of

FOUND = "bisect.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The package and its first release with the finding, and where to read about it."""

    package: str
    release: str
    link: str = ""

    @property
    def since(self) -> str:
        """As a cause says it: ``3.14.0`` of Keras, ``jax 0.10.0`` of another package."""
        return self.release if self.package == "keras" else f"{self.package} {self.release}"


def read_found(directory: Path, result: CaseResult) -> Found:
    """What a bisect of this case has found, if it is about a finding that the case has.

    Raises:
        UsageError: if it is about something else, or names no release in which the finding appears.
    """
    path = directory / FOUND
    try:
        content: Any = json.loads(read_text(path))
        case, appears, release, target = (content[key] for key in ("case", "appears", "release", "target"))
        found = Found(package=str(content["package"]), release=str(release or ""), link=str(content["link"] or ""))
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path}: no result of a bisect ({error}). Run `backendcheck bisect {result.case}` first."
        raise UsageError(message) from error
    oracle, *_, observation, kind = target
    wrong = ""
    if case != result.case:
        wrong = f"is about {case}; expected {result.case}"
    elif not appears:
        wrong = f"is about a finding that disappears in {found.package} {content['first']}; expected one that appears"
    elif (oracle, observation, kind) not in {(one, name, of) for one, _, _, name, of in map(signature_of, result.findings)}:
        wrong = f"is about {observation} ({kind}, {oracle}), which the run does not show"
    elif not found.release:
        wrong = f"names commit {content['first']}, which is in no release yet; expected a release"
    if wrong:
        message = f"{path}: {wrong}. Bisect a finding of this run, or leave --bisect out."
        raise UsageError(message)
    return found
