"""Known divergences on legs that entries name by patterns, or do not name."""

from __future__ import annotations

from pathlib import Path

import pytest
from make import recording

from backendcheck.errors import UsageError
from backendcheck.results.case_result import case_result
from backendcheck.verdicts.known_entries import load
from backendcheck.verdicts.verdict import Verdict

ENTRY = '[[divergence]]\ncase = "a/b"\nbackends = {backends}\nkind = "value"\nreason = "because"\n'


def verdict(folder: Path, backends: str, **losses: float) -> Verdict:
    path = folder / "known.toml"
    path.write_text(ENTRY.format(backends=backends), encoding="utf-8")
    legs = {leg.replace("_", "+"): recording("a/b", leg.replace("_", "+"), loss=loss) for leg, loss in losses.items()}
    return case_result("a/b", legs, list(legs), load(path), ()).verdict


@pytest.mark.parametrize(
    ("backends", "losses", "expected"),
    [
        ('"numpy*"', {"jax": 1.0, "numpy": 2.0}, Verdict.XFAILED),
        ('["jax", "numpy"]', {"tensorflow": 1.0, "jax": 2.0, "numpy": 2.0}, Verdict.XFAILED),
        ('"*+eager"', {"jax": 1.0, "jax_eager": 2.0}, Verdict.XFAILED),
        ('"jax"', {"torch": 1.0, "jax": 2.0, "jax_eager": 2.0}, Verdict.XFAILED),  # the name of a backend covers all of its legs
        ('"jax"', {"torch": 1.0, "jax": 2.0, "jax_eager": 1.0}, Verdict.XFAILED),  # without saying that they deviate
        ('"jax"', {"jax": 1.0, "numpy": 1.0}, Verdict.PASSED),  # it does not say on which side numpy is
        ('"jax"', {"jax": 1.0, "torch": 1.0, "numpy": 1.0}, Verdict.XPASSED),
        ('"jax"', {"torch": 1.0, "jax": 2.0, "numpy": 2.0}, Verdict.FAILED),  # numpy differs from torch, which no entry says
    ],
)
def test_an_entry_says_something_of_the_legs_that_it_names(
    tmp_path: Path, backends: str, losses: dict[str, float], expected: Verdict
) -> None:
    assert verdict(tmp_path, backends, **losses) is expected


def test_a_pattern_that_no_leg_can_match_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"names the backend opnvino\*; expected some of tensorflow, jax"):
        verdict(tmp_path, '"opnvino*"', jax=1.0)


@pytest.mark.parametrize(
    ("backends", "expected"), [('["tensorflow", "jax", "torch"]', Verdict.XFAILED), ('"jax"', Verdict.FAILED)]
)
def test_what_every_default_backend_does_another_one_may_do_as_well(tmp_path: Path, backends: str, expected: Verdict) -> None:
    path = tmp_path / "known.toml"
    path.write_text(ENTRY.format(backends=backends), encoding="utf-8")
    legs = {leg: recording("a/b", leg, loss=2.0, reference={"loss": 1.0}) for leg in ("jax", "numpy")}
    assert case_result("a/b", legs, list(legs), load(path), ()).verdict is expected


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ({"torch": 1.0, "jax": 2.0, "numpy": 2.0}, Verdict.XFAILED),
        ({"jax": 2.0, "numpy": 2.0}, Verdict.PASSED),  # both deviate, and nothing here shows it
        ({"torch": 1.0, "jax": 1.0, "numpy": 2.0}, Verdict.FAILED),  # JAX is said to differ
        ({"torch": 1.0, "jax": 2.0, "numpy": 1.0}, Verdict.FAILED),  # and so is NumPy
    ],
)
def test_two_entries_may_name_legs_that_deviate_alike(tmp_path: Path, losses: dict[str, float], expected: Verdict) -> None:
    path = tmp_path / "known.toml"
    path.write_text(ENTRY.format(backends='"jax"') + ENTRY.format(backends='"numpy"'), encoding="utf-8")
    legs = {leg: recording("a/b", leg, loss=loss) for leg, loss in losses.items()}
    assert case_result("a/b", legs, list(legs), load(path), ()).verdict is expected


def test_two_default_backends_deviate_alike_only_if_one_entry_says_so(tmp_path: Path) -> None:
    path = tmp_path / "known.toml"
    path.write_text(ENTRY.format(backends='"jax"') + ENTRY.format(backends='"torch"'), encoding="utf-8")
    legs = {leg: recording("a/b", leg, loss=loss) for leg, loss in (("tensorflow", 1.0), ("jax", 2.0), ("torch", 2.0))}
    assert case_result("a/b", legs, list(legs), load(path), ()).verdict is Verdict.FAILED
