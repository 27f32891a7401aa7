"""The noise floor of cases by kind of observation, from the report of a run that measured it.

    backendcheck run --noise-floor --out DIR
    python benchmarks/noise_of_cases.py DIR

The table is about comparisons between backends. It has the share of the tolerance (the excess) of repeats, jitter and float64 on
the noisier side, and the share of the difference between the backends.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from backendcheck.recordings.noise import SOURCES
from backendcheck.vocabulary.observations import FLOW, Quantity, quantity_of

Rows = list[tuple[str, dict[str, Any]]]


def by_kind(report: dict[str, Any]) -> dict[Quantity, Rows]:
    """The comparisons between backends that have a noise floor and a tolerance, with their cases."""
    rows: dict[Quantity, Rows] = defaultdict(list)
    for result in report["results"]:
        for comparison in result["comparisons"]:
            if comparison["oracle"] == "agreement" and "noise_floor" in comparison and comparison["excess"] is not None:
                rows[quantity_of(comparison["observation"])].append((result["case"], comparison))
    return rows


def table(rows: dict[Quantity, Rows]) -> Iterator[str]:
    yield "| observation | measured | repeat | jitter: median | largest below 1 | beyond | float64: median | largest below 1 | beyond | difference: median |"  # noqa: E501
    yield f"| --- {'| --: ' * 9}|"
    for kind in (kind for kind in FLOW if kind in rows):
        cells = [cell for noise in SOURCES for cell in _cells(rows[kind], noise)]
        apart = median(comparison["excess"] for _, comparison in rows[kind])
        yield f"| {kind.words} | {len(rows[kind])} | {' | '.join(cells)} | {apart:.2g} |"


def _cells(rows: Rows, noise: str) -> Iterator[str]:
    """For repeats the largest excess; for the others the median, the largest within tolerance, and the number beyond."""
    excesses = [c["noise_floor"][noise]["excess"] for _, c in rows if c["noise_floor"][noise] is not None]
    known = [excess for excess in excesses if excess is not None]
    if noise == "repeat":
        yield f"{max(known):.2g}" if known else ""
        return
    within = [excess for excess in known if excess <= 1]
    yield f"{median(known):.2g}" if known else ""
    yield f"{max(within):.2g}" if within else ""
    yield f"{len(excesses) - len(within)} of {len(excesses)}"


def beyond(rows: dict[Quantity, Rows]) -> Iterator[str]:
    """Noise that exceeds the tolerance, by case and kind of noise."""
    exceeding: dict[tuple[str, str], set[str]] = defaultdict(set)
    for case, comparison in (row for of_kind in rows.values() for row in of_kind):
        for noise in SOURCES:
            measured = comparison["noise_floor"][noise]
            if measured is not None and (measured["excess"] is None or measured["excess"] > 1):
                exceeding[case, noise].add(comparison["observation"])
    for (case, noise), observations in sorted(exceeding.items()):
        yield f"{noise} beyond tolerance: {case}: {', '.join(sorted(observations))}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path, help="directory of 'backendcheck run --noise-floor --out'")
    report = json.loads((parser.parse_args().directory / "report.json").read_text(encoding="utf-8"))
    rows = by_kind(report)
    if not rows:
        print("the report has no noise floor; expected the report of 'backendcheck run --noise-floor'.", file=sys.stderr)
        return 2
    print("\n".join([*table(rows), "", *beyond(rows)]))
    notes = [note for result in report["results"] for note in result.get("noise_notes", [])]
    print("\n".join(["", *notes, *report["noise_floor"]["problems"]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
