"""The files through which a pytest session, its recorders and its pytest-xdist workers exchange their progress.

Files
    selected.json          the items to record; written by the session, or by its workers
    recorders.json         the process that owns the recorders; written before they start
    <backend>.finished     a line for each item that the backend has recorded; written by its recording session
    <backend>.ended        how the recording session ended; it is written last
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from backendcheck.files import write_atomically
from backendcheck.in_pytest.names import SELECTED_FILE
from backendcheck.sessions.processes import LegEnd
from backendcheck.sessions.selected_items import SelectedItems, finished_log
from backendcheck.text.words import error_line

_PREFIX = ".session-"


@dataclass(slots=True)
class Exchange:
    """The directory of these files, which belongs to one pytest session.

    `offsets` and `finished` hold what this process has read of the logs so far.
    """

    folder: Path
    offsets: dict[str, int] = field(default_factory=dict)
    finished: dict[str, set[str]] = field(default_factory=dict)

    def of_other_sessions(self) -> list[Exchange]:
        """The exchanges of other sessions in the same directory."""
        return [Exchange(folder) for folder in self.folder.parent.glob(f"{_PREFIX}*") if folder != self.folder]

    @property
    def selected(self) -> Path:
        return self.folder / SELECTED_FILE

    def select(self, items: SelectedItems) -> None:
        """Write the items to record.

        Raises:
            OutputInTheWay: if it cannot be written.
        """
        items.save(self.selected)

    def begin(self) -> None:
        """Note that this process starts the recorders."""
        write_atomically(self.folder / "recorders.json", json.dumps({"process": os.getpid()}).encode())

    def has_begun(self) -> bool:
        return (self.folder / "recorders.json").exists()

    def owner_lives(self) -> bool:
        """Whether the process that owns the recorders is running; True while it is unknown."""
        try:
            process = json.loads((self.folder / "recorders.json").read_text(encoding="utf-8"))["process"]
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except (OSError, ValueError, TypeError, KeyError):
            return self.folder.exists()  # another user's process; or the owner has removed the files
        return True

    def end(self, backend: str, end: LegEnd) -> None:
        """Note how the recording session of a backend ended."""
        if self.folder.exists():
            write_atomically(self.folder / f"{backend}.ended", json.dumps(asdict(end)).encode())

    def ended(self, backend: str) -> LegEnd | None:
        """How the recording session of a backend ended; None while it runs."""
        path = self.folder / f"{backend}.ended"
        try:
            return LegEnd(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            return LegEnd(exit_code=3, message=f"{path}: cannot be read ({error_line(error)}).", recorded=True)

    def is_finished(self, backend: str, nodeid: str) -> bool:
        """Whether a backend has recorded an item."""
        finished = self.finished.setdefault(backend, set())
        if nodeid in finished:
            return True
        try:
            with finished_log(self.selected, backend).open("rb") as file:
                file.seek(self.offsets.get(backend, 0))
                content = file.read()
        except OSError:
            return False
        whole = content[: content.rfind(b"\n") + 1]  # the last line may be incomplete
        self.offsets[backend] = self.offsets.get(backend, 0) + len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):  # its item then waits for the end of the session
                finished.add(str(json.loads(line)))
        return nodeid in finished

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
