"""Permission to record into the directory of a leg."""

from __future__ import annotations

from pathlib import Path

from backendcheck.errors import OutputInTheWay
from backendcheck.recordings.files import ENVIRONMENT, INJECTED, INJECTION_NOTES, read_environment
from backendcheck.recordings.leg_directory import clear_leg, describe, make_writable, release
from backendcheck.sessions.request import RecordingRequest
from backendcheck.vocabulary.leg_names import backend_in


def claim_leg(request: RecordingRequest) -> Path:
    """Make the directory of the leg; there may be an earlier recording of the same selection in it.

    Raises:
        OutputInTheWay: if it holds anything else, or cannot be written.
    """
    leg = request.leg
    check_leg(request)
    make_writable(leg)
    return leg


def check_leg(request: RecordingRequest) -> None:
    """Check that the directory of the leg is empty, may be overwritten, or holds an earlier recording of the same selection.

    `resume` checks whether that recording can be resumed.

    Raises:
        OutputInTheWay: if the directory holds something else.
    """
    leg = request.leg
    try:
        occupied = leg.exists() and (not leg.is_dir() or any(leg.iterdir()))
    except OSError as error:
        message = f"{leg}: cannot be read ({error.strerror or error}). Choose another --out."
        raise OutputInTheWay(message) from error
    if occupied and not leg.is_dir():
        message = f"{leg}: is a file; expected a directory to record into. Choose another --out."
        raise OutputInTheWay(message)
    if occupied and not request.overwrite and not request.resume:
        _check_same_run(leg, request)


def _check_same_run(leg: Path, request: RecordingRequest) -> None:
    remedy = "Choose another --out, or use --overwrite"
    if not (leg / ENVIRONMENT).exists():
        names = ", ".join(sorted(entry.name for entry in leg.iterdir())[:5])
        message = f"{leg}: contains other files ({names}); expected an empty directory. {remedy}."
        raise OutputInTheWay(message)
    earlier = read_environment(leg)
    versions = earlier.versions
    of_backend = versions.get(backend_in(earlier.backend))
    before = {"selection": earlier.selection, "keras": versions.get("keras"), "backend": of_backend}
    now = {"selection": request.selection, "keras": request.backend.keras_version(), "backend": request.backend.backend_version()}
    if versions and before["selection"] == now["selection"]:
        # What is not installed here is recorded on a farm, whose workers compare versions. Source has no version.
        pairs = [(release(before[name]), release(now[name])) for name in ("keras", "backend") if now[name]]
        same = all(then == today for then, today in pairs)
    else:
        same = before["selection"] == now["selection"]
    if not same:
        message = f"{leg}: holds another run: {describe(earlier)}. It is neither mixed with this one nor overwritten. {remedy}."
        raise OutputInTheWay(message)


def clear_injection_legs(request: RecordingRequest) -> None:
    """Remove what an earlier session has recorded with faults injected, these or others."""
    for leg in (request.out.absolute() / INJECTED).glob(f"*/{request.backend.folder}"):
        clear_leg(leg)
        for notes in leg.glob(f"{INJECTION_NOTES}-*"):
            notes.unlink()
