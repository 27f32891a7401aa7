"""Inject every cause into simulated backends and count how often it is found and named: a confusion matrix.

    python benchmarks/diagnoses.py                      about three minutes on one core
    python benchmarks/diagnoses.py --trials 1000        of each cause (default 200)
    python benchmarks/diagnoses.py --only class-order --failures 10

No backend is needed: recordings are built as workers write them (`simulated/`), then judged and diagnosed as usual.

A trial counts as detectable if the injected cause changes a value, a prediction, a loss or a gradient by predictions by at least
20 times its tolerance. If two legs without the cause already differ by more than their tolerance, the change must be 100 times
that difference, and the difference at most ten times the tolerance. Integers, names, shapes and NaN are exact and always count.
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

from simulated.causes import ALL, CAUSES, REJECTED, large
from simulated.trial import LEGS, Injection, World, injected_excess, record, recordings
from simulated.worlds import heads_world, outputs_world

from backendcheck.diagnose import CODES, diagnose
from backendcheck.diagnose.evidence.diagnosis import Diagnosis
from backendcheck.recordings.recording import Recording
from backendcheck.verdicts.verdict import judge
from backendcheck.vocabulary.observations import Observation

FAR, MARGIN, NEAR = 20.0, 100.0, 10.0
# What is said where no cause is named; the last of these, if all legs have the cause and the reference alone differs.
NO_NAME = ("nothing", "rounding", "unexplained", "wrong-everywhere")
WIDTH = 26


def diagnosed(recordings: dict[str, Recording]) -> list[Diagnosis]:
    judgement = judge(recordings, list(recordings))
    if judgement.problems:
        message = f"a simulated run is not comparable: {judgement.problems}"
        raise SystemExit(message)
    return diagnose(judgement.findings, recordings)


def injected(cause: str, rng: np.random.Generator) -> tuple[World, dict[str, Injection], Injection]:
    """A world and its faulty legs: one leg, or all of them if the reference can detect it."""
    world, injection = CAUSES[cause](rng)
    legs = LEGS[: world.n_legs]
    if cause == "silent-acceptance":
        accepting = rng.choice(legs, int(rng.integers(1, len(legs))), replace=False)
        return world, {leg: injection if leg in accepting else Injection(raised=REJECTED) for leg in legs}, injection
    if (
        world.reference
        and rng.random() < 0.15
        and cause in REFERENCE_TELLS
        and not world.custom
        and world.head.y_pred is not None
    ):
        return world, dict.fromkeys(legs, injection), injection
    return world, {str(rng.choice(legs)): injection}, injection


# Causes inside the loss, which a reference contradicts even if all legs have them.
REFERENCE_TELLS = frozenset({
    "missing-label-counted", "off-by-one", "sample-weight-ignored", "sample-weight-misapplied", "label-smoothing", "reduction",
    "sign", "label-truncated",
})  # fmt: skip


def size_of(world: World, injection: Injection, seed: int) -> tuple[float, float]:
    """The largest change by the injection, and the largest difference of two clean legs, as multiples of the tolerance."""
    quiet = replace(world, noise=0.0, reference=False)
    healthy, faulty = (record(quiet, "jax", cause, np.random.default_rng(0)) for cause in (None, injection))
    moved = injected_excess((healthy.observations, faulty.observations), world.floatx)
    loud = [record(replace(world, reference=False), "jax", None, np.random.default_rng(seed + n)) for n in (1, 2)]
    noise = injected_excess((loud[0].observations, loud[1].observations), world.floatx)
    return moved, noise


@dataclass
class Tally:
    """One cause: the first diagnoses, whether it was among them, worlds where it was not first, trials below the limit."""

    first: Counter[str] = field(default_factory=Counter)
    among: Counter[bool] = field(default_factory=Counter)
    failing: Counter[str] = field(default_factory=Counter)
    n_hidden: int = 0
    took_s: float = 0.0


def count(cause: str, n_trials: int, seed: int, shown: int, by_size: dict[str, Counter[str]]) -> Tally:
    tally, start = Tally(), time.perf_counter()
    for trial in range(n_trials):
        rng = np.random.default_rng([seed, trial, *cause.encode()])
        world, faulty, injection = injected(cause, rng)
        moved, noise = (np.inf, 0.0) if cause in EXACT else size_of(world, injection, trial)
        names = diagnosed(recordings(world, faulty, rng))
        codes = [diagnosis.code for diagnosis in names] or ["nothing"]
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
                for diagnosis in names[:3]:
                    print(f"      {diagnosis.code} {diagnosis.backends} {diagnosis.message[:200]}")
    tally.took_s = time.perf_counter() - start
    return tally


BANDS = (0.0, 1.0, 5.0, 20.0, 100.0, 1000.0, np.inf)


def band(moved: float, noise: float) -> str:
    """The size of an injected change in words, for the table of limits."""
    if not np.isfinite(moved):
        return "exact"
    low, high = next((a, b) for a, b in pairwise(BANDS) if moved < b)
    return f"{low:g} to {high:g}" + (", noise above tolerance" if noise > 1 else "")


EXACT = frozenset({"silent-acceptance", "rounding", "label-dtype", "output-order"})


def quiet_world(rng: np.random.Generator) -> World:
    if rng.random() < 0.2:
        world = outputs_world(rng, same_loss=True)
    else:
        world = heads_world(rng, losses=(*ALL, "hinge"), like={"n": int(rng.choice([2, 3, 8, 64]))})
    world.noise = float(rng.choice([0.0, 0.5, 1.0, 2.0, 5.0, 10.0]))
    return world


def false_names(n_trials: int, seed: int, shown: int) -> tuple[Counter[str], Counter[str]]:
    """Names given to noise of up to ten times the noise floor."""
    named: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    for trial in range(n_trials):
        rng = np.random.default_rng([seed, trial, 99])
        world = quiet_world(rng)
        diagnoses = diagnosed(recordings(world, {}, rng))
        findings["with findings" if diagnoses else "without"] += 1
        for diagnosis in diagnoses:
            if diagnosis.code not in ("rounding", "unexplained"):
                named[diagnosis.code] += 1
                if shown:
                    shown -= 1
                    losses = [head.loss for head in world.heads.values()]
                    print(f"  noise trial {trial}: {world.size}, noise {world.noise}, {losses}, reference {world.reference}")
                    print(f"      {diagnosis.code}: {diagnosis.message[:200]}")
            else:
                findings[diagnosis.code] += 1
    return named, findings


LARGE = ((4096, 2), (4096, 10), (2, 10_000), (16, 10_000), (256, 1000))
LARGE_CAUSES = ("class-order", "off-by-one", "example-order", "sample-weight-ignored", "reduction")


def large_batches(n_trials: int, seed: int) -> None:
    """How many are named, and the slowest diagnosis, for batches up to 4096 examples or 10,000 classes."""
    print(f"\n{'size':<{WIDTH}}" + "".join(f" {cause:>22}" for cause in LARGE_CAUSES) + "   slowest")
    for n, c in LARGE:
        slowest, cells = 0.0, []
        for cause in LARGE_CAUSES:
            named = tried = 0
            for trial in range(n_trials):
                rng = np.random.default_rng([seed, trial, n, c, *cause.encode()])
                if cause in ("class-order", "off-by-one") and c == 2:  # two classes have only one other order, and no shift
                    continue
                world, injection = large(cause, n, c, rng)
                moved, noise = size_of(world, injection, trial)
                if moved < (FAR if noise <= 1 else MARGIN * noise) or noise > NEAR:
                    continue
                by_leg = recordings(world, {str(rng.choice(LEGS[: world.n_legs])): injection}, rng)
                judgement = judge(by_leg, list(by_leg))
                start = time.perf_counter()
                names = diagnose(judgement.findings, by_leg)
                slowest = max(slowest, time.perf_counter() - start)
                tried += 1
                named += bool(names) and names[0].code == cause
            cells.append(f"{named} of {tried}" if tried else "-")
        print(f"N={n} C={c}".ljust(WIDTH) + "".join(f" {cell:>22}" for cell in cells) + f" {slowest:>7.2f} s", flush=True)


def largest_permutation(n_classes: int = 10_000, n_examples: int = 8) -> tuple[float, bool]:
    """Seconds to find a permutation of this many classes in predictions, and whether it is the injected one."""
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((n_examples, n_classes)).astype(np.float32)
    p = rng.permutation(n_classes)
    by_leg = {
        leg: Recording(
            case="a/b", backend=leg, run=leg, status="recorded",
            observations={"predictions": Observation(value=values, dtype="float32", precision="float32")},
        )
        for leg, values in (("tensorflow", scores), ("jax", scores[:, p]), ("torch", scores + np.float32(1e-7)))
    }  # fmt: skip
    judgement = judge(by_leg, list(by_leg))
    start = time.perf_counter()
    names = diagnose(judgement.findings, by_leg)
    took = time.perf_counter() - start
    return took, bool(names) and names[0].code == "class-order" and names[0].backends == ("jax",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="of each cause")
    parser.add_argument("--noise", type=int, default=10_000, help="trials without a cause")
    parser.add_argument("--only", nargs="*", default=None, help="causes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failures", type=int, default=0, help="trials to show for each cause that was not named")
    options = parser.parse_args()
    warnings.filterwarnings("error", message="The detector")
    by_size: dict[str, Counter[str]] = defaultdict(Counter)
    all_codes: set[str] = set()
    print(f"{'injected':<{WIDTH}} {'trials':>7} {'hidden':>7} {'found':>7} {'named':>7} {'s':>5}   named instead")
    total = Counter[str]()
    for cause in options.only if options.only is not None else CAUSES:
        tally = count(cause, options.trials, options.seed, options.failures, by_size)
        all_codes |= {*tally.first}
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
            n, silent = sum(counts.values()), sum(counts[code] for code in NO_NAME)
            shares = [100 * k / n for k in (counts["named"], silent, n - counts["named"] - silent)]
            print(f"{size:<40} {n:>7} " + " ".join(f"{share:>6.1f} %" for share in shares))
    if options.noise:
        start = time.perf_counter()
        named, findings = false_names(options.noise, options.seed, options.failures)
        print(f"\nnoise alone: {sum(named.values())} false names in {options.noise} {dict(named)}; {dict(findings)} "
              f"({time.perf_counter() - start:.0f} s)")  # fmt: skip
    if options.only is None:
        large_batches(max(2, options.trials // 20), options.seed)
        took, right = largest_permutation()
        print(f"\npermutation of 10,000 classes: {'found' if right else 'NOT FOUND'} in {took:.2f} s")
    unknown = all_codes - {*CODES, "nothing"}
    assert not unknown, unknown


if __name__ == "__main__":
    main()
