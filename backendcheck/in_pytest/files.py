"""The files through which a pytest session, its recorders and its workers, if it has some, tell each other how far they are.

Files
    chosen.json            what is to be recorded; written by the session, or by its workers
    recorders.json         whose process the recorders belong to; there are none before it is there
    <backend>.finished     a line per item that the backend is done with; written by its recording session
    <backend>.ended        how the recording session ended; nothing comes after it
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from backendcheck.files import write_atomically
from backendcheck.sessions.processes import LegEnd
from backendcheck.sessions.selected_items import SelectedItems, finished_log

_PREFIX = ".session-"


@dataclass(slots=True)
class Exchange:
    """The directory of these files, which belongs to one pytest session.

    `offsets` and `finished` are what this process has read of the logs so far.
    """

    folder: Path
    offsets: dict[str, int] = field(default_factory=dict)
    finished: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of_session(cls, out: Path, session: str) -> Exchange:
        """That of a session which writes its reports into `out`."""
        return cls(out / f"{_PREFIX}{session}")

    def others(self) -> list[Exchange]:
        """Those that other sessions have begun in the same directory."""
        return [Exchange(folder) for folder in self.folder.parent.glob(f"{_PREFIX}*") if folder != self.folder]

    @property
    def chosen(self) -> Path:
        return self.folder / "chosen.json"

    def choose(self, chosen: SelectedItems) -> None:
        """Say what is to be recorded.

        Raises:
            OutputInTheWay: if it cannot be written.
        """
        chosen.save(self.chosen)

    def begin(self) -> None:
        """Say that the recorders of this process are on their way."""
        write_atomically(self.folder / "recorders.json", json.dumps({"process": os.getpid()}).encode())

    def has_begun(self) -> bool:
        return (self.folder / "recorders.json").exists()

    def owner_lives(self) -> bool:
        """Whether the process that has the recorders is still there; True as long as it is not known which that is."""
        try:
            process = json.loads((self.folder / "recorders.json").read_text(encoding="utf-8"))["process"]
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return self.folder.exists()  # another user's; or the files are gone, and the owner has put them away
        return True

    def end(self, backend: str, end: LegEnd) -> None:
        """Say that the recording session of a backend has ended."""
        if self.folder.exists():
            write_atomically(self.folder / f"{backend}.ended", json.dumps(asdict(end)).encode())

    def ended(self, backend: str) -> LegEnd | None:
        """How the recording session of a backend ended; None while it goes on."""
        try:
            return LegEnd(**json.loads((self.folder / f"{backend}.ended").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def is_finished(self, backend: str, nodeid: str) -> bool:
        """Whether a backend is done with an item, and has said so."""
        seen = self.finished.setdefault(backend, set())
        if nodeid in seen:
            return True
        try:
            with finished_log(self.chosen, backend).open("rb") as file:
                file.seek(self.offsets.get(backend, 0))
                content = file.read()
        except FileNotFoundError:
            return False
        whole = content[: content.rfind(b"\n") + 1]  # the rest is being written
        self.offsets[backend] = self.offsets.get(backend, 0) + len(whole)
        seen |= {json.loads(line) for line in whole.splitlines()}
        return nodeid in seen

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
