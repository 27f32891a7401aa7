"""The scripts that show cases, kept beside the run that they were made from: what a report needs to show one, in one file.

``DIR/scripts/<case id>.json`` holds the script, what it printed, and the SHA-256 of the recording on each backend. A script
whose recordings are not those at hand is never shown: it may show something else than the report says. ``<case id>.py`` beside
it is the same script to be run, with its arrays if it reads any.

Format history
    1  first version
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput
from backendcheck.files import file_sha256, read_text, write_atomically
from backendcheck.recordings.legs import Leg
from backendcheck.recordings.paths import RECORDINGS, recording_path
from backendcheck.vocabulary.sides import Side

FORMAT = 1
FOLDER = "scripts"
_LARGEST = 10_000_000  # bytes; a script has a few thousand
_REMEDY = "Make it again with 'backendcheck repro', or delete it."


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptScript:
    """The script of one case, what it printed on each backend, and whether that shows the difference.

    `recordings` has the SHA-256 of the recording on each backend that it was made from. `data` is the name of the file of arrays
    that the script reads, empty if none. Where no script could be made, `source` is empty and `notes` say why.
    """

    case: str
    source: str
    outputs: Mapping[str, str]
    shows: bool
    recordings: Mapping[str, str]
    headline: str = ""
    notes: tuple[str, ...] = ()
    data: str = ""
    data_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptsFound:
    """The scripts that belong to the recordings at hand, by case. `stale` are cases whose script belongs to others."""

    by_case: Mapping[str, KeptScript] = field(default_factory=dict)
    stale: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()


def script_path(directory: Path, case: str) -> Path:
    """Where the script of `case` lies beside the run in `directory`; no two cases share one, on no system."""
    ordinary, distinct = (
        directory / FOLDER / recording_path(Path(), case, distinct=distinct).relative_to(RECORDINGS).with_suffix(".py")
        for distinct in (False, True)
    )
    return distinct if distinct.with_suffix(".json").exists() or _is_taken(ordinary) else ordinary


def _is_taken(path: Path) -> bool:
    """Whether a folder or file beside the script at `path` has the same name but for upper and lower case."""
    for place in (path.parent, path.with_suffix(".json")):
        names = [entry.name for entry in place.parent.iterdir()] if place.parent.is_dir() else []
        if place.name not in names and place.name.lower() in map(str.lower, names):
            return True
    return False


def keep_script(directory: Path, script: KeptScript, data: Path | None = None) -> Path:
    """Write `script` beside the run in `directory`, with the file of arrays that it reads; returns the path of the .py.

    Raises:
        OutputInTheWay: if `directory` cannot be written.
    """
    path = script_path(directory, script.case)
    if data is not None and data.resolve() != (path.parent / data.name).resolve():
        write_atomically(path.parent / data.name, data.read_bytes())
    if script.source:
        write_atomically(path, script.source.encode("utf-8", "backslashreplace"))
    content = {
        "format": FORMAT,
        **{name: getattr(script, name) for name in ("case", "source", "shows", "headline", "notes", "data", "data_sha256")},
        "outputs": dict(script.outputs), "recordings": dict(script.recordings),
    }  # fmt: skip
    # Last: it says what belongs together.
    write_atomically(path.with_suffix(".json"), f"{json.dumps(content, indent=1)}\n".encode())
    return path


def clear_scripts(directory: Path) -> None:
    """Remove the scripts of an earlier run in `directory`."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory / FOLDER)


def digests_of(case: str, legs: Sequence[Leg]) -> dict[str, str]:
    """The SHA-256 of the recording of `case` by leg, of those that have one."""
    digests = {}
    for leg in legs:
        if case in leg.recordings:
            with contextlib.suppress(OSError):
                path = leg.files.get(case) or recording_path(leg.path, case)
                digests[leg.label] = leg.environment.digests.get(case) or file_sha256(path)
    return digests


def find_scripts(directories: Iterable[Path], legs: Sequence[Leg]) -> ScriptsFound:
    """The scripts beside the runs in `directories` that were made from the recordings of `legs`.

    What cannot be used is reported as a problem; the run is read all the same.
    """
    by_case: dict[str, KeptScript] = {}
    stale: set[str] = set()
    problems = []
    for folder in dict.fromkeys((directory / FOLDER).resolve() for directory in directories):
        for path in sorted(folder.rglob("*.json")) if folder.is_dir() else ():
            try:
                script = read_script(path)
            except UnreadableInput as error:
                problems.append(str(error))
                continue
            if _belongs(script, legs):
                by_case.setdefault(script.case, script)
            else:
                stale.add(script.case)
    return ScriptsFound(by_case=by_case, stale=frozenset(stale - by_case.keys()), problems=tuple(problems))


def _belongs(script: KeptScript, legs: Sequence[Leg]) -> bool:
    """Whether `script` was made from the recordings of its case: one of each backend that has any, and no other."""
    by_backend: dict[str, set[str]] = {}
    for label, digest in digests_of(script.case, legs).items():
        by_backend.setdefault(Side(label).backend, set()).add(digest)
    same_backends = script.recordings.keys() == by_backend.keys()
    return same_backends and all(script.recordings[backend] in digests for backend, digests in by_backend.items())


def read_script(path: Path) -> KeptScript:
    """Read what `keep_script` wrote as .json.

    Raises:
        UnreadableInput: if it is damaged, from a later version, or has lost its arrays.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it has {path.stat().st_size} bytes, more than any script")
        content = json.loads(read_text(path))
        if content["format"] != FORMAT:
            message = f"{path}: has format {content['format']!r}; expected {FORMAT}. {_REMEDY}"
            raise UnreadableInput(message)
        script = KeptScript(
            case=_text(content["case"]), source=_text(content["source"]), outputs=_texts(content["outputs"]),
            shows=content["shows"] is True, recordings=_texts(content["recordings"]), headline=_text(content["headline"]),
            notes=tuple(_text(note) for note in content["notes"]), data=_text(content["data"]),
            data_sha256=_text(content["data_sha256"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{path}: cannot be read as the script of a case ({type(error).__name__}: {error}). {_REMEDY}"
        raise UnreadableInput(message) from error
    if script.data:
        arrays = path.parent / Path(script.data).name
        if not arrays.is_file() or file_sha256(arrays) != script.data_sha256:
            message = f"{arrays}: is not the file of arrays that the script of {script.case} reads. {_REMEDY}"
            raise UnreadableInput(message)
    return script


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value


def _texts(value: Any) -> dict[str, str]:
    return {_text(key): _text(entry) for key, entry in value.items()}
