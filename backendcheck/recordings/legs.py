"""Legs: one backend's part of a run, read from disk and checked for consistency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.files import file_sha256
from backendcheck.recordings.environment import Environment
from backendcheck.recordings.files import ENVIRONMENT, read_environment, read_recording_of, recording_files
from backendcheck.recordings.leg_directory import is_leg, legs_below
from backendcheck.recordings.noise import FOLDER, noise_path, recordings_for
from backendcheck.recordings.paths import is_path_of, recording_paths
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS
from backendcheck.vocabulary.leg_names import leg_order
from backendcheck.vocabulary.sides import leg_label
from backendcheck.vocabulary.states import ExitState


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Leg:
    """One backend's recordings. `label` is the backend, with ``#1``, ``#2`` behind it when it is there more than once.

    `files` are those that the recordings were read from. `noise` holds its noise recordings by name, where there are any;
    `noise_problems` says which of them cannot be used.
    """

    label: str
    path: Path
    environment: Environment
    recordings: Mapping[str, Recording]
    files: Mapping[str, Path] = field(default_factory=dict)
    noise: Mapping[str, Mapping[str, Recording]] = field(default_factory=dict)
    noise_problems: tuple[str, ...] = ()


def find_legs(directories: Sequence[Path]) -> list[Path]:
    """The directories of legs among `directories`: each is a leg itself, or holds some by backend.

    Raises:
        UsageError: if one does not exist or holds no leg.
    """
    leg_dirs: list[Path] = []
    for directory in directories:
        if not directory.is_dir():
            message = f"{directory}: no such directory; expected one that 'backendcheck record' wrote."
            raise UsageError(message)
        legs = [directory] if is_leg(directory) else legs_below(directory)
        if not legs:
            names = ", ".join(backend.value for backend in DEFAULT_BACKENDS)
            message = (
                f"{directory}: holds no recordings; expected {ENVIRONMENT} in it or in one of {names} below it. "
                "Record first: backendcheck record --backend B --out DIR"
            )
            raise UsageError(message)
        leg_dirs += [leg for leg in legs if leg.resolve() not in {path.resolve() for path in leg_dirs}]
    return leg_dirs


def known_cases(paths: Sequence[Path]) -> list[str]:
    """The ids of all cases that the legs at `paths` collected."""
    return list(dict.fromkeys(case for path in paths for case in read_environment(path).cases))


def is_as_listed(leg: Path, environment: Environment) -> bool:
    """Whether the directory of a leg has exactly the recordings on its list, each with the digest there. None is decoded."""
    try:
        files = recording_files(leg)
        cases = {digest: case for case, digest in environment.digests.items()}
        return len(files) == len(cases) == len(environment.digests) and all(
            (case := cases.pop(file_sha256(path), None)) is not None and is_path_of(case, path, leg) for path in files
        )
    except (OSError, UnreadableInput):
        return False


def read_legs(paths: Sequence[Path], only: str | None = None) -> list[Leg]:
    """Read the legs at `paths`, in the order of the backends; equal backends are numbered. `only` reads that case alone.

    Noise recordings that lie beside a leg are read with it.

    Raises:
        UnreadableInput: naming every file that is damaged, from a later version, or belongs to another run.
    """
    legs, wrong = [], []
    for path in paths:
        try:
            legs.append(read_leg(path, only))
        except UnreadableInput as error:
            wrong.append(str(error))
    if wrong:
        raise UnreadableInput("\n".join(wrong))
    legs.sort(key=lambda leg: leg_order(leg.label))
    total, numbers = Counter(leg.label for leg in legs), Counter[str]()
    numbered = []
    for leg in legs:
        numbers[leg.label] += 1
        numbered.append(replace(leg, label=leg_label(leg.label, numbers[leg.label])) if total[leg.label] > 1 else leg)
    return [_with_noise(leg, only) for leg in numbered]


def read_leg(path: Path, only: str | None = None) -> Leg:
    """Read the leg at `path` alone, without its noise recordings.

    Raises:
        UnreadableInput: naming every file that is damaged, from a later version, or belongs to another run.
    """
    environment = read_environment(path)
    recordings: dict[str, Recording] = {}
    places: dict[str, Path] = {}
    wrong = []
    files = recording_files(path)
    if only is not None:
        environment = replace(environment, cases=tuple(case for case in environment.cases if case == only))
        files = [file for file in files if file in recording_paths(path, only)]
    digests = frozenset(environment.digests.values())
    for file in files:
        try:
            recording, digest = read_recording_of(file, digests)
            _check_belongs(file, digest, recording, environment, path)
            if recording.case in recordings:
                raise _refused(file, f"holds the case {recording.case!r}, and so does {places[recording.case]}")
            recordings[recording.case], places[recording.case] = recording, file
        except UnreadableInput as error:
            wrong.append(str(error))
    if wrong:
        raise UnreadableInput("\n".join(wrong))
    return Leg(label=environment.backend, path=path, environment=environment, recordings=recordings, files=places)


def _with_noise(leg: Leg, only: str | None) -> Leg:
    """The leg with its noise recordings, if there are any beside it. The leg is used even if those cannot be."""
    if not (leg.path.parent / FOLDER).is_dir():
        return leg
    noise, problems = {}, []
    for name in recordings_for(leg.environment.backend):
        path = noise_path(leg.path, name)
        where = f"noise floor: {name} on {leg.label}"
        remedy = "Run again with --noise-floor."
        if not is_leg(path):
            problems.append(f"{where} was not recorded. {remedy}")
            continue
        try:
            read = read_leg(path, only)
        except UnreadableInput as error:
            problems += [f"{where} cannot be used: {line}" for line in str(error).splitlines()]
            continue
        if read.environment.selection.noise_of != leg.environment.run:
            problems.append(f"{where} belongs to another run. {remedy}")
            continue
        if read.environment.exit_state != ExitState.COMPLETE:
            problems.append(f"{where} did not end; {len(read.recordings)} of its cases are there. {remedy}")
        noise[name] = read.recordings
    return replace(leg, noise=noise, noise_problems=tuple(problems))


def _refused(file: Path, what: str) -> UnreadableInput:
    return UnreadableInput(f"{file}: {what}. Record this backend again, or put the right files together.")


def _check_belongs(file: Path, digest: str, recording: Recording, environment: Environment, leg: Path) -> None:
    if recording.run not in environment.runs or recording.backend != environment.backend:
        what = (
            f"is from another run (run {recording.run[:8]} on {recording.backend}; expected run {environment.run[:8]} "
            f"on {environment.backend}, as {ENVIRONMENT} says)"
        )
        raise _refused(file, what)
    if not is_path_of(recording.case, file, leg):
        raise _refused(file, f"holds the case {recording.case!r}, which does not belong under this name")
    if environment.exit_state == ExitState.COMPLETE or environment.parts:
        expected = environment.digests.get(recording.case)
        if expected is None:
            raise _refused(file, f"is not on the list of this leg's recordings in {ENVIRONMENT}")
        if expected != digest:
            raise _refused(file, f"is damaged: its digest is not the one in {ENVIRONMENT}")
