"""Plant every cause in simulated backends and count how often it is found and named: a confusion matrix.

    python benchmarks/diagnoses.py                      about three minutes on one core
    python benchmarks/diagnoses.py --trials 1000        of each cause (default 200)
    python benchmarks/diagnoses.py --only class-order --failures 10

No backend is needed: recordings are built as workers would write them (`planted/`), judged and diagnosed as ever. A trial counts as
detectable if what was planted moves some observation by at least 20 times what is allowed, or by 100 times what two healthy legs
of the trial are apart if they are apart by more than is allowed. Exact values (integers, names, NaN, shapes) always count.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from backendcheck.diagnose import CODES, diagnose
from backendcheck.diagnose.diagnosis import Diagnosis
from backendcheck.observation import Observation
from backendcheck.recording import Recording
from backendcheck.tolerance import Allowed
from backendcheck.verdict import judge

from planted.causes import CAUSES, REJECTED
from planted.trial import LEGS, Plant, World, planted_excess, record, recordings
from planted.worlds import heads_world, outputs_world

FAR, MARGIN = 20.0, 100.0
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
    if world.reference and rng.random() < 0.15 and cause in REFERENCE_TELLS and not world.custom and world.head.y_pred is not None:
        return world, dict.fromkeys(legs, plant), plant
    return world, {str(rng.choice(legs)): plant}, plant


# Causes inside the loss, which a reference contradicts even where all legs have them.
REFERENCE_TELLS = frozenset({
    "missing-label-counted", "off-by-one", "sample-weight-ignored", "sample-weight-misapplied", "label-smoothing", "reduction",
    "sign", "label-truncated",
})  # fmt: skip


def detectable(world: World, plant: Plant, seed: int) -> bool:
    quiet = replace(world, noise=0.0, reference=False)
    healthy, faulty = (record(quiet, "jax", one, np.random.default_rng(0)) for one in (None, plant))
    moved = planted_excess((healthy.observations, faulty.observations), world.floatx)
    loud = [record(replace(world, reference=False), "jax", None, np.random.default_rng(seed + n)) for n in (1, 2)]
    noise = planted_excess((loud[0].observations, loud[1].observations), world.floatx)
    return moved >= (FAR if noise <= 1 else MARGIN * noise)


def count(cause: str, n_trials: int, seed: int, shown: int) -> tuple[Counter[str], Counter[str], Counter[str], int, float]:
    """First names, what was among the names, sizes of failures, trials that cannot be detected; and the time taken."""
    first: Counter[str] = Counter()
    among: Counter[str] = Counter()
    failing: Counter[str] = Counter()
    n_hidden, start = 0, time.perf_counter()
    for trial in range(n_trials):
        rng = np.random.default_rng([seed, trial, *cause.encode()])
        world, faulty, plant = planted(cause, rng)
        if cause not in EXACT and not detectable(world, plant, trial):
            n_hidden += 1
            continue
        names = diagnosed(recordings(world, faulty, rng))
        codes = [one.code for one in names] or ["nothing"]
        first[codes[0]] += 1
        among["yes" if cause in codes else "no"] += 1
        if codes[0] != cause:
            failing[world.size] += 1
            if shown:
                shown -= 1
                where = "+".join(faulty)
                print(f"  {cause} trial {trial}: {codes}; {world.size}, {[h.loss for h in world.heads.values()]}, on {where} of "
                      f"{world.n_legs}, noise {world.noise}, custom {world.custom}, reference {world.reference}, "
                      f"reduction {[h.reduction for h in world.heads.values()]}, values {[*world.values]}, "
                      f"alone {[h.y_pred is not None for h in world.heads.values()]}")  # fmt: skip
                for one in names[:3]:
                    print(f"      {one.code} {one.backends} {one.message[:200]}")
    return first, among, failing, n_hidden, time.perf_counter() - start


EXACT = frozenset({"silent-acceptance", "rounding", "label-dtype", "output-order"})


def quiet_world(rng: np.random.Generator) -> World:
    world = outputs_world(rng, alike=True) if rng.random() < 0.2 else heads_world(rng, losses=tuple(
        ("sparse", "categorical", "binary", "mse", "mae", "huber", "hinge")), like={"n": int(rng.choice([2, 3, 8, 64]))})  # fmt: skip
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
                    print(f"  noise trial {trial}: {world.size}, noise {world.noise}, {[h.loss for h in world.heads.values()]} "
                          f"reference {world.reference} custom {world.custom}\n      {one.code}: {one.message[:200]}")  # fmt: skip
            else:
                findings[one.code] += 1
    return named, findings


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
    matrix: dict[str, Counter[str]] = {}
    failing: dict[str, Counter[str]] = defaultdict(Counter)
    print(f"{'planted':<{WIDTH}} {'trials':>7} {'hidden':>7} {'found':>7} {'named':>7} {'s':>5}   named instead")
    total = Counter[str]()
    for cause in given.only if given.only is not None else CAUSES:
        first, among, sizes, n_hidden, took = count(cause, given.trials, given.seed, given.failures)
        matrix[cause], failing[cause] = first, sizes
        n = sum(first.values())
        instead = ", ".join(f"{code} {k}" for code, k in first.most_common() if code != cause)
        rates = [f"{100 * k / n:.1f} %" if n else "-" for k in (among["yes"], first[cause])]
        print(f"{cause:<{WIDTH}} {n:>7} {n_hidden:>7} {rates[0]:>7} {rates[1]:>7} {took:>5.1f}   {instead}", flush=True)
        total += Counter({"n": n, "found": among["yes"], "named": first[cause]})
    if total["n"]:
        n = total["n"]
        print(f"{'all':<{WIDTH}} {n:>7} {'':>7} {100 * total['found'] / n:>5.2f} % {100 * total['named'] / n:>5.2f} %")
    if given.noise:
        start = time.perf_counter()
        named, findings = false_names(given.noise, given.seed, given.failures)
        print(f"\nnoise alone: {sum(named.values())} false names in {given.noise} {dict(named)}; {dict(findings)} "
              f"({time.perf_counter() - start:.0f} s)")  # fmt: skip
    if given.only is None:
        took, right = largest_permutation()
        print(f"\npermutation of 10,000 classes: {'found' if right else 'NOT FOUND'} in {took:.2f} s")
    unknown = {code for counts in matrix.values() for code in counts} - {*CODES, "nothing"}
    assert not unknown, unknown


if __name__ == "__main__":
    main()
