"""An exploration from its options to its files: search, known or new, scripts, confirmation, findings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backendcheck.errors import UsageError
from backendcheck.explore.chosen import targets_on
from backendcheck.explore.confirm import N_ROUNDS, Outcomes, confirm, run_scripts
from backendcheck.explore.explore import Exploration, Found, Search, go_on_counting, summary
from backendcheck.explore.farm_legs import FarmLegs, FarmLost
from backendcheck.explore.findings import read_earlier, write_findings, write_scripts
from backendcheck.explore.judging import Signature
from backendcheck.explore.known import KnownDivergences
from backendcheck.explore.legs import Legs
from backendcheck.explore.search import Plan
from backendcheck.explore.situation import Situation
from backendcheck.farm.recording import Farm


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an exploration was asked for.

    dated: notes since when findings show, given by their scripts, with the Keras of the legs; None if that is not asked.
    """

    targets: tuple[str, ...]
    legs: tuple[str, ...]
    out: Path
    budget_s: float | None
    n_situations: int | None
    seed: int
    device: str = "cpu"
    resume: bool = False
    farm: Farm | None = None
    dated: Callable[[Mapping[Path, Found], str], None] | None = None


def run(options: Options, report: Callable[[str], None]) -> tuple[Exploration, dict[str, Any]]:
    """Explore, and write the findings; returns them, with the content of findings.json.

    Raises:
        UsageError: if a target or a leg cannot be used, or an earlier search was another one.
        UnreadableInput: if there is no earlier search to go on with.
        FarmLost: if a farm cannot go on. What was found until then is written.
    """
    if options.farm is None:
        return _run(options, report, None)
    earlier = read_earlier(options.out) if options.resume and not options.targets else None
    targets = options.targets or (tuple(earlier["targets"]) if earlier else ())
    with FarmLegs(options.legs, options.device, options.farm, targets, options.out, lambda line: report(f"farm: {line}")) as farm:
        return _run(options, report, farm)


def _run(options: Options, report: Callable[[str], None], farm: FarmLegs | None) -> tuple[Exploration, dict[str, Any]]:
    earlier = read_earlier(options.out) if options.resume else None
    seed = options.seed if earlier is None else earlier["seed"]
    exploration = Exploration(seed=seed)
    lost: FarmLost | KeyboardInterrupt | None = None
    with contextlib.nullcontext(farm) if farm else Legs(options.legs, options.device) as legs:
        asked = options.targets or (() if earlier is None else tuple(earlier.get("asked") or earlier["targets"]))
        targets = targets_on(legs, asked, exploration.notes)
        names = [target.asked for target in targets]
        plan = Plan.of(targets, seed)
        search = Search(legs, plan, exploration, report)
        if earlier is not None:
            _go_on_from(earlier, options, names, legs, search)
        try:
            search.run(n_situations=options.n_situations, budget_s=_budget(options, exploration))
        except (FarmLost, KeyboardInterrupt) as error:  # what was found until then is written
            lost = error
        numbers, environments = summary(search), legs.environments
    kinds = {target.name: target.kind for target in targets}
    confirmed = {entry["signature"]: entry["confirmed"] for entry in (earlier or {"findings": ()})["findings"]}
    known = KnownDivergences.in_force(Path.cwd(), environments)
    for finding in exploration.findings:
        finding.known = known.describing(finding.sighting, kinds[finding.sighting.situation.target])

    def write() -> dict[str, Any]:
        return write_findings(
            options.out, exploration, legs=options.legs, budget_s=options.budget_s, environments=environments, numbers=numbers,
            targets=names, asked=asked, kinds=kinds,
        )  # fmt: skip

    by_path = write_scripts(options.out, exploration.findings, kinds)
    write()  # so that --resume goes on from here if confirming is interrupted
    if lost:
        raise lost
    before = {signature: count for signature, count in confirmed.items() if count}
    _confirm(exploration, options, by_path, before, report, farm.run_scripts if farm else run_scripts)
    if options.dated is not None:
        write()  # so that what was confirmed is there if this is interrupted
        _date(exploration, by_path, environments, options.dated)
    return exploration, write()


def _budget(options: Options, exploration: Exploration) -> float | None:
    """The budget in seconds from the beginning of the first search: each search gets the whole of it."""
    return None if options.budget_s is None else exploration.seconds + options.budget_s


def _go_on_from(earlier: Mapping[str, Any], options: Options, names: list[str], legs: Legs, search: Search) -> None:
    """Begin where an earlier search ended, with its findings.

    Raises:
        UsageError: if legs, targets or versions are not those of the earlier search.
    """
    for what, before, now in (
        ("legs", earlier["legs"], list(options.legs)),
        ("targets", earlier["targets"], names),
        ("environments", earlier["environments"], legs.environments),
    ):
        if before != now:
            message = f"{options.out}: cannot be resumed, its {what} differ: {before} and {now}. Explore into another --out."
            raise UsageError(message)
    exploration = search.exploration
    exploration.n_situations, exploration.seconds = earlier["situations"], float(earlier["seconds"])
    exploration.n_unconfirmed, exploration.n_neighbors = earlier["not_confirmed"], earlier.get("neighbors", 0)
    entries = earlier["findings"]
    sightings = search.judge.sightings([Situation.from_json(entry["situation"]) for entry in entries])
    go_on_counting(search, earlier)  # after the findings have been looked at again
    for entry, sighting in zip(entries, sightings, strict=True):
        if sighting is None:  # as when it does not show again in a fresh process
            exploration.n_unconfirmed += 1
            exploration.notes.append(f"{entry['target']}: {entry['headline']}: does not show again, and is left out")
        else:
            exploration.found[_signature(entry)] = Found(
                sighting=sighting, hits=entry["hits"], first_s=entry["first_s"], since=entry.get("since"),
                not_in=entry.get("not_in"),
            )  # fmt: skip


def _signature(entry: Mapping[str, Any]) -> Signature:
    return Signature(
        oracle=entry["oracle"], kind=entry["kind"], stage=entry["stage"], legs=tuple(entry["legs"]), target=entry["target"],
        diagnosis=entry["diagnosis"], path=entry["path"],
    )  # fmt: skip


def _confirm(
    exploration: Exploration, options: Options, by_path: Mapping[Path, Found], before: Mapping[str, int],
    report: Callable[[str], None], run: Callable[[Sequence[Path], Sequence[str], str], dict[Path, Outcomes]],
) -> None:  # fmt: skip
    """Confirm each finding in fresh processes, and drop those that do not show again. Those of an earlier search stay."""
    new = {path: finding for path, finding in by_path.items() if str(finding.sighting.signature) not in before}
    if new:
        report(f"confirming {len(new)} findings in fresh processes")
    counts = confirm({path: finding.sighting for path, finding in new.items()}, options.legs, options.device, run=run)
    for path, finding in by_path.items():
        signature = finding.sighting.signature
        finding.confirmed = counts[path] if path in counts else before[str(signature)]
        if not finding.confirmed:
            exploration.drop(finding)
            path.unlink()


def _date(
    exploration: Exploration, by_path: Mapping[Path, Found], environments: Mapping[str, Any],
    dated: Callable[[Mapping[Path, Found], str], None],
) -> None:  # fmt: skip
    """Note since when the new findings show that were confirmed each time."""
    new = {
        path: finding for path, finding in by_path.items()
        if finding.known is None and finding.confirmed == N_ROUNDS and finding.since is None
    }  # fmt: skip
    try:
        if new:
            dated(new, next(iter(environments.values()))["versions"]["keras"])
    except UsageError as error:  # what was found stays
        exploration.notes.append(f"--bisect: {error}")
