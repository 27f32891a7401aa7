"""Record a case file on every backend, compare and report, from a Python process that keeps its own backend."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.check.case_source import CaseSource
from backendcheck.check.pickling import pickle_objects
from backendcheck.check.report import Report
from backendcheck.errors import UsageError
from backendcheck.files import write_atomically
from backendcheck.temporary import temporary_directory
from backendcheck.vocabulary.findings import ORACLES, parse_oracles
from backendcheck.vocabulary.leg_names import LegName

CASES = "cases"  # folder of the case file and its data, in the directory of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run a check. `oracles` None means all of them; `timeout_s` is the limit in seconds for the case.

    `progress` shows progress on standard error, or in the notebook.
    """

    backends: Sequence[str] | None = None
    oracles: Sequence[str] | None = None
    device: str = "cpu"
    timeout_s: float = 300.0
    progress: bool = True

    def parsed_backends(self) -> tuple[LegName, ...]:
        """The backends to use; by default those in pyproject.toml, or all three.

        Raises:
            UsageError: if one is unknown, or not installed.
        """
        from backendcheck.config import load_configuration, selected_legs

        names = self.backends if isinstance(self.backends, str) else ",".join(self.backends or ())
        backends = selected_legs(names, load_configuration(Path.cwd()))
        for backend in backends:
            if missing := backend.missing_modules():
                what = f"{' and '.join(missing)} is not installed {backend.place}"
                message = f"{backend}: {what}; expected every requested backend. "
                remedy = f"Install it ({backend.install_command}), or name the others in backends=[…]."
                raise UsageError(message + remedy)
        return backends


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputDirectory:
    """The directory of a run. A temporary one is deleted together with the report."""

    path: Path
    is_temporary: bool


@contextlib.contextmanager
def output_directory(out: str | Path | None) -> Iterator[OutputDirectory]:
    """The directory `out`, or a temporary one, which is deleted if the block raises."""
    if out is not None:
        yield OutputDirectory(path=Path(out), is_temporary=False)
        return
    path = Path(tempfile.mkdtemp(prefix="backendcheck-"))
    try:
        yield OutputDirectory(path=path, is_temporary=True)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def write_case(source: CaseSource, folder: Path, stem: str, **text: Any) -> Path:
    """Write the case file and its data into `folder`; returns the path of the file."""
    path = folder / f"{stem}.py"
    if source.arrays:
        source.write_arrays(path.with_suffix(".npz"))
    write_atomically(path, source.text(**text).encode())
    return path


def run_case(source: CaseSource, stem: str, directory: OutputDirectory, options: RunOptions, **text: Any) -> Report:
    """Record, compare and report the one case of `source`.

    Raises:
        UsageError: if a backend is not installed or cannot start, or an object cannot be sent to it.
    """
    from backendcheck.config import load_configuration
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.report import write_reports
    from backendcheck.results.results import analyze
    from backendcheck.sessions.processes import check_out, record_all
    from backendcheck.sessions.request import RecordingRequest
    from backendcheck.verdicts.known_files import known_in_force

    backends = options.parsed_backends()
    out = directory.path
    with _pickled_objects(source) as pickled:
        file = write_case(source, out / CASES, stem, pickled=pickled.sha256, **text)
        requests = [
            RecordingRequest(
                backend=backend, out=out, paths=[str(file)], timeout_s=options.timeout_s, device=options.device,
                oracles=parse_oracles(",".join(options.oracles or ORACLES)), overwrite=True, pickled=pickled.path,
            )
            for backend in backends
        ]  # fmt: skip
        check_out(out, requests)
        with progress_of([backend.value for backend in backends], quiet=not options.progress) as progress:
            ends = record_all(requests, progress)
    unusable = {name: end.message for name, end in ends.items() if not end.recorded}
    if len(unusable) == len(ends):
        message = "; ".join(f"{name}: {ended}" for name, ended in unusable.items())
        raise UsageError(message)
    legs = read_legs(find_legs([request.leg for request in requests if request.backend.value not in unusable]))
    configuration = load_configuration(Path.cwd())
    known = known_in_force(legs, configuration.known)
    expected = [backend.value for backend in backends]
    results = analyze(legs, expected=expected, known=known, overrides=configuration.tolerances)
    write_reports(results, out)
    return Report(results, out, temporary=directory.is_temporary)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PickledFile:
    """The file of the pickled objects of a case and its digest; empty if the case has none."""

    path: Path | None = None
    sha256: str = ""


@contextlib.contextmanager
def _pickled_objects(source: CaseSource) -> Iterator[_PickledFile]:
    """A file with the pickled objects of the case, deleted at the end of the block."""
    if not source.pickled:
        yield _PickledFile()
        return
    with temporary_directory("pickled") as folder:
        path = folder / "objects"
        yield _PickledFile(path=path, sha256=pickle_objects(source.pickled, path))
