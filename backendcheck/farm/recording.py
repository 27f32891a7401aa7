"""Record legs on a farm: send the project, have the chunks of every leg recorded, and join what comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.errors import UnreadableInput
from backendcheck.farm.bundle import packed, project_files
from backendcheck.farm.chunks import CHUNK_S, Chunk, chunks_of, plan_of
from backendcheck.farm.cluster import cluster
from backendcheck.farm.dispatch import Dispatch, Sign
from backendcheck.farm.pieces import Pieces
from backendcheck.progress.progress import Progress
from backendcheck.recordings.files import read_environment
from backendcheck.recordings.leg_directory import clear_leg, make_writable
from backendcheck.recordings.legs import read_leg
from backendcheck.sessions.claim import claim_leg, clear_injection_legs
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.resume import TRIED_AGAIN
from backendcheck.sessions.source_files import changed_since
from backendcheck.vocabulary.states import ExitState

_SOME = 3
WAIT_S = 60.0
"""How long a leg may be without a worker that serves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """Where and how to record: the options of ``--farm``."""

    address: str
    wait_s: float = WAIT_S
    chunk_s: float = CHUNK_S
    files: Sequence[Path] = ()


def record_on_farm(
    requests: Sequence[RecordingRequest], farm: Farm, progress: Progress, earlier_runs: Sequence[Path],
    tell: Callable[[str], None],
) -> list[Path]:  # fmt: skip
    """Record the legs of all requests in chunks on the workers of a farm; returns the directories of those that are there.

    What has come back stays beside the legs when this is interrupted, and ``resume`` goes on from there. `tell` takes lines
    about what was lost or refused.

    Raises:
        UsageError: if nothing answers at the address, or the files cannot be sent.
    """
    out = requests[0].out.absolute()
    bundle = packed(project_files(requests[0].paths, farm.files, Path.cwd(), out))
    make_writable(out)
    pieces = Pieces(out, bundle)
    left: list[Chunk] = []
    whole = [request for request in requests if request.resume and _is_whole(request)]
    for request in requests:
        if request in whole:
            continue
        claim_leg(request)
        plan = pieces.plan(request.backend.folder) if request.resume else None
        chunks = chunks_of(request, plan or plan_of(request, earlier_runs, farm.chunk_s), bundle)
        if not request.resume:
            pieces.clear([request.backend.folder])
        clear_leg(request.leg)
        if request.injections:
            clear_injection_legs(request)
        left += pieces.take_earlier(request, chunks)
    folders = {request.backend.value: request.backend.folder for request in requests}
    shown = _Shown(progress, left, pieces)

    def take(chunk: Chunk, piece: Any) -> list[str]:
        different = pieces.add(folders[chunk.leg], chunk, piece)
        if not different:
            shown.came(chunk)
        return different

    given_up = {}
    if left:
        with cluster(farm.address) as where:
            given_up = Dispatch(where, bundle, farm.wait_s, take, shown.sign, tell).record(left)
    for reason, names in _by_reason(left, given_up).items():
        tell(f"{names} could not be recorded: {reason}")
    legs = []
    for request in requests:
        environment = read_environment(request.leg) if request in whole else pieces.join(request)
        if environment is not None:
            legs.append(request.leg)
        is_whole = environment is not None and environment.exit_state is ExitState.COMPLETE
        progress.ended(request.backend.value, 0 if is_whole else 3 if environment else 1, "nothing was recorded")
    return legs


def _is_whole(request: RecordingRequest) -> bool:
    """Whether an earlier session has joined the leg, of the same selection and source files, and nothing is missing."""
    try:
        leg = read_leg(request.leg)
    except UnreadableInput:
        return False
    earlier = leg.environment
    is_same = earlier.selection == request.selection and not changed_since(earlier.sources, Path.cwd())
    again = request.retry and any(recording.status in TRIED_AGAIN for recording in leg.recordings.values())
    return is_same and not again and bool(earlier.parts) and earlier.exit_state is ExitState.COMPLETE


def _by_reason(chunks: Sequence[Chunk], given_up: dict[str, str]) -> dict[str, str]:
    """The names of chunks that were given up, by the reason."""
    names: dict[str, list[str]] = {}
    for chunk in chunks:
        if chunk.key in given_up:
            names.setdefault(given_up[chunk.key], []).append(chunk.name)
    return {
        reason: ", ".join(some[:_SOME]) + (f" and {len(some) - _SOME} more" if len(some) > _SOME else "")
        for reason, some in names.items()
    }


class _Shown:
    """Shows the progress of each leg: its cases that have come, and those that have ended in chunks that are recorded now."""

    def __init__(self, progress: Progress, chunks: Sequence[Chunk], pieces: Pieces) -> None:
        self._progress, self._pieces = progress, pieces
        self._legs = {chunk.key: chunk.leg for chunk in chunks}
        self._running: dict[str, dict[str, int]] = {leg: {} for leg in self._legs.values()}
        self._n_cases = Counter[str]()

    def came(self, chunk: Chunk) -> None:
        self._running[chunk.leg].pop(chunk.key, None)
        n_cases, _ = self._pieces.n_cases(chunk.leg)
        if n_cases != self._n_cases[chunk.leg]:
            self._n_cases[chunk.leg] = n_cases
            self._progress.collected(chunk.leg, n_cases)
        self._finished(chunk.leg)

    def sign(self, sign: Sign) -> None:
        leg = self._legs.get(sign.key)
        if leg is None:  # of another client
            return
        self._running[leg][sign.key] = sign.n_done
        self._progress.started(leg, f"{sign.case} on {sign.host}")
        self._finished(leg)

    def _finished(self, leg: str) -> None:
        self._progress.finished(leg, self._pieces.n_cases(leg)[1] + sum(self._running[leg].values()))
