"""Python processes that this one starts: their interpreter, their environment, and their end with this process."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import gc
import hashlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NoReturn

import backendcheck
from backendcheck.errors import UsageError
from backendcheck.sessions.leg_packages import package_folders
from backendcheck.vocabulary.backends import JAX
from backendcheck.vocabulary.leg_names import LegName

_PR_SET_PDEATHSIG = 1
_PARENT = "BACKENDCHECK_PARENT"
_TEMPORARY = tempfile._TemporaryFileWrapper  # noqa: SLF001 - what NamedTemporaryFile returns
_BUFFERED = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)

# Variables of a pytest session around this process, which its children must not take for theirs.
FORGOTTEN = (
    "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DEBUG", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT",
)  # fmt: skip


def start_python(function: str, *arguments: str, python: str = "", **options: Any) -> subprocess.Popen[str]:
    """Start ``package.module:function`` in a new interpreter, with `arguments` in ``sys.argv``.

    `python` is another interpreter than that of this process: it gets the package alone, and none of the libraries beside it.
    `options` are those of `subprocess.Popen`. The process is in a session of its own, so that it can be killed with its children.
    """
    options["env"] = {**(options.get("env") or os.environ), **parent_variable()}
    module, _, name = function.partition(":")
    # Not -m, which would put the current directory in front of every library.
    code = f"import sys; sys.path.append(sys.argv.pop(1)); from {module} import {name}; {name}()"
    package = str(_package_alone() if python else Path(backendcheck.__file__).parent.parent)
    return subprocess.Popen(
        [python or sys.executable, "-P", "-c", code, package, *arguments],
        stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="backslashreplace", start_new_session=True, **options,
    )  # fmt: skip


def _package_alone() -> Path:
    """A directory in the cache of the user that holds a link to this package, and nothing else."""
    import platformdirs

    source = Path(backendcheck.__file__).parent
    folder = Path(platformdirs.user_cache_dir("backendcheck")) / "package" / hashlib.sha256(str(source).encode()).hexdigest()[:16]
    link = folder / source.name
    with contextlib.suppress(FileExistsError):
        folder.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source, target_is_directory=True)
    return folder


def environment_for(leg: LegName, device: str, threads: int) -> dict[str, str]:
    """All environment variables of a child process that computes in `leg`."""
    inherited = {name: value for name, value in os.environ.items() if name not in FORGOTTEN}
    return inherited | session_variables(leg, device, threads)


def session_variables(leg: LegName, device: str, threads: int) -> dict[str, str]:
    """The environment variables that a recording sets; all others are the caller's."""
    variables = {
        "KERAS_BACKEND": leg.backend.value,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        # The order of a set of names must not differ from one backend's process to the next.
        "PYTHONHASHSEED": "0",  # also where the caller (tox does) has given each leg a seed of its own
    }
    if folders := package_folders(leg):
        behind = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        variables["PYTHONPATH"] = os.pathsep.join([*map(str, folders), *behind])
    variables |= _device_variables(leg.device or device)
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        variables[name] = os.environ.get(name, str(threads))
    if leg.backend == JAX and "JAX_COMPILATION_CACHE_DIR" not in os.environ and (cache := cache_directory("jax")):
        variables["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    if leg.backend == JAX:
        for name, value in (
            ("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0"),
            ("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1"),
        ):
            variables[name] = os.environ.get(name, value)
    return variables | dict(leg.env)


def _device_variables(device: str) -> dict[str, str]:
    """What has every backend see the device alone, or no accelerator."""
    if device == "cpu":
        return {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "KERAS_TORCH_DEVICE": "cpu"}
    # TensorFlow and JAX take most of the memory of a GPU when they start, and two legs may share one.
    defaults = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    kind, number = device.rstrip("0123456789"), device.lstrip("abcdefghijklmnopqrstuvwxyz")
    if kind in ("gpu", "mps"):
        defaults["KERAS_TORCH_DEVICE"] = {"gpu": "cuda", "mps": "mps"}[kind]
    variables = {name: os.environ.get(name, value) for name, value in defaults.items()}
    if number:
        visible = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
        if visible and int(number) >= len(visible):
            raise UsageError(
                f"device {device}: CUDA_VISIBLE_DEVICES={','.join(visible)} shows {len(visible)} of them; expected a number "
                f"below {len(visible)}, because they are counted from 0. Choose another, or have more of them visible."
            )
        variables["CUDA_VISIBLE_DEVICES"] = visible[int(number)] if visible else number
    return variables


def cache_directory(*parts: str) -> Path | None:
    """A directory for what a backend keeps from one process to the next; None where nothing can be written."""
    import platformdirs

    path = Path(platformdirs.user_cache_dir("backendcheck"), *parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return path if os.access(path, os.W_OK) else None


def parent_variable() -> dict[str, str]:
    """The environment variable that tells a child process whose child it is."""
    return {_PARENT: str(os.getpid())}


def end_with_parent(signal_number: signal.Signals) -> None:
    """Have the system signal this process when its parent dies in any way. Linux only; elsewhere a closed pipe tells.

    The parent may have died before this call: importing what calls it takes seconds on a busy machine.
    """
    parent = os.environ.pop(_PARENT, "")  # not for children of this process
    if sys.platform == "linux":
        before = os.getppid()
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
        if os.getppid() != before or (parent.isdigit() and os.getppid() != int(parent) and not _lives(int(parent))):
            os.kill(os.getpid(), signal_number)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in ("Z", "X")


def end_process(code: int, *, within_s: float | None = None) -> NoReturn:
    """End this process as Python does, but leave its objects to the system: to free a backend object by object takes a second.

    Files that code of the user has left open are flushed, and temporary ones deleted, as when Python frees them. A process that
    may hang, because a thread or an exit function of the user does, ends after `within_s` seconds.
    """
    if within_s is not None:
        faulthandler.dump_traceback_later(within_s, exit=True, file=os.open(os.devnull, os.O_WRONLY))
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - it waits for threads
    with contextlib.suppress(KeyError, AttributeError):
        atexit.unregister(sys.modules["jax._src.api"].clean_up)  # it frees each program that JAX has compiled
    atexit._run_exitfuncs()  # noqa: SLF001
    gc.unfreeze()  # or it would not list what was there when a worker had started
    for left in [kept for kept in gc.get_objects() if issubclass(type(kept), (_TEMPORARY, *_BUFFERED))]:
        with contextlib.suppress(Exception):
            left.close() if isinstance(left, _TEMPORARY) else left.flush()
    os._exit(code)
