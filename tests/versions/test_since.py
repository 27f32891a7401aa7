from dataclasses import dataclass
from pathlib import Path

import pytest

from backendcheck.errors import UsageError
from backendcheck.versions import since
from backendcheck.versions.since import check_legs, find_since

_RELEASES = ["3.3.3", "3.4.1", "3.5.0", "3.6.0", "3.7.0", "3.8.0", "3.9.2", "3.10.0"]


@dataclass
class _Finding:
    sighting: str
    since: str | None = None
    not_in: str | None = None


def _dated(monkeypatch, first_by_finding, cannot=()):
    """Findings with the release since which each shows; releases in `cannot` cannot be tried."""
    tried = []

    def shown_in(sightings, version, legs, device):
        tried.append(version)
        place = _RELEASES.index(version)
        shown = {path: place >= _RELEASES.index(first) for path, first in sightings.items()}
        return dict.fromkeys(sightings) if version in cannot else shown

    monkeypatch.setattr(since, "releases_of", lambda package: [*_RELEASES, "3.11.0"])
    found = {Path(name): _Finding(first) for name, first in first_by_finding.items()}
    find_since(found, "3.10.0", ["jax"], "cpu", lambda text: None, shown_in)
    return {path.name: (finding.since, finding.not_in) for path, finding in found.items()}, tried


@pytest.mark.parametrize(
    ("first", "noted"),
    [
        ("3.4.1", ("3.4.1", None)), ("3.5.0", ("3.5.0", "3.4.1")), ("3.8.0", ("3.8.0", "3.7.0")), ("3.9.2", ("3.9.2", "3.8.0")),
        ("3.10.0", ("3.10.0", "3.9.2")),
    ],
)  # fmt: skip
def test_a_finding_shows_since_the_first_release_that_has_it(monkeypatch, first, noted):
    dated, tried = _dated(monkeypatch, {"a": first})
    assert dated == {"a": noted}
    assert len(tried) <= 3
    assert not {"3.3.3", "3.10.0", "3.11.0"} & {*tried}  # too old, installed, newer than the installed one


def test_a_release_is_tried_once_for_all_findings(monkeypatch):
    dated, tried = _dated(monkeypatch, {"a": "3.5.0", "b": "3.9.2", "c": "3.5.0"})
    assert dated == {"a": ("3.5.0", "3.4.1"), "b": ("3.9.2", "3.8.0"), "c": ("3.5.0", "3.4.1")}
    assert len(tried) == len({*tried})


def test_of_releases_that_cannot_be_tried_nothing_is_said(monkeypatch):
    old = _RELEASES[:5]
    assert _dated(monkeypatch, {"a": "3.4.1"}, cannot=old)[0] == {"a": ("3.8.0", None)}
    assert _dated(monkeypatch, {"a": "3.9.2"}, cannot=old)[0] == {"a": ("3.9.2", "3.8.0")}


def test_a_leg_with_a_release_of_its_own_is_refused():
    check_legs(["jax", "torch/numpy-2.3.5"])
    with pytest.raises(UsageError, match=r"torch/keras-3\.14\.1 has a version of Keras"):
        check_legs(["jax", "torch/keras-3.14.1"])
