"""How far correct models differ between backends, and the headroom that the default tolerances leave.

    python benchmarks/noise_floor.py                 record benchmarks/noise_models under all backends, print the table
    python benchmarks/noise_floor.py --out DIR       keep the recordings and the reports in DIR
    python benchmarks/noise_floor.py --read DIR      only print the table of the recordings in DIR
    python benchmarks/noise_floor.py --oracles agreement,paths,order,reference    count the comparisons of these oracles, too

Everything runs through the command line, as for a user. The models in noise_models must not differ (exit code 0). Those in
noise_float64 do differ, because Keras computes in float64 throughout only on TensorFlow. So the noise of float64 is measured on
TensorFlow alone (op by op, compiled, with XLA, in another order). A second table has the differences between the three backends.
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
    """The differences of the legs in `directory`, between the backends or inside each of them."""
    floors: Floors = defaultdict(Floor)
    legs = read_legs(find_legs([directory]))
    for case in legs[0].recordings:
        recordings = {leg.label: leg.recordings[case] for leg in legs if case in leg.recordings}
        if where == BETWEEN:
            for left, right in combinations(recordings, 2):
                for name, first, second in _shared(recordings[left].observations, recordings[right].observations):
                    if not inside_only(name):
                        _add(floors, case, name, (first, second), f"{name}, {left} and {right}")
        for label, recording in recordings.items():
            for variant in recording.variants if where == INSIDE else ():
                for name, first, second in _shared(recording.observations, variant.observations):
                    _add(floors, case, name, (first, second), f"{name}, {label} and {label}:{variant.path}")
    return floors


def _shared(
    left: Mapping[str, Observation], right: Mapping[str, Observation]
) -> Iterator[tuple[str, Observation, Observation]]:  # fmt: skip
    for name, first in left.items():
        second = right.get(name)
        if second is not None and first.is_float and second.is_float and first.value.shape == second.value.shape:
            yield name, first, second


def _add(floors: Floors, case: str, name: str, pair: tuple[Observation, Observation], words: str) -> None:
    precision = coarser(pair[0].precision, pair[1].precision)
    allowance = Tolerances(case=case).allowed(name, precision)
    floors[precision, quantity_of(name)].add((pair[0].value, pair[1].value), allowance, case, words)


def record(models: Path, out: Path, *options: str, expected: int = 0) -> int:
    """Run the command line over correct models. Return its exit code, and show its output if the code is not `expected`."""
    command = [sys.executable, "-m", "backendcheck", "run", str(models), "--out", str(out), "--overwrite", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != expected:
        print(f"exit code {done.returncode} of {' '.join(command[1:])}\n{done.stdout}{done.stderr}", file=sys.stderr)
    return done.returncode


def table(floors: Floors, title: str) -> Iterator[str]:
    """A Markdown table: kinds in the order of the computation, each with its float types, the coarsest last."""
    columns = ["observation", "computed in", "default", "compared", "needed rtol", "needed atol", "excess", "headroom", "where"]
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
            room = _text(1 / floor.excess) if floor.excess else "all equal"
            yield (
                f"| {kind.words} | {precision} | rtol {default.rtol:g} atol {default.atol:g} | {floor.n} | {floor.rtol:.2g} | "
                f"{floor.atol:.2g} | {_text(floor.excess)} | {room} | {floor.worst} |"
            )
    yield ""


def _text(value: float) -> str:
    """Two digits, without an exponent for small numbers."""
    return f"{float(f'{value:.2g}'):.0f}" if 10 <= value < 1e5 else f"{value:.2g}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="keep the recordings in this directory")
    parser.add_argument("--read", type=Path, help="record nothing; read the recordings of an earlier --out")
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
        print("\n".join(table(inside, "Inside each backend: by other paths, in another order")))
    print("\n".join(table(double, "float64, inside TensorFlow")))
    print("\n".join(table(everywhere, "float64, between backends: JAX and PyTorch compute in float32")))
    print(f"exit code of backendcheck run {MODELS.name}: {'not recorded' if options.read else exit_code}")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
