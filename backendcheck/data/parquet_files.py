"""Parquet files. The reader of polars may abort its process on a damaged file, so it runs in one of its own.

The child writes the table as an Arrow file, which is safe to read here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput
from backendcheck.files import check_regular
from backendcheck.limited import end_limited, run_limited
from backendcheck.temporary import temporary_directory


def read_parquet(path: Path) -> Any:
    """The table as a polars frame.

    Raises:
        UnreadableInput: if the file is damaged.
    """
    import polars

    check_regular(path)
    with temporary_directory("table") as directory:
        target = directory / "table.arrow"
        _, problem = run_limited(__name__, [str(path.absolute()), str(target)], path.stat().st_size)
        if not problem:
            return polars.read_ipc(target.read_bytes())
    message = f"{path}: unreadable table ({problem}); expected Parquet. Write it again."
    raise UnreadableInput(message)


def _convert(source: str, target: str) -> bytes:
    """The child: read the file `source`, write the Arrow file `target`."""
    import polars

    polars.read_parquet(source).write_ipc(target)
    return b""


if __name__ == "__main__":
    end_limited(_convert, sys.argv[1:])
