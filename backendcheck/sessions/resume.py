"""Going on with a session that was interrupted or killed: what is kept of it, and whether everything is as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from backendcheck.case_files import builtin_cases, file_digest, find_case_files
from backendcheck.errors import OutputInTheWay, UnreadableInput
from backendcheck.files import file_sha256
from backendcheck.recordings.conditions import Mismatch, condition_mismatches
from backendcheck.recordings.environment import EarlierSession, Environment
from backendcheck.recordings.files import ENVIRONMENT, read_environment, read_recording, recording_files
from backendcheck.recordings.leg_directory import WORK, release
from backendcheck.recordings.recording import Recording
from backendcheck.sessions.claim import check_leg
from backendcheck.sessions.request import RecordingRequest
from backendcheck.sessions.source_files import changed_since, source_name
from backendcheck.sessions.worker_files import WorkerFiles
from backendcheck.vocabulary.states import ExitState, Status

# Cases that crashed, timed out or could not be observed. They are kept unless --retry-errors asks for another attempt.
TRIED_AGAIN = (Status.CRASHED, Status.TIMED_OUT, Status.ERROR)
REMEDY = "Put it back as it was, or record all of it anew with --fresh in place of --resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An earlier session that can be resumed: the cases of which the recordings are `kept`, and those that are `tried_again`.

    `damaged` maps damaged files to what is wrong with them. `is_whole` says that nothing is left to do.
    """

    environment: Environment
    kept: tuple[str, ...]
    tried_again: tuple[str, ...]
    damaged: Mapping[Path, str]
    is_whole: bool

    @property
    def in_words(self) -> str:
        """What is kept, and what is not."""
        words = f"{len(self.kept)} of {len(self.environment.cases) or 'its'} cases are recorded already and kept"
        if self.tried_again:
            words += f", {len(self.tried_again)} did not come to an end and are tried again"
        return words + (f", {len(self.damaged)} are damaged and recorded again" if self.damaged else "")

    def resumed(self, started: str) -> Environment:
        """The environment of the session that goes on with it; its run is the same."""
        before = self.environment
        session = EarlierSession(
            started=before.sessions[-1].resumed if before.sessions else before.started,
            exit_state=before.exit_state,
            n_recordings=len(self.kept),
            resumed=started,
        )
        return replace(before, exit_state=ExitState.RUNNING, digests={}, problems=(), sessions=(*before.sessions, session))


def earlier(request: RecordingRequest) -> Earlier | None:
    """The earlier session in the directory of the leg; None if there is nothing yet.

    Raises:
        OutputInTheWay: if options, versions or files differ from those of the earlier session, naming what differs.
        UnreadableInput: if its environment file is damaged, or a recording is another run's.
    """
    leg = request.leg
    names = [entry.name for entry in leg.iterdir() if entry.name != WORK] if leg.is_dir() else []
    if not names:
        return None
    if ENVIRONMENT not in names:
        message = f"{leg}: cannot be resumed: has no {ENVIRONMENT}, which says what was recorded. {_remedy(request)}."
        raise OutputInTheWay(message)
    environment = read_environment(leg)
    if environment.parts:
        message = f"{leg}: cannot be resumed: it was merged. Resume the part that is not whole, and merge again."
        raise OutputInTheWay(message)
    kept, damaged = _readable(request, environment)
    tried_again = [case for case, recording in kept.items() if request.retry and recording.status in TRIED_AGAIN]
    changed = [*_changed(request, environment, kept)]
    if changed:
        message = f"{leg}: cannot be resumed, not all is as it was: {'; '.join(changed)}. {_remedy(request)}."
        raise OutputInTheWay(message)
    ended = environment.exit_state is ExitState.COMPLETE and {*environment.cases} <= {*kept}
    complete = ended and not tried_again and not damaged
    return Earlier(
        environment=environment,
        kept=tuple(case for case in kept if case not in tried_again),
        tried_again=tuple(tried_again),
        damaged=damaged,
        is_whole=complete and not _new_files(request, environment),
    )


def seconds_before(request: RecordingRequest) -> Mapping[str, float]:
    """How long the cases that are still to be recorded took before, as far as the directory of the leg tells."""
    try:
        environment = read_environment(request.leg)
    except UnreadableInput:
        return {}
    kept = environment.digests if request.resume else ()
    return {case: seconds for case, seconds in environment.seconds.items() if case not in kept}


def _remedy(request: RecordingRequest) -> str:
    """What to do in place of --resume. Without it, another run in the directory is replaced only with --overwrite."""
    try:
        check_leg(replace(request, resume=False))
    except (OutputInTheWay, UnreadableInput):
        return REMEDY.replace("--fresh", "--fresh --overwrite")
    return REMEDY


def _readable(request: RecordingRequest, environment: Environment) -> tuple[dict[str, Recording], dict[Path, str]]:
    """The whole recordings by case, and the damaged files with what is wrong with them."""
    whole, damaged, foreign = {}, {}, []
    for path in recording_files(request.leg):
        try:
            recording = read_recording(path)
        except UnreadableInput as error:
            if isinstance(error.__cause__, PermissionError):  # it may be whole
                foreign.append(str(error))
                continue
            damaged[path] = str(error)
            continue
        listed = environment.digests.get(recording.case)
        if recording.run not in environment.runs or recording.backend != environment.backend:
            foreign.append(f"{path}: is from another run, so the leg cannot be resumed. {_remedy(request)}.")
        elif listed not in (None, file_sha256(path)):
            damaged[path] = f"{path}: is damaged: its digest is not the one in {ENVIRONMENT}."
        else:
            whole[recording.case] = recording
    if foreign:
        raise UnreadableInput("\n".join(foreign))
    return whole, damaged


def _changed(request: RecordingRequest, before: Environment, kept: dict[str, Recording]) -> Iterator[str]:
    """What differs from the earlier session, as far as it shows without the backend; the worker checks the rest."""
    selection = request.selection
    for name, left, right in (
        ("PATH", before.selection.paths, selection.paths),
        ("--shard", before.selection.shard, selection.shard),
    ):
        if left != right:
            yield f"{name} was {_in_words(left)} and is {_in_words(right)}"
    if selection.shard and before.durations != request.seconds_before:
        yield "the durations that divide the cases into shards are not those from before"
    now = replace(before, selection=selection, versions={**before.versions, **_versions(request, before)})
    yield from map(in_words, condition_mismatches(before, now))
    yield from (f"{name} has changed" for name in changed_since(before.sources, Path.cwd()))
    if not before.sources:  # of a format that did not note them
        files = {recording.file: recording.file_digest for recording in kept.values() if Path(recording.file).is_file()}
        yield from (f"{name} has changed" for name, digest in files.items() if digest != file_digest(Path(name)))


def _versions(request: RecordingRequest, before: Environment) -> dict[str, str]:
    """Of Keras and the backend, where they are not the noted ones; a build of the same release counts as that."""
    leg = request.backend
    now = {"keras": leg.keras_version(), leg.backend.value: leg.backend_version()}
    noted = {name: version for name, version in now.items() if version and name in before.versions}
    return {name: version for name, version in noted.items() if release(version) != release(before.versions[name])}


def check_conditions(leg: Path, files: WorkerFiles) -> None:
    """Have a session end that goes on in `leg`, if versions or settings of its workers differ from those of the earlier session.

    Raises:
        RuntimeError: if they differ.
    """
    before = read_environment(leg)
    if changed := condition_mismatches(before, files.noted(before)):
        message = f"cannot be resumed, not all is as it was: {'; '.join(map(in_words, changed))}. {REMEDY}."
        files.note_refused(message)
        files.note_fatal(message)
        raise RuntimeError(message)


def in_words(mismatch: Mismatch) -> str:
    """What has changed, for an error message."""
    return f"{mismatch.what} was {mismatch.left} and is {mismatch.right}"


def _in_words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value or "none")


def _new_files(request: RecordingRequest, before: Environment) -> list[str]:
    """Case files that the earlier session has not collected."""
    files = find_case_files([*request.paths] or [str(builtin_cases())])
    names = [source_name(Path(os.path.abspath(path)), Path.cwd()) for path in files]  # noqa: PTH100 - as pytest: links stay links
    return [name for name in names if name not in before.sources]
