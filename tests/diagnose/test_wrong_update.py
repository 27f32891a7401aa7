"""An update that does not follow the documented rule of its optimizer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from diagnosis_examples import EXAMPLES
from make import observation, recording

from backendcheck.diagnose import Diagnosis, diagnose
from backendcheck.recordings.recording import Recording, Variant
from backendcheck.verdicts.verdict import judge
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import OPTIMIZER_BY_HAND

NAME = "train/weight/dense/kernel"


def recordings() -> dict[str, Recording]:
    case, legs = EXAMPLES["wrong-update"]
    return {leg: recording(case, leg, **fields) for leg, fields in legs.items()}


def diagnosed(recorded: dict[str, Recording]) -> list[Diagnosis]:
    return diagnose(judge(recorded, list(recorded)).findings, recorded)


def test_an_update_that_is_wrong_everywhere_is_found_and_named() -> None:
    (diagnosis,) = diagnosed(recordings())
    assert (diagnosis.code, diagnosis.backends) == ("wrong-update", ("tensorflow", "jax", "torch"))
    assert diagnosis.headline == (
        f"WRONG UPDATE: the update on tensorflow, jax and torch does not follow the documented rule of Ftrl: {NAME}"
    )
    assert "gives the same as fit" in diagnosis.message


def test_it_is_not_the_update_if_fit_differs_from_the_optimizer_by_hand() -> None:
    recorded = recordings()
    right = recorded["jax"].reference_values[NAME].value.astype(np.float32)
    by_hand = Variant(oracle=Oracle.PATHS, path=OPTIMIZER_BY_HAND, observations={NAME: observation(right)})
    recorded = {leg: replace(one, variants=(by_hand,)) for leg, one in recorded.items()}
    assert "wrong-update" not in [diagnosis.code for diagnosis in diagnosed(recorded)]


def test_nothing_is_said_without_the_optimizer_by_hand() -> None:
    recorded = {leg: replace(one, variants=()) for leg, one in recordings().items()}
    findings = judge(recorded, list(recorded)).findings
    assert {finding.oracle for finding in findings} == {Oracle.REFERENCE}
    assert "wrong-update" not in [diagnosis.code for diagnosis in diagnose(findings, recorded)]


def test_nothing_is_said_where_the_update_follows_the_rule() -> None:
    recorded = recordings()
    for leg, one in recorded.items():
        right = one.reference_values[NAME].value.astype(np.float32)
        recorded[leg] = replace(one, observations={NAME: observation(right)}, variants=())
    assert not judge(recorded, list(recorded)).findings
