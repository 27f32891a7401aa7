"""What a report says of its run alone: when it was made, the runs of its legs, what was kept.

All else follows from what was compared. So a report is rendered as a frame with a mark for each of these places, and then filled
in. The frame serves once more for a later run in which nothing has changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backendcheck.text.words import counted, duration

if TYPE_CHECKING:
    from backendcheck.recordings.environment import Environment
    from backendcheck.results.results import Results

_SHORTEST_S = 0.05
_WEB_LINK = re.compile(r"https?://[!-~]+")  # nothing else is clickable
_SOURCE = re.compile(r"https://[\w.-]+/[\w./~-]+/blob/[0-9a-f]{40,64}(?:/[\w./~%-]+)?")
# They stay as they are in JSON, XML and HTML.
CREATED, KEPT, ENVIRONMENTS = (f"mark-of-{name}-3f6c0b9a5e714d28" for name in ("created", "kept", "environments"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a report is made, and the environments and numbers of recordings of its legs, by label."""

    created: str
    environments: Mapping[str, Environment]
    n_recordings: Mapping[str, int]

    @classmethod
    def of(cls, results: Results) -> Moment:
        return cls(
            created=results.created,
            environments={leg.label: leg.environment for leg in results.legs},
            n_recordings={leg.label: len(leg.recordings) for leg in results.legs},
        )

    @property
    def created_in_words(self) -> str:
        return _in_words(self.created)

    @property
    def durations(self) -> str:
        """How long each leg was recorded, ``recorded in 1 min 12 s on jax, 48.1 s on torch``; empty until one has ended.

        A leg whose recordings were all kept took next to no time, of which nothing is said.
        """
        taken = [
            f"{duration(leg.duration_s)} on {label}" for label, leg in self.environments.items() if leg.duration_s >= _SHORTEST_S
        ]
        return f"recorded in {', '.join(taken)}" if taken else ""

    @property
    def kept(self) -> KeptRecordings | None:
        """The recordings that were kept; None if none were."""
        kept = [earlier for environment in self.environments.values() for earlier in environment.kept]
        if not kept:
            return None
        return KeptRecordings(
            n=sum(earlier.n_recordings for earlier in kept),
            of=sum(self.n_recordings.values()),
            since=min(earlier.started for earlier in kept),
        )

    @property
    def checkout(self) -> list[tuple[str, str]]:
        """Project, branch, commit and CI job of the legs, each with its link or an empty text; several where legs differ."""
        checkouts = [environment.checkout for environment in self.environments.values()]
        words = {"project": "{}", "branch": "branch {}", "commit": "commit {:.10}"}
        texts = [
            (template.format(value), "")
            for name, template in words.items()
            for value in dict.fromkeys(checkout[name] for checkout in checkouts if name in checkout)
        ]
        links = dict.fromkeys(checkout["link"] for checkout in checkouts if "link" in checkout)
        return [*texts, *(("CI job", link) for link in links if _WEB_LINK.fullmatch(link))]


    @property
    def source(self) -> str:
        """Where a service shows the files that were recorded, without a slash at the end; empty unless all legs agree."""
        addresses = {environment.checkout.get("source", "") for environment in self.environments.values()}
        address = addresses.pop() if len(addresses) == 1 else ""
        return address if _SOURCE.fullmatch(address) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecordings:
    """How many recordings of a run were kept from earlier runs, of how many, and when the first of those was started."""

    n: int
    of: int
    since: str

    def __str__(self) -> str:
        return f"kept from earlier runs: {self.n:,} of {counted(self.of, 'recording')}, since {_in_words(self.since)}"


def _in_words(time: str) -> str:
    return time.replace("T", " ").replace("+00:00", " UTC")


def filled(frame: str, texts: Mapping[str, str]) -> str:
    """A frame with a text in place of each mark."""
    for mark, text in texts.items():
        frame = frame.replace(mark, text)
    return frame
