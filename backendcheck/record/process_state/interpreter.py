"""State of Python and of the process: settings, hooks, signals, files, limits, threads and child processes."""

from __future__ import annotations

import contextlib
import decimal
import gc
import json
import locale
import os
import resource
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backendcheck.record.process_state.hooks import set_list
from backendcheck.record.process_state.item import Item, attribute

_WAIT_S = 0.2  # for a thread or a process that is about to end
_HIGHEST_SIGNAL = 64


def items() -> list[Item]:
    return [
        Item("working directory", _directory, os.chdir),
        Item("environment variables", _environment, _restore_environment),
        Item("umask", _umask, os.umask),
        Item("locale", lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value)),
        Item("sys.path", lambda: list(sys.path), lambda value: set_list(sys.path, value)),
        Item("sys.argv", lambda: list(sys.argv), lambda value: set_list(sys.argv, value)),
        Item("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
        Item("switch interval of threads", sys.getswitchinterval, sys.setswitchinterval),
        Item("longest integer as text", sys.get_int_max_str_digits, sys.set_int_max_str_digits),
        Item("trace function", sys.gettrace, sys.settrace),
        Item("profile function", sys.getprofile, sys.setprofile),
        Item("sys.excepthook", *attribute(sys, "excepthook")),
        Item("sys.displayhook", *attribute(sys, "displayhook")),
        Item("sys.unraisablehook", *attribute(sys, "unraisablehook")),
        Item("sys.dont_write_bytecode", *attribute(sys, "dont_write_bytecode")),
        Item("threading.excepthook", *attribute(threading, "excepthook")),
        Item("garbage collection", lambda: (gc.isenabled(), gc.get_threshold(), gc.get_debug()), _restore_gc),
        Item("callbacks of garbage collection", lambda: list(gc.callbacks), lambda value: set_list(gc.callbacks, value)),
        Item("warning filters", lambda: list(warnings.filters), _restore_warnings),
        Item("warnings.showwarning", *attribute(warnings, "showwarning")),
        Item("decimal context", lambda: repr(decimal.getcontext()), _restore_decimal()),
        Item("time-out of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
        Item("stack size of threads", threading.stack_size, threading.stack_size),
        Item("signal handlers", _handlers, _restore_handlers),
        Item("blocked signals", lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()), _restore_mask),
        Item("timers", _timers, _restore_timers),
        Item("limits of the process", _limits, _restore_limits),
        Item("processors that may be used", lambda: os.sched_getaffinity(0), lambda value: os.sched_setaffinity(0, value)),
        Item("priority of the process", lambda: os.getpriority(os.PRIO_PROCESS, 0)),
        Item("modules that were imported", _modules()),
        *_patches(),
        Item("threads", _settled(threading.enumerate)),
        Item("child processes", _settled(_children)),
        Item("open files", _settled(_open_files)),
    ]


def _directory() -> str:
    return os.getcwd()  # noqa: PTH109


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def _restore_environment(variables: dict[str, str]) -> None:
    for name in _environment().keys() - variables.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in variables.items() if os.environ.get(name) != value})
    time.tzset()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _restore_gc(value: tuple[bool, tuple[int, int, int], int]) -> None:
    (gc.enable if value[0] else gc.disable)()
    gc.set_threshold(*value[1])
    gc.set_debug(value[2])


def _restore_warnings(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]  # noqa: SLF001 - as catch_warnings does


def _restore_decimal() -> Callable[[Any], None]:
    context = decimal.getcontext().copy()
    return lambda _: decimal.setcontext(context.copy())


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in range(1, _HIGHEST_SIGNAL)}


def _restore_handlers(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler and handler is not None:
            signal.signal(number, handler)


def _restore_mask(mask: set[signal.Signals]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _timers() -> tuple[bool, ...]:
    return tuple(signal.getitimer(which)[0] > 0 for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF))


def _restore_timers(_: Any) -> None:
    for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(which, 0.0)


_LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))


def _limits() -> dict[int, tuple[int, int]]:
    return {limit: resource.getrlimit(limit) for limit in _LIMITS}


def _restore_limits(limits: dict[int, tuple[int, int]]) -> None:
    for limit, value in limits.items():
        if resource.getrlimit(limit) != value:
            resource.setrlimit(limit, value)


# --- modules and functions -------------------------------------------------------------------------------------


def _modules() -> Callable[[], list[str]]:
    """The modules that were removed or replaced. They are not put back: parts of a library would then be there twice."""
    first = dict(sys.modules)
    return lambda: [name for name, module in first.items() if sys.modules.get(name) is not module]


def _patches() -> Iterator[Item]:
    """The functions of modules, which a case may replace and the recorder uses."""
    import builtins
    import hashlib
    import pickle
    import random
    import shutil
    import tempfile

    import keras
    import numpy as np
    import safetensors.numpy

    owners: list[Any] = [
        builtins, os, os.path, sys, time, json, random, tempfile, shutil, hashlib, pickle, Path, threading, json.JSONEncoder,
        np, np.random, np.linalg, safetensors.numpy, keras, keras.ops, keras.random, keras.losses, keras.metrics, keras.utils,
        keras.Model, keras.Layer, keras.Loss, keras.Metric, keras.Optimizer, keras.Variable, keras.src.backend,
        keras.src.backend.core, keras.src.backend.nn, keras.src.backend.numpy, keras.src.backend.math, keras.src.backend.random,
    ]  # fmt: skip
    for owner in owners:
        yield functions_of(owner)


def functions_of(owner: Any) -> Item:
    """The functions and classes of a module or a class, by identity."""
    name = owner.__name__ if not isinstance(owner, type) else f"{owner.__module__}.{owner.__qualname__}"
    first = {key: value for key, value in vars(owner).items() if callable(value) or isinstance(value, classmethod | staticmethod)}

    def read() -> tuple[str, ...]:
        now = vars(owner)
        return tuple(key for key, value in first.items() if now.get(key) is not value)

    def restore(_: Any) -> None:
        for key in read():
            setattr(owner, key, first[key])

    return Item(f"functions of {name}", read, restore)


# --- threads, processes, files ---------------------------------------------------------------------------------


def _settled(read: Callable[[], Any]) -> Callable[[], Any]:
    """What was there at first, and what is there still after a moment. What has ended is not missed."""
    first = frozenset(read())
    known: set[Any] = set()  # waited for already

    def new() -> list[str]:
        left = set(read()) - first
        if left - known:
            gc.collect()
            until = time.monotonic() + _WAIT_S
            while (left := set(read()) - first) - known and time.monotonic() < until:
                time.sleep(_WAIT_S / 10)
        known.update(left)
        return sorted(map(str, left))

    return new


def end_children() -> None:
    """Kill the child processes of this process. They would keep its pipes open."""
    for number in _children():
        with contextlib.suppress(OSError):
            os.kill(int(number), signal.SIGKILL)


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()


def _open_files() -> list[str]:
    """Descriptors of regular files and of pipes and sockets; libraries open devices and events for themselves."""
    files = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - the names alone
        try:
            target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
        except OSError:
            continue
        if not target.startswith(("/dev/", "/proc/", "anon_inode:", "/memfd:")) and int(name) > 2:  # noqa: PLR2004
            files.append(f"{name} {target}")
    return files
