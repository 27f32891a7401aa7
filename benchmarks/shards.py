"""How even are the parts of a run? The time of the longest shard beside the mean, by case id and by earlier durations.

    python benchmarks/shards.py NOW [EARLIER]     report.json files of two runs; without EARLIER, that of NOW divides the cases

Needs no backend.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from backendcheck.sessions.durations import read_durations
from backendcheck.vocabulary.shards import divided

NUMBERS = (2, 4, 8, 16)


def longest(seconds: dict[str, float], of: int, known: dict[str, float]) -> float:
    """The seconds of the longest of `of` shards over those of the mean, if durations `known` divide the cases."""
    loads: Counter[int] = Counter()
    for case, number in divided(seconds, of, known).items():
        loads[number] += seconds[case]
    return max(loads.values()) / (sum(seconds.values()) / of)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("now", type=Path, metavar="NOW")
    parser.add_argument("earlier", type=Path, metavar="EARLIER", nargs="?")
    options = parser.parse_args()
    seconds = read_durations(options.now)
    earlier = read_durations(options.earlier) if options.earlier else seconds
    print(f"{len(seconds)} cases, durations of {len(seconds.keys() & earlier.keys())} of them are known\n")
    print("| shards | by id | by durations |\n| --: | --: | --: |")
    for of in NUMBERS:
        print(f"| {of} | {longest(seconds, of, {}):.2f} | {longest(seconds, of, earlier):.2f} |")


if __name__ == "__main__":
    main()
