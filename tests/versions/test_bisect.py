"""Halving over versions, with outcomes in place of recordings."""

from __future__ import annotations

import io
import json
import math
import subprocess
from pathlib import Path

import make
import pytest

from backendcheck.errors import UsageError
from backendcheck.results.results import analyze
from backendcheck.sessions import leg_packages
from backendcheck.versions import releases
from backendcheck.versions.bisect import Bisection, Outcome, bisect, outcome_of

VERSIONS = [f"3.{minor}.0" for minor in range(4, 16)]
BROKEN = Outcome(problem="it does not start")


def outcome(version: str, jax: float, torch: float = 0.5) -> Outcome:
    labels = {f"jax/keras-{version}": jax, f"torch/keras-{version}": torch}
    legs = [make.leg(label, make.recording("a/b", label, loss=loss)) for label, loss in labels.items()]
    results = analyze(legs, expected=[*labels])
    return outcome_of(results.result("a/b"), list(map(str, results.problems)))


def searched(first: int, *, broken: tuple[int, ...] = (), fixed: bool = False) -> tuple[Bisection, list[str]]:
    """A search where jax deviates from version number `first` on, or until then if it is `fixed`; and the versions judged."""
    judged = []

    def judge(version: str) -> Outcome:
        judged.append(version)
        place = VERSIONS.index(version)
        return BROKEN if place in broken else outcome(version, 0.7 if (place >= first) is not fixed else 0.5)

    return bisect(VERSIONS, judge), judged


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("first", range(1, len(VERSIONS)))
def test_the_first_version_is_found_in_few_steps(first: int, fixed: bool) -> None:
    found, judged = searched(first, fixed=fixed)
    assert (found.first, found.last, found.appears) == (VERSIONS[first], VERSIONS[first - 1], not fixed)
    assert found.target == ("agreement", "jax", "torch", "loss", "value")
    assert len(judged) == len(set(judged)) <= 2 + math.ceil(math.log2(len(VERSIONS) - 1))


def test_versions_that_cannot_be_judged_are_skipped() -> None:
    found, _ = searched(6, broken=(5, 6))
    assert (found.last, found.first) == (VERSIONS[4], VERSIONS[7])
    assert found.undecided(VERSIONS) == VERSIONS[5:7]
    assert found.skipped[VERSIONS[5]] == "it does not start"
    with pytest.raises(UsageError, match=r"3\.4\.0: the case cannot be judged in this version \(it does not start\)"):
        searched(6, broken=(0,))


def test_ends_that_do_not_differ_are_refused() -> None:
    with pytest.raises(UsageError, match=r"3\.4\.0 and 3\.15\.0: the case has the same findings in both \(no finding\)"):
        bisect(VERSIONS, lambda version: outcome(version, 0.5))
    with pytest.raises(UsageError, match=r"the same findings in both \(.*loss is 0\.7 on jax/keras-3\.4\.0"):
        bisect(VERSIONS, lambda version: outcome(version, 0.7))


def test_the_outcome_of_one_backend_and_of_a_crash() -> None:
    leg = make.leg("jax", make.recording("a/b", "jax", loss=0.5))
    results = analyze([leg], expected=["jax"])
    assert outcome_of(results.result("a/b"), list(map(str, results.problems))).problem == ""
    crashed = make.leg("jax", make.recording("a/b", "jax", status="crashed", problem="exit code 139"))
    assert outcome_of(analyze([crashed], expected=["jax"]).result("a/b"), []).problem == "jax crashed: exit code 139"
    assert outcome_of(None, []).problem == "the case was not recorded"


def test_releases_as_pip_lists_them(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        subprocess.CompletedProcess([], 0, "keras (3.15.1)\nAvailable versions: 3.15.1, 3.9.2, 3.10.0\n", ""),
        subprocess.CompletedProcess([], 1, "", "ERROR: No matching distribution found for keras\n"),
    ]
    monkeypatch.setattr(releases.subprocess, "run", lambda *_, **__: answers.pop(0))
    assert releases.releases_of("keras") == ["3.9.2", "3.10.0", "3.15.1"]
    with pytest.raises(UsageError, match=r"cannot be listed \(No matching distribution found for keras\)\. Pass --versions"):
        releases.releases_of("keras")
    with pytest.raises(UsageError, match="--versions: Invalid version: 'newest'"):
        releases.in_order(["newest"], "--versions")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Answers of the package index."""
    answers: list[bytes] = []
    monkeypatch.setattr(releases.urllib.request, "urlopen", lambda *_, **__: io.BytesIO(answers[0]))
    return answers


def test_the_page_of_a_release_is_that_in_its_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: list[bytes]
) -> None:
    monkeypatch.setattr(leg_packages, "_kept", lambda: tmp_path)
    index.append(b"<html>")  # an index that does not have the dates
    for version, lines in {
        "3.1.0": "Project-URL: Repository, https://github.com/x/keras\nProject-URL: Release Notes, https://x/notes",
        "3.2.0": "Project-URL: Repository, https://github.com/x/keras",
        "3.3.0": "Home-page: https://github.com/x/keras.git/",
        "3.4.0": "Project-URL: Issues, https://github.com/x/keras/issues",
    }.items():
        metadata = tmp_path / f"keras-{version}" / f"keras-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: keras\nVersion: {version}\n{lines}\n")
    origins = [releases.origin_of_release("keras", f"3.{minor}.0") for minor in range(1, 6)]
    tag = "https://github.com/x/keras/releases/tag/v3"
    assert [origin.link for origin in origins] == ["https://x/notes", f"{tag}.2.0", f"{tag}.3.0", "", ""]
    assert not any(origin.date or origin.subject for origin in origins)


def test_the_date_of_a_release_is_that_of_its_first_file(index: list[bytes]) -> None:
    files = [
        {"filename": "keras-3.1.0.tar.gz", "upload-time": "2026-01-03T01:42:16.386988Z"},
        {"filename": "keras-3.1.0-py3-none-any.whl", "upload-time": "2026-01-02T01:42:16.386988Z"},
        {"filename": "keras-3.2.0-py3-none-any.whl"},
        {"filename": "keras-3.3.0.exe", "upload-time": "2026-01-02T01:42:16.386988Z"},
    ]
    index.append(json.dumps({"files": files}).encode())
    dates = [releases.origin_of_release("keras", f"3.{minor}.0").date for minor in range(1, 4)]
    assert dates == ["2026-01-02", "", ""]
