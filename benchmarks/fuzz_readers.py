"""Give every reader damaged and hostile files: exit 0 to 3 as documented, no traceback, no hang, little memory.

    python benchmarks/fuzz_readers.py --n 5000 [--seed 0] [--format npz]

Input K of a format is the same on every machine. A failure is printed with its number; `--seed K --n 1` repeats it. Some inputs
try to have code run, and to have a file written outside the folder of the command. Nothing of that may happen.

Parquet and HDF5 are read in a process of their own, which takes a second to start. Here it is a fork of one that has imported the
libraries, under the same limits; `--own-processes` starts each anew, as the command does.
"""

from __future__ import annotations

import argparse
import collections
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from fuzz_run import ForkedReaders, run_input
from fuzzing import FORMATS


def main() -> int:
    """Run the inputs and print the figures; returns 1 if one of them was not read or refused as documented."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=5000, help="inputs of each format")
    parser.add_argument("--seed", type=int, default=0, help="number of the first input")
    parser.add_argument("--format", action="append", choices=FORMATS, help="by default all")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds for each format")
    parser.add_argument("--own-processes", action="store_true", help="do not fork the processes that read Parquet and HDF5")
    options = parser.parse_args()
    failed = 0
    readers = None if options.own_processes else ForkedReaders()
    memory = Path("/dev/shm")  # a folder in memory, where there is one: inputs are small, and there are many
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    print("| format | inputs | exit 0 | 1 | 2 | 3 | failed | longest s | most MB | of a child |", flush=True)
    print(f"| --- {'| --: ' * 9}|", flush=True)
    for name in options.format or FORMATS:
        codes: collections.Counter[int] = collections.Counter()
        problems: dict[str, int] = {}
        n_failed, longest, most_mb, child_mb, began = 0, 0.0, 0.0, 0.0, time.monotonic()
        for number in range(options.seed, options.seed + options.n):
            if time.monotonic() - began > options.budget:
                break
            with tempfile.TemporaryDirectory(prefix="backendcheck-fuzz-", dir=place) as folder:
                ended = run_input(name, number, Path(folder), readers)
            codes[ended.exit_code] += 1
            longest, most_mb = max(longest, ended.seconds), max(most_mb, ended.grown_mb)
            child_mb = max(child_mb, ended.child_mb)
            if ended.problem:
                n_failed += 1
                where = [line for line in ended.error.splitlines() if line.startswith("  File") and "backendcheck/" in line]
                problems.setdefault(f"{ended.problem.splitlines()[0][:120]} {where[-1].strip() if where else ''}", number)
        counts = " | ".join(str(codes[code]) for code in range(4))
        figures = f"{n_failed} | {longest:.1f} | {most_mb:.0f} | {child_mb:.0f}"
        print(f"| {name} | {sum(codes.values())} | {counts} | {figures} |", flush=True)
        for problem, number in problems.items():
            print(f"    {name} {number}: {problem}", flush=True)
        failed += n_failed
    if readers is not None:
        readers.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
