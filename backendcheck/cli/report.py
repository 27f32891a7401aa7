"""`backendcheck report`: the page of a run, made again from its recordings, opened or served."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backendcheck.cli.grouped_help import GroupedCommand
from backendcheck.cli.options import (
    LATEST,
    baseline_option,
    expect_backends_option,
    history_option,
    known_option,
    strict_known_option,
)
from backendcheck.cli.process import end_on_signals, without_garbage_collection
from backendcheck.cli.results import analyze_legs, check_report_directory, completed, required_legs
from backendcheck.errors import BackendcheckError, UsageError
from backendcheck.text.escape import visible
from backendcheck.text.words import error_line

if TYPE_CHECKING:
    from backendcheck.cli.serve import Served
    from backendcheck.recordings.legs import Leg
    from backendcheck.results.results import Results

_LEAST_S = 2.0  # between two pages while a run is being recorded
_SHARE = 10  # a page takes at most this part of one core: the run needs the others


@click.command(cls=GroupedCommand)
@click.argument("directory", default=LATEST, metavar="[DIR]", type=click.Path(path_type=Path))
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--serve", "serves", is_flag=True,
    help="Serve the reports on 127.0.0.1 until Ctrl-C, and write no file. The page reloads when the run has something new.",
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Port of --serve. Default: one that is free."
)
@expect_backends_option
@known_option
@strict_known_option
@baseline_option
@history_option
def report(
    directory: Path, opens: bool, serves: bool, port: int, expect_backends: str | None, known_files: Sequence[Path],
    strict_known: bool, baseline: Path | None, history: Path | None,
) -> None:  # fmt: skip
    """Write the report of a run again, from its recordings, and open or serve it. Needs no backend.

    DIR is the directory of a run, by default reports/latest. The report is the one that 'run' and 'compare' write. Exit code 0
    when it is written, whatever the verdicts are.

    With --serve, a run that is still being recorded can be watched. The page shows each case once every leg has recorded it.

    \b
    backendcheck report --open
    backendcheck report --serve --open
    backendcheck report reports/nightly --history nightly-reports
    """
    end_on_signals()
    run = _Run(
        directory=directory, expect_backends=expect_backends, known_files=known_files, strict_known=strict_known,
        baseline=baseline, history=history,
    )  # fmt: skip
    if serves:
        _serve(run, port, opens=opens)
    else:
        if port:
            raise UsageError(f"--port {port}: has no effect without --serve. Add --serve, or leave it out.")
        page = _write(run)
        click.echo(f"report: {page}")
        if opens:
            _open(page.resolve().as_uri())
    sys.exit(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The run of a report, with the options that decide what the report says."""

    directory: Path
    expect_backends: str | None
    known_files: Sequence[Path]
    strict_known: bool
    baseline: Path | None
    history: Path | None

    def results(self, legs: Sequence[Leg], *, recording: bool = False, quiet: bool = False) -> Results:
        """The results of `legs`. Without the option, the backends and the shard are those that the run itself had to have."""
        from backendcheck.recordings.earlier_report import asked_in

        asked = None if recording else asked_in(self.directory, frozenset(leg.environment.run for leg in legs))
        if self.expect_backends or not recording:
            as_before = asked.backends if asked and not self.expect_backends else ()
            expected = as_before or required_legs(self.expect_backends)
        else:
            expected = None  # those that have begun
        results = analyze_legs(legs, expected, self.known_files, shard=asked.shard if asked else None)
        return completed(
            results, self.directory, strict_known=self.strict_known, baseline=self.baseline, history=self.history, quiet=quiet
        )


def _write(run: _Run) -> Path:
    """Write the reports; returns the path of the page."""
    from backendcheck.recordings.legs import find_legs, read_legs
    from backendcheck.report import write_reports

    with without_garbage_collection():
        legs = read_legs(find_legs([run.directory]))
        check_report_directory(run.directory, legs, overwrite=False)
        write_reports(run.results(legs), run.directory)
    return run.directory / "index.html"


def _open(address: str) -> None:
    import webbrowser

    try:
        opened = webbrowser.open(address)
    except webbrowser.Error:
        opened = False
    if not opened:
        click.echo(f"no browser could be started. Open it yourself: {address}", err=True)


# --- served ------------------------------------------------------------------------------------------------------


def _serve(run: _Run, port: int, *, opens: bool) -> None:
    from backendcheck.cli.serve import HOST, serve, server_of

    files = _ServedRun(run)
    with server_of(files, port) as server:
        files.make()  # what is wrong with the run is said here, not in the browser
        address = f"http://{HOST}:{server.server_port}/"
        click.echo(f"report: {address}")
        click.echo("Ctrl-C ends it.", err=True)
        sys.stdout.flush()
        if opens:
            threading.Thread(target=_open, args=(address,), daemon=True).start()
        serve(server)


@dataclass(slots=True)
class _ServedRun:
    """The reports of a run, made again when its directory has something new and a browser asks."""

    run: _Run
    _version: str = ""
    _on_disk: object = None
    _texts: dict[str, bytes] = field(default_factory=dict)
    _results: Results | None = None
    _pause_s: float = 0.0
    _ended: float = 0.0
    _problem: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def names(self) -> frozenset[str]:
        from backendcheck.report import NAMES

        return NAMES

    def version(self, name: str) -> str:  # noqa: ARG002 - all files change together
        """The version of the page that is there. It is another as soon as a new page may be made."""
        return f"{self._version}+" if self._is_due() else self._version

    def read(self, name: str) -> Served:
        from backendcheck.cli.serve import Served
        from backendcheck.report import files_of

        with self._lock:
            if self._is_due():
                try:
                    self._make()
                    self._problem = ""
                except Exception as error:  # noqa: BLE001 - the run may be just being replaced, and the page that is there stays
                    self._tell(error)
            if name not in self._texts and self._results is not None:
                rest = {other: text.encode() for other, text in files_of(self._results).items() if other not in self._texts}
                self._texts |= rest
            return Served(content=self._texts[name], version=self._version)

    def make(self) -> None:
        """Make the reports.

        Raises:
            BackendcheckError: if the run cannot be read.
        """
        with self._lock:
            self._make()

    def _is_due(self) -> bool:
        from backendcheck.recordings.so_far import is_recording, state_on_disk

        since_s = time.monotonic() - self._ended
        if since_s < _LEAST_S:
            return False
        try:
            is_new = state_on_disk(self.run.directory) != self._on_disk
            return is_new and (since_s >= self._pause_s or not is_recording(self.run.directory))
        except (BackendcheckError, OSError):
            return False

    def _make(self) -> None:
        from backendcheck.recordings.so_far import legs_so_far, state_on_disk
        from backendcheck.report.html import page

        began = time.monotonic()
        try:
            self._on_disk = state_on_disk(self.run.directory)
            so_far = legs_so_far(self.run.directory)
            results = self.run.results(so_far.legs, recording=bool(so_far.unfinished), quiet=bool(self._version))
            version = hashlib.sha256(repr((self._on_disk, began)).encode()).hexdigest()[:16]
            served = page.Served(version=version, unfinished=so_far.unfinished, n_cases=so_far.n_cases)
            texts = {"index.html": page.render(results, served).encode()}
            self._version, self._results, self._texts = version, results, texts
        finally:
            self._ended = time.monotonic()
            self._pause_s = _SHARE * (self._ended - began)

    def _tell(self, error: Exception) -> None:
        problem = str(error) if isinstance(error, BackendcheckError) else error_line(error)
        if problem != self._problem:
            self._problem = problem
            click.echo(f"backendcheck: {visible(problem)}", err=True)
