"""How long does `backendcheck run` take again: with nothing changed, with verdicts alone, with one case file changed?

Each row is a command in a process of its own, in a folder of its own with copies of case files. CPU seconds are those of all its
processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

CACHE = ".backendcheck_cache"
CASES = Path(__file__).parent.parent / "cases"


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _run(folder: Path, arguments: Sequence[str]) -> float:
    """The CPU seconds of one run."""
    before = _cpu_s()
    command = [sys.executable, "-m", "backendcheck", "run", "cases", "--quiet", *arguments]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONSAFEPATH": "1"}, stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, 1, 3):  # 3: some cases cannot be compared on one leg
        raise SystemExit(done.returncode)
    return _cpu_s() - before


def _forget_reports(folder: Path) -> None:
    shutil.rmtree(folder / CACHE / "reports")


def _change_one_file(folder: Path) -> None:
    path = min((folder / "cases").glob("*/**/*.py"))
    path.write_text(f"{path.read_text(encoding='utf-8')}\n# changed\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, default=[CASES / "invalid"], metavar="PATH", help="folders of case files")
    parser.add_argument("--backends", default="torch")
    options = parser.parse_args()
    rows: list[tuple[str, Callable[[Path], None] | None]] = [
        ("everything recorded", None),
        ("nothing changed", None),
        ("judged again", _forget_reports),
        ("one case file changed", _change_one_file),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cases").mkdir()
        for helper in CASES.glob("*.py"):  # what the built-in cases share
            shutil.copy(helper, folder / "cases")
        for path in options.paths:
            shutil.copytree(path, folder / "cases" / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        first_s = 0.0
        print("| run | CPU s | of the first |\n| --- | --: | --: |")
        for what, change in rows:
            if change is not None:
                change(folder)
            seconds = _run(folder, ["--backends", options.backends])
            first_s = first_s or seconds
            print(f"| {what} | {seconds:.1f} | {seconds / first_s:.3f} |", flush=True)


if __name__ == "__main__":
    main()
