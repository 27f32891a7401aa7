"""The pytest session that a recording is: its environment variables, its arguments, what it says when it cannot start."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from backendcheck.case_files import builtin_cases, split_node_id
from backendcheck.sessions.request import Request
from backendcheck.sessions.selected_items import Chosen
from backendcheck.sessions.session_file import SessionFile
from backendcheck.vocabulary.backends import Backend

INTERRUPTED, INTERNAL_ERROR, WRONG_USAGE = 2, 3, 4  # pytest's exit codes

# A user's pytest configuration may name where code is found and which marks exist, and that is left in force. These
# settings decide how a session runs, which is the recorder's business.
OVERRIDDEN = (
    "addopts=", "filterwarnings=", "python_files=", "required_plugins=", "minversion=", "xfail_strict=false",
    "strict_config=false", "strict_markers=false", "strict=false", "strict_parametrization_ids=false", "log_cli=false",
    "log_file=", "timeout=0", "empty_parameter_set_mark=skip",
    "disable_test_id_escaping_and_forfeit_all_rights_to_community_support=false",
)  # fmt: skip

FORGOTTEN = (
    "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DEBUG", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT",
)  # fmt: skip


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


def run_pytest(request: Request, session: SessionFile) -> tuple[int, str]:
    import pytest

    threads = max(1, (os.cpu_count() or 1) // max(1, request.workers))
    variables = session_environment(request.backend, request.device, threads) | {SessionFile.VARIABLE: str(session.save())}
    builtin = str(builtin_cases())
    arguments = [
        *("-p", "xdist.plugin", "-p", "pytest_timeout", "-p", "backendcheck.record.plugin"),
        *("-p", "no:faulthandler", "-p", "no:unittest"),
        *(part for plugin in request.plugins for part in ("-p", plugin)),
        *(part for setting in OVERRIDDEN for part in ("-o", setting)),
        *("-o", f"cache_dir={Path(session.work).resolve()}/cache"),  # pytest refuses a path with .. in it
        *("-q", "--no-header", "--tb=short", "--color=no", "--capture=no", "--import-mode=importlib"),
        *("--continue-on-collection-errors", "-n", str(request.workers), "--dist=load", "--maxschedchunk=1"),
        *("--max-worker-restart=1000000", f"--timeout={request.timeout_s}", f"--basetemp={Path(session.work, 'tmp')}"),
        *(("-k", request.keyword) if request.keyword else ()),
        *(("-m", request.marks) if request.marks else ()),
    ]  # fmt: skip
    if request.chosen is not None:
        arguments += _as_chosen(Chosen.load(request.chosen), Path(session.work))
    elif not request.paths:
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
            exit_code = INTERNAL_ERROR
    (Path(session.work) / "pytest.log").write_text(output.getvalue(), encoding="utf-8", errors="backslashreplace")
    return exit_code, output.getvalue()


def _as_chosen(chosen: Chosen, work: Path) -> list[str]:
    """The arguments that give every item the node id by which it was chosen."""
    # Before pytest-xdist is imported, which hands this list on to its workers. At the end: nothing of it hides a library.
    sys.path += [folder for folder in chosen.import_path if folder not in sys.path]
    inifile = Path(chosen.inifile)
    if not chosen.inifile:
        inifile = work / "pytest.ini"  # or one might be found from where the files are that was not before
        inifile.write_text("[pytest]\n", encoding="utf-8")
    return [
        "-c", str(inifile), f"--rootdir={chosen.rootdir}", f"--confcutdir={chosen.confcutdir}",
        f"--import-mode={chosen.import_mode}",
    ]  # fmt: skip


def _absolute(path: str) -> str:
    file, rest = split_node_id(path)
    return f"{file.absolute()}{rest}"


def reason(output: str) -> str:
    lines = [line.removeprefix("INTERNALERROR>").strip() for line in output.splitlines()]
    counts = re.compile(r"=*.*\b(no tests ran|passed|failed|errors?)\b.* in [\d.]+s.*")
    lines = [line for line in lines if line.strip("^~ ") and not counts.fullmatch(line)]
    errors = [line.removeprefix("E ").strip() for line in lines if line.startswith(("E ", "ERROR", "ImportError while"))]
    errors = [line.removeprefix("ERROR: ") for line in errors]
    return " ".join(dict.fromkeys(errors or lines[-1:]))[:1000]
