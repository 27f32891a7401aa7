"""What a recording session is asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backendcheck.case_files import BUILT_IN
from backendcheck.errors import UsageError
from backendcheck.recordings.files import PLANTED
from backendcheck.vocabulary.backends import Backend
from backendcheck.vocabulary.findings import ORACLES, Oracle
from backendcheck.vocabulary.shards import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to record. `paths` are files, directories or node ids; none stands for the built-in cases.

    `only` is the id of the one case to record, if there is but one. With `layers` the calls of its layers are recorded in
    place of the case, and those in the leg `teacher` are replayed, or else its own.
    `plants` maps faults to the cases on which each is planted, ``*`` for all; those recordings go to legs of their own, and no
    other cases are recorded.
    `noise` makes it the noise recording of that name, for the leg with the run id `noise_of`.
    `shard` records that part of the cases alone. With `resume` an earlier session in the same directory goes on: what it has
    recorded is kept, with `retry` only where that was recorded or raised.
    `chosen` names a file of items that a pytest session has chosen: those are recorded, and `paths` are their files; `narrowed`
    is what that file says of them.
    """

    backend: Backend
    out: Path
    paths: Sequence[str] = ()
    workers: int = 1
    timeout_s: float = 300.0
    keyword: str = ""
    marks: str = ""
    device: str = "cpu"
    oracles: Sequence[Oracle] = ORACLES
    plugins: Sequence[str] = ()
    overwrite: bool = False
    report_events: bool = False
    plants: Mapping[str, Sequence[str]] = field(default_factory=dict)
    noise: str = ""
    noise_of: str = ""
    only: str = ""
    layers: bool = False
    teacher: Path | None = None
    shard: Shard | None = None
    resume: bool = False
    retry: bool = False
    chosen: Path | None = None
    narrowed: bool = False

    def planted_leg(self, fault: str) -> Path:
        """Where the recordings with `fault` planted go."""
        return self.out.absolute() / PLANTED / fault / self.backend.value

    @property
    def leg(self) -> Path:
        return self.out.absolute() / self.backend.value

    @property
    def selection(self) -> dict[str, Any]:
        return {
            "paths": list(self.paths) or [BUILT_IN],
            "keyword": self.keyword,
            "marks": self.marks,
            "device": self.device,
            "oracles": list(self.oracles),
            **({"plugins": list(self.plugins)} if self.plugins else {}),
            **({"shard": str(self.shard)} if self.shard else {}),
            **({"noise": self.noise, "noise_of": self.noise_of} if self.noise else {}),
            **({"plants": sorted(self.plants)} if self.plants else {}),
            **({"chosen_by": "pytest", "narrowed": self.narrowed} if self.chosen else {}),
        }


def check_expressions(request: Request) -> None:
    """See that -k and -m are expressions, before anything is cleared or started for them.

    Raises:
        UsageError: saying where one is wrong.
    """
    from _pytest.mark.expression import Expression

    for flag, expression in (("-k", request.keyword), ("-m", request.marks)):
        try:
            if expression:
                Expression.compile(expression)
        except Exception as error:  # noqa: BLE001 - its class changed with pytest's versions
            message = f"{flag} {expression!r}: is no expression ({error}); expected names joined by and, or, not, as in pytest."
            raise UsageError(message) from None
