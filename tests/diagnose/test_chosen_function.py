"""Different functions that Keras chose for one string."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosis_examples import EXAMPLES
from make import recording

from backendcheck.diagnose import Diagnosis, diagnose
from backendcheck.recordings.recording import Recording
from backendcheck.verdicts.verdict import judge


def diagnosed(recordings: dict[str, Recording]) -> list[Diagnosis]:
    return diagnose(judge(recordings, list(recordings)).findings, recordings)


def accuracies(**fields: str) -> dict[str, Recording]:
    """The example, with `fields` in the description of the metric on every leg."""
    case, legs = EXAMPLES["chosen-function"]
    described = {leg: kept | {"metrics": {"accuracy": kept["metrics"]["accuracy"] | fields}} for leg, kept in legs.items()}
    return {leg: recording(case, leg, **kept) for leg, kept in described.items()}


def test_a_metric_with_another_function_is_named() -> None:
    diagnosis = diagnosed(accuracies())[0]
    assert (diagnosis.code, diagnosis.backends) == ("chosen-function", ("jax",))
    assert diagnosis.evidence["chosen"] == "BinaryAccuracy"
    assert "Keras chose them for 'accuracy' by shapes" in diagnosis.message


def test_nothing_is_said_where_all_chose_the_same() -> None:
    assert "chosen-function" not in [diagnosis.code for diagnosis in diagnosed(accuracies(**{"class": "BinaryAccuracy"}))]


@pytest.mark.parametrize("declared", [True, False])
def test_a_loss_with_another_function_is_named_if_keras_had_the_choice(declared: bool) -> None:
    recordings = {}
    for leg, name, loss in (("jax", "binary_crossentropy", 0.25), ("torch", "categorical_crossentropy", 0.5)):
        description = {"name": name, "from_keras": True, "options": {}, "reduction": "sum_over_batch_size"}
        description |= {"declared": "ce"} if declared else {}
        recordings[leg] = recording("a/b", leg, losses={"": description}, observations={"loss": np.float32(loss)})
    assert ("chosen-function" in [diagnosis.code for diagnosis in diagnosed(recordings)]) is declared
