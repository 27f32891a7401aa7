"""What became of each entry of known_divergences.toml in this run: active, changed, gone, stale, expired or not concerned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backendcheck.results.results import CaseResult, Results
from backendcheck.verdicts.known import Divergence
from backendcheck.verdicts.verdict import Verdict

# In the order in which they want looking after, with what each means.
STATES = {
    "changed": "something else is seen now, so that it fails",
    "gone": "not seen any more: remove the entry",
    "expired": "excuses nothing any more: look again, then renew or remove it",
    "stale": "matches no case of this run: correct its pattern, or remove it",
    "active": "seen as described",
    "not concerned": "about other versions, backends, devices or oracles than ran here",
}
_BY_VERDICT = {Verdict.FAILED: "changed", Verdict.XPASSED: "gone", Verdict.XFAILED: "active"}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KnownEntry:
    """An entry with its state, the cases that it applies to in that state, and what is not as it says."""

    entry: Divergence
    state: str
    cases: tuple[CaseResult, ...]

    @property
    def conditions(self) -> str:
        """Which backends, kinds, versions and other things it is about, and the outcome on each backend."""
        entry = self.entry
        parts = [", ".join(sorted(entry.backends)), ", ".join(sorted(entry.kinds))]
        parts += [f"{package} {versions}" for package, versions in sorted(entry.versions.items())]
        parts += [f"with {name}" for name in sorted(entry.installed)] + [f"without {name}" for name in sorted(entry.missing)]
        parts += [entry.device] if entry.device else []
        return "; ".join([*parts, *(f"{backend} {outcome}" for backend, outcome in entry.outcome.items())])


def known_entries(results: Results) -> list[KnownEntry]:
    """Every entry once for each state that it is in, those that want looking after first."""
    found: dict[tuple[Path, int, str], dict[str, list[CaseResult]]] = {}
    for result in results.cases:
        state = _BY_VERDICT.get(result.verdict, "active")
        for entry in result.known:
            found.setdefault(entry.key, {}).setdefault(state, []).append(result)
    entries = []
    for entry in results.known:
        if entry in results.expired:
            states: dict[str, list[CaseResult]] = {"expired": []}
        elif entry in results.unmatched:
            states = {"stale": []}
        else:
            states = found.get(entry.key) or {"not concerned": []}
        entries += [KnownEntry(entry=entry, state=state, cases=tuple(cases)) for state, cases in states.items()]
    order = list(STATES)
    return sorted(entries, key=lambda one: order.index(one.state))


def counted_states(entries: Sequence[KnownEntry]) -> str:
    """``1 changed, 3 active``."""
    n = Counter(one.state for one in entries)
    return ", ".join(f"{n[state]} {state}" for state in STATES if n[state])
