"""`backendcheck explore --accept ID`: a finding becomes a case of the project, with an entry for what it shows today."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import click

from backendcheck.errors import UsageError
from backendcheck.explore.accept import finding_named, mark_accepted, put_case
from backendcheck.files import write_atomically
from backendcheck.temporary import temporary_directory
from backendcheck.text.escape import visible


def accept(out: Path, name: str, into: Path, device: str) -> None:
    """Move the case of a finding into a folder of the project, run it, and write its known divergence as `known add` does.

    Raises:
        UsageError: if there is no such finding, or its case does not fail here. Then nothing is changed.
    """
    finding = finding_named(out, name)
    path = into / "explored.py"
    before = path.read_bytes() if path.exists() else None
    new_folders = [folder for folder in (into, *into.parents) if not folder.exists()]
    case = f"{put_case(out, name, into).stem}/{name}"
    try:
        with temporary_directory("accept") as folder:
            legs = ",".join(_legs(out))
            exact = f"{path}::case_{name}"
            run = _command("run", exact, "--backends", legs, "--device", device, "--out", str(folder / "run"), "--quiet")
            if run.returncode != 1:
                message = f"{case}: does not fail as a case of its own (exit code {run.returncode}): {_last_line(run)}"
                raise UsageError(f"{message} Nothing is accepted; run {out / finding['case'].partition('::')[0]} to see why.")
            reason = f"Found by explore: {finding['headline']}"
            added = _command("known", "add", case, "--reason", reason, "--run", str(folder / "run"))
            if added.returncode:
                message = f"{case}: {_last_line(added)}"
                raise UsageError(message)
    except BaseException:
        if before is None:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            with contextlib.suppress(OSError):  # one that holds something else by now stays
                for folder in new_folders:
                    folder.rmdir()
        else:
            write_atomically(path, before)
        raise
    mark_accepted(out, name, case)
    click.echo(visible(f"{path}::case_{name}"))
    click.echo(visible(added.stdout.rstrip()))


def _legs(out: Path) -> list[str]:
    from backendcheck.explore.findings import read_earlier

    return [str(leg) for leg in read_earlier(out)["legs"]]


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backendcheck", *arguments], text=True, encoding="utf-8", errors="backslashreplace",
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip


def _last_line(ended: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (ended.stderr or ended.stdout).splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no output"
