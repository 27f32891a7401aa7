"""The state of each entry of known_divergences.toml in this run: active, changed, gone, stale, expired or not concerned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backendcheck.results.results import CaseResult, Results
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.verdict import Verdict

# Most urgent first, with the meaning of each.
STATES = {
    "changed": "the finding is a different one now, so the case fails",
    "gone": "no longer occurs: remove the entry",
    "expired": "no longer applies: check its cases, then renew or remove it",
    "stale": "matches no case of this run: correct its pattern or remove it",
    "active": "occurs as described",
    "not concerned": "for versions, backends, devices or oracles that are not part of this run",
}
_BY_VERDICT = {Verdict.FAILED: "changed", Verdict.XPASSED: "gone", Verdict.XFAILED: "active"}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KnownEntry:
    """An entry with its state and the cases in which it is in that state."""

    entry: Divergence
    state: str
    cases: tuple[CaseResult, ...]

    @property
    def conditions(self) -> str:
        """The backends, kinds, versions and other conditions of the entry, and the outcome on each backend."""
        entry = self.entry
        parts = [", ".join(sorted(entry.backends)), ", ".join(sorted(entry.kinds))]
        parts += [f"{package} {versions}" for package, versions in sorted(entry.versions.items())]
        parts += [f"with {name}" for name in sorted(entry.installed)] + [f"without {name}" for name in sorted(entry.missing)]
        parts += [entry.device] if entry.device else []
        return "; ".join([*parts, *(f"{backend} {outcome}" for backend, outcome in entry.outcome.items())])


def known_entries(results: Results) -> list[KnownEntry]:
    """Every entry once for each of its states, the most urgent first."""
    by_entry: dict[tuple[Path, int, str], dict[str, list[CaseResult]]] = {}
    for result in results.cases:
        state = _BY_VERDICT.get(result.verdict, "active")
        for entry in result.known:
            by_entry.setdefault(entry.key, {}).setdefault(state, []).append(result)
    entries = []
    for entry in results.known:
        if entry in results.expired:
            states: dict[str, list[CaseResult]] = {"expired": []}
        elif entry in results.unmatched:
            states = {"stale": []}
        else:
            states = by_entry.get(entry.key) or {"not concerned": []}
        entries += [KnownEntry(entry=entry, state=state, cases=tuple(cases)) for state, cases in states.items()]
    order = list(STATES)
    return sorted(entries, key=lambda entry: order.index(entry.state))


def counted_states(entries: Sequence[KnownEntry]) -> str:
    """``1 changed, 3 active``."""
    n = Counter(entry.state for entry in entries)
    return ", ".join(f"{n[state]} {state}" for state in STATES if n[state])
