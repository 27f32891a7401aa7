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
from backendcheck.vocabulary.observations import DENSE_GRADIENTS, OPTIMIZER_BY_HAND, ReferenceValue

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
    assert "misses the rule as fit does" in diagnosis.message


def test_it_is_not_the_update_if_fit_differs_from_the_optimizer_by_hand() -> None:
    recorded = recordings()
    right = recorded["jax"].reference_values[NAME].value.astype(np.float32)
    by_hand = Variant(oracle=Oracle.PATHS, path=OPTIMIZER_BY_HAND, observations={NAME: observation(right)})
    recorded = {leg: replace(one, variants=(by_hand,)) for leg, one in recorded.items()}
    assert "wrong-update" not in [diagnosis.code for diagnosis in diagnosed(recorded)]


def small_steps() -> dict[str, Recording]:
    """TensorFlow's accumulator misses the reference by less than what two paths may differ by. By hand it meets it."""
    name = "train/optimizer/table/embeddings/accumulator"
    right, missed = np.array([0.1000042], np.float32), np.array([0.1000021], np.float32)
    made = {}
    for leg, value in {"tensorflow": missed, "jax": right, "torch": right}.items():
        variants = [
            Variant(oracle=Oracle.PATHS, path=path, observations={name: observation(right)})
            for path in (OPTIMIZER_BY_HAND, *([DENSE_GRADIENTS] if leg == "tensorflow" else []))
        ]
        one = recordings()[leg]
        made[leg] = replace(
            one, observations={name: observation(value)}, variants=tuple(variants), optimizer="keras.optimizers.Adagrad",
            reference_values={name: ReferenceValue(value=right.astype(np.float64), allowed=np.asarray(5e-8))},
        )
    return made


def test_an_optimizer_that_follows_its_rule_by_hand_is_not_blamed_for_rows_of_a_gradient() -> None:
    (diagnosis,) = diagnosed(small_steps())
    assert diagnosis.headline == (
        "SPARSE GRADIENT: tensorflow takes the gradient of table/embeddings row by row; "
        "added up first, it follows the documented rule of Adagrad"
    )


def test_rows_of_a_gradient_are_not_blamed_where_dense_gradients_miss_the_reference_too() -> None:
    recorded = small_steps()
    (name,) = recorded["tensorflow"].observations
    own = recorded["tensorflow"].observations[name]
    dense = Variant(oracle=Oracle.PATHS, path=DENSE_GRADIENTS, observations={name: own})
    recorded["tensorflow"] = replace(recorded["tensorflow"], variants=(dense,))
    assert "sparse-gradient" not in [diagnosis.code for diagnosis in diagnosed(recorded)]


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
