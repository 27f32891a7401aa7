"""The user's own modules in a recording process: which of them a case reaches by imports, and what of them cannot be tracked."""

from __future__ import annotations

import ast
import importlib.machinery
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from backendcheck.record.tracking.code_of import is_local, package_of
from backendcheck.recordings.dependencies import FILE

_DYNAMIC = frozenset({
    "exec", "eval", "run_path", "run_module", "spec_from_file_location", "exec_module", "load_module", "SourceFileLoader",
    "get_objects", "get_referrers",
})  # fmt: skip
_BY_NAME = frozenset({"import_module", "importorskip", "__import__"})  # functions that import by a name
# What the source of the user asks for that no event tells of.
_CLOCK = (
    "now", "utcnow", "today", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time",
    "process_time_ns", "thread_time", "localtime", "gmtime", "clock_gettime",
)  # fmt: skip
_OF_TIME = ("time", "strftime", "ctime", "asctime", "*")  # of the module `time`; others have methods of these names
_FILE_TIMES = (
    "st_mtime", "st_mtime_ns", "st_ctime", "st_ctime_ns", "st_atime", "st_atime_ns", "getmtime", "getctime", "getatime",
)  # fmt: skip
_RANDOM = ("urandom", "uuid1", "uuid4", "SystemRandom", "token_bytes", "token_hex", "token_urlsafe", "randbits")
_MACHINE = ("getpid", "getppid", "gethostname", "getloadavg", "getrusage", "cpu_count", "sched_getaffinity", "uname")
_NATIVE_CODE = ("CDLL", "cdll", "PyDLL", "LoadLibrary", "dlopen")
_NATIVE_READERS = (
    "TFRecordDataset", "TextLineDataset", "FixedLengthRecordDataset", "CsvDataset", "make_csv_dataset", "SqlDataset", "gfile",
    "read_file", "matching_files", "decode_file", "from_file", "list_files", "TextFileInitializer", "CheckpointReader",
    "load_checkpoint",
)  # fmt: skip
_READ_IN_NATIVE_CODE = "files that are read in native code"
_UNTRACKED = {
    **dict.fromkeys(_CLOCK, "the clock"),
    **dict.fromkeys(_FILE_TIMES, "the times of files"),
    **dict.fromkeys(_RANDOM, "random numbers of the system"),
    **dict.fromkeys(_MACHINE, "the machine or the process"),
    **dict.fromkeys(_NATIVE_CODE, "native code"),
    **dict.fromkeys(_NATIVE_READERS, _READ_IN_NATIVE_CODE),
}
_UNTRACKED_MODULES = {
    "posix": "the system", "_posixsubprocess": "the system", "ctypes": "native code", "cffi": "native code",
    "secrets": "random numbers of the system", "multiprocessing": "other processes", "dbm": _READ_IN_NATIVE_CODE,
    "sqlite3": "a database",
}  # fmt: skip
# Packages with native code of which every read of a file is seen, or that read no file.
_KNOWN_NATIVE = frozenset({
    "numpy", "scipy", "sklearn", "pandas", "h5py", "tensorflow", "torch", "jax", "jaxlib", "keras", "ml_dtypes", "safetensors",
    "optree", "wrapt", "google", "grpc", "markupsafe", "yaml", "psutil", "PIL", "matplotlib", "kiwisolver", "contourpy",
    "numexpr", "bottleneck", "numba", "llvmlite", "msgpack", "charset_normalizer", "functorch", "torchgen", "triton", "xxhash",
    "regex", "simplejson", "orjson", "coverage", "cython", "Cython", "cffi_backend", "mkl", "lz4", "zstandard", "brotli", "tree",
    "dm_tree", "requests", "rpds", "pydantic_core", "mpmath", "gmpy2", "mypy", "mypyc",
})  # fmt: skip
_EXTENSIONS = tuple(importlib.machinery.EXTENSION_SUFFIXES)


@dataclass(frozen=True, slots=True)
class _Source:
    """What the source of a module asks for: imported names with their level, whether others by name, and what is untracked.

    `texts` are texts that may be names of modules, for a library to import.
    """

    imports: tuple[tuple[int, str, tuple[str, ...]], ...]
    texts: tuple[str, ...]
    is_dynamic: bool
    untracked: tuple[str, ...]


class LocalCode:
    """The local modules of this process, by file."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source | None] = {}
        self._n_modules = -1
        self._by_file: dict[str, list[ModuleType]] = {}
        self._names: dict[str, str] = {}  # files of local modules by module name
        self._installed: dict[str, None] = {}
        self._native: dict[str, None] = {}
        self._known: set[str] = set()

    def refresh(self) -> None:
        """Take modules into account that were imported since."""
        if self._n_modules == len(sys.modules):
            return
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if not isinstance(file, str) or not isinstance(module, ModuleType):
                continue
            if name not in self._known:
                self._known.add(name)
                self._add(name, file)
            if name in self._names and not any(module is known for known in self._by_file.setdefault(self._names[name], [])):
                self._by_file[self._names[name]].append(module)
        self._n_modules = len(sys.modules)

    def _add(self, name: str, file: str) -> None:
        if not os.path.isabs(file):  # noqa: PTH117 - made by hand
            return
        if is_local(file):
            self._names[name] = file
        elif name_of_package := package_of(file):
            self._installed[file] = None
            if "." not in name:  # a file that a library would import in place of its own
                self._installed |= dict.fromkeys(_in_place_of(name))
            package = name_of_package.strip("_")
            if file.endswith(_EXTENSIONS) and package not in _KNOWN_NATIVE:
                self._native[package] = None

    @property
    def names(self) -> dict[str, str]:
        """The files of local modules by the names of these."""
        return self._names

    @property
    def files(self) -> list[str]:
        """The files of all local modules."""
        return list(self._by_file)

    @property
    def installed(self) -> list[str]:
        """The files of the modules of installed packages."""
        return list(self._installed)

    @property
    def untracked_packages(self) -> list[str]:
        """Installed packages with native code that is not known to read files in a way that is seen."""
        return list(self._native)

    def modules(self, file: str) -> list[ModuleType]:
        """The modules that were made from a file; pytest and an import make one each."""
        return self._by_file.get(file, [])

    def reached(self, files: Iterable[str]) -> list[str]:
        """These files, and those of all local modules that they import, directly or through each other."""
        pending, reached = [file for file in files if file], dict[str, None]()
        while pending:
            file = pending.pop()
            if file in reached:
                continue
            reached[file] = None
            source = self._source(file)
            if source is None or source.is_dynamic:
                pending += self.files
            if source is not None:
                pending += self._imported(file, source)
        return list(reached)

    def untracked(self, files: Iterable[str]) -> list[str]:
        """What the sources of these files ask for that cannot be tracked."""
        sources = {file: self._source(file) for file in files}
        unread = [f"{file} cannot be parsed" for file, source in sources.items() if source is None and file.endswith(".py")]
        return unread + [f"{file} asks for {what}" for file, source in sources.items() if source for what in source.untracked]

    def searched(self, files: Iterable[str]) -> list[str]:
        """The keys of files that imports of `files` would find in place of what they have found, if they existed."""
        sources = [source for file in files if (source := self._source(file)) is not None]
        imports = [entry for source in sources for entry in source.imports]
        names = {name.partition(".")[0] for level, name, _ in imports if not level and name}
        return [f"{FILE}{path}" for name in names for path in _in_place_of(name)]

    def files_of(self, names: Iterable[str]) -> list[str]:
        """The files of the local modules among these names, which may go on after that of a module, and of their packages."""
        found = [name for given in names for name in (given, *_parents(given))]
        return [self._names[name] for name in dict.fromkeys(found) if name in self._names]

    def _imported(self, file: str, source: _Source) -> Iterator[str]:
        for module in self.modules(file):
            package = getattr(module, "__package__", None) or ""
            names = [module.__name__]
            for level, name, parts in source.imports:
                start = name
                if level:
                    above = package.rsplit(".", level - 1)[0] if level > 1 else package
                    start = f"{above}.{name}" if name else above
                names += [start, *(f"{start}.{part}" for part in parts)]
            yield from self.files_of(names)
        yield from self.files_of(source.texts)

    def _source(self, file: str) -> _Source | None:
        if file not in self._sources:
            try:
                self._sources[file] = _analyzed(ast.parse(Path(file).read_bytes()))
            except (OSError, SyntaxError, ValueError, RecursionError):
                self._sources[file] = None
        return self._sources[file]


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _in_place_of(name: str) -> list[str]:
    """The local files that would be imported in place of a module, if they existed."""
    if name in sys.stdlib_module_names:
        return []
    folders = [os.path.abspath(entry) for entry in sys.path if not entry.endswith(".zip")]  # noqa: PTH100
    local = [folder for folder in _searched_before(name, folders) if is_local(f"{folder}{os.sep}x")]
    return [f"{folder}{os.sep}{name}{end}" for folder in dict.fromkeys(local) for end in (".py", f"{os.sep}__init__.py")]


def _searched_before(name: str, folders: list[str]) -> list[str]:
    """The folders that an import searches before it finds a module; all of them if it does not."""
    place = os.path.dirname(getattr(sys.modules.get(name), "__file__", None) or "")  # noqa: PTH120
    holders = {place, os.path.dirname(place)} if place else set()  # noqa: PTH120 - of a module, of a package
    return list(itertools.takewhile(lambda folder: folder not in holders, folders))


def _analyzed(tree: ast.Module) -> _Source:
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    untracked: dict[str, None] = {}
    is_dynamic = False
    by_name: set[ast.AST] = set()
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    clocks = _names_of_time(tree)
    for node in ast.walk(tree):
        name = ""
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
            for alias in node.names:
                untracked |= dict.fromkeys([_UNTRACKED[alias.name]] if alias.name in _UNTRACKED else [])
            if node.module == "time" and any(alias.name in _OF_TIME for alias in node.names):
                untracked["the clock"] = None
            if node.module == "sys" and any(alias.name in ("modules", "*") for alias in node.names):
                is_dynamic = True
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            argument = getattr(node.args[0], "value", None) if called in _BY_NAME and node.args else None
            if isinstance(argument, str) and not argument.startswith("."):
                imports.append((0, argument, ()))
                by_name.add(node.func)
            if called in ("Random", "seed") and not node.args and not node.keywords:
                untracked["random numbers of the system"] = None
        elif isinstance(node, ast.Attribute):
            name = node.attr
            of = getattr(node.value, "id", "")
            if of in clocks and name in _OF_TIME:
                untracked["the clock"] = None
            is_dynamic = is_dynamic or (of, name) == ("sys", "modules")
        elif isinstance(node, ast.Name):
            name = node.id
        if name in _UNTRACKED:
            untracked[_UNTRACKED[name]] = None
        is_method = name == "eval" and isinstance(node, ast.Attribute)  # of a model of PyTorch
        is_dynamic = is_dynamic or (name in _DYNAMIC | _BY_NAME and node not in by_name and not is_method)
    for _, name, _ in imports:
        if (top := name.partition(".")[0]) in _UNTRACKED_MODULES:
            untracked[_UNTRACKED_MODULES[top]] = None
    names = tuple(text for text in texts if text.replace(".", "").isidentifier())
    return _Source(tuple(imports), names, is_dynamic, tuple(untracked))


def _names_of_time(tree: ast.Module) -> set[str]:
    """The names under which a module has the module `time`."""
    aliases = [alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return {alias.asname or alias.name for alias in aliases if alias.name == "time"}
