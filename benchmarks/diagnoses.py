"""Plant every cause in simulated backends and count how often it is found and named: a confusion matrix.

    python benchmarks/diagnoses.py                      about three minutes on one core
    python benchmarks/diagnoses.py --trials 1000        of each cause (default 200)
    python benchmarks/diagnoses.py --only class-order --failures 10

No backend is needed: recordings are built as workers would write them (`planted/`), judged and diagnosed as ever.

A trial counts as detectable if what was planted moves a value, a prediction, a loss or a gradient by predictions by at least 20
times what is allowed. Where two healthy legs of the trial are apart by more than is allowed it has to be 100 times as much as
these are, and they no more than ten times what is allowed. Integers, names, shapes and NaN are exact and always count.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from planted.causes import ALL, CAUSES, REJECTED, large
from planted.trial import LEGS, Plant, World, planted_excess, record, recordings
from planted.worlds import heads_world, outputs_world

from backendcheck.diagnose import CODES, diagnose
from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.recordings.recording import Recording
from backendcheck.verdicts.verdict import judge
from backendcheck.vocabulary.observations import Observation

FAR, MARGIN, NEAR = 20.0, 100.0, 10.0
WIDTH = 26


def diagnosed(found: dict[str, Recording]) -> list[Diagnosis]:
    judgement = judge(found, list(found))
    if judgement.problems:
        message = f"a simulated run is not comparable: {judgement.problems}"
        raise SystemExit(message)
    return diagnose(judgement.findings, found)


def planted(cause: str, rng: np.random.Generator) -> tuple[World, dict[str, Plant], Plant]:
    """A world and who has the fault: one leg, or all of them where the reference can tell."""
    world, plant = CAUSES[cause](rng)
    legs = LEGS[: world.n_legs]
    if cause == "silent-acceptance":
        accepting = rng.choice(legs, int(rng.integers(1, len(legs))), replace=False)
        return world, {leg: plant if leg in accepting else Plant(raised=REJECTED) for leg in legs}, plant
    if (
        world.reference
        and rng.random() < 0.15
        and cause in REFERENCE_TELLS
        and not world.custom
        and world.head.y_pred is not None
    ):
        return world, dict.fromkeys(legs, plant), plant
    return world, {str(rng.choice(legs)): plant}, plant


# Causes inside the loss, which a reference contradicts even where all legs have them.
REFERENCE_TELLS = frozenset({
    "missing-label-counted", "off-by-one", "sample-weight-ignored", "sample-weight-misapplied", "label-smoothing", "reduction",
    "sign", "label-truncated",
})  # fmt: skip


def size_of(world: World, plant: Plant, seed: int) -> tuple[float, float]:
    """How far the plant moves what was observed, and how far two healthy legs are apart, in units of what is allowed."""
    quiet = replace(world, noise=0.0, reference=False)
    healthy, faulty = (record(quiet, "jax", one, np.random.default_rng(0)) for one in (None, plant))
    moved = planted_excess((healthy.observations, faulty.observations), world.floatx)
    loud = [record(replace(world, reference=False), "jax", None, np.random.default_rng(seed + n)) for n in (1, 2)]
    noise = planted_excess((loud[0].observations, loud[1].observations), world.floatx)
    return moved, noise


@dataclass
class Tally:
    """Of one cause: first names, whether it was among the names, worlds where it was not first, trials beyond the limit."""

    first: Counter[str] = field(default_factory=Counter)
    among: Counter[bool] = field(default_factory=Counter)
    failing: Counter[str] = field(default_factory=Counter)
    n_hidden: int = 0
    took_s: float = 0.0


def count(cause: str, n_trials: int, seed: int, shown: int, by_size: dict[str, Counter[str]]) -> Tally:
    tally, start = Tally(), time.perf_counter()
    for trial in range(n_trials):
        rng = np.random.default_rng([seed, trial, *cause.encode()])
        world, faulty, plant = planted(cause, rng)
        moved, noise = (np.inf, 0.0) if cause in EXACT else size_of(world, plant, trial)
        names = diagnosed(recordings(world, faulty, rng))
        codes = [one.code for one in names] or ["nothing"]
        if cause not in EXACT:
            by_size[band(moved, noise)]["named" if codes[0] == cause else codes[0]] += 1
        if moved < (FAR if noise <= 1 else MARGIN * noise) or noise > NEAR:
            tally.n_hidden += 1
            continue
        tally.first[codes[0]] += 1
        tally.among[cause in codes] += 1
        if codes[0] != cause:
            tally.failing[world.size] += 1
            if shown:
                shown -= 1
                where = "+".join(faulty)
                print(f"  {cause} trial {trial}: {codes}; {world.size}, {[h.loss for h in world.heads.values()]}, on {where} of "
                      f"{world.n_legs}, noise {world.noise}, custom {world.custom}, reference {world.reference}, "
                      f"reduction {[h.reduction for h in world.heads.values()]}, values {[*world.values]}, "
                      f"alone {[h.y_pred is not None for h in world.heads.values()]}")  # fmt: skip
                for one in names[:3]:
                    print(f"      {one.code} {one.backends} {one.message[:200]}")
    tally.took_s = time.perf_counter() - start
    return tally


BANDS = (0.0, 1.0, 5.0, 20.0, 100.0, 1000.0, np.inf)


def band(moved: float, noise: float) -> str:
    """The size of a plant in words, for the table of limits."""
    if not np.isfinite(moved):
        return "exact"
    low, high = next((a, b) for a, b in pairwise(BANDS) if moved < b)
    return f"{low:g} to {high:g}" + (", noise above tolerance" if noise > 1 else "")


EXACT = frozenset({"silent-acceptance", "rounding", "label-dtype", "output-order"})


def quiet_world(rng: np.random.Generator) -> World:
    if rng.random() < 0.2:
        world = outputs_world(rng, alike=True)
    else:
        world = heads_world(rng, losses=(*ALL, "hinge"), like={"n": int(rng.choice([2, 3, 8, 64]))})
    world.noise = float(rng.choice([0.0, 0.5, 1.0, 2.0, 5.0, 10.0]))
    return world


def false_names(n_trials: int, seed: int, shown: int) -> tuple[Counter[str], Counter[str]]:
    """What is named where there is nothing but noise of up to ten times the floor."""
    named: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    for trial in range(n_trials):
        rng = np.random.default_rng([seed, trial, 99])
        world = quiet_world(rng)
        found = diagnosed(recordings(world, {}, rng))
        findings["with findings" if found else "without"] += 1
        for one in found:
            if one.code not in ("rounding", "unexplained"):
                named[one.code] += 1
                if shown:
                    shown -= 1
                    losses = [head.loss for head in world.heads.values()]
                    print(f"  noise trial {trial}: {world.size}, noise {world.noise}, {losses}, reference {world.reference}")
                    print(f"      {one.code}: {one.message[:200]}")
            else:
                findings[one.code] += 1
    return named, findings


LARGE = ((4096, 2), (4096, 10), (2, 10_000), (16, 10_000), (256, 1000))
LARGE_CAUSES = ("class-order", "off-by-one", "example-order", "sample-weight-ignored", "reduction")


def large_batches(n_trials: int, seed: int) -> None:
    """Named or not, and the slowest diagnosis, for batches up to 4096 examples or 10,000 classes."""
    print(f"\n{'size':<{WIDTH}}" + "".join(f" {cause:>22}" for cause in LARGE_CAUSES) + "   slowest")
    for n, c in LARGE:
        slowest, cells = 0.0, []
        for cause in LARGE_CAUSES:
            named = tried = 0
            for trial in range(n_trials):
                rng = np.random.default_rng([seed, trial, n, c, *cause.encode()])
                if cause in ("class-order", "off-by-one") and c == 2:  # of two classes one order is left, and no shift
                    continue
                world, plant = large(cause, n, c, rng)
                moved, noise = size_of(world, plant, trial)
                if moved < (FAR if noise <= 1 else MARGIN * noise) or noise > NEAR:
                    continue
                found = recordings(world, {str(rng.choice(LEGS[: world.n_legs])): plant}, rng)
                judgement = judge(found, list(found))
                start = time.perf_counter()
                names = diagnose(judgement.findings, found)
                slowest = max(slowest, time.perf_counter() - start)
                tried += 1
                named += bool(names) and names[0].code == cause
            cells.append(f"{named} of {tried}" if tried else "-")
        print(f"N={n} C={c}".ljust(WIDTH) + "".join(f" {cell:>22}" for cell in cells) + f" {slowest:>7.2f} s", flush=True)


def largest_permutation(n_classes: int = 10_000, n_examples: int = 8) -> tuple[float, bool]:
    """Seconds to find a permutation of this many classes in predictions, and whether it is the one planted."""
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((n_examples, n_classes)).astype(np.float32)
    p = rng.permutation(n_classes)
    found = {
        leg: Recording(
            case="a/b", backend=leg, run=leg, status="recorded",
            observations={"predictions": Observation(value=values, dtype="float32", precision="float32")},
        )
        for leg, values in (("tensorflow", scores), ("jax", scores[:, p]), ("torch", scores + np.float32(1e-7)))
    }  # fmt: skip
    judgement = judge(found, list(found))
    start = time.perf_counter()
    names = diagnose(judgement.findings, found)
    took = time.perf_counter() - start
    return took, bool(names) and names[0].code == "class-order" and names[0].backends == ("jax",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="of each cause")
    parser.add_argument("--noise", type=int, default=10_000, help="trials without a cause")
    parser.add_argument("--only", nargs="*", default=None, help="causes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failures", type=int, default=0, help="trials to show of each cause that was not named")
    given = parser.parse_args()
    warnings.filterwarnings("error", message="The detector")
    by_size: dict[str, Counter[str]] = defaultdict(Counter)
    codes_seen: set[str] = set()
    print(f"{'planted':<{WIDTH}} {'trials':>7} {'hidden':>7} {'found':>7} {'named':>7} {'s':>5}   named instead")
    total = Counter[str]()
    for cause in given.only if given.only is not None else CAUSES:
        tally = count(cause, given.trials, given.seed, given.failures, by_size)
        codes_seen |= {*tally.first}
        n = sum(tally.first.values())
        instead = ", ".join(f"{code} {k}" for code, k in tally.first.most_common() if code != cause)
        instead += f" ({'; '.join(size for size, _ in tally.failing.most_common(3))})" if tally.failing else ""
        rates = [f"{100 * k / n:.1f} %" if n else "-" for k in (tally.among[True], tally.first[cause])]
        print(
            f"{cause:<{WIDTH}} {n:>7} {tally.n_hidden:>7} {rates[0]:>7} {rates[1]:>7} {tally.took_s:>5.1f}   {instead}",
            flush=True,
        )
        total += Counter({"n": n, "found": tally.among[True], "named": tally.first[cause]})
    if total["n"]:
        n = total["n"]
        print(f"{'all':<{WIDTH}} {n:>7} {'':>7} {100 * total['found'] / n:>5.2f} % {100 * total['named'] / n:>5.2f} %")
        print(f"\n{'moves what is allowed times':<40} {'trials':>7} {'named':>8} {'no name':>8} {'another':>8}")
        for size in sorted(
            by_size, key=lambda text: (", noise" in text, text == "exact", float(text.split()[0]) if text != "exact" else 0)
        ):
            counts = by_size[size]
            n, silent = sum(counts.values()), sum(counts[code] for code in ("nothing", "rounding", "unexplained"))
            shares = [100 * k / n for k in (counts["named"], silent, n - counts["named"] - silent)]
            print(f"{size:<40} {n:>7} " + " ".join(f"{share:>6.1f} %" for share in shares))
    if given.noise:
        start = time.perf_counter()
        named, findings = false_names(given.noise, given.seed, given.failures)
        print(f"\nnoise alone: {sum(named.values())} false names in {given.noise} {dict(named)}; {dict(findings)} "
              f"({time.perf_counter() - start:.0f} s)")  # fmt: skip
    if given.only is None:
        large_batches(max(2, given.trials // 20), given.seed)
        took, right = largest_permutation()
        print(f"\npermutation of 10,000 classes: {'found' if right else 'NOT FOUND'} in {took:.2f} s")
    unknown = codes_seen - {*CODES, "nothing"}
    assert not unknown, unknown


if __name__ == "__main__":
    main()
