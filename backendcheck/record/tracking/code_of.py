"""Whose a file is, and whose code is running: the user's, an installed package's, backendcheck's or pytest's."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import backendcheck
from backendcheck.case_files import builtin_cases

HARNESS = f"{Path(backendcheck.__file__).parent}{os.sep}"
_BUILT_IN = f"{builtin_cases()}{os.sep}"
_INSTALLED = tuple({
    f"{Path(path).resolve() if resolved else path}{os.sep}"
    for path in (*map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")), f"{sys.base_prefix}/lib")
    for resolved in (True, False)
})  # fmt: skip
_STDLIB = f"{sysconfig.get_path('stdlib')}{os.sep}"
_PARTS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
# Libraries that are large, and that people also have as a checkout or in a folder of their own on the path.
_LIBRARIES = frozenset({"keras", "tensorflow", "torch", "jax", "jaxlib", "numpy", "scipy", "sklearn", "openvino"})
# Folders that Python itself lies in. They exist as long as it runs, and libraries ask about them thousands of times.
ABOVE_INSTALLED = frozenset(str(parent) for folder in _INSTALLED for parent in Path(folder).parents)
_NEVER_LOCAL = (HARNESS, "<", *_INSTALLED)  # but for the built-in cases
_never_local: set[str] = set()  # files of these, seen so far; asked for every frame of every event
_OF_EVENTS = (f"{__package__}.events", f"{__package__}.native_readers", __name__)


def is_installed(path: str) -> bool:
    """Whether a file came with Python or a package, whose version is noted."""
    return (path.startswith(_INSTALLED) or is_packaged(path)) and not path.startswith(_BUILT_IN)


def is_packaged(path: str) -> bool:
    """Whether a file came with a package."""
    return bool(package_of(path))


def package_of(path: str) -> str:
    """The name of the installed package that a file came with, as it is imported; empty for another file.

    A package may also lie in another folder of the path, where ``pip install --target`` has put it.
    """
    return _package_of(path, tuple(sys.path)) or _library_of(path)


@functools.lru_cache(maxsize=2**16)
def _package_of(path: str, search_path: tuple[str, ...]) -> str:
    for part in _PARTS:
        if part in path:
            return _top(path.rpartition(part)[2])
    for folder in dict.fromkeys(search_path):
        if folder and path.startswith(f"{folder}{os.sep}"):
            name = _top(path[len(folder) + 1 :])
            if name in _installed_in(folder):
                return name
    return ""


def _library_of(path: str) -> str:
    """The library of which this is a file, if it is imported from there. A folder of tests may have the same name."""
    for name in _LIBRARIES:
        if f"{os.sep}{name}{os.sep}" in path:
            file = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(file, str) and path.startswith(f"{os.path.dirname(file)}{os.sep}"):  # noqa: PTH120 - called often
                return name
    return ""


def _top(relative: str) -> str:
    return relative.partition(os.sep)[0].partition(".")[0]


@functools.cache
def _installed_in(folder: str) -> frozenset[str]:
    """The names of the packages that an installer has put into a folder, by its lists of files."""
    names = set()
    try:
        for record in Path(folder).glob("*.dist-info/RECORD"):
            lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
            files = (line.partition(",")[0].replace("/", os.sep) for line in lines)
            names |= {_top(file) for file in files if file.endswith((".py", ".so", ".pyd"))}
    except OSError:
        return frozenset()
    return frozenset(names - {"", "..", "tests", "test"})  # some packages leave their tests there


def is_local(path: str) -> bool:
    """Whether a file is the user's own, or a built-in case."""
    if path in _never_local:
        return False
    if path.startswith(_BUILT_IN):
        return True
    if path.startswith(_NEVER_LOCAL):
        _never_local.add(path)
        return False
    return not is_packaged(path)


def frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        yield frame
        frame = frame.f_back


def local_frames() -> tuple[str, bool]:
    """The file of the local module that is being imported, innermost; and whether local code is running at all."""
    is_ours = False
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None:  # a loop of its own: a library asks about thousands of files while it is imported
        code = frame.f_code
        if code.co_filename not in _never_local and is_local(code.co_filename):
            if code.co_name == "<module>":
                return code.co_filename, True
            is_ours = True
        frame = frame.f_back
    return "", is_ours


def is_source_for_messages() -> bool:
    """Whether Python reads a source file to show a line of it."""
    return any(frame.f_globals.get("__name__") == "linecache" for frame, _ in zip(frames(), range(12), strict=False))


def is_import_of_package() -> bool:
    """Whether an installed package is being imported, innermost, which may seed generators that are not used yet."""
    names = (frame.f_code for frame in frames() if frame.f_code.co_name == "<module>" or is_local(frame.f_code.co_filename))
    innermost = next(names, None)
    return innermost is not None and not is_local(innermost.co_filename)


def is_importing() -> bool:
    """Whether Python looks for a module. What it finds, and where it would have found it earlier, is noted by `local_code`."""
    outside = (frame for frame in frames() if frame.f_globals.get("__name__") not in _OF_EVENTS)
    return next(outside).f_code.co_filename.startswith("<frozen importlib")


def is_of_session() -> bool:
    """Whether backendcheck or pytest does something for itself: no library, and no code of the user, is nearer than theirs."""
    for frame in frames():
        file, module = frame.f_code.co_filename, str(frame.f_globals.get("__name__", ""))
        if module in _OF_EVENTS or file.startswith("<frozen") or (file.startswith(_STDLIB) and not is_packaged(file)):
            continue
        return file.startswith(HARNESS) or module.partition(".")[0] in ("_pytest", "pytest", "xdist", "pluggy", "execnet")
    return False
