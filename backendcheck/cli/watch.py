"""`run --watch`: the run is repeated when a file changes that it depends on.

Kept recordings leave only what the change concerns. A backend with nothing to record is not started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backendcheck.errors import UsageError

if TYPE_CHECKING:
    from backendcheck.sessions.request import RecordingRequest

_LOOK_EVERY_S = 0.1
_IDLE = 20  # times as long as a look takes; where there are thousands of files, that is longer
_ONCE = ("--fresh", "--overwrite")  # options that say something of the first run only


class Watch:
    """Runs a command until Ctrl-C. `requests` are what it records, `files` what it reads besides.

    `run` gets the arguments of the command and returns its exit code.
    """

    def __init__(
        self, arguments: Sequence[str], requests: Sequence[RecordingRequest], files: Sequence[Path],
        run: Callable[[Sequence[str]], int] | None = None,
    ) -> None:  # fmt: skip
        self._arguments = [argument for argument in arguments if argument != "--watch"]
        self._requests = requests
        self._files = files
        if run is None:
            from backendcheck.cli.warm import WarmCommand, is_possible  # it imports pytest, and no command needs that to start

            run = WarmCommand(requests, _run) if is_possible() else _run
        self._run = run
        self.exit_code = 0

    def until_interrupted(self) -> int:
        """Run, wait for a change, run again; returns the exit code of the last run that came to its end."""
        with contextlib.suppress(KeyboardInterrupt):
            changed_by_run: set[str] = set()
            while True:
                before = self.states()
                self.exit_code = self._run(self._arguments)
                self._arguments = [argument for argument in self._arguments if argument not in _ONCE]
                after = self.states()
                during = {path for path, state in before.items() if after.get(path, state) != state}
                if not during or during <= changed_by_run:  # the run itself changes these
                    self._wait(after)
                changed_by_run = during
        return self.exit_code

    def _wait(self, states: Mapping[str, str]) -> None:
        click.echo(f"\nwatching {len(states)} files and folders; Ctrl-C ends", err=True)
        began = time.monotonic()
        self._changed(states)
        pause_s = max(_LOOK_EVERY_S, _IDLE * (time.monotonic() - began))
        while not (changed := self._changed(states)):
            time.sleep(pause_s)
        while changed != (changed := self._changed(states)):  # an editor may save in several steps
            time.sleep(pause_s)
        if sys.stdout.isatty():
            click.clear()
        name = os.path.relpath(min(changed))
        click.echo(f"changed: {name}{f' and {len(changed) - 1} more' if len(changed) > 1 else ''}", err=True)

    def _changed(self, states: Mapping[str, str]) -> dict[str, str]:
        return {path: state for path, before in states.items() if (state := _state(path)) != before}

    def states(self) -> dict[str, str]:
        """What is watched: case files, dependencies of recordings and settings, each with what changes with it."""
        return {path: _state(path) for path in dict.fromkeys(self._paths())}

    def _paths(self) -> Iterator[str]:
        from backendcheck.case_files import BUILT_IN, builtin_cases, find_case_files
        from backendcheck.recordings.dependencies import FILE, LISTING
        from backendcheck.sessions.kept import store_of
        from backendcheck.verdicts.known_entries import files_of
        from backendcheck.verdicts.known_files import find_known_of_paths

        paths = [*self._requests[0].paths]
        with contextlib.suppress(UsageError, OSError):  # the run says what is wrong
            for path in find_case_files(paths or [str(builtin_cases())]):
                yield from (str(path.absolute()), str(path.absolute().parent))
                yield from map(str, path.absolute().parent.glob("*.py"))  # modules of cases that are not kept, too
            for path in [*find_known_of_paths(paths or [BUILT_IN], ()), *self._files]:
                yield from (str(path.absolute()), *(str(file.absolute()) for file in files_of(path)))
        yield from (str(path.absolute()) for path in self._files)
        yield from (str(folder / "pyproject.toml") for folder in (Path.cwd(), *Path.cwd().parents))
        for request in self._requests:
            if (store := store_of(request)) is not None:
                for key, _, _ in store.read().rows:
                    kind = next((kind for kind in (FILE, LISTING) if key.startswith(kind)), "")
                    if kind:
                        yield key.removeprefix(kind)


def _state(path: str) -> str:
    """What changes with a file or the names in a folder; empty if it does not exist."""
    from backendcheck.recordings.dependencies import identity, listing_value

    return identity(path) or (listing_value(path) if os.path.isdir(path) else "")  # noqa: PTH112


def _run(arguments: Sequence[str]) -> int:
    """Run the command in a process of its own, on the same terminal."""
    code = "import sys; sys.path.append(sys.argv.pop(1)); from backendcheck.cli import main; main()"
    package = str(Path(__file__).parent.parent.parent)
    process = subprocess.Popen([sys.executable, "-P", "-c", code, package, *arguments])
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)  # it has it already from a terminal; then the second one is ignored
        process.wait()
        raise
