"""The environments of the legs as one table, settings that differ first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backendcheck.vocabulary.leg_names import backend_in

if TYPE_CHECKING:
    from backendcheck.recordings.environment import Environment, MergedPart
    from backendcheck.recordings.legs import Leg
    from backendcheck.results.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRow:
    """One setting on every leg, empty where a leg lacks it. `differs` says whether the texts differ, empty ones included."""

    group: str
    name: str
    values: tuple[str, ...]
    differs: bool


def environment_rows(environments: Collection[Environment]) -> list[EnvironmentRow]:
    """Versions, device, settings and determinism, those that differ first."""
    rows = []
    for group in ("versions", "device", "settings", "determinism", "platform", "leg"):
        by_leg = [_settings(environment, group) for environment in environments]
        for name in dict.fromkeys(name for settings in by_leg for name in settings):
            values = tuple(str(settings.get(name, "")) for settings in by_leg)
            rows.append(EnvironmentRow(group=group, name=name, values=values, differs=len(set(values)) > 1))
    return sorted(rows, key=lambda row: not row.differs)


def _settings(environment: Environment, group: str) -> Mapping[str, str]:
    if group == "device":
        return {"device": environment.device}
    if group == "leg":
        return {
            "state": environment.exit_state,
            "cases": str(len(environment.cases)),
            "started": environment.started,
            "duration": f"{environment.duration_s:.1f} s",
            **({"workers replaced for memory": str(n)} if (n := environment.n_replaced_for_memory) else {}),
            **({"resumed": ", ".join(session.resumed for session in environment.sessions)} if environment.sessions else {}),
            **({"merged from": "; ".join(map(_part_in_words, environment.parts))} if environment.parts else {}),
        }
    settings: Mapping[str, str] = getattr(environment, group)
    return {name: value for name, value in settings.items() if value != ""}


def _part_in_words(part: MergedPart) -> str:
    """A part of a merged leg: its shard, its path, and its exit state unless that is complete."""
    words = [part.name if part.shard else "", part.path, part.exit_state]
    return " ".join(word for word in words if word and word != "complete")


def versions_line(results: Results) -> list[tuple[str, str]]:
    """By leg the version of its backend; empty if unknown."""
    versions = {leg.label: leg.environment.versions.get(backend_in(leg.environment.backend), "") for leg in results.legs}
    return [(label, versions.get(label, "missing")) for label in results.backends]


def keras_versions(results: Results) -> str:
    """The version of Keras, or versions if the legs do not share one."""
    versions = [version for leg in results.legs if (version := leg.environment.versions.get("keras"))]
    return ", ".join(dict.fromkeys(versions))


def environment_lines(legs: Sequence[Leg]) -> list[str]:
    """A line of versions and a line with the platform."""
    versions: dict[str, str] = {}
    for leg in legs:
        versions |= {name: text for name, text in leg.environment.versions.items() if text and name != "backendcheck"}
    platform = legs[0].environment.platform if legs else {}
    system = " ".join(platform.get(name, "") for name in ("system", "release", "machine")).strip()
    return [", ".join(f"{name} {version}" for name, version in versions.items()), system or "unknown platform"]
