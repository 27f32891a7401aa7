"""The items of a user's pytest session that are to be recorded: exact node ids, and what it takes to find them again.

They reach a recording session in a file, because there may be thousands. Beside that file the session notes which items it has
recorded, so that a test can be judged before all of them are.
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
class SelectedItem:
    """One item. `names` are those of its classes, if any, and of its function; `is_case` tells ``case_*`` from tests."""

    nodeid: str
    file: str
    names: tuple[str, ...]
    is_case: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedItems:
    """The items in the order in which they are needed, and what determines their node ids.

    `rootdir`, `inifile` (empty: none), `confcutdir` and `import_mode` are those of the session that selected them. `import_path`
    is where it finds modules, and `options` holds the values of the options that its conftest.py files have added. `is_subset`
    says that options have left out other items.
    """

    items: tuple[SelectedItem, ...]
    rootdir: str
    inifile: str
    confcutdir: str
    import_mode: str
    import_path: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    is_subset: bool = False

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
    def load(cls, path: Path) -> SelectedItems:
        """Read the file.

        Raises:
            UnreadableInput: if it is not there, or holds anything else.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            items = tuple(SelectedItem(**{**item, "names": tuple(item["names"])}) for item in content.pop("items"))
            return cls(**{**content, "items": items, "import_path": tuple(content["import_path"])})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            message = f"{path}: not a file of selected items ({error}); expected one that the pytest plugin wrote."
            raise UnreadableInput(message) from error


def finished_log(selected_items: Path, backend: str) -> Path:
    """Where the session of a backend notes the node ids of the items that it has recorded, one line of JSON each."""
    return selected_items.with_name(f"{backend}.finished")
