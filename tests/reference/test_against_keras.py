"""The table of disagreements between the reference and Keras covers every loss, and speaks of cases that exist."""

from __future__ import annotations

from reference_cases import CASES, DISAGREEMENTS, ordinary

from backendcheck.reference import covered


def test_cases_cover_every_loss() -> None:
    assert {case.spec.name for case in ordinary()} == set(covered())


def test_disagreements_are_about_cases() -> None:
    assert DISAGREEMENTS.keys() <= CASES.keys()
