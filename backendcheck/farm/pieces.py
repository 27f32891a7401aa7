"""The pieces of legs that have come back from workers: each in a folder beside the legs until all are joined by `merge`."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backendcheck.case_files import BUILT_IN, builtin_cases, file_digest
from backendcheck.errors import BackendcheckError
from backendcheck.farm.bundle import Bundle, unpack
from backendcheck.farm.chunks import Chunk
from backendcheck.farm.task import INJECTED_LEGS
from backendcheck.recordings.conditions import condition_mismatches
from backendcheck.recordings.environment import Environment
from backendcheck.recordings.files import INJECTION_NOTES, read_environment
from backendcheck.recordings.leg_directory import clear_leg
from backendcheck.recordings.merge import merge_parts, read_parts
from backendcheck.recordings.merged_legs import write_leg
from backendcheck.sessions.checkout import checkout_of
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.resume import TRIED_AGAIN
from backendcheck.vocabulary.states import ExitState

FOLDER = ".farm"  # below the output directory
_HOST = "host"
_UNFINISHED = ".new"
_SOME = 3


class Pieces:
    """The pieces of the legs of one run, below ``DIR/.farm``. A piece is there whole or not at all."""

    def __init__(self, out: Path, bundle: Bundle) -> None:
        self._folder = out.absolute() / FOLDER
        self._bundle = bundle
        self._environments: dict[str, dict[str, Environment]] = {}

    def clear(self, legs: Iterable[str]) -> None:
        """Remove the pieces of these legs."""
        for leg in legs:
            shutil.rmtree(self._folder / leg, ignore_errors=True)

    def take_earlier(self, request: RecordingRequest, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Keep the pieces of an earlier session that are still right; returns the chunks that are left to record."""
        places = {self._place(request.backend.folder, chunk) for chunk in chunks}
        for place in self._places(request.backend.folder):
            if place not in places:
                shutil.rmtree(place, ignore_errors=True)
        left = []
        for chunk in chunks:
            environment = self._earlier(request, chunk)
            if environment is None or self.mismatches(chunk, environment):
                shutil.rmtree(self._place(request.backend.folder, chunk), ignore_errors=True)
                left.append(chunk)
            else:
                self._environments.setdefault(chunk.leg, {})[chunk.key] = environment
        return left

    def _earlier(self, request: RecordingRequest, chunk: Chunk) -> Environment | None:
        place = self._place(request.backend.folder, chunk)
        if not place.is_dir():
            return None
        try:
            (part,) = read_parts([place], may_be_injected=True)
            environment = part.environment
            statuses = _statuses(place) if request.retry else ()
        except BackendcheckError:
            return None
        is_whole = environment.exit_state is ExitState.COMPLETE and not {*statuses} & {*TRIED_AGAIN}
        return environment if is_whole and part.digests == environment.digests else None

    def plan(self, folder: str) -> tuple[int, Mapping[str, float]] | None:
        """By what an earlier session has divided a leg: the number of chunks, and the durations of cases."""
        for place in self._places(folder):
            with contextlib.suppress(BackendcheckError):
                environment = read_environment(place)
                if environment.selection.shard is not None:
                    return environment.selection.shard.of, environment.durations
        return None

    def add(self, folder: str, chunk: Chunk, piece: Mapping[str, Any]) -> list[str]:
        """Take a piece; returns in what it differs from the other pieces of its leg, and then it is not taken.

        Raises:
            UnreadableInput: if it is damaged.
        """
        place = self._place(folder, chunk)
        new = place.with_suffix(_UNFINISHED)
        shutil.rmtree(new, ignore_errors=True)
        unpack(piece["content"], piece["sha256"], new)
        environment = read_environment(new)
        if different := self.mismatches(chunk, environment):
            shutil.rmtree(new, ignore_errors=True)
            return different
        (new / _HOST).write_text(str(piece["host"]), encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)
        new.rename(place)
        self._environments.setdefault(chunk.leg, {})[chunk.key] = environment
        return []

    def mismatches(self, chunk: Chunk, environment: Environment) -> list[str]:
        """In what a piece differs from the first one of its leg, and from the source files that were sent."""
        first = next(iter(self._environments.get(chunk.leg, {}).values()), None)
        found = condition_mismatches(environment, first) if first else []
        others = f"in other chunks of {chunk.leg}"
        different = [f"{mismatch.what} {mismatch.left} there and {mismatch.right} {others}" for mismatch in found]
        foreign = [name for name, digest in environment.sources.items() if digest != self._digest(name)]
        if foreign:
            different.append(f"other source files there: {', '.join(foreign[:_SOME])}")
        return different

    def _digest(self, name: str) -> str:
        inside = name.removeprefix(f"{BUILT_IN}/")
        if inside == name:
            return self._bundle.digests.get(name, "")
        path = builtin_cases() / inside
        return file_digest(path) if path.is_file() else ""

    def n_cases(self, leg: str) -> tuple[int, int]:
        """The number of cases of a leg, 0 if not known yet, and how many of them have come."""
        environments = [*self._environments.get(leg, {}).values()]
        every = max((len(environment.all_cases) for environment in environments), default=0)
        return every, sum(len(environment.cases) for environment in environments)

    def join(self, request: RecordingRequest) -> Environment | None:
        """Make the leg of its pieces; None without any. A chunk that is missing is listed as a missing shard.

        Raises:
            UsageError: if pieces overlap or contradict each other.
            UnreadableInput: if one is damaged.
        """
        places = self._places(request.backend.folder)
        if not places:
            return None
        (leg,) = merge_parts(read_parts(places, may_be_injected=True))
        parts = tuple(replace(part, path=_host(part.path)) for part in leg.environment.parts)
        environment = replace(
            leg.environment, parts=parts, selection=request.selection, checkout=checkout_of(Path.cwd(), os.environ)
        )
        clear_leg(request.leg)
        write_leg(request.leg, replace(leg, environment=environment))
        for fault in request.injections:
            _join_injected([place / INJECTED_LEGS / fault for place in places], request.injection_leg(fault))
        if environment.exit_state is ExitState.COMPLETE:
            self.clear([request.backend.folder])
            with contextlib.suppress(OSError):
                self._folder.rmdir()  # if it was the last leg
        return environment

    def _places(self, folder: str) -> list[Path]:
        return [place for place in sorted((self._folder / folder).glob("*")) if place.suffix != _UNFINISHED]

    def _place(self, folder: str, chunk: Chunk) -> Path:
        return self._folder / folder / f"{chunk.shard.number:04}-{chunk.key}"


def _join_injected(places: Sequence[Path], leg: Path) -> None:
    """Make the leg with a fault injected of its pieces, with their notes of what the fault altered."""
    (merged,) = merge_parts(read_parts(places, may_be_injected=True))
    write_leg(leg, merged)
    for number, place in enumerate(places):
        for notes in place.glob(f"{INJECTION_NOTES}-*"):
            shutil.copy(notes, leg / f"{INJECTION_NOTES}-{number}-{notes.name.removeprefix(f'{INJECTION_NOTES}-')}")


def _statuses(place: Path) -> set[Any]:
    from backendcheck.recordings.files import read_recording, recording_files

    return {read_recording(path).status for path in recording_files(place)}


def _host(place: str) -> str:
    """Where a piece was recorded; empty for one that is missing."""
    return (Path(place) / _HOST).read_text(encoding="utf-8") if place else ""
