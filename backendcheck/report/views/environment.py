"""The environments of the legs as one table: what differs first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backendcheck.recordings.legs import Leg
from backendcheck.recordings.recording import Environment
from backendcheck.results.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRow:
    """One setting on every leg, empty where it has none. `differs` is about the legs that have it, or lack it."""

    group: str
    name: str
    values: tuple[str, ...]
    differs: bool


def environment_rows(results: Results) -> list[EnvironmentRow]:
    """Versions, device, settings and determinism, those that differ first."""
    environments = [leg.environment for leg in results.legs]
    rows = []
    for group in ("versions", "device", "settings", "determinism", "platform", "leg"):
        by_leg = [_figures(environment, group) for environment in environments]
        for name in dict.fromkeys(name for figures in by_leg for name in figures):
            values = tuple(str(figures.get(name, "")) for figures in by_leg)
            rows.append(EnvironmentRow(group=group, name=name, values=values, differs=len(set(values)) > 1))
    return sorted(rows, key=lambda row: not row.differs)


def _figures(environment: Environment, group: str) -> Mapping[str, str]:
    if group == "device":
        return {"device": environment.device}
    if group == "leg":
        return {
            "state": environment.exit_state,
            "cases": str(len(environment.cases)),
            "started": environment.started,
            "duration": f"{environment.duration_s:.1f} s",
            **({"resumed": ", ".join(str(one["resumed"]) for one in environment.sessions)} if environment.sessions else {}),
            **({"joined of": "; ".join(map(_piece_in_words, environment.pieces))} if environment.pieces else {}),
        }
    figures: Mapping[str, str] = getattr(environment, group)
    return {name: value for name, value in figures.items() if value != ""}


def _piece_in_words(piece: Mapping[str, Any]) -> str:
    """A piece of a merged leg: its shard, where it lay, how it ended unless that was well."""
    parts = [f"shard {piece['shard']}" if piece["shard"] else "", piece["path"], piece["exit_state"]]
    return " ".join(part for part in parts if part and part != "complete")


def versions_line(results: Results) -> list[tuple[str, str]]:
    """By leg the version of its backend; empty where it is not known."""
    versions = {leg.label: leg.environment.versions.get(leg.environment.backend, "") for leg in results.legs}
    return [(label, versions.get(label, "missing")) for label in results.backends]


def keras_versions(results: Results) -> str:
    """The version of Keras, or versions if the legs do not share one."""
    found = [version for leg in results.legs if (version := leg.environment.versions.get("keras"))]
    return ", ".join(dict.fromkeys(found))


def environment_lines(legs: Sequence[Leg]) -> list[str]:
    """Versions and platform, a line each."""
    versions: dict[str, str] = {}
    for leg in legs:
        versions |= {name: one for name, one in leg.environment.versions.items() if one and name != "backendcheck"}
    platform = legs[0].environment.platform if legs else {}
    place = " ".join(platform.get(name, "") for name in ("system", "release", "machine")).strip()
    return [", ".join(f"{name} {one}" for name, one in versions.items()), place or "unknown platform"]
