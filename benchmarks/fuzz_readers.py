"""Give every reader damaged and hostile files: exit 0 to 3 as documented, no traceback, no hang, little memory.

    python benchmarks/fuzz_readers.py --n 5000 [--seed 0] [--format npz]

Input K of a format is the same on every machine. A failure is printed with its number; `--seed K --n 1` repeats it.
"""

from __future__ import annotations

import argparse
import collections
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from fuzzing import FORMATS, run_input


def main() -> int:
    """Run the inputs and print the figures; returns 1 if one of them was not read or refused as documented."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=5000, help="inputs of each format")
    parser.add_argument("--seed", type=int, default=0, help="number of the first input")
    parser.add_argument("--format", action="append", choices=FORMATS, help="by default all")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds for each format")
    options = parser.parse_args()
    failed = 0
    print("| format | inputs | exit 0 | 1 | 2 | 3 | failed | longest s |\n| --- | --: | --: | --: | --: | --: | --: | --: |")
    for name in options.format or FORMATS:
        codes: collections.Counter[int] = collections.Counter()
        problems: dict[str, int] = {}
        n_failed, longest, began = 0, 0.0, time.monotonic()
        for number in range(options.seed, options.seed + options.n):
            if time.monotonic() - began > options.budget:
                break
            with tempfile.TemporaryDirectory(prefix="backendcheck-fuzz-") as folder:
                ended = run_input(name, number, Path(folder))
            codes[ended.exit_code] += 1
            longest = max(longest, ended.seconds)
            if ended.problem:
                n_failed += 1
                where = [line for line in ended.error.splitlines() if line.startswith("  File") and "backendcheck/" in line]
                problems.setdefault(f"{ended.problem.splitlines()[0][:120]} {where[-1].strip() if where else ''}", number)
        counts = " | ".join(str(codes[code]) for code in range(4))
        print(f"| {name} | {sum(codes.values())} | {counts} | {n_failed} | {longest:.1f} |", flush=True)
        for problem, number in problems.items():
            print(f"    {name} {number}: {problem}", flush=True)
        failed += n_failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
