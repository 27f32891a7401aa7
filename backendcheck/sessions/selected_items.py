"""The items of somebody's pytest session that are to be recorded: exact node ids, and what it takes to find them again.

A recording session is told of them by a file, for there may be thousands. Beside it the session notes which of them it is done
with, so that whoever waits for one need not wait for all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput
from backendcheck.files import write_atomically


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenItem:
    """One item. `names` are those of its classes, if any, and of its function; `is_case` tells ``case_*`` from tests."""

    nodeid: str
    file: str
    names: tuple[str, ...]
    is_case: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The items, in the order in which they are waited for, and what has to be the same for their node ids to be.

    `rootdir`, `inifile` (empty: none), `confcutdir` and `import_mode` are those of the session that chose them; `import_path`
    is where it finds modules, and `options` holds the values of the options that its conftest.py files have added. `narrowed`
    says that it might have had more items, had it not been told to leave them out.
    """

    items: tuple[ChosenItem, ...]
    rootdir: str
    inifile: str
    confcutdir: str
    import_mode: str
    import_path: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    narrowed: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the items, each once."""
        return tuple(dict.fromkeys(item.file for item in self.items))

    def save(self, path: Path) -> None:
        """Write the file.

        Raises:
            OutputInTheWay: if it cannot be written.
        """
        write_atomically(path, json.dumps(asdict(self)).encode())

    @classmethod
    def load(cls, path: Path) -> Chosen:
        """Read the file.

        Raises:
            UnreadableInput: if it is not there, or holds anything else.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            items = tuple(ChosenItem(**{**item, "names": tuple(item["names"])}) for item in content.pop("items"))
            return cls(**{**content, "items": items, "import_path": tuple(content["import_path"])})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            message = f"{path}: holds no chosen items ({error}); expected a file that the pytest plugin wrote."
            raise UnreadableInput(message) from error


def finished_log(chosen: Path, backend: str) -> Path:
    """Where the session of a backend notes, a line in JSON each, the node ids that it is done with."""
    return chosen.with_name(f"{backend}.finished")
