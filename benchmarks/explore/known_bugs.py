"""How many known bugs of Keras does `backendcheck explore` find from nothing, without a case?

known_bugs.toml names for each bug a version that has it, and one that has not. Its target is explored on the first until the bug
is found or the time is over, and then on the other for as many situations, where it must not be found. Needs the versions of
Keras, which are installed once as legs are, and for commits a checkout: --git DIR.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.explore.chosen import targets_on
from backendcheck.explore.confirm import confirm
from backendcheck.explore.explore import Exploration, Found, Search
from backendcheck.explore.findings import write_scripts
from backendcheck.explore.legs import Legs
from backendcheck.explore.search import Plan
from backendcheck.sessions.leg_packages import export_commit, install_packages
from backendcheck.vocabulary.leg_names import PackageVersion, backend_in, parse_leg

BUGS = Path(__file__).with_suffix(".toml")
STEP = 150  # situations between two looks
SIGNATURE = ("oracle", "kind", "stage", "diagnosis", "path")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one search has come to."""

    found: Found | None
    situations: int
    seconds: float
    targets: Mapping[str, str]


def matches(bug: Mapping[str, Any], finding: Found) -> bool:
    """Whether a finding is the bug."""
    signature, situation = finding.sighting.signature, finding.sighting.situation.to_json()
    wanted = dict(bug["finding"])
    options, legs = wanted.pop("options", {}), wanted.pop("legs", None)
    return (
        (legs is None or [backend_in(leg) for leg in signature.legs] == legs)
        and all(_is_one_of(situation["options"].get(name), value) for name, value in options.items())
        and all(
            _is_one_of(str(getattr(signature, name)) if name in SIGNATURE else situation[name], value)
            for name, value in wanted.items()
        )
    )  # fmt: skip


def _is_one_of(value: Any, wanted: Any) -> bool:
    return value in wanted if isinstance(wanted, list) else bool(value == wanted)


def leg_names(bug: Mapping[str, Any], version: str, backends: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{backend}/keras-{version}" for backend in backends or bug.get("legs", ["tensorflow", "torch"]))


def install(names: Sequence[str], git: Path | None) -> str:
    """Install what the legs need; returns why that cannot be."""
    for leg in map(parse_leg, names):
        for package in leg.packages:
            if package.commit and git is None:
                return f"{package} needs --git"
            if package.commit and git is not None:
                export_commit(git, PackageVersion.of_commit(package.package, package.commit))
        install_packages(leg)
    return ""


def searched(legs: Legs, bug: Mapping[str, Any], *, budget_s: float, most: int | None) -> Outcome:
    """Explore the target of a bug until it is found, the time is over, or `most` situations were tried."""
    targets = targets_on(legs, [bug["target"]], [])
    exploration = Exploration(seed=0)
    search = Search(legs, Plan.of(targets, 0), exploration, lambda _: None)
    began, found = time.monotonic(), None
    for n in itertools.count(STEP, STEP):
        before = exploration.n_situations
        search.run(n_situations=n if most is None else min(n, most), budget_s=budget_s)
        found = next((finding for finding in exploration.findings if matches(bug, finding)), None)
        if found or exploration.n_situations in (before, most) or exploration.seconds >= budget_s:
            break
    kinds = {target.name: target.kind for target in targets}
    return Outcome(found=found, situations=exploration.n_situations, seconds=time.monotonic() - began, targets=kinds)


def confirmed(outcome: Outcome, legs: Sequence[str]) -> int:
    """In how many of three rounds of fresh processes the script of what was found shows it."""
    if outcome.found is None:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        paths = write_scripts(Path(folder), [outcome.found], outcome.targets)
        return sum(confirm({path: finding.sighting for path, finding in paths.items()}, legs, "cpu").values())


def rows(bugs: Sequence[Mapping[str, Any]], arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row for each bug. Bugs with the same legs share their processes."""
    backends = [name for name in arguments.legs.split(",") if name]
    results: dict[str, dict[str, Any]] = {}
    for which in ("has", "without"):
        by_legs: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
        for bug in bugs:
            if bug.get("path", "call") != "call" and not arguments.paths:
                results[bug["name"]] = {"found": None, "why": f"it shows by {bug['path']}, see --paths"}
            elif which == "has" or results[bug["name"]].get("found"):
                by_legs.setdefault(leg_names(bug, bug[which], backends), []).append(bug)
        for names, group in by_legs.items():
            if why := install(names, arguments.git):
                for bug in group:
                    results[bug["name"]] = results.get(bug["name"], {"found": None}) | {"why": why}
                continue
            with Legs(names) as legs:
                for bug in group:
                    most = results[bug["name"]]["situations"] if which == "without" else arguments.situations
                    outcome = searched(legs, bug, budget_s=60 * arguments.minutes, most=most)
                    if which == "without":
                        results[bug["name"]]["other"] = outcome.found is not None
                        print(f"  {bug['name']} on {bug[which]}: {'found too' if outcome.found else 'not found'}", flush=True)
                        continue
                    n = confirmed(outcome, names) if arguments.confirm else None
                    results[bug["name"]] = {
                        "found": outcome.found is not None, "situations": outcome.situations,
                        "seconds": round(outcome.seconds, 1), "confirmed": n,
                        "signature": str(outcome.found.sighting.signature) if outcome.found else "",
                    }  # fmt: skip
                    print(f"  {bug['name']} on {bug[which]}: {in_words(bug | results[bug['name']])}", flush=True)
    for bug in bugs:
        yield {"bug": bug["name"], "target": bug["target"], "has": bug["has"], "without": bug["without"], **results[bug["name"]]}


def in_words(row: Mapping[str, Any]) -> str:
    if row["found"] is None:
        return f"not tried: {row['why']}"
    if not row["found"]:
        return f"not found in {row['situations']} situations"
    state = f"found within {row['situations']} situations, {row['seconds']} s"
    state += "" if row["confirmed"] is None else f", confirmed {row['confirmed']} of 3"
    if "why" in row:
        return f"{state}; {row['why']}"
    return state if "other" not in row else f"{state}; {'too' if row['other'] else 'not'} on Keras {row['without']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only bugs whose name has this in it")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each bug and version (default: 10)")
    parser.add_argument("--situations", type=int, metavar="N", help="at most so many for each bug")
    parser.add_argument("--legs", default="", metavar="LIST", help="other backends than those of known_bugs.toml")
    parser.add_argument("--git", type=Path, metavar="DIR", help="a checkout of Keras, for bugs that no release is without")
    parser.add_argument("--paths", action="store_true", help="try the bugs that a plain call does not show as well")
    parser.add_argument("--confirm", action="store_true", help="confirm what is found in fresh processes")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the rows as JSON")
    arguments = parser.parse_args()
    bugs = tomllib.loads(BUGS.read_text(encoding="utf-8"))["bug"]
    if arguments.only:
        bugs = [bug for bug in bugs if any(name in bug["name"] for name in arguments.only)]
    table = list(rows(bugs, arguments))
    print("\n| bug | target | Keras | result |\n| --- | --- | --- | --- |")
    for row in table:
        print(f"| {row['bug']} | `{row['target']}` | {row['has']} | {in_words(row)} |")
    tried = [row for row in table if row["found"] is not None]
    n_found = sum(row["found"] and not row.get("other") for row in tried)
    print(f"\n{len(table)} bugs, {len(tried)} tried, {n_found} found on the version that has them alone")
    if arguments.out:
        arguments.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
