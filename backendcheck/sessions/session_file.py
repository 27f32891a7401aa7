"""What a recording session is told, handed to its workers in a file named by an environment variable."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from backendcheck.vocabulary.findings import ORACLES, Oracle
from backendcheck.vocabulary.shards import parse_shard


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFile:
    """The parameters of one recording session.

    `leg` is the directory of the recordings, `work` one for what workers and controller tell each other, `noise` the noise
    recording that this one is, if it is one. `only` is the one case to record, if there is but one. With `layers` the calls of
    its layers are recorded in place of the case, and those in the leg `teacher` are replayed, or else its own. `plants` maps
    faults to the cases on which each is planted beside the recording (``*`` stands for all), and the leg where that goes.
    `shard` is the part of the cases that is recorded, all if empty. `kept` are the cases of which an earlier session has left
    a recording, and `resumes` says that there was one: what it was recorded under is then in the environment file of the leg.
    `chosen` is the file of the items to be recorded, where a pytest session has chosen them.
    """

    VARIABLE: ClassVar[str] = "BACKENDCHECK_SESSION"

    backend: str
    leg: str
    work: str
    run: str
    device: str
    directory: str
    timeout_s: float
    oracles: Sequence[Oracle] = ORACLES
    report_events: bool = False
    plants: Mapping[str, tuple[Sequence[str], str]] = field(default_factory=dict)
    noise: str = ""
    only: str = ""
    layers: bool = False
    teacher: str = ""
    shard: str = ""
    kept: Sequence[str] = ()
    resumes: bool = False
    chosen: str = ""

    def save(self) -> Path:
        """Write the file into the work directory; returns its path."""
        path = Path(self.work) / "session.json"
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> SessionFile:
        """Read the file."""
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**content, "oracles": tuple(map(Oracle, content["oracles"]))})

    def wants(self, case: str) -> bool:
        """Whether a case is to be recorded at all: not beside the one that is asked for, nor where no fault is planted on it."""
        return (not self.only or case == self.only) and (not self.plants or bool(self.planted_on(case)))

    def in_shard(self, case: str) -> bool:
        """Whether a case is in the shard that is recorded."""
        return not self.shard or parse_shard(self.shard).holds(case)

    def planted_on(self, case: str) -> list[str]:
        """The faults to be planted on a case."""
        return [fault for fault, (cases, _) in self.plants.items() if case in cases or "*" in cases]

    def case_file(self, path: Path) -> str:
        """The path of a case file as reports name it: relative to where the session was started, if it is below."""
        try:
            return str(path.relative_to(self.directory))
        except ValueError:
            return f"{path.parent.name}/{path.name}"
