"""What happens in a recording process that a recording may depend on: reads of files, folders and environment variables.

Python raises audit events for most of it. It raises none where a program asks about a file without opening it, reads a variable,
or asks the system for random numbers. Those functions are wrapped here. What reads in other ways is noted as untracked.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import random
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

from backendcheck.record.tracking.code_of import (
    ABOVE_INSTALLED,
    is_import_of_package,
    is_importing,
    is_local,
    is_of_session,
    is_source_for_messages,
    local_frames,
)
from backendcheck.recordings.dependencies import FILE, LISTING, VARIABLE, listing_value
from backendcheck.sessions.conditions import is_condition

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
_SYSTEM = ("/proc/", "/sys/", "/dev/")
_RANDOM = ("/dev/urandom", "/dev/random")
_DRAWS = "it draws random numbers from the system"
_OWN_VARIABLES = ("PYTEST_", "BACKENDCHECK_")  # which this session sets itself

# Events of what cannot be tracked, in words.
_NETWORK = (
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr",
    "socket.gethostname", "http.client.connect", "ftplib.connect",
)  # fmt: skip
_PROCESSES = (
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn",
)  # fmt: skip
_UNTRACKED_EVENTS = {
    **dict.fromkeys(_NETWORK, "it uses the network"),
    **dict.fromkeys(_PROCESSES, "it starts a process"),
    "ctypes.dlopen": "it loads native code",
    "sqlite3.connect": "it opens a database",
    "builtins.input": "it reads standard input",
}
# Events of what is changed in place, and where among their arguments the number of the folder is that paths are relative to.
_REMOVALS = {
    "os.remove": 1, "os.rmdir": 1, "os.rename": 2, "os.truncate": 0, "os.link": 2, "os.symlink": 2, "os.chmod": 2, "os.utime": 3,
}  # fmt: skip


class Reads:
    """What one part of the session has read: a case, a fixture, a module while it was imported, or the collection."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}  # with the value at the time of reading, where it is known
        self.untracked: dict[str, None] = {}
        self.products: set[str] = set()
        self.modules: set[str] = set()  # names of modules that a library has imported, or taken something from, by name

    def add(self, other: Reads) -> None:
        """Take over what another part has read."""
        self.keys |= other.keys
        self.untracked |= other.untracked
        self.products |= other.products
        self.modules |= other.modules

    def is_product(self, path: str) -> bool:
        """Whether this part has made a file, or a folder above it."""
        return path in self.products or any(path.startswith(f"{product}{os.sep}") for product in self.products)


class Events:
    """Notes the reads of a process."""

    def __init__(self) -> None:
        self.active: list[Reads] = []  # of what runs now: a case, and fixtures that are set up for it
        self.modules: dict[str, Reads] = {}  # by file, while it was imported
        self.session = Reads()
        self.variables = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_VARIABLES)}
        self.set_session((), os.devnull)
        self.handlers: dict[str, Callable[[Any], None]] = {
            "open": self._opened, "os.listdir": self._listed, "os.scandir": self._listed, "os.mkdir": self._made,
            "pickle.find_class": lambda args: self._named(args[0]),
            **{event: functools.partial(self._removed, place) for event, place in _REMOVALS.items()},
        }  # fmt: skip
        self._handling = threading.local()  # what a handler does itself is not noted

    def set_session(self, ignored: tuple[str, ...], temporary: str) -> None:
        """`ignored` are paths of files and folders that belong to the session itself, but for those below `temporary`."""
        cache = os.environ.get("JAX_COMPILATION_CACHE_DIR")
        self.ignored = tuple(f"{path}{os.sep}" for path in (*ignored, *([cache] if cache else [])))
        self.temporary = f"{temporary}{os.sep}"

    def start(self) -> None:
        """Listen from now on, to the end of the process."""
        sys.addaudithook(self._hook)
        os.environ.__class__ = _watched(os.environ.__class__, self)
        if hasattr(os, "environb"):
            os.environb.__class__ = _watched(os.environb.__class__, self)
        self._wrap_open()
        for name in ("stat", "lstat", "access"):
            self._wrap(os, name, self.note_path)
        self._wrap(importlib, "import_module", self._named, "name")
        self._wrap(os, "urandom", lambda _: None if is_import_of_package() else self.note_untracked(_DRAWS))
        random._urandom = os.urandom  # type: ignore[attr-defined]  # noqa: SLF001 - what secrets and SystemRandom draw from

    def _wrap_open(self) -> None:
        function = os.open

        def noted(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            with self._once() as is_first:
                if is_first:
                    self._opened((_in_folder(path, kwargs.get("dir_fd") or -1), None, flags))
                return function(path, flags, *args, **kwargs)

        noted.__name__, noted.__doc__ = "open", function.__doc__
        os.supports_dir_fd.add(noted)
        os.open = noted

    def _wrap(self, owner: Any, name: str, note: Callable[[Any], None], first: str = "path") -> None:
        """`first` is the name of the first argument."""
        function = getattr(owner, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            note(args[0] if args else kwargs.get(first))
            return function(*args, **kwargs)

        noted.__name__, noted.__doc__ = name, function.__doc__
        for supported in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
            if function in supported:
                supported.add(noted)
        setattr(owner, name, noted)

    @contextlib.contextmanager
    def _once(self) -> Iterator[bool]:
        is_first = not getattr(self._handling, "now", False)
        self._handling.now = True
        try:
            yield is_first
        finally:
            self._handling.now = not is_first

    # --- events --------------------------------------------------------------------------------------------------

    def _hook(self, event: str, args: Any) -> None:
        handler = self.handlers.get(event)
        if handler is not None:
            with self._once() as is_first:
                if is_first:
                    handler(args)
        elif event in _UNTRACKED_EVENTS and not (event == "ctypes.dlopen" and not args[0]):
            self.note_untracked(f"{_UNTRACKED_EVENTS[event]} ({event})")

    def _opened(self, args: Any) -> None:
        path, mode, flags = args
        if (name := self._name(path)) is None:
            return
        flags = flags if isinstance(flags, int) else 0
        is_new = bool(flags & (os.O_EXCL | os.O_TRUNC)) or (isinstance(mode, str) and mode[:1] in "wx" and "+" not in mode)
        if flags & _WRITES and os.path.isdir(name):  # noqa: PTH112 - for a temporary file, whose own event follows
            return
        if flags & _WRITES:
            self._wrote(name, is_temporary=bool(flags & os.O_EXCL))
        if not flags & _WRITES or not is_new:
            self._read(FILE, name)

    def _listed(self, args: Any) -> None:
        path = "." if args[0] is None else args[0]
        if isinstance(path, int):
            path = _folder_of(path)
        if not path:
            self.note_untracked("it lists a folder by its number")
        elif not is_importing() and (name := self._name(path)) is not None:
            self._read(LISTING, name, listing_value(name))

    def _made(self, args: Any) -> None:
        if (name := self._name(_in_folder(args[0], args[2]))) is not None:
            self._wrote(name, is_temporary=os.path.dirname(name) == tempfile.gettempdir())  # noqa: PTH120

    def _removed(self, place: int, args: Any) -> None:
        """`place` is that of the number of the folder among the arguments, of the first path if there are two."""
        for number, path in enumerate(args[:2]):
            folder = args[min(place + number, len(args) - 1)] if place else -1
            if isinstance(path, str | bytes) and (name := self._name(_in_folder(path, folder))) is not None:
                self._wrote(name, is_temporary=False)

    def _named(self, name: Any) -> None:
        """Note a module that is asked for by name; a case need not say the name, for it may be in a file."""
        if isinstance(name, str):
            self._note(lambda reads: reads.modules.add(name))

    def _wrote(self, path: str, *, is_temporary: bool) -> None:
        if is_temporary or path.startswith(self.temporary):
            for reads in self.active:  # also what pytest makes for it
                reads.products.add(path)
            return

        def note(reads: Reads) -> None:
            if not reads.is_product(path):
                reads.untracked[f"it writes {path}"] = None

        self._note(note)

    def note_path(self, path: Any) -> None:
        """Note that something is asked about a path, or that a library reads it."""
        with self._once() as is_first:
            if not is_first or isinstance(path, int) or (isinstance(path, str) and path in ABOVE_INSTALLED):
                return
            if (name := self._name(path)) is not None:
                self._read(FILE, name)

    def note_written(self, path: Any) -> None:
        """Note that a library writes a file."""
        with self._once() as is_first:
            if is_first and (name := self._name(path)) is not None:
                self._wrote(name, is_temporary=False)

    def note_variable(self, name: str) -> None:
        """Note that an environment variable is read."""
        if getattr(self._handling, "now", False):
            return
        if name.startswith(_OWN_VARIABLES):
            self.note_untracked(f"it reads the variable {name} of the session")
        elif not is_condition(name):  # backends ask for some of these at every program
            self._note(lambda reads: reads.keys.setdefault(f"{VARIABLE}{name}", ""))

    def note_untracked(self, what: str) -> None:
        """Note something that cannot be tracked."""
        self._note(lambda reads: reads.untracked.setdefault(what))

    # --- whose it is -----------------------------------------------------------------------------------------------

    def _name(self, path: Any) -> str | None:
        """The absolute path to note; None for what is of no interest."""
        try:
            text = os.fsdecode(path)
            name = os.path.abspath(text)  # noqa: PTH100 - links stay links
        except (TypeError, ValueError, OSError):
            return None
        if text.startswith("<"):  # an object in memory, as HDF5 names it
            return None
        if name in _RANDOM:
            self._note(lambda reads: reads.untracked.setdefault(_DRAWS))
        if name.endswith((".pyc", ".pyo")) or name.startswith(_SYSTEM):
            return None
        folder = f"{name}{os.sep}"
        if folder.startswith(self.ignored) and (folder == self.temporary or not folder.startswith(self.temporary)):
            return None
        return name if is_local(name) else None

    def _read(self, kind: str, path: str, value: str = "") -> None:
        if path.endswith(".py") and is_source_for_messages():
            return

        def note(reads: Reads) -> None:
            if not reads.is_product(path):
                before = reads.keys.setdefault(f"{kind}{path}", value)
                if value and before and before != value:
                    reads.untracked[f"{path} changes while it runs"] = None

        self._note(note)

    def _note(self, note: Callable[[Reads], object]) -> None:
        """Note something for what runs now, for the module that is being imported, or for the collection."""
        if is_of_session():
            return
        module, is_ours = local_frames()
        for reads in self.active:
            note(reads)
        if module:
            note(self.modules.setdefault(module, Reads()))
        elif is_ours and not self.active:
            note(self.session)


def _in_folder(path: Any, folder: int) -> Any:
    """A path that is relative to an open folder, if `folder` is the number of one."""
    return path if folder < 0 else os.path.join(os.fsencode(_folder_of(folder)), os.fsencode(path))  # noqa: PTH118


def _folder_of(descriptor: int) -> str:
    """The path of an open folder; empty where the system does not tell."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    except OSError:
        return ""


def _watched(base: type[Any], events: Events) -> type[Any]:
    """The class of ``os.environ`` that notes what is read."""

    class Variables(base):  # type: ignore[misc]
        __slots__ = ()

        def __getitem__(self, key: Any) -> Any:
            if isinstance(key, str | bytes):
                events.note_variable(os.fsdecode(key))
            return super().__getitem__(key)

        def __iter__(self) -> Iterator[Any]:
            events.note_untracked("it reads all environment variables")
            return iter(super().__iter__())

        def __len__(self) -> int:
            events.note_untracked("it reads all environment variables")
            return int(super().__len__())

    Variables.__name__ = base.__name__
    return Variables
