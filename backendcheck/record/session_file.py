"""What a recording session is told, handed to its workers in a file named by an environment variable."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFile:
    """The parameters of one recording session.

    `leg` is the directory of the recordings, `work` one for what workers and controller tell each other, `noise` the noise
    recording that this one is, if it is one. `only` is the one case to record, if there is but one. With `layers` the calls of
    its layers are recorded in place of the case, and those in the leg `teacher` are replayed, or else its own.
    """

    VARIABLE: ClassVar[str] = "BACKENDCHECK_SESSION"

    backend: str
    leg: str
    work: str
    run: str
    device: str
    directory: str
    timeout_s: float
    oracles: Sequence[str] = ("agreement", "paths", "order", "reference")
    report_events: bool = False
    noise: str = ""
    only: str = ""
    layers: bool = False
    teacher: str = ""

    def save(self) -> Path:
        """Write the file into the work directory; returns its path."""
        path = Path(self.work) / "session.json"
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> SessionFile:
        """Read the file."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def case_file(self, path: Path) -> str:
        """The path of a case file as reports name it: relative to where the session was started, if it is below."""
        try:
            return str(path.relative_to(self.directory))
        except ValueError:
            return f"{path.parent.name}/{path.name}"
