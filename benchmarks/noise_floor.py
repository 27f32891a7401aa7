"""How far healthy models differ between backends, and what head-room the default tolerances leave them.

    python benchmarks/noise_floor.py                 record benchmarks/noise_models under all backends, print the table
    python benchmarks/noise_floor.py --out DIR       keep the recordings and the reports there
    python benchmarks/noise_floor.py --read DIR      only print the table of what lies there
    python benchmarks/noise_floor.py --oracles agreement,paths,order,reference    count what these compare, too

Everything goes through the command line as a user would have it, and of the models of noise_models nothing is expected to differ
(exit code 0). Those of noise_float64 are: Keras computes in float64 throughout on TensorFlow alone. So the noise of float64 is
measured inside TensorFlow (op by op, compiled, with XLA, in another order), and what three backends make of it has a table of its
own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from backendcheck.compare.backends import inside_only
from backendcheck.compare.tolerances import Allowed, Tolerances, coarser, default_tolerance
from backendcheck.recordings.legs import find_legs, read_legs
from backendcheck.vocabulary.observations import FLOW, Observation, Quantity, quantity_of

HERE = Path(__file__).parent
MODELS, DOUBLE = HERE / "noise_models", HERE / "noise_float64"
PRECISIONS = ("float64", "float32", "float16", "bfloat16")
EVERY_ORACLE = "agreement,paths,order,reference"
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

    def add(self, pair: tuple[np.ndarray, np.ndarray], allowance: Allowed, case: str, where: str) -> None:
        left, right = (array.astype(np.float64) for array in pair)
        if not left.size or not (np.isfinite(left) & np.isfinite(right)).all():
            return
        difference, scale = np.abs(left - right), allowance.scale(np.maximum(np.abs(left), np.abs(right)))
        tolerance = allowance.tolerance
        beyond = np.maximum(difference - tolerance.atol, 0.0)
        excess = float((difference / (tolerance.atol + tolerance.rtol * scale)).max())
        self.n += 1
        self.cases.add(case)
        self.rtol = max(self.rtol, float((beyond / np.where(scale == 0.0, 1.0, scale)).max()))
        self.atol = max(self.atol, float(difference.max()))
        if excess > self.excess:
            self.excess, self.worst = excess, f"{case}: {where}"


Floors = dict[tuple[str, Quantity], Floor]


def measure(directory: Path, where: str) -> Floors:
    """What the legs in `directory` differ by: between the backends, or inside each of them."""
    floors: Floors = defaultdict(Floor)
    legs = read_legs(find_legs([directory]))
    for case in legs[0].recordings:
        recordings = {leg.label: leg.recordings[case] for leg in legs if case in leg.recordings}
        if where == BETWEEN:
            for left, right in combinations(recordings, 2):
                for name, seen, other in _shared(recordings[left].observations, recordings[right].observations):
                    if not inside_only(name):
                        _add(floors, case, name, (seen, other), f"{name}, {left} and {right}")
        for label, recording in recordings.items():
            for variant in recording.variants if where == INSIDE else ():
                for name, seen, other in _shared(recording.observations, variant.observations):
                    _add(floors, case, name, (seen, other), f"{name}, {label} and {label}:{variant.path}")
    return floors


def _shared(
    left: Mapping[str, Observation], right: Mapping[str, Observation]
) -> Iterator[tuple[str, Observation, Observation]]:  # fmt: skip
    for name, seen in left.items():
        other = right.get(name)
        if other is not None and seen.is_float and other.is_float and seen.value.shape == other.value.shape:
            yield name, seen, other


def _add(floors: Floors, case: str, name: str, pair: tuple[Observation, Observation], words: str) -> None:
    precision = coarser(pair[0].precision, pair[1].precision)
    allowance = Tolerances(case=case).allowed(name, precision)
    floors[precision, quantity_of(name)].add((pair[0].value, pair[1].value), allowance, case, words)


def record(models: Path, out: Path, *options: str, expected: int = 0) -> int:
    """Run the command line over healthy models; returns its exit code, and shows what it said if that is not `expected`."""
    command = [sys.executable, "-m", "backendcheck", "run", str(models), "--out", str(out), "--overwrite", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != expected:
        print(f"exit code {done.returncode} of {' '.join(command[1:])}\n{done.stdout}{done.stderr}", file=sys.stderr)
    return done.returncode


def table(floors: Floors, title: str) -> Iterator[str]:
    """One Markdown table: kinds in the order of the computation, below each the float types, coarser ones last."""
    columns = ["observation", "computed in", "default", "compared", "needed rtol", "needed atol", "excess", "head-room", "where"]
    yield f"### {title}"
    yield ""
    yield f"| {' | '.join(columns)} |"
    yield "| --- | --- | --- | --: | --: | --: | --: | --: | --- |"
    for kind in FLOW:
        for precision in PRECISIONS:
            floor = floors.get((precision, kind))
            if floor is None:
                continue
            default = default_tolerance(kind, precision)
            room = _figure(1 / floor.excess) if floor.excess else "all equal"
            yield (
                f"| {kind.words} | {precision} | rtol {default.rtol:g} atol {default.atol:g} | {floor.n} | {floor.rtol:.2g} | "
                f"{floor.atol:.2g} | {_figure(floor.excess)} | {room} | {floor.worst} |"
            )
    yield ""


def _figure(value: float) -> str:
    """Two digits, and no exponent for what is read at a glance without."""
    return f"{float(f'{value:.2g}'):.0f}" if 10 <= value < 1e5 else f"{value:.2g}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="keep the recordings there")
    parser.add_argument("--read", type=Path, help="record nothing, read what an earlier --out kept")
    parser.add_argument("--oracles", default="agreement", help="default: agreement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = options.read or options.out or Path(temporary)
        exit_code = 0
        if not options.read:
            exit_code = record(MODELS, out / "models", "--oracles", options.oracles)
            record(DOUBLE, out / "float64", "--backends", "tensorflow", "--oracles", EVERY_ORACLE)
            record(DOUBLE, out / "float64-everywhere", "--oracles", "agreement", expected=1)
        between, inside = measure(out / "models", BETWEEN), measure(out / "models", INSIDE)
        double, everywhere = measure(out / "float64", INSIDE), measure(out / "float64-everywhere", BETWEEN)
    n_models = len({case for floor in between.values() for case in floor.cases})
    print("\n".join(table(between, f"Between backends ({n_models} models)")))
    if inside:
        print("\n".join(table(inside, "Inside each backend: through other doors, in another order")))
    print("\n".join(table(double, "float64, inside TensorFlow")))
    print("\n".join(table(everywhere, "float64, between backends: JAX and PyTorch compute in float32")))
    print(f"exit code of backendcheck run {MODELS.name}: {'not recorded' if options.read else exit_code}")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
