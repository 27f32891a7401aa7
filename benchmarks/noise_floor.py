"""How far healthy models differ between backends, and what head-room the default tolerances leave them.

    python benchmarks/noise_floor.py                 record benchmarks/noise_models under all backends, print the table
    python benchmarks/noise_floor.py --out DIR       keep the recordings and the reports there
    python benchmarks/noise_floor.py --read DIR      only print the table of what lies there
    python benchmarks/noise_floor.py --oracles agreement,paths,order,reference    count what these compare, too

Everything goes through the command line as a user would have it, and nothing is expected to differ (exit code 0). Keras computes
in float64 throughout on TensorFlow alone, so that row compares TensorFlow with itself: op by op, compiled, with XLA, and with the
NumPy reference. What three backends make of a float64 model is printed below it as a row of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from backendcheck.leg import find_legs, read_legs
from backendcheck.observation import FLOW, Kind, Observation, kind_of
from backendcheck.results import analyse
from backendcheck.tolerance import NORM_WISE, coarser, default_tolerance

MODELS = Path(__file__).parent / "noise_models"
EVERY_ORACLE = "agreement,paths,order,reference"
PRECISIONS = ("float64", "float32", "float16", "bfloat16")
BETWEEN, INSIDE = "between", "inside"


@dataclass
class Floor:
    """The largest differences of one kind of observation in one float type."""

    n: int = 0
    rtol: float = 0.0  # the smallest that would pass at the default atol
    atol: float = 0.0  # the smallest that would pass at rtol 0
    excess: float = 0.0
    worst: str = ""
    cases: set[str] = field(default_factory=set)

    def add(self, kind: Kind, precision: str, pair: tuple[np.ndarray, np.ndarray], case: str, where: str) -> None:
        left, right = (array.astype(np.float64).ravel() for array in pair)
        if not left.size or not (np.isfinite(left) & np.isfinite(right)).all():
            return
        difference, scale = np.abs(left - right), np.maximum(np.abs(left), np.abs(right))
        if kind in NORM_WISE:
            scale = np.full_like(scale, scale.max())
        allowed = default_tolerance(kind, precision)
        beyond = np.maximum(difference - allowed.atol, 0.0)
        excess = float((difference / (allowed.atol + allowed.rtol * scale)).max())
        self.n += 1
        self.cases.add(case)
        self.rtol = max(self.rtol, float((beyond / np.where(scale == 0.0, 1.0, scale)).max()))
        self.atol = max(self.atol, float(difference.max()))
        if excess > self.excess:
            self.excess, self.worst = excess, f"{case}: {where}"


Floors = dict[tuple[str, str, Kind], Floor]


def measure(directory: Path, floors: Floors, where: str) -> int:
    """Add what lies in `directory`: differences between its backends, or inside each of them. Returns how many findings it has."""
    legs = read_legs(find_legs([directory]))
    for case in legs[0].recordings:
        recordings = {leg.label: leg.recordings[case] for leg in legs if case in leg.recordings}
        if where == BETWEEN:
            for left, right in combinations(recordings, 2):
                for name, seen, other in _shared(recordings[left].observations, recordings[right].observations):
                    _add(floors, where, case, name, (seen, other), f"{name}, {left} and {right}")
        for label, recording in recordings.items():
            for variant in recording.variants if where == INSIDE else ():
                for name, seen, other in _shared(recording.observations, variant.observations):
                    _add(floors, where, case, name, (seen, other), f"{name}, {label} and {label}:{variant.door}")
    return sum(len(result.findings) for result in analyse(legs).cases)


def _shared(left: dict[str, Observation], right: dict[str, Observation]) -> Iterator[tuple[str, Observation, Observation]]:
    for name in left:
        if name in right and left[name].is_float and right[name].is_float and left[name].value.shape == right[name].value.shape:
            yield name, left[name], right[name]


def _add(
    floors: Floors, where: str, case: str, name: str, pair: tuple[Observation, Observation], words: str
) -> None:  # fmt: skip
    precision = coarser(pair[0].precision, pair[1].precision)
    kind = kind_of(name)
    floors[where, precision, kind].add(kind, precision, (pair[0].value, pair[1].value), case, words)


def record(out: Path, *options: str) -> int:
    """Run the command line over the healthy models; returns its exit code, and shows what it said if that is not 0."""
    command = [sys.executable, "-m", "backendcheck", "run", str(MODELS), "--out", str(out), "--overwrite", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"exit code {done.returncode} of {' '.join(command[1:])}\n{done.stdout}{done.stderr}", file=sys.stderr)
    return done.returncode


def table(floors: Floors, where: str, title: str) -> Iterator[str]:
    """One Markdown table: kinds in the order of the computation, coarser float types below finer ones."""
    yield f"### {title}"
    yield ""
    yield "| observation | computed in | default rtol, atol | compared | needed rtol | needed atol | largest excess | head-room | where |"
    yield "| --- | --- | --- | --: | --: | --: | --: | --: | --- |"
    for kind in FLOW:
        for precision in PRECISIONS:
            floor = floors.get((where, precision, kind))
            if floor is None or not floor.n:
                continue
            default = default_tolerance(kind, precision)
            room = f"{1 / floor.excess:.2g}" if floor.excess else "all equal"
            yield (
                f"| {kind.words} | {precision} | {default.rtol:.0e}, {default.atol:.0e} | {floor.n} | {floor.rtol:.1e} | "
                f"{floor.atol:.1e} | {floor.excess:.2g} | {room} | {floor.worst} |"
            )
    yield ""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="keep the recordings there")
    parser.add_argument("--read", type=Path, help="record nothing, read what an earlier --out kept")
    parser.add_argument("--oracles", default="agreement", help="default: agreement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = options.read or options.out or Path(temporary)
        exit_codes = []
        if not options.read:
            exit_codes.append(record(out / "all", "--oracles", options.oracles))
            exit_codes.append(record(out / "float64", "--backends", "tensorflow", "--oracles", EVERY_ORACLE, "-k", "float64"))
        floors: Floors = defaultdict(Floor)
        n_findings = measure(out / "all", floors, BETWEEN)
        double: Floors = defaultdict(Floor)
        measure(out / "float64", double, INSIDE)
        inside: Floors = defaultdict(Floor)
        measure(out / "all", inside, INSIDE)
    between = {key: floor for key, floor in floors.items() if key[1] != "float64"}
    mixed = {key: floor for key, floor in floors.items() if key[1] == "float64"}
    cases = {case for floor in floors.values() for case in floor.cases}
    print("\n".join(table(between, BETWEEN, f"Between backends ({len(cases)} models)")))
    print("\n".join(table(double, INSIDE, "float64 inside TensorFlow, the one backend on which Keras computes in it")))
    print("\n".join(table(mixed, BETWEEN, "float64 between backends: JAX and PyTorch compute in float32 (keras issue 23704)")))
    if inside:
        print("\n".join(table(inside, INSIDE, "Inside each backend, through other doors and in another order")))
    print(f"{n_findings} findings before known divergences; exit codes {exit_codes or 'not run'}")
    return max(exit_codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
