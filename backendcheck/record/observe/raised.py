"""Exceptions as recordings hold them: class, message, the author's last line, and a traceback without the harness."""

from __future__ import annotations

import builtins
import contextlib
import difflib
import linecache
import os
import re
import sys
import sysconfig
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from traceback import walk_tb
from types import CodeType, TracebackType
from typing import Any

import numpy as np

import backendcheck
from backendcheck.case_files import builtin_cases
from backendcheck.recordings.recording import Frame, Raised
from backendcheck.text.words import plain_message

_MOST_FRAMES, _MOST_CAUSES, _MOST_BEFORE = 40, 3, 8
_LONGEST_LINE, _LONGEST_MESSAGE, _LONGEST_TRACEBACK = 300, 2000, 8000  # characters
_CLOSE = 0.75  # of difflib, for names that someone may have meant
_NOTEBOOKS = ("<ipython-input", "ipykernel_")
_HARNESS = str(Path(backendcheck.__file__).parent) + os.sep
_PYTEST = (f"{os.sep}_pytest{os.sep}", f"{os.sep}pluggy{os.sep}", f"{os.sep}pytest_timeout.py")
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_NEUTRAL = tuple(
    os.path.realpath(folder) + os.sep
    for folder in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), str(Path(np.__file__).parent))
)
_LIBRARIES = ("keras", "tensorflow", "jax", "jaxlib", "torch", "openvino")
_PASSING_ON = frozenset({"error_handler", "reraise_with_filtered_traceback", "op_dispatch_handler"})
_GETTING = frozenset({"__getattr__", "__getattribute__", "getattr", "_getattr", "_fallback_getattr"})
_BINDING = frozenset({"bind", "_bind"})


class Project:
    """The directory in which the session was started; files of the author are named from there."""

    directory = Path.cwd()


class _Origin(Enum):
    """Whose code a frame runs. Neutral code has no part in what a backend does: Python's own, NumPy, `backendcheck.case`."""

    AUTHOR = "author"
    NEUTRAL = "neutral"
    HARNESS = "harness"
    LIBRARY = "library"


@dataclass(frozen=True, slots=True)
class _Place:
    """A frame of a traceback."""

    code: CodeType
    line: int
    names: Any
    origin: _Origin


def as_raised(stage: str, error: BaseException) -> Raised:
    """The record of an exception: its class, the names of its base classes, its message, and where it was raised."""
    names = tuple(cls.__name__ for cls in type(error).__mro__ if cls not in (object, BaseException))
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - the __str__ of a user's exception may raise, too
        message = "(its message is not available)"
    frame, is_by_author, traceback, suggestion = None, False, "", ""
    with contextlib.suppress(Exception):  # a case may have replaced what this needs; the exception itself is more important
        places = _places(error.__traceback__)
        frame, is_by_author = _frame_of(places), _is_by_author(error, places)
        if frame is None and error.__cause__ is not None:
            frame = _frame_of(_places(error.__cause__.__traceback__))
        traceback = _shortened("\n".join(_lines(error, _MOST_CAUSES)))
        suggestion = _suggestion(error) if is_by_author else ""
    return Raised(
        stage=stage, type=type(error).__name__, type_names=names, message=message, frame=frame, by_author=is_by_author,
        traceback=traceback, suggestion=suggestion,
    )  # fmt: skip


def _suggestion(error: BaseException) -> str:
    """The name that is closest to a name, an attribute or a part of a module that does not exist; empty if nothing is close."""
    name = getattr(error, "name", None)
    if not isinstance(name, str):
        return ""
    names: Collection[str] = ()
    if isinstance(error, AttributeError):
        names = dir(error.obj)
    elif isinstance(error, NameError):
        *_, (frame, _) = walk_tb(error.__traceback__)
        names = {*frame.f_locals, *frame.f_globals, *dir(builtins)}
    elif isinstance(error, ImportError) and (module := sys.modules.get(name)) is not None:
        match = re.match(r"cannot import name '([^']+)'", str(error))
        name, names = (match[1], dir(module)) if match else ("", ())
    candidates = [other for other in names if (not other.startswith("_") or name.startswith("_"))]
    return next(iter(difflib.get_close_matches(name, candidates, n=1, cutoff=_CLOSE)), "")


# --- whose code it is --------------------------------------------------------------------------------------------


def _places(traceback: TracebackType | None) -> list[_Place]:
    places = []
    for frame, line in walk_tb(traceback):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        places.append(_Place(frame.f_code, line, frame.f_globals, _origin(frame.f_code.co_filename, package)))
    return places


@cache
def _origin(name: str, package: str) -> _Origin:
    """Whose code a file holds; `package` is that of its module."""
    if any(mark in name for mark in _NOTEBOOKS):
        return _Origin.AUTHOR
    if name.startswith("<frozen"):
        return _Origin.NEUTRAL
    path = os.path.realpath(name)
    if path == f"{_HARNESS}case.py":
        return _Origin.NEUTRAL
    if path.startswith(str(builtin_cases()) + os.sep):
        return _Origin.AUTHOR
    if path.startswith(_HARNESS) or any(mark in path for mark in _PYTEST):
        return _Origin.HARNESS
    if package in _LIBRARIES or "__autograph_generated_file" in path:
        return _Origin.LIBRARY
    if path.startswith(_NEUTRAL[2]):
        return _Origin.NEUTRAL
    if any(mark in path for mark in _INSTALLED):
        return _Origin.LIBRARY
    if path.startswith(_NEUTRAL):
        return _Origin.NEUTRAL
    return _Origin.AUTHOR if os.path.isfile(path) else _Origin.LIBRARY  # noqa: PTH113 - generated code has no file


def _is_by_author(error: BaseException, places: Sequence[_Place]) -> bool:
    """Whether neither Keras nor a backend had a part in it: below the author's last line, only neutral code ran.

    What only passes an exception on, and what only looks a name up or binds arguments, has no part in it either.
    """
    at = next((at for at in reversed(range(len(places))) if places[at].origin is _Origin.AUTHOR), None)
    if at is None or (not _Whole.depth and any(place.code.co_name in _PASSING_ON for place in places)):
        return False
    below = [place for place in places[at + 1 :] if place.code.co_name not in _PASSING_ON]
    if isinstance(error, AttributeError):
        below = [place for place in below if place.code.co_name not in _GETTING]
    if isinstance(error, TypeError) and _binds_arguments(below):
        return True
    return all(place.origin is _Origin.NEUTRAL for place in below)


def _binds_arguments(below: Sequence[_Place]) -> bool:
    """Whether what the author called has refused its arguments: ``Layer.__call__`` binds them by their signature at once."""
    names = [place.code.co_name for place in below]
    n_binding = sum(name in _BINDING and place.origin is _Origin.NEUTRAL for name, place in zip(names, below, strict=True))
    called, binding = names[: len(names) - n_binding], names[len(names) - n_binding :]
    return n_binding > 0 and set(binding) <= _BINDING and called[:1] == ["__call__"] and set(called[1:]) <= {"__init__"}


def _frame_of(places: Sequence[_Place]) -> Frame | None:
    """The last frame in the author's own code, with the lines of its function above it."""
    place = next((place for place in reversed(places) if place.origin is _Origin.AUTHOR), None)
    if place is None:
        return None
    first = max(place.code.co_firstlineno, place.line - _MOST_BEFORE)
    if place.code.co_name == "<module>":
        first = max(1, place.line - 2)
    source = [_source(place, line) for line in range(first, place.line + 1)]
    lines = textwrap.dedent("\n".join(source)).split("\n")
    return Frame(
        file=_file(place.code.co_filename), line=place.line, function=place.code.co_name, source=lines[-1],
        before=tuple(lines[:-1]) if len(lines) == len(source) else (),
    )  # fmt: skip


def _source(place: _Place, line: int) -> str:
    return linecache.getline(place.code.co_filename, line, place.names).rstrip()[:_LONGEST_LINE]


def _file(name: str) -> str:
    """A file as reports name it: from the folder of its installation, or from where the session was started, if it is below."""
    for mark in _INSTALLED:
        if mark in name:
            return f"{mark.strip(os.sep)}{os.sep}{name.rpartition(mark)[2]}"
    path = Path(name)
    if path.is_relative_to(Project.directory):
        return str(path.relative_to(Project.directory))
    # A built-in case has one name wherever it is recorded, also on a machine that has it elsewhere.
    return f"cases/{path.relative_to(builtin_cases()).as_posix()}" if path.is_relative_to(builtin_cases()) else name


# --- the traceback -----------------------------------------------------------------------------------------------


def _lines(error: BaseException, n_causes: int) -> Iterator[str]:
    """The traceback as Python prints it, that of its cause first, without the frames of the harness."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and n_causes:
        yield from _lines(cause, n_causes - 1)
        what = "The above exception was the direct cause of the following exception:"
        yield from ("", what if error.__cause__ else "During handling of the above exception, another exception occurred:", "")
    places = [place for place in _shown(_places(error.__traceback__)) if place.code.co_name not in _PASSING_ON]
    if places:
        yield "Traceback (most recent call last):"
    left_out = len(places) - _MOST_FRAMES
    for at, place in enumerate(places):
        if left_out > 0 and _MOST_FRAMES // 4 <= at < _MOST_FRAMES // 4 + left_out:
            if at == _MOST_FRAMES // 4:
                yield f"  … {left_out} frames left out …"
            continue
        yield f'  File "{_file(place.code.co_filename)}", line {place.line}, in {place.code.co_name}'
        if source := _source(place, place.line).strip():
            yield f"    {source}"
    try:
        message = plain_message(str(error)).strip()
    except Exception:  # noqa: BLE001 - the __str__ of a user's exception may raise, too
        message = ""
    yield f"{type(error).__name__}: {message[:_LONGEST_MESSAGE]}" if message else type(error).__name__


def _shown(places: Sequence[_Place]) -> list[_Place]:
    """The frames from the first of the author's or of a library on, without those of the harness; all, if that leaves none."""
    telling = (_Origin.AUTHOR, _Origin.LIBRARY)
    first = next((at for at, place in enumerate(places) if place.origin in telling), 0)
    shown = [place for place in places[first:] if place.origin is not _Origin.HARNESS]
    return shown or list(places)


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_TRACEBACK:
        return text
    begin, end = _LONGEST_TRACEBACK // 4, 3 * _LONGEST_TRACEBACK // 4
    return f"{text[:begin]}\n… {len(text) - begin - end} characters left out …\n{text[-end:]}"


# --- tracebacks that are whole -------------------------------------------------------------------------------------


class _Whole:
    """How often `whole_tracebacks` is in force; 0 where a filter could not be switched off."""

    depth = 0


@contextlib.contextmanager
def whole_tracebacks() -> Iterator[None]:
    """A context in which Keras, TensorFlow and JAX leave their own frames in tracebacks; messages stay as they are.

    Without those frames a line of the author that has called Keras looks as if it had raised the exception itself.
    """
    is_whole = True
    with contextlib.ExitStack() as stack:
        for name, switched_off in _FILTERS.items():
            if name in sys.modules:
                try:
                    stack.enter_context(switched_off(sys.modules[name]))
                except Exception:  # noqa: BLE001 - a backend that is half imported, or of another version
                    is_whole = False
        _Whole.depth += is_whole
        try:
            yield
        finally:
            _Whole.depth -= is_whole


@contextlib.contextmanager
def _without_filter_of_keras(module: Any) -> Iterator[None]:
    """Keras's own setting would change the messages as well, so the function that filters is replaced."""
    original = module._process_traceback_frames  # noqa: SLF001
    module._process_traceback_frames = lambda traceback: traceback  # noqa: SLF001
    try:
        yield
    finally:
        module._process_traceback_frames = original  # noqa: SLF001


@contextlib.contextmanager
def _without_filter_of_tensorflow(module: Any) -> Iterator[None]:
    before = module.debugging.is_traceback_filtering_enabled()
    module.debugging.disable_traceback_filtering()
    try:
        yield
    finally:
        if before:
            module.debugging.enable_traceback_filtering()


@contextlib.contextmanager
def _without_filter_of_jax(module: Any) -> Iterator[None]:
    before = module.config.jax_traceback_filtering
    module.config.update("jax_traceback_filtering", "off")
    try:
        yield
    finally:
        module.config.update("jax_traceback_filtering", before)


_FILTERS = {
    "keras.src.utils.traceback_utils": _without_filter_of_keras,
    "tensorflow": _without_filter_of_tensorflow,
    "jax": _without_filter_of_jax,
}
