"""One recording session: one backend, one pytest session, one directory of recordings."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import re
import shutil
import tempfile
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backendcheck.backends import Backend, installed_version
from backendcheck.case_files import BUILT_IN, builtin_cases, find_case_files, split_node_id
from backendcheck.errors import OutputInTheWay, UsageError
from backendcheck.record.session_file import SessionFile
from backendcheck.recording import (
    ENVIRONMENT,
    PLANTED,
    PLANTED_NOTES,
    RECORDINGS,
    SUFFIX,
    Environment,
    file_sha256,
    read_environment,
    read_recording,
    write_environment,
)

_WORK = ".work"
_INTERRUPTED, _INTERNAL_ERROR, _WRONG_USAGE = 2, 3, 4  # pytest's exit codes

ORACLES = ("agreement", "paths", "order", "reference")

# A user's pytest configuration may name where code is found and which marks exist, and that is left in force. These
# settings decide how a session runs, which is the recorder's business.
OVERRIDDEN = (
    "addopts=", "filterwarnings=", "python_files=", "required_plugins=", "minversion=", "xfail_strict=false",
    "strict_config=false", "strict_markers=false", "strict=false", "strict_parametrization_ids=false", "log_cli=false",
    "log_file=", "timeout=0", "empty_parameter_set_mark=skip",
    "disable_test_id_escaping_and_forfeit_all_rights_to_community_support=false",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to record. `paths` are files, directories or node ids; none stands for the built-in cases.

    `only` is the id of the one case to record, if there is but one. With `layers` the calls of its layers are recorded in
    place of the case, and those in the leg `teacher` are replayed, or else its own.
    `plants` maps faults to the cases on which each is planted, ``*`` for all; those recordings go to legs of their own, and no
    other cases are recorded.
    `noise` makes it the noise recording of that name, for the leg with the run id `noise_of`.
    """

    backend: Backend
    out: Path
    paths: Sequence[str] = ()
    workers: int = 1
    timeout_s: float = 300.0
    keyword: str = ""
    marks: str = ""
    device: str = "cpu"
    oracles: Sequence[str] = ORACLES
    plugins: Sequence[str] = ()
    overwrite: bool = False
    report_events: bool = False
    plants: Mapping[str, Sequence[str]] = field(default_factory=dict)
    noise: str = ""
    noise_of: str = ""
    only: str = ""
    layers: bool = False
    teacher: Path | None = None

    def planted_leg(self, fault: str) -> Path:
        """Where the recordings with `fault` planted go."""
        return self.out.absolute() / PLANTED / fault / self.backend.value

    @property
    def leg(self) -> Path:
        return self.out.absolute() / self.backend.value

    @property
    def selection(self) -> dict[str, Any]:
        return {
            "paths": list(self.paths) or [BUILT_IN],
            "keyword": self.keyword,
            "marks": self.marks,
            "device": self.device,
            "oracles": list(self.oracles),
            **({"noise": self.noise, "noise_of": self.noise_of} if self.noise else {}),
            **({"plants": sorted(self.plants)} if self.plants else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a session ended. `statuses` maps each case to the status of its recording."""

    environment: Environment
    statuses: dict[str, str]

    @property
    def exit_code(self) -> int:
        """0 when every case was recorded (raising is a recording), 2 when there was no case, otherwise 3."""
        whole = self.environment.exit_state == "complete" and not self.environment.problems
        if whole and not self.environment.cases:
            return 2
        return 0 if whole and all(status in ("recorded", "raised") for status in self.statuses.values()) else 3


def record(request: Request) -> Outcome:
    """Record the cases of `request` under its backend.

    Raises:
        UsageError: if a path does not exist or holds no case, -k or -m is no expression, or the backend is not installed or does
            not start.
        OutputInTheWay: if the directory cannot be written or holds another run.
    """
    if missing := request.backend.missing_modules():
        what = " and ".join(missing)
        message = f"{request.backend}: {what} is not installed here. Install with: {request.backend.install_command}"
        raise UsageError(message)
    find_case_files([*request.paths] or [str(builtin_cases())])
    check_expressions(request)
    leg = claim_leg(request)
    with _alone_in(leg):
        clear_leg(leg)
        if request.plants:
            _clear_planted_legs(request)
        return _record(request, leg)


def _record(request: Request, leg: Path) -> Outcome:
    work = leg / _WORK
    work.mkdir()
    session = SessionFile(
        backend=request.backend.value,
        leg=str(leg),
        work=str(work),
        run=uuid.uuid4().hex,
        device=request.device,
        directory=str(Path.cwd()),
        timeout_s=request.timeout_s,
        oracles=tuple(request.oracles),
        report_events=request.report_events,
        plants={fault: (list(cases), str(request.planted_leg(fault))) for fault, cases in request.plants.items()},
        noise=request.noise,
        only=request.only,
        layers=request.layers,
        teacher=str(request.teacher.absolute()) if request.teacher else "",
    )
    began = time.monotonic()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    running = Environment(
        backend=request.backend.value, run=session.run, exit_state="running", selection=request.selection, started=started
    )
    write_environment(leg, running)
    exit_code, output = _run_pytest(request, session)
    environment, statuses = _gather(running, leg, work, exit_code, output, time.monotonic() - began)
    write_environment(leg, environment)
    for fault in request.plants:
        _end_planted_leg(environment, request.planted_leg(fault))
    if exit_code == _INTERRUPTED and (work / "keyboard-interrupt").exists():
        shutil.rmtree(work, ignore_errors=True)
        raise KeyboardInterrupt
    if (work / "fatal").exists() and not statuses:
        raise UsageError((work / "fatal").read_text(encoding="utf-8") + ".")
    if exit_code in (_INTERNAL_ERROR, _WRONG_USAGE) and not statuses:
        raise UsageError(f"pytest could not start the recording: {_reason(output)}")
    shutil.rmtree(work, ignore_errors=True)
    return Outcome(environment=environment, statuses=statuses)


def check_expressions(request: Request) -> None:
    """See that -k and -m are expressions, before anything is cleared or started for them.

    Raises:
        UsageError: saying where one is wrong.
    """
    from _pytest.mark.expression import Expression

    for flag, expression in (("-k", request.keyword), ("-m", request.marks)):
        try:
            if expression:
                Expression.compile(expression)
        except Exception as error:  # noqa: BLE001 - its class changed with pytest's versions
            message = f"{flag} {expression!r}: is no expression ({error}); expected names joined by and, or, not, as in pytest."
            raise UsageError(message) from None


def _reason(output: str) -> str:
    lines = [line.removeprefix("INTERNALERROR>").strip() for line in output.splitlines()]
    counts = re.compile(r"=*.*\b(no tests ran|passed|failed|errors?)\b.* in [\d.]+s.*")
    lines = [line for line in lines if line.strip("^~ ") and not counts.fullmatch(line)]
    errors = [line.removeprefix("E ").strip() for line in lines if line.startswith(("E ", "ERROR", "ImportError while"))]
    errors = [line.removeprefix("ERROR: ") for line in errors]
    return " ".join(dict.fromkeys(errors or lines[-1:]))[:1000]


# --- the directory ---------------------------------------------------------------------------------------------


def claim_leg(request: Request) -> Path:
    """Make the directory of the leg; there may be an earlier recording of the same selection in it.

    Raises:
        OutputInTheWay: if it holds anything else, or cannot be written.
    """
    leg = request.leg
    check_leg(request)
    make_writable(leg)
    return leg


def make_writable(directory: Path) -> None:
    """Make a directory, or see that it can be written.

    Raises:
        OutputInTheWay: if neither can be.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        message = f"{directory}: cannot be written ({error.strerror or error}). Choose another --out."
        raise OutputInTheWay(message) from error


@contextlib.contextmanager
def _alone_in(leg: Path) -> Iterator[None]:
    """Keep other sessions from recording into the same directory meanwhile.

    Raises:
        OutputInTheWay: if one does just that.
    """
    with contextlib.ExitStack() as stack:
        try:
            import fcntl

            handle = os.open(leg, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{leg}: is being recorded into by another process. Wait for it, or choose another --out."
            raise OutputInTheWay(message) from None
        except (OSError, ImportError):
            pass  # this system, or this file system, has no such locks
        yield


def check_leg(request: Request) -> None:
    """See that the directory of the leg is empty, may be overwritten, or holds an earlier recording of the same selection.

    Raises:
        OutputInTheWay: saying what is there.
    """
    leg = request.leg
    try:
        there = leg.exists() and (not leg.is_dir() or any(leg.iterdir()))
    except OSError as error:
        message = f"{leg}: cannot be read ({error.strerror or error}). Choose another --out."
        raise OutputInTheWay(message) from error
    if there and not leg.is_dir():
        message = f"{leg}: is a file; expected a directory to record into. Choose another --out."
        raise OutputInTheWay(message)
    if there and not request.overwrite:
        _check_same_run(leg, request)


def _check_same_run(leg: Path, request: Request) -> None:
    remedy = "Choose another --out, or say --overwrite"
    if not (leg / ENVIRONMENT).exists():
        names = ", ".join(sorted(entry.name for entry in leg.iterdir())[:5])
        message = f"{leg}: holds what is no recording ({names}); expected an empty directory. {remedy}."
        raise OutputInTheWay(message)
    there = read_environment(leg)
    before = {"selection": there.selection, "keras": there.versions.get("keras"), "backend": there.versions.get(there.backend)}
    now = {"selection": request.selection, "keras": installed_version("keras"), "backend": request.backend.version()}
    if there.versions and before["selection"] == now["selection"]:
        same = before["keras"] == now["keras"] and _release(before["backend"]) == _release(now["backend"])
    else:
        same = before["selection"] == now["selection"]
    if not same:
        message = f"{leg}: holds another run: {describe(there)}. It is neither mixed with this one nor overwritten. {remedy}."
        raise OutputInTheWay(message)


def _release(version: Any) -> str:
    return str(version or "").partition("+")[0]


def describe(environment: Environment) -> str:
    """A recorded leg in words: how many cases of what, when, on which versions."""
    selection = environment.selection
    paths = ", ".join(map(str, selection.get("paths", []))) or "unknown paths"
    chosen = "".join(f" {flag} {selection[key]!r}" for flag, key in (("-k", "keyword"), ("-m", "marks")) if selection.get(key))
    recorded = environment.versions
    versions = " ".join(f"{name} {recorded[name]}" for name in ("keras", environment.backend) if name in recorded)
    where = versions or environment.backend
    return f"{len(environment.cases)} cases of {paths}{chosen}, recorded {environment.started} on {where}"


def clear_leg(leg: Path) -> None:
    """Remove what a recording session writes, and nothing else."""
    for name in (RECORDINGS, _WORK):
        shutil.rmtree(leg / name, ignore_errors=True)
    (leg / ENVIRONMENT).unlink(missing_ok=True)


def _clear_planted_legs(request: Request) -> None:
    """Remove what an earlier session has recorded with faults planted, these or others."""
    for leg in (request.out.absolute() / PLANTED).glob(f"*/{request.backend.value}"):
        clear_leg(leg)
        for notes in leg.glob(f"{PLANTED_NOTES}-*"):
            notes.unlink()


# --- the pytest session ----------------------------------------------------------------------------------------


def session_environment(backend: Backend, device: str, threads: int) -> dict[str, str]:
    """The environment variables that a session sets; everything else is the caller's."""
    variables = {
        "KERAS_BACKEND": backend.value,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        # The order of a set of names must not differ from one backend's process to the next.
        "PYTHONHASHSEED": "0",  # also where the caller (tox does) has given each leg a seed of its own
    }
    if device == "cpu":
        variables |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "KERAS_TORCH_DEVICE": "cpu"}
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        variables[name] = os.environ.get(name, str(threads))
    if backend is Backend.JAX and "JAX_COMPILATION_CACHE_DIR" not in os.environ and (cache := _cache_directory()):
        variables["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    if backend is Backend.JAX:
        for name, value in (
            ("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0"),
            ("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1"),
        ):
            variables[name] = os.environ.get(name, value)
    return variables


def _cache_directory() -> Path | None:
    import platformdirs

    path = Path(platformdirs.user_cache_dir("backendcheck")) / "jax"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return path if os.access(path, os.W_OK) else None


FORGOTTEN = (
    "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DEBUG", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT",
)  # fmt: skip


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    for name in FORGOTTEN:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run_pytest(request: Request, session: SessionFile) -> tuple[int, str]:
    import pytest

    threads = max(1, (os.cpu_count() or 1) // max(1, request.workers))
    variables = session_environment(request.backend, request.device, threads) | {SessionFile.VARIABLE: str(session.save())}
    builtin = str(builtin_cases())
    arguments = [
        *("-p", "xdist.plugin", "-p", "pytest_timeout", "-p", "backendcheck.record.plugin"),
        *("-p", "no:faulthandler", "-p", "no:unittest"),
        *(part for plugin in request.plugins for part in ("-p", plugin)),
        *(part for setting in OVERRIDDEN for part in ("-o", setting)),
        *("-o", f"cache_dir={session.work}/cache"),
        *("-q", "--no-header", "--tb=short", "--color=no", "--capture=no", "--import-mode=importlib"),
        *("--continue-on-collection-errors", "-n", str(request.workers), "--dist=load", "--maxschedchunk=1"),
        *("--max-worker-restart=1000000", f"--timeout={request.timeout_s}", f"--basetemp={Path(session.work, 'tmp')}"),
        *(("-k", request.keyword) if request.keyword else ()),
        *(("-m", request.marks) if request.marks else ()),
    ]  # fmt: skip
    if not request.paths:
        # Nobody's project: no configuration and no conftest of the folders above applies.
        ini = Path(session.work) / "pytest.ini"
        ini.write_text("[pytest]\n", encoding="utf-8")
        arguments += ["-c", str(ini), f"--rootdir={builtin}", f"--confcutdir={builtin}"]
    arguments += [_absolute(path) for path in request.paths] or [builtin]
    output = io.StringIO()
    with _environment(variables), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            exit_code = int(pytest.main(arguments))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a conftest.py that leaves, a hook that fails at the very end
            traceback.print_exc()
            output.write(f"ERROR: {type(error).__name__}: {error}\n")
            exit_code = _INTERNAL_ERROR
    (Path(session.work) / "pytest.log").write_text(output.getvalue(), encoding="utf-8", errors="backslashreplace")
    return exit_code, output.getvalue()


def _absolute(path: str) -> str:
    file, rest = split_node_id(path)
    return f"{file.absolute()}{rest}"


def _gather(
    running: Environment, leg: Path, work: Path, exit_code: int, output: str, duration_s: float
) -> tuple[Environment, dict[str, str]]:
    """The environment file of the ended session, and the status of each recording."""
    notes = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(work.glob("*.environment"))]
    problems = [json.loads(path.read_text(encoding="utf-8")) for path in work.glob("problem-*")]
    problems.sort(key=lambda problem: (problem["file"], problem["line"], problem["message"]))
    if exit_code == _INTERNAL_ERROR:
        where = ", ".join(running.selection["paths"])
        message = f"the recording ended early, because pytest or a hook of a conftest.py failed: {_reason(output)}"
        problems.append({"file": where, "line": 1, "message": message})
    statuses, digests = _statuses_and_digests(leg)
    note = notes[0] if notes else {}
    collected = (work / "collected").read_text(encoding="utf-8") if (work / "collected").exists() else "[]"
    cases = tuple(json.loads(collected))
    whole = exit_code in (0, 1, 5) and not (work / "fatal").exists() and all(case in statuses for case in cases)
    environment = Environment(
        backend=running.backend,
        run=running.run,
        exit_state="complete" if whole else "interrupted",
        selection=running.selection,
        cases=cases,
        problems=tuple(problems),
        digests=digests,
        started=running.started,
        duration_s=round(duration_s, 3),
        **note,
    )
    return environment, statuses


def _statuses_and_digests(leg: Path) -> tuple[dict[str, str], dict[str, str]]:
    statuses, digests = {}, {}
    for path in sorted((leg / RECORDINGS).rglob(f"*{SUFFIX}")):
        recording = read_recording(path)
        statuses[recording.case] = recording.status
        digests[recording.case] = file_sha256(path)
    return statuses, digests


def _end_planted_leg(environment: Environment, leg: Path) -> None:
    """Make the recordings of one planted fault a leg, which holds the cases that it was planted on."""
    _, digests = _statuses_and_digests(leg)
    write_environment(leg, replace(environment, cases=tuple(digests), digests=digests))
