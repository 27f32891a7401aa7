"""The recordings that a noise floor is measured by: after the legs, one kind after the other, the backends at the same time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from backendcheck.progress.progress import Progress, Relabeled
from backendcheck.recordings.leg_directory import clear_leg, clear_work, legs_below
from backendcheck.recordings.noise import FOLDER, MEASURES, recordings_for
from backendcheck.sessions.processes import LegEnd, record_all
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.resume import earlier
from backendcheck.vocabulary.findings import Oracle


def noise_requests(requests: Sequence[RecordingRequest], runs: Mapping[str, str]) -> dict[str, list[RecordingRequest]]:
    """By noise recording, what to record for the legs of `requests`; `runs` has the run id of each leg that was recorded.

    Agreement is all they record: the paths and order oracles compare with the leg itself.
    """
    return {
        name: [
            replace(
                request, out=request.out / FOLDER / name, oracles=(Oracle.AGREEMENT,), noise=name,
                noise_of=runs[request.backend.value], overwrite=not request.resume,
            )
            for request in requests
            if request.backend.value in runs and name in recordings_for(request.backend.value)
        ]
        for name in MEASURES
    }  # fmt: skip


def record_noise(
    requests: Sequence[RecordingRequest], runs: Mapping[str, str], progress: Callable[[Sequence[str]], Progress]
) -> Iterator[tuple[str, str, LegEnd]]:
    """Record the noise of the legs of `requests`; yields the name, the backend and the end of each recording."""
    for name, every in noise_requests(requests, runs).items():
        wanted = [request for request in every if not _is_whole(request)]
        if wanted:
            with progress([f"{request.backend} {name}" for request in wanted]) as shown:
                ends = record_all(wanted, Relabeled(shown, name))
            for backend, end in ends.items():
                yield name, backend, end


def _is_whole(request: RecordingRequest) -> bool:
    is_whole = request.resume and (before := earlier(request)) is not None and before.is_whole
    if is_whole:
        clear_work(request.leg)
    return is_whole


def clear_noise(out: Path) -> None:
    """Remove the noise recordings of an earlier run below `out`, and nothing else."""
    for name in MEASURES:
        for leg in legs_below(out / FOLDER / name):
            clear_leg(leg)
            _remove_if_empty(leg)
        _remove_if_empty(out / FOLDER / name)
    _remove_if_empty(out / FOLDER)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not there, or not empty
        folder.rmdir()
