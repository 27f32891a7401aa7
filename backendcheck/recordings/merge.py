"""Whole legs from pieces that were recorded elsewhere: shards of a leg, parts of it, or legs as they are.

Recordings are copied byte for byte, with the run ids of the sessions that made them, so their checksums and digests remain what
those sessions wrote. The environment file of a joined leg lists its `pieces`: where each lay, its run, shard, how it ended, how
many recordings came from it, and on what machine. A shard that is missing is listed as such, and its cases with all others.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import file_sha256
from backendcheck.recordings.conditions import condition_mismatches
from backendcheck.recordings.files import ENVIRONMENT, RECORDINGS, SUFFIX, read_environment, recording_path
from backendcheck.recordings.legs import Leg, read_leg
from backendcheck.recordings.noise import noise_path, recordings_for
from backendcheck.recordings.recording import Environment
from backendcheck.vocabulary.backends import Backend
from backendcheck.vocabulary.shards import Shard, parse_shard
from backendcheck.vocabulary.states import ExitState

_SOME = 3  # names in a message


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Piece:
    """What was recorded of one backend in one place. `files` are its recordings by case, `noise` its noise recordings by name.

    `case_files` maps the names of case files to the digests that the recordings note.
    """

    path: Path
    environment: Environment
    files: Mapping[str, Path]
    digests: Mapping[str, str]
    case_files: Mapping[str, str]
    noise: Mapping[str, Piece]

    @property
    def shard(self) -> Shard | None:
        """The shard that it is; None if it is none."""
        text = self.environment.selection.get("shard")
        return parse_shard(str(text)) if text else None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Joined:
    """A leg joined of `pieces`: its environment, where each recording comes from, and its noise recordings likewise."""

    environment: Environment
    files: Mapping[str, Path]
    pieces: tuple[Piece, ...]
    noise: Mapping[str, Joined]


def find_pieces(directories: Sequence[Path], out: Path) -> list[Path]:
    """The directories of pieces in `directories`, however deep; what an earlier merge has written to `out` is none.

    Raises:
        UsageError: if a directory does not exist or holds none, or a piece lies where the result would go.
        UnreadableInput: if what lies there cannot be read.
    """
    found: dict[Path, Path] = {}
    for directory in directories:
        if not directory.is_dir():
            message = f"{directory}: no such directory; expected one with what 'backendcheck record' wrote."
            raise UsageError(message)
        below = list(_pieces_below(directory))
        if not below:
            message = f"{directory}: holds no recordings; expected {ENVIRONMENT} in it or below. See why its job wrote none."
            raise UsageError(message)
        for path in below:
            found.setdefault(path.resolve(), path)
    pieces = []
    for where, path in found.items():
        if not where.is_relative_to(out.resolve()):
            pieces.append(path)
        elif not read_environment(path).pieces:
            message = f"{path}: lies in --out, where the result is to go; expected pieces elsewhere. Choose another --out."
            raise UsageError(message)
    if not pieces:
        message = f"{', '.join(map(str, directories))}: holds nothing but what an earlier merge wrote to --out. Give the pieces."
        raise UsageError(message)
    return pieces


def _pieces_below(directory: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(directory):
        path = Path(folder)
        if ENVIRONMENT in files or any((path / RECORDINGS).rglob(f"*{SUFFIX}")):
            names.clear()  # a leg holds no other
            yield path
        # Hidden folders hold what a leg has beside it: noise recordings, the work of a session.
        names[:] = sorted(name for name in names if not name.startswith("."))


def read_pieces(paths: Sequence[Path]) -> list[Piece]:
    """Read and check the pieces at `paths`.

    Raises:
        UnreadableInput: naming every file that is damaged, from a later version, or belongs to another run.
        UsageError: if one is no piece of a leg.
    """
    pieces, wrong = [], []
    for path in paths:
        try:
            leg = read_leg(path)
            noise = {name: read_leg(noise_path(path, name)) for name in recordings_for(leg.label) if _is_noise_of(path, name)}
        except UnreadableInput as error:
            wrong.append(str(error))
            continue
        _check_piece(leg)
        pieces.append(_piece(leg, {name: _piece(one, {}) for name, one in noise.items()}))
    if wrong:
        raise UnreadableInput("\n".join(wrong))
    return pieces


def _is_noise_of(leg: Path, name: str) -> bool:
    return (noise_path(leg, name) / ENVIRONMENT).is_file()


def _piece(leg: Leg, noise: Mapping[str, Piece]) -> Piece:
    files = {case: recording_path(leg.path, case) for case in leg.recordings}
    return Piece(
        path=leg.path,
        environment=leg.environment,
        files=files,
        digests={case: file_sha256(path) for case, path in files.items()},
        case_files={one.file: one.file_digest for one in leg.recordings.values() if one.file_digest},
        noise=noise,
    )


def _check_piece(leg: Leg) -> None:
    environment = leg.environment
    if environment.pieces and environment.exit_state != ExitState.COMPLETE:
        message = f"{leg.path}: was joined by 'merge' and is not whole. Give its pieces themselves, and those that were missing."
        raise UsageError(message)
    for key, what in (("plants", "by 'selftest', with faults planted"), ("noise", "as a noise recording of another leg")):
        if environment.selection.get(key):
            message = f"{leg.path}: was recorded {what}; expected a piece of a leg. Leave it out."
            raise UsageError(message)


# --- joining -----------------------------------------------------------------------------------------------------


def join(pieces: Sequence[Piece]) -> list[Joined]:
    """One leg for each backend, in the order of the backends.

    Raises:
        UsageError: naming all pieces that overlap or contradict each other.
    """
    by_backend = {backend.value: [p for p in pieces if p.environment.backend == backend.value] for backend in Backend}
    wrong = [problem for group in by_backend.values() for problem in _problems(group)]
    if wrong:
        raise UsageError("\n".join(wrong))
    return [_joined(group) for group in by_backend.values() if group]


def _problems(pieces: Sequence[Piece]) -> Iterator[str]:
    """What is wrong with pieces of one backend, each held against those before it."""
    for number, piece in enumerate(pieces):
        for other in pieces[:number]:
            if overlap := _overlap(piece, other):
                yield overlap
                break
        # Which of them are right nobody knows; one sentence for each that is not like the first is enough.
        for other in pieces[:number]:
            if differences := [*_contradictions(piece, other)]:
                remedy = "A leg is recorded under one set of conditions: record one of them again, or leave it out"
                yield f"{piece.path}: contradicts {other.path}: {'; '.join(differences)}. {remedy}."
                break


def _overlap(piece: Piece, other: Piece) -> str:
    remedy = "Give one of the two."
    if piece.environment.run == other.environment.run:
        return f"{piece.path}: is a copy of {other.path} (run {piece.environment.run[:8]}). {remedy}"
    if piece.shard is not None and piece.shard == other.shard:
        return f"{piece.path}: is shard {piece.shard}, and so is {other.path}. {remedy}"
    mine = {*piece.files, *piece.environment.cases}
    if both := sorted(mine & {*other.files, *other.environment.cases}):
        return f"{piece.path}: has {len(both)} of the cases that {other.path} has, such as {_some(both)}. {remedy}"
    return ""


def _contradictions(piece: Piece, other: Piece) -> Iterator[str]:
    mine, theirs = piece.shard, other.shard
    if mine and theirs and mine.of != theirs.of:
        yield f"shard {mine} here and {theirs} there"
    elif mine and theirs and piece.environment.all_cases and other.environment.all_cases:
        more = sorted({*piece.environment.all_cases} ^ {*other.environment.all_cases})
        if more:
            yield f"one is of a run that has {_some(more)}, the other is not"
    for one in condition_mismatches(piece.environment, other.environment):
        yield f"{one.what} {one.left} here and {one.right} there"
    for name, digest in piece.case_files.items():
        if other.case_files.get(name, digest) != digest and name not in piece.environment.sources:
            yield f"{name} is another version there"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SOME]) + (f" and {len(names) - _SOME} more" if len(names) > _SOME else "")


def _joined(pieces: Sequence[Piece], noise_of: str = "", *, whole: bool = True) -> Joined:
    environments = [piece.environment for piece in pieces]
    listed = [entry for piece in pieces for entry in _entries(piece)] + list(_missing_shards(pieces))
    first = next((one for one in environments if one.versions), environments[0])
    runs = sorted(one.run for one in environments)
    run = runs[0] if len(runs) == 1 else hashlib.sha256("\n".join(runs).encode()).hexdigest()[:32]
    selection = {key: value for key, value in first.selection.items() if key != "shard"}
    selection["paths"] = list(dict.fromkeys(path for one in environments for path in one.selection.get("paths", [])))
    problems = {str(problem): problem for one in environments for problem in one.problems}
    whole = whole and all(entry["exit_state"] == ExitState.COMPLETE for entry in listed)
    environment = Environment(
        backend=first.backend,
        run=run,
        exit_state=ExitState.COMPLETE if whole else ExitState.INTERRUPTED,
        versions=first.versions,
        platform=_of_all([one.platform for one in environments]),
        device=first.device,
        settings=first.settings,
        determinism=_of_all([one.determinism for one in environments]),
        selection=selection | ({"noise_of": noise_of} if noise_of else {}),
        cases=tuple(dict.fromkeys(case for one in environments for case in (*one.all_cases, *one.cases))),
        problems=tuple(problems.values()),
        digests={case: digest for piece in pieces for case, digest in piece.digests.items()},
        started=min(one.started for one in environments),
        duration_s=round(sum(one.duration_s for one in environments), 3),
        seconds={case: seconds for one in environments for case, seconds in one.seconds.items()},
        sources={name: digest for one in environments for name, digest in one.sources.items()},
        pieces=tuple(listed),
    )
    names = dict.fromkeys(name for piece in pieces for name in piece.noise)
    noise = {name: [piece.noise[name] for piece in pieces if name in piece.noise] for name in names}
    return Joined(
        environment=environment,
        files={case: path for piece in pieces for case, path in piece.files.items()},
        pieces=tuple(pieces),
        noise={name: _joined(group, noise_of=run, whole=len(group) == len(pieces)) for name, group in noise.items()},
    )


def _entries(piece: Piece) -> list[dict[str, Any]]:
    """What the joined leg notes of a piece; of one that was joined itself, its own pieces."""
    environment = piece.environment
    if environment.pieces:
        return [{**entry, "path": f"{piece.path} ({entry['path']})"} for entry in environment.pieces]
    entry = {
        "path": str(piece.path),
        "run": environment.run,
        "shard": str(piece.shard or ""),
        "exit_state": environment.exit_state,
        "n_cases": len(environment.cases),
        "n_recordings": len(piece.files),
        "started": environment.started,
        "duration_s": environment.duration_s,
        "platform": environment.platform,
    }
    return [entry]


def _missing_shards(pieces: Sequence[Piece]) -> Iterator[dict[str, Any]]:
    shards = [shard for piece in pieces if (shard := piece.shard) is not None]
    if not shards:
        return
    there, of = {shard.number for shard in shards}, shards[0].of
    every = next((piece.environment.all_cases for piece in pieces if piece.environment.all_cases), ())
    for number in sorted({*range(1, of + 1)} - there):
        shard = Shard(number=number, of=of)
        n_cases = sum(map(shard.holds, every))
        yield {"path": "", "run": "", "shard": str(shard), "exit_state": ExitState.MISSING, "n_cases": n_cases, "n_recordings": 0}


def _of_all(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The value of each name; all of them where they differ, as they may from machine to machine."""
    names = dict.fromkeys(name for one in mappings for name in one)
    return {name: ", ".join(dict.fromkeys(one[name] for one in mappings if name in one)) for name in names}
