"""Run the command on one damaged or hostile input, and see that it ends as documented and does nothing else."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from fuzzing import FORMATS

from backendcheck import limited
from backendcheck.data import parquet_files
from backendcheck.model_file import h5_file

ALLOWED = frozenset({0, 1, 2, 3})
LONGEST_S = 10.0
MOST_MB = 1000


@dataclass(frozen=True)
class Ended:
    """How the command ended on one input, what was done that must not be, its time and growth in memory."""

    exit_code: int
    output: str
    error: str
    trespasses: Sequence[str]
    seconds: float
    cpu_seconds: float
    grown_mb: float
    child_mb: float

    @property
    def problem(self) -> str:
        """What is wrong with that; empty if nothing is."""
        if self.error:
            return self.error.strip().splitlines()[-1] + "\n" + self.error
        if self.trespasses:
            return "; ".join(self.trespasses)
        if self.exit_code not in ALLOWED:
            return f"exit code {self.exit_code}"
        if self.exit_code == 2 and "backendcheck: " not in self.output:
            return "exit code 2 without a message"
        # On a machine that is busy the time of the processor tells who takes long.
        if (self.seconds > LONGEST_S and self.cpu_seconds > LONGEST_S / 2) or self.seconds > 6 * LONGEST_S:
            return f"{self.seconds:.1f} s, of which {self.cpu_seconds:.1f} s on the processor"
        if self.child_mb > MOST_MB:
            return f"{self.child_mb:.0f} MB in a child process"
        return f"{self.grown_mb:.0f} MB more" if self.grown_mb > MOST_MB else ""


class _Watch:
    """Notes what a command may not do: run other code, unpickle, or write outside `folder`."""

    _WRITING = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree")
    _CODE = ("os.system", "os.exec", "os.spawn", "pickle.find_class")
    _STARTING = ("subprocess.Popen", "os.posix_spawn")
    _LOADING = ("marshal.loads", "ctypes.dlopen")  # a library that is imported for the first time is loaded so

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.trespasses: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event == "open" and isinstance(arguments[0], str | bytes):
            if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
                self._check(event, arguments[0])
        elif event in self._WRITING:
            for path in arguments[:2]:
                if isinstance(path, str | bytes) and os.fsdecode(path)[:1] in ("/", "."):  # others are below an open folder
                    self._check(event, path)
        elif event in self._LOADING:
            if not _importing():
                self.trespasses.append(f"{event} {arguments!r:.100}")
        elif event in self._STARTING:  # subprocess takes one or the other
            if arguments[0] != sys.executable:
                self.trespasses.append(f"{event} {arguments!r:.100}")
        elif event in self._CODE:
            self.trespasses.append(f"{event} {arguments!r:.100}")

    def _check(self, event: str, path: str | bytes) -> None:
        place = os.path.realpath(os.fsdecode(path))
        if self.folder is not None and not place.startswith((f"{self.folder}/", "/dev/null")) and place != str(self.folder):
            self.trespasses.append(f"{event} {place!r}")


def _importing() -> bool:
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


@functools.cache
def _watch() -> _Watch:
    return _Watch()


@dataclass
class ForkedReaders:
    """Runs what `limited.run_limited` runs, under its limits, in forks of one process that has imported the libraries.

    An input then takes some milliseconds in place of a second. `largest_mb` is the memory of the largest child.
    """

    _CODE = """
import importlib, json, os, sys, time
from backendcheck.limited import end_limited
import h5py, polars
for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if child == 0:
        os.environ["BACKENDCHECK_LIMITS"] = request["limits"]
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        module = importlib.import_module(request["module"])
        end_limited(getattr(module, request["function"]), request["arguments"])
    deadline = time.monotonic() + request["patience_s"]
    pid = 0
    while pid == 0:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid == 0:
            time.sleep(0.002)
            if time.monotonic() > deadline:
                os.kill(child, 9)
    print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1024]), flush=True)
"""
    largest_mb: float = 0.0
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def __call__(self, module: str, arguments: Sequence[str], n_bytes: int) -> tuple[bytes, str]:
        """As `run_limited`."""
        function = {parquet_files.__name__: "_convert", h5_file.__name__: "_attributes"}[module]
        if self._process is None or self._process.poll() is not None:
            # Outside the folders of single inputs, which do not last.
            self._process = subprocess.Popen(
                [sys.executable, "-c", self._CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env={**os.environ, "RUST_BACKTRACE": "0", "POLARS_MAX_THREADS": "2"},
            )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            request = {
                "module": module, "function": function, "arguments": list(arguments), "out": str(out), "err": str(err),
                "limits": limited.limits_for(n_bytes), "patience_s": limited.PATIENCE_S,
            }  # fmt: skip
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            code, peak_mb = json.loads(self._process.stdout.readline())
            self.largest_mb = max(self.largest_mb, peak_mb)
            if code == 0:
                return out.read_bytes(), ""
            return b"", limited.reason_of(code, err.read_bytes())

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with self._process:  # closes its pipes, which ends it
                self._process = None


@contextlib.contextmanager
def _set(folder: Path) -> Iterator[None]:
    """The command's home and temporary folders lie beside `folder`; its working directory is that."""
    places = {name: folder.parent / name.lower() for name in ("HOME", "TMPDIR")}
    for place in (folder, *places.values()):
        place.mkdir(parents=True, exist_ok=True)
    variables = {name: str(place) for name, place in places.items()}
    with (
        mock.patch.dict(os.environ, variables),
        mock.patch.object(tempfile, "tempdir", variables["TMPDIR"]),
        mock.patch.object(sys, "dont_write_bytecode", True),
        contextlib.chdir(folder),
    ):  # fmt: skip
        yield


def run_input(name: str, number: int, root: Path, readers: ForkedReaders | None = None) -> Ended:
    """Write input `number` of a format below the empty folder `root` and run the command there, in this process.

    `readers` replaces the processes of their own in which some formats are read.
    """
    from backendcheck.cli import cli

    folder = root / "given"
    folder.mkdir()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # to write what is deeper than the command can read
    try:
        arguments = FORMATS[name](folder, random.Random(f"{name} {number}"))
    finally:
        sys.setrecursionlimit(limit)
    before, began, cpu_began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), _cpu_seconds()
    largest_child_before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of other tests of this process
    output, error, code = io.StringIO(), "", 0
    watch = _watch()
    watch.trespasses = []
    reading = readers or limited.run_limited
    if readers is not None:
        readers.largest_mb = 0.0
    with (
        mock.patch.object(parquet_files, "run_limited", reading),
        mock.patch.object(h5_file, "run_limited", reading),
        _set(folder),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        watch.folder = Path(os.path.realpath(root))
        try:
            cli.main(arguments, prog_name="backendcheck", color=False)
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException as unexpected:
            if isinstance(unexpected, KeyboardInterrupt):
                raise
            error = traceback.format_exc()
        finally:
            watch.folder = None
    unit = 1024 * (1024 if sys.platform == "darwin" else 1)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit
    largest_child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    # A child begins as a copy of this process, whose size at that moment counts as its own.
    child_mb = largest_child / unit if largest_child > max(largest_child_before, before) else 0.0
    outside = sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() and folder not in path.parents)
    return Ended(
        exit_code=code, output=output.getvalue(), error=error,
        trespasses=[*dict.fromkeys(watch.trespasses), *(f"{path} is there afterwards" for path in outside)],
        seconds=time.monotonic() - began, cpu_seconds=_cpu_seconds() - cpu_began, grown_mb=grown_mb,
        child_mb=readers.largest_mb if readers else child_mb,
    )  # fmt: skip


def _cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
