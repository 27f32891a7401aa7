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
from backendcheck.sessions.child_processes import FORGOTTEN, parent_variable, session_variables
from backendcheck.sessions.leg_packages import package_folders
from backendcheck.sessions.selected_items import SelectedItems
from backendcheck.sessions.session_state import SessionState
from backendcheck.sessions.worker_files import WorkerFiles

INTERRUPTED, INTERNAL_ERROR, WRONG_USAGE = 2, 3, 4  # pytest's exit codes

# A user's pytest configuration may name where code is found and which marks exist, and that is left in force. These
# settings decide how a session runs, which is the recorder's business.
OVERRIDDEN = (
    "addopts=", "filterwarnings=", "python_files=", "required_plugins=", "minversion=", "xfail_strict=false",
    "strict_config=false", "strict_markers=false", "strict=false", "strict_parametrization_ids=false", "log_cli=false",
    "log_file=", "timeout=0", "empty_parameter_set_mark=skip",
    "disable_test_id_escaping_and_forfeit_all_rights_to_community_support=false",
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


@contextlib.contextmanager
def _first_on_path(folders: list[str]) -> Iterator[None]:
    """Workers of pytest-xdist have the path of this process, which imports none of the packages itself."""
    sys.path[:0] = folders
    try:
        yield
    finally:
        del sys.path[: len(folders)]


def run_pytest(session: SessionState) -> tuple[int, str]:
    import pytest

    request, files = session.request, session.files
    threads = max(1, (os.cpu_count() or 1) // max(1, request.workers))
    variables = session_variables(request.backend, request.device, threads)
    variables |= {SessionState.VARIABLE: str(session.save()), **parent_variable()}
    builtin = str(builtin_cases())
    arguments = [
        *("-p", "xdist.plugin", "-p", "pytest_timeout", "-p", "backendcheck.record.plugin"),
        *("-p", "no:faulthandler", "-p", "no:unittest"),
        *("-p", "no:unraisableexception"),  # it collects garbage five times at the end, which takes half a second
        *(part for plugin in request.plugins for part in ("-p", plugin)),
        *(part for setting in OVERRIDDEN for part in ("-o", setting)),
        *("-o", f"cache_dir={files.cache}"),
        *("-q", "--no-header", "--tb=short", "--color=no", "--capture=no", "--import-mode=importlib"),
        *("--continue-on-collection-errors", "-n", str(request.workers), "--dist=load", "--maxschedchunk=1"),
        *("--max-worker-restart=1000000", f"--timeout={request.timeout_s}", f"--basetemp={files.temporary}"),
        *(("-k", request.keyword) if request.keyword else ()),
        *(("-m", request.marks) if request.marks else ()),
    ]  # fmt: skip
    if request.selected_items is not None:
        arguments += _as_selected(SelectedItems.load(request.selected_items), files, alone=bool(request.backend.python))
    elif not request.paths:
        # The built-in cases belong to no project: configurations and conftest files of the folders above do not apply.
        arguments += ["-c", str(files.empty_configuration()), f"--rootdir={builtin}", f"--confcutdir={builtin}"]
    arguments += [_absolute(path) for path in request.paths] or [builtin]
    output = io.StringIO()
    packages = [str(folder) for folder in package_folders(request.backend)]
    silent = (contextlib.redirect_stdout(output), contextlib.redirect_stderr(output))
    with _environment(variables), _first_on_path(packages), silent[0], silent[1]:
        try:
            exit_code = int(pytest.main(arguments))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a conftest.py that leaves, a hook that fails at the very end
            traceback.print_exc()
            output.write(f"ERROR: {type(error).__name__}: {error}\n")
            exit_code = INTERNAL_ERROR
    with contextlib.suppress(OSError):  # it is for people, and its end is in messages, too
        files.log.write_text(output.getvalue(), encoding="utf-8", errors="backslashreplace")
    return exit_code, output.getvalue()


def _as_selected(selected: SelectedItems, files: WorkerFiles, *, alone: bool) -> list[str]:
    """The arguments that give every item the node id by which it was selected.

    With `alone` the libraries of the interpreter that selected them stay out of this one.
    """
    # Before pytest-xdist is imported, which hands this list on to its workers. At the end: nothing of it hides a library.
    sys.path += [
        folder for folder in selected.import_path
        if folder not in sys.path and not (alone and Path(folder).name in ("site-packages", "dist-packages", "lib-dynload"))
    ]  # fmt: skip
    # Without one pytest would search for it from where the files are, and may find one that the user's session has not.
    inifile = selected.inifile or str(files.empty_configuration())
    return [
        "-c", inifile, f"--rootdir={selected.rootdir}", f"--confcutdir={selected.confcutdir}",
        f"--import-mode={selected.import_mode}",
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
