"""Whole legs from parts that were recorded elsewhere: shards of a leg, other parts of it, or legs as they are.

Recordings are copied byte for byte, with the run ids of the sessions that made them, so their checksums and digests remain what
those sessions wrote. The environment file of a merged leg lists its parts: where each lay, its run, shard, how it ended, how
many recordings came from it, and on what machine. A shard that is missing is listed as such, and its cases with all others.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import file_sha256
from backendcheck.recordings.conditions import condition_mismatches
from backendcheck.recordings.environment import Environment, MergedPart
from backendcheck.recordings.files import ACCESS, ENVIRONMENT, read_environment, recording_files
from backendcheck.recordings.legs import Leg, read_leg
from backendcheck.recordings.noise import noise_path, recordings_for
from backendcheck.vocabulary.leg_names import leg_order
from backendcheck.vocabulary.shards import Shard, divided
from backendcheck.vocabulary.states import ExitState

_SOME = 3  # names in a message


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Part:
    """What was recorded of one backend in one place. `files` are its recordings by case, `noise` its noise recordings by name.

    `case_files` maps the names of case files to the digests that the recordings note.
    """

    path: Path
    environment: Environment
    files: Mapping[str, Path]
    digests: Mapping[str, str]
    case_files: Mapping[str, str]
    noise: Mapping[str, Part]

    @property
    def shard(self) -> Shard | None:
        """The shard that the part is; None if the leg was not divided into shards."""
        return self.environment.selection.shard


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MergedLeg:
    """A leg merged from `parts`: its environment, where each recording comes from, and its noise recordings likewise."""

    environment: Environment
    files: Mapping[str, Path]
    parts: tuple[Part, ...]
    noise: Mapping[str, MergedLeg]


def find_parts(directories: Sequence[Path], out: Path) -> list[Path]:
    """The directories of parts in `directories`, however deep. What an earlier merge has written to `out` is left out.

    Raises:
        UsageError: if a directory does not exist or holds no part, or a part lies where the result would go.
        UnreadableInput: if what lies there cannot be read.
    """
    by_resolved: dict[Path, Path] = {}
    for directory in directories:
        if not directory.is_dir():
            message = f"{directory}: no such directory; expected one with what 'backendcheck record' wrote."
            raise UsageError(message)
        below = list(_parts_below(directory))
        if not below:
            message = f"{directory}: holds no recordings; expected {ENVIRONMENT} in it or below. See why its job wrote none."
            raise UsageError(message)
        for path in below:
            by_resolved.setdefault(path.resolve(), path)
    parts = []
    for where, path in by_resolved.items():
        if not where.is_relative_to(out.resolve()):
            parts.append(path)
        elif not read_environment(path).parts:
            message = f"{path}: lies in --out, where the result goes; expected parts elsewhere. Choose another --out."
            raise UsageError(message)
    if not parts:
        message = f"{', '.join(map(str, directories))}: holds nothing but what an earlier merge wrote to --out. Give the parts."
        raise UsageError(message)
    return parts


def _parts_below(directory: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> NoReturn:  # a part that is left out without a word would not be missed
        message = f"{error.filename}: cannot be read ({error.strerror or error}). {ACCESS}."
        raise UnreadableInput(message) from error

    for folder, names, files in os.walk(directory, onerror=refuse):
        path = Path(folder)
        if ENVIRONMENT in files or recording_files(path):
            names.clear()  # a leg holds no other
            yield path
        # Hidden folders hold what a leg has beside it: noise recordings, the work of a session.
        names[:] = sorted(name for name in names if not name.startswith("."))


def read_parts(paths: Sequence[Path], *, may_be_injected: bool = False) -> list[Part]:
    """Read and check the parts at `paths`. Those that a self-test has recorded are refused, unless they are parts of one.

    Raises:
        UnreadableInput: naming every file that is damaged, from a later version, or belongs to another run.
        UsageError: if one is not a part of a leg.
    """
    parts, wrong = [], []
    for path in paths:
        try:
            leg = read_leg(path)
            noise = {name: read_leg(noise_path(path, name)) for name in recordings_for(leg.label) if _is_noise_of(path, name)}
        except UnreadableInput as error:
            wrong.append(str(error))
            continue
        _check_part(leg, may_be_injected=may_be_injected)
        parts.append(_part(leg, {name: _part(noise_leg, {}) for name, noise_leg in noise.items()}))
    if wrong:
        raise UnreadableInput("\n".join(wrong))
    return parts


def _is_noise_of(leg: Path, name: str) -> bool:
    return (noise_path(leg, name) / ENVIRONMENT).is_file()


def _part(leg: Leg, noise: Mapping[str, Part]) -> Part:
    return Part(
        path=leg.path,
        environment=leg.environment,
        files=leg.files,
        digests={case: file_sha256(path) for case, path in leg.files.items()},
        case_files={
            recording.file: recording.file_digest for recording in leg.recordings.values() if recording.file_digest
        },
        noise=noise,
    )


def _check_part(leg: Leg, *, may_be_injected: bool) -> None:
    environment = leg.environment
    if environment.parts and environment.exit_state != ExitState.COMPLETE:
        message = f"{leg.path}: was merged and is not whole. Give its parts themselves, and those that were missing."
        raise UsageError(message)
    injected = environment.selection.injections and not may_be_injected and "by 'selftest', with faults injected"
    for what in (injected, environment.selection.noise and "as a noise recording of another leg"):
        if what:
            message = f"{leg.path}: was recorded {what}; expected a part of a leg. Leave it out."
            raise UsageError(message)


# --- merging -----------------------------------------------------------------------------------------------------


def merge_parts(parts: Sequence[Part]) -> list[MergedLeg]:
    """One leg for each backend, in the order of the backends.

    Raises:
        UsageError: naming all parts that overlap or contradict each other.
    """
    backends = sorted({part.environment.backend for part in parts}, key=leg_order)
    by_backend = {name: [part for part in parts if part.environment.backend == name] for name in backends}
    wrong = [problem for group in by_backend.values() for problem in _problems(group)]
    if wrong:
        raise UsageError("\n".join(wrong))
    return [_merged(group) for group in by_backend.values() if group]


def _problems(parts: Sequence[Part]) -> Iterator[str]:
    """What is wrong with parts of one backend, each compared with those before it."""
    for number, part in enumerate(parts):
        for earlier in parts[:number]:
            if overlap := _overlap(part, earlier):
                yield overlap
                break
        # Report each part that differs from an earlier one; we cannot know which one is right.
        for earlier in parts[:number]:
            if differences := [*_contradictions(part, earlier)]:
                remedy = "A leg is recorded under one set of conditions: record one of them again, or leave it out"
                yield f"{part.path}: contradicts {earlier.path}: {'; '.join(differences)}. {remedy}."
                break


def _overlap(part: Part, earlier: Part) -> str:
    remedy = "Give one of the two."
    if part.environment.run == earlier.environment.run:
        return f"{part.path}: is a copy of {earlier.path} (run {part.environment.run[:8]}). {remedy}"
    if part.shard is not None and part.shard == earlier.shard:
        return f"{part.path}: is shard {part.shard}, and so is {earlier.path}. {remedy}"
    mine = {*part.files, *part.environment.cases}
    if both := sorted(mine & {*earlier.files, *earlier.environment.cases}):
        return f"{part.path}: has {len(both)} of the cases that {earlier.path} has, such as {_some(both)}. {remedy}"
    return ""


def _contradictions(part: Part, earlier: Part) -> Iterator[str]:
    mine, theirs = part.shard, earlier.shard
    if mine and theirs and mine.of != theirs.of:
        yield f"shard {mine} here and {theirs} there"
    elif mine and theirs and part.environment.all_cases and earlier.environment.all_cases:
        more = sorted({*part.environment.all_cases} ^ {*earlier.environment.all_cases})
        if more:
            yield f"one is of a run that has {_some(more)}, the other is not"
    if mine and theirs and part.environment.durations != earlier.environment.durations:
        yield "the cases were divided by other durations; give each shard the same --durations FILE"
    for mismatch in condition_mismatches(part.environment, earlier.environment):
        yield f"{mismatch.what} {mismatch.left} here and {mismatch.right} there"
    for name, digest in part.case_files.items():
        if earlier.case_files.get(name, digest) != digest and name not in part.environment.sources:
            yield f"{name} is another version there"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SOME]) + (f" and {len(names) - _SOME} more" if len(names) > _SOME else "")


def _merged(parts: Sequence[Part], noise_of: str = "", *, whole: bool = True) -> MergedLeg:
    environments = [part.environment for part in parts]
    listed = [entry for part in parts for entry in _entries(part)] + list(_missing_shards(parts))
    first = next((source for source in environments if source.versions), environments[0])
    runs = sorted(source.run for source in environments)
    run = runs[0] if len(runs) == 1 else hashlib.sha256("\n".join(runs).encode()).hexdigest()[:32]
    paths = dict.fromkeys(path for source in environments for path in source.selection.paths)
    problems = {str(problem): problem for source in environments for problem in source.problems}
    whole = whole and all(entry.exit_state is ExitState.COMPLETE for entry in listed)
    environment = Environment(
        backend=first.backend,
        run=run,
        exit_state=ExitState.COMPLETE if whole else ExitState.INTERRUPTED,
        versions=first.versions,
        platform=_of_all([source.platform for source in environments]),
        device=first.device,
        settings=first.settings,
        determinism=_of_all([source.determinism for source in environments]),
        selection=replace(first.selection, shard=None, paths=tuple(paths), noise_of=noise_of or first.selection.noise_of),
        cases=tuple(dict.fromkeys(case for source in environments for case in (*source.all_cases, *source.cases))),
        problems=tuple(problems.values()),
        digests={case: digest for part in parts for case, digest in part.digests.items()},
        started=min(source.started for source in environments),
        duration_s=round(sum(source.duration_s for source in environments), 3),
        seconds={case: seconds for source in environments for case, seconds in source.seconds.items()},
        n_replaced_for_memory=sum(source.n_replaced_for_memory for source in environments),
        sources={name: digest for source in environments for name, digest in source.sources.items()},
        parts=tuple(listed),
        kept=tuple(earlier for source in environments for earlier in source.kept),
        checkout=_of_all([source.checkout for source in environments]),
    )
    names = dict.fromkeys(name for part in parts for name in part.noise)
    noise = {name: [part.noise[name] for part in parts if name in part.noise] for name in names}
    return MergedLeg(
        environment=environment,
        files={case: path for part in parts for case, path in part.files.items()},
        parts=tuple(parts),
        noise={name: _merged(group, noise_of=run, whole=len(group) == len(parts)) for name, group in noise.items()},
    )


def _entries(part: Part) -> list[MergedPart]:
    """What the merged leg notes of a part; of one that was merged itself, its own parts."""
    environment = part.environment
    if environment.parts:
        return [replace(entry, path=f"{part.path} ({entry.path})") for entry in environment.parts]
    entry = MergedPart(
        path=str(part.path),
        run=environment.run,
        shard=str(part.shard or ""),
        exit_state=environment.exit_state,
        n_cases=len(environment.cases),
        n_recordings=len(part.files),
        started=environment.started,
        duration_s=environment.duration_s,
        platform=environment.platform,
    )
    return [entry]


def _missing_shards(parts: Sequence[Part]) -> Iterator[MergedPart]:
    shards = [shard for part in parts if (shard := part.shard) is not None]
    if not shards:
        return
    numbers, of = {shard.number for shard in shards}, shards[0].of
    every = next((part.environment.all_cases for part in parts if part.environment.all_cases), ())
    numbers_of = divided(every, of, parts[0].environment.durations)
    for number in sorted({*range(1, of + 1)} - numbers):
        shard = Shard(number=number, of=of)
        n_cases = sum(n == number for n in numbers_of.values())
        yield MergedPart(
            path="", run="", shard=str(shard), exit_state=ExitState.MISSING, n_cases=n_cases, n_recordings=0
        )  # fmt: skip


def _of_all(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The value of each name; all of them where they differ, as they may from machine to machine."""
    names = dict.fromkeys(name for mapping in mappings for name in mapping)
    return {name: ", ".join(dict.fromkeys(mapping[name] for mapping in mappings if name in mapping)) for name in names}
