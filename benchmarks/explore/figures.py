"""Figures of a search with `backendcheck explore`: situations a second, distinct findings over time, and what an order finds.

    figures.py --only calls keras.losses.Hinge keras.metrics.AUC     one row for each 10 % of the situations
    figures.py --compare keras.losses.BinaryCrossentropy             covering arrays against as many random situations
    figures.py --read reports/labels reports/losses                  findings over the time of searches that were made

Figures depend on the machine and on its load, which is printed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from backendcheck.explore.chosen import targets_on
from backendcheck.explore.explore import Exploration, Search
from backendcheck.explore.legs import Legs
from backendcheck.explore.search import Pairs, Plan
from backendcheck.explore.situation import Situation

_ROWS = 10


class _Only:
    """A plan with the calls, or the models, of another."""

    def __init__(self, plan: Plan, only: str) -> None:
        self.plan, self.only = plan, only
        self.targets = plan.targets
        self.covering = [[situation for situation in each if self._fits(situation)] for each in plan.covering]

    def _fits(self, situation: Situation) -> bool:
        return not self.only or (situation.path == "call") == (self.only == "calls")

    def situations(self) -> Iterator[Situation]:
        return filter(self._fits, self.plan.situations())


def searched(legs: Legs, plan: Plan, only: str, n: int, *, is_random: bool = False) -> set[str]:
    """Search, print a row for each tenth, and return the signatures that were found."""
    exploration = Exploration(seed=plan.seed)
    order = _Only(replace(plan, covering=()) if is_random else plan, only)
    search = Search(legs, order, exploration, lambda _: None)  # type: ignore[arg-type]
    search.pairs = Pairs(_Only(plan, only))  # type: ignore[arg-type]
    print("| situations | seconds | a second | findings | pairs covered | load |\n| --- | --- | --- | --- | --- | --- |")
    for end in range(n // _ROWS, n + 1, n // _ROWS):
        search.run(n_situations=end, budget_s=None)
        done, seconds, pairs = exploration.n_situations, exploration.seconds, 100 * search.pairs.share
        rate, load = f"{done / seconds:.1f}", f"{os.getloadavg()[0]:.1f}"
        columns = (done, f"{seconds:.0f}", rate, len(exploration.findings), f"{pairs:.1f} %", load)
        print(f"| {' | '.join(map(str, columns))} |", flush=True)
    of_signatures = [str(finding.sighting.signature) for finding in exploration.findings]
    print(f"{sum(finding.hits for finding in exploration.findings)} sightings are {len(set(of_signatures))} findings\n")
    return set(of_signatures)


def compare(legs: Legs, plan: Plan, only: str, n: int) -> None:
    """Search in two orders, and print what each has found that the other has not."""
    found = {}
    for name, is_random in (("covering arrays", False), ("random", True)):
        print(f"{name}:", flush=True)
        found[name] = searched(legs, plan, only, n, is_random=is_random)
    for (name, signatures), (other, others) in itertools.permutations(found.items()):
        print(f"{name} found {len(signatures)}, and {len(signatures - others)} that {other} did not:")
        for signature in sorted(signatures - others):
            print(f"  {signature}")


def over_time(folders: Sequence[str]) -> None:
    """Print how many distinct findings each search had after each tenth of its time."""
    searches = [json.loads((Path(folder) / "findings.json").read_text(encoding="utf-8")) for folder in folders]
    titles = [f"{each['situations']} situations, {each['seconds']:.0f} s" for each in searches]
    print(f"| of the time | {' | '.join(titles)} |\n|{' ---: |' * (len(titles) + 1)}")
    for tenth in range(1, _ROWS + 1):
        seen = [sum(f["first_s"] <= tenth / _ROWS * each["seconds"] for f in each["findings"]) for each in searches]
        print(f"| {100 * tenth // _ROWS} % | {' | '.join(map(str, seen))} |")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="as explore takes them (default: all of Keras); with --read, folders")
    parser.add_argument("--legs", default="tensorflow,jax,torch", metavar="LIST")
    parser.add_argument("--situations", type=int, default=500, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--only", choices=("calls", "models"), default="", help="leave the others out")
    parser.add_argument("--compare", action="store_true", help="compare the two orders")
    parser.add_argument("--read", action="store_true", help="search nothing: read what searches with explore have left")
    options = parser.parse_args(arguments)
    if options.read:
        over_time(options.targets)
        return
    with Legs(options.legs.split(",")) as legs:
        plan = Plan.of(targets_on(legs, options.targets, []), options.seed)
        print(f"{len(plan.targets)} targets, {sum(map(len, plan.covering))} situations cover all pairs")
        (compare if options.compare else searched)(legs, plan, options.only, options.situations)


if __name__ == "__main__":
    main()
