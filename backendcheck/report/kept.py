"""Reports that are kept: what a run has shown, beside the kept recordings, for later runs in which nothing has changed.

    .backendcheck_cache/reports/<key>    a checksum, and below it the frames, deflated

The verdicts of a run follow from its recordings, the settings that apply, the source of backendcheck and the packages in use. The
key is a digest of all of them, so that verdicts under another key are never shown. The day decides which known divergences have
expired, so each file says from when until when it holds. What is damaged counts as not there.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backendcheck.errors import OutputInTheWay
from backendcheck.files import file_sha256, read_bytes, write_atomically
from backendcheck.recordings.files import ENVIRONMENT_FILE
from backendcheck.sessions.conditions import judging_conditions
from backendcheck.text.styled import StyledLine

if TYPE_CHECKING:
    from backendcheck.recordings.environment import Environment
    from backendcheck.verdicts.known import Divergence

_FORMAT = 1
_MOST = 6  # a few selections and widths of terminals
# Fields of an environment that differ although nothing has changed. Marks stand for them in a frame, or no report has them.
_OF_THE_MOMENT = ("run", "started", "duration_s", "seconds", "sessions", "kept", "n_replaced_for_memory", "checkout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """What a command writes and prints of a run: files by name, and lines. Marks stand for what concerns the run alone."""

    files: Mapping[str, str]
    summary: Sequence[str]
    last_line: Sequence[str]
    annotations: Sequence[str]
    exit_code: int


def key_of(environments: Mapping[str, Environment], known_files: Sequence[Path], settings: Mapping[str, object]) -> str:
    """The digest of all that the frames of a run depend on, besides the day.

    `environments` are those of the legs by label, and have the digests of the recordings. `known_files` hold the known
    divergences in force. `settings` are the other values that decide what is shown.

    Raises:
        OSError: if a file cannot be read.
    """
    rows = {
        "format": _FORMAT,
        "conditions": judging_conditions(),
        "legs": {label: _lasting(environment) for label, environment in environments.items()},
        "known": [(str(path), file_sha256(path)) for path in known_files],
        "settings": {name: repr(value) for name, value in settings.items()},
    }
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _lasting(environment: Environment) -> dict[str, Any]:
    return {name: value for name, value in ENVIRONMENT_FILE.encode(environment).items() if name not in _OF_THE_MOMENT}


def read_frames(cache: Path, key: str, today: datetime.date) -> Frames | None:
    """The frames under a key that hold today; None if they are missing or damaged."""
    path = _path(cache, key)
    try:
        checksum, _, deflated = read_bytes(path).partition(b"\n")
        if checksum.decode() != _checksum(key, deflated):
            return None
        content = json.loads(zlib.decompress(deflated))
        if content["format"] != _FORMAT or not content["from"] <= today.isoformat() <= content["until"]:
            return None
        frames = Frames(
            files=content["files"], summary=[*map(_line, content["summary"])], last_line=content["last_line"],
            annotations=content["annotations"], exit_code=content["exit_code"],
        )  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error):
        return None
    with contextlib.suppress(OSError):
        path.touch()  # it is in use
    return frames


def write_frames(cache: Path, key: str, frames: Frames, today: datetime.date, known: Sequence[Divergence]) -> None:
    """Keep frames that were made today with these known divergences. A folder that cannot be written keeps nothing."""
    ends = [entry.expires for entry in known if entry.expires is not None and not entry.expired(today)]
    content = {
        "format": _FORMAT, "from": today.isoformat(), "until": min(ends, default=datetime.date.max).isoformat(),
        "files": dict(frames.files), "summary": [[*map(list, line.parts)] if isinstance(line, StyledLine) else line
                                                 for line in frames.summary],
        "last_line": list(frames.last_line), "annotations": list(frames.annotations), "exit_code": frames.exit_code,
    }  # fmt: skip
    deflated = zlib.compress(json.dumps(content).encode(), 1)
    with contextlib.suppress(OutputInTheWay, OSError):
        path = _path(cache, key)
        write_atomically(path, _checksum(key, deflated).encode() + b"\n" + deflated)
        for older in [*_newest_first(path.parent)][_MOST:]:
            older.unlink()


def _path(cache: Path, key: str) -> Path:
    return cache / "reports" / key[:32]


def _checksum(key: str, deflated: bytes) -> str:
    return hashlib.sha256(key.encode() + deflated).hexdigest()


def _line(stored: Any) -> str:
    return StyledLine((text, style) for text, style in stored) if isinstance(stored, list) else stored


def _newest_first(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
