"""Since which release of Keras the findings of an exploration show, by halving the releases before the installed one.

The script of a finding is run, as it is to confirm it. All scripts for a release run in one process of each leg. So a release
costs one start of each backend, for however many findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from backendcheck.errors import UsageError
from backendcheck.explore.confirm import run_scripts, shows_again
from backendcheck.explore.explore import Found
from backendcheck.explore.judging import Sighting
from backendcheck.sessions.leg_packages import install_packages
from backendcheck.temporary import temporary_directory
from backendcheck.versions.releases import OLDEST_KERAS, releases_of
from backendcheck.versions.requirements import leg_with
from backendcheck.vocabulary.leg_names import PackageVersion, parse_leg

_KERAS = "keras"
_PROBE = "import keras\nprint(keras.backend.backend(), repr(keras.__version__))\n"

Shown = dict[Path, bool | None]  # by script: whether it shows its finding, None if that cannot be judged


@dataclass(slots=True)
class _Search:
    """Releases by their numbers: the finding shows in `first`, and not in `without`, or whether it does there is not certain."""

    first: int
    without: int = -1
    is_certain: bool = False

    @property
    def middle(self) -> int:
        return (self.first + self.without) // 2

    def note(self, *, shows: bool | None) -> None:
        if shows:
            self.first = self.middle
        else:
            self.without, self.is_certain = self.middle, shows is not None


def check_legs(legs: Sequence[str]) -> None:
    """Refuse legs that have a release of Keras already.

    Raises:
        UsageError: if one does.
    """
    named = [leg for leg in legs if any(package.package == _KERAS for package in parse_leg(leg).packages)]
    if named:
        message = f"--bisect: {', '.join(named)} has a version of Keras; expected legs without one. Leave out --bisect."
        raise UsageError(message)


def find_since(
    found: Mapping[Path, Found], installed: str, legs: Sequence[str], device: str, report: Callable[[str], None],
    shown_in: Callable[[Mapping[Path, Sighting], str, Sequence[str], str], Shown],
) -> None:  # fmt: skip
    """Note in each finding since which release it shows.

    `found` are findings by their scripts, `installed` is the Keras of the legs, and `shown_in` runs scripts in a release.

    Raises:
        UsageError: if the releases cannot be listed.
    """
    versions = [version for version in releases_of(_KERAS) if Version(OLDEST_KERAS) <= Version(version) < Version(installed)]
    report(f"looking in {len(versions)} earlier releases of Keras for {len(found)} findings")
    searches = {path: _Search(first=len(versions)) for path in found}
    while left := [path for path, search in searches.items() if search.first - search.without > 1]:
        number = searches[left[0]].middle
        paths = [path for path in left if searches[path].middle == number]
        shown = shown_in({path: found[path].sighting for path in paths}, versions[number], legs, device)
        for path in paths:
            searches[path].note(shows=shown[path])
        report(f"Keras {versions[number]}: {_in_words(shown.values())}")
    for path, search in searches.items():
        found[path].since = [*versions, installed][search.first]
        found[path].not_in = versions[search.without] if search.is_certain else None


def _in_words(shown: Iterable[bool | None]) -> str:
    each = list(shown)
    if None in each:
        return "cannot be tried"
    return f"{sum(map(bool, each))} of {len(each)} show"


def shown_in_release(sightings: Mapping[Path, Sighting], version: str, legs: Sequence[str], device: str) -> Shown:
    """Whether each script shows its finding in a release."""
    keras = PackageVersion(_KERAS, version)
    names = {leg: leg_with(parse_leg(leg), keras) for leg in legs}
    try:
        for leg in names.values():
            install_packages(leg)
    except UsageError:
        return dict.fromkeys(sightings)
    with temporary_directory("since") as folder:
        probe = folder / "probe.py"
        probe.write_text(_PROBE, encoding="utf-8")
        printed = run_scripts([probe, *sightings], [leg.value for leg in names.values()], device)
    if any(value != version for value in printed.pop(probe).values()):
        return dict.fromkeys(sightings)  # it does not run beside what is installed
    outcomes = {path: {leg: values[names[leg].value] for leg in legs} for path, values in printed.items()}
    return {path: shows_again(sightings[path], outcomes[path]) for path in sightings}
