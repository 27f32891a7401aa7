"""A case file recorded on every backend, compared and reported, from inside a Python process that keeps its own backend."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.check.case_source import CaseSource
from backendcheck.check.pickling import pack
from backendcheck.check.report import Report
from backendcheck.errors import UsageError
from backendcheck.files import write_atomically
from backendcheck.vocabulary.backends import Backend, parse_backends
from backendcheck.vocabulary.findings import ORACLES, parse_oracles

CASES = "cases"  # the folder of the case file and its data, in the directory of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a question is asked: on which backends, with which oracles (None for all), with what patience.

    `timeout_s` is in seconds, for the one case. `progress` shows on standard error, or in the notebook, how far it is.
    """

    backends: Sequence[str] | None = None
    oracles: Sequence[str] | None = None
    device: str = "cpu"
    timeout_s: float = 300.0
    progress: bool = True

    def parsed_backends(self) -> tuple[Backend, ...]:
        """The backends asked for; all three by default, or those that pyproject.toml names.

        Raises:
            UsageError: if one is none, or is not installed.
        """
        from backendcheck.config import load_configuration

        given = self.backends
        names = given if isinstance(given, str) else ",".join(given or load_configuration(Path.cwd()).backends)
        wanted = parse_backends(names or "tensorflow,jax,torch")
        for backend in wanted:
            if missing := backend.missing_modules():
                message = f"{backend}: {' and '.join(missing)} is not installed here; expected every backend asked for. "
                remedy = f"Install it ({backend.install_command}), or name the others in backends=[…]."
                raise UsageError(message + remedy)
        return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the run of a question is kept; `temporary` where it goes with the report."""

    directory: Path
    temporary: bool


@contextlib.contextmanager
def place_at(out: str | Path | None) -> Iterator[Place]:
    """The directory `out`, or a temporary one, which goes at once where no report comes of it."""
    if out is not None:
        yield Place(directory=Path(out), temporary=False)
        return
    directory = Path(tempfile.mkdtemp(prefix="backendcheck-"))
    try:
        yield Place(directory=directory, temporary=True)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def write_case(source: CaseSource, folder: Path, stem: str, **text: Any) -> Path:
    """Write the case file and its data into `folder`; returns the path of the file."""
    path = folder / f"{stem}.py"
    if source.arrays:
        source.write_arrays(path.with_suffix(".npz"))
    write_atomically(path, source.text(**text).encode())
    return path


def ask(source: CaseSource, stem: str, place: Place, manner: Manner, **text: Any) -> Report:
    """Record, compare and report the one case of `source`.

    Raises:
        UsageError: if a backend is not installed or cannot start, or something cannot travel to it.
    """
    from backendcheck.config import load_configuration
    from backendcheck.progress.terminal import progress_of
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.report import write_reports
    from backendcheck.results.results import analyse
    from backendcheck.sessions.processes import check_out, record_all
    from backendcheck.sessions.request import Request
    from backendcheck.verdicts.known_files import known_in_force

    backends = manner.parsed_backends()
    out = place.directory
    with _private_folder(source) as parcel:
        file = write_case(source, out / CASES, stem, parcel=parcel, **text)
        requests = [
            Request(
                backend=backend, out=out, paths=[str(file)], timeout_s=manner.timeout_s, device=manner.device,
                oracles=parse_oracles(",".join(manner.oracles or ORACLES)), overwrite=True,
            )
            for backend in backends
        ]  # fmt: skip
        check_out(out, requests)
        with progress_of([backend.value for backend in backends], quiet=not manner.progress) as progress:
            ends = record_all(requests, progress)
    unusable = {name: end.message for name, end in ends.items() if not end.recorded}
    if len(unusable) == len(ends):
        message = "; ".join(f"{name}: {said.removeprefix('backendcheck: ')}" for name, said in unusable.items())
        raise UsageError(message)
    legs = read_legs(find_legs([request.leg for request in requests if request.backend.value not in unusable]))
    configuration = load_configuration(Path.cwd())
    known = known_in_force(legs, configuration.known)
    expected = [backend.value for backend in backends]
    results = analyse(legs, expected=expected, known=known, overrides=configuration.tolerances)
    write_reports(results, out)
    return Report(results, out, temporary=place.temporary)


@contextlib.contextmanager
def _private_folder(source: CaseSource) -> Iterator[Path | None]:
    if not source.parcel:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="backendcheck-parcel-") as folder:
        path = Path(folder) / "parcel"
        pack(source.parcel, path)
        yield path
