"""Recording the layers of one case on several backends: first the one whose inputs are replayed, then all others at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backendcheck.case_files import BUILT_IN, find_case_files, split_node_id
from backendcheck.errors import UnreadableInput, UsageError
from backendcheck.progress.progress import Progress
from backendcheck.recordings.legs import Leg, find_legs, read_legs
from backendcheck.recordings.recording import Recording
from backendcheck.sessions.processes import record_all
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.leg_names import LegName


@dataclass(frozen=True, slots=True, kw_only=True)
class LayersOf:
    """What to record the layers of: a case of an earlier run, with that run's files and device."""

    case: str
    paths: tuple[str, ...]
    device: str
    plugins: tuple[str, ...]
    timeout_s: float


def files_of(case: str, leg: Leg) -> tuple[str, ...]:
    """The paths that the case of a recorded leg is to be collected from; none stands for the built-in cases.

    Raises:
        UsageError: if they are not there.
    """
    selected = list(leg.environment.selection.paths)
    if selected == [BUILT_IN]:
        return ()
    stem = case.partition("/")[0]
    paths = [path for path in selected if not path.partition("::")[0].endswith(".py") or split_node_id(path)[0].stem == stem]
    missing = [path for path in paths if not split_node_id(path)[0].exists()]
    if missing or not paths:
        where = ", ".join(missing) or case
        message = (
            f"{where}: the case file is not here; expected {leg.recordings[case].file or 'it'} where the run was recorded. "
            "Start locate from the directory in which the run was started."
        )
        raise UsageError(message)
    if not any(file.stem == stem for file in find_case_files(paths)):
        message = f"{', '.join(paths)}: holds no file {stem}.py any more; expected the one with {case}. Record the run again."
        raise UsageError(message)
    return tuple(paths)


def record_layers(
    wanted: LayersOf, source: LegName, others: Sequence[LegName], work: Path, progress: Progress
) -> Mapping[str, Recording]:
    """The recordings of the layers by backend, the source backend first; `work` is an empty directory.

    Raises:
        UnreadableInput: if a backend left no recording of it, with its message.
    """
    recordings: dict[str, Recording] = {}
    for backends, source_leg in (((source,), None), (tuple(others), work / source.folder)):
        requests = [
            RecordingRequest(
                backend=backend, out=work, paths=wanted.paths, timeout_s=wanted.timeout_s, device=wanted.device,
                plugins=wanted.plugins, only=wanted.case, layers=True, source_leg=source_leg,
            )
            for backend in backends
        ]  # fmt: skip
        ends = record_all(requests, progress)
        for backend in backends:
            recordings[backend.value] = _read(backend, work / backend.folder, wanted.case, ends[backend.value].message)
    return recordings


def _read(backend: LegName, leg: Path, case: str, message: str) -> Recording:
    recording = None
    if leg.is_dir():
        recording = read_legs(find_legs([leg]), only=case)[0].recordings.get(case)
    if recording is None or not recording.was_observed:
        why = f"{recording.status}: {recording.problem}" if recording is not None else message or "no recording"
        problem = (
            f"{case}: its layers could not be recorded on {backend} ({why.strip()}). See that 'backendcheck run' records it."
        )
        raise UnreadableInput(problem)
    return recording
