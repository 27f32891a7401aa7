"""Rows of a gradient that an optimizer takes one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from diagnosis_examples import EXAMPLES
from make import observation, recording

from backendcheck.diagnose import Diagnosis, diagnose
from backendcheck.recordings.recording import Recording, Variant
from backendcheck.verdicts.verdict import judge
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import DENSE_GRADIENTS

NAME = "train/weight/user/embeddings"


def recordings(*backends: str) -> dict[str, Recording]:
    case, legs = EXAMPLES["sparse-gradient"]
    return {backend: recording(case, backend, **legs[backend]) for backend in backends or legs}


def diagnosed(made: dict[str, Recording]) -> list[Diagnosis]:
    return diagnose(judge(made, list(made)).findings, made)


def codes(made: dict[str, Recording]) -> list[str]:
    return [one.code for one in diagnosed(made)]


def test_a_backend_that_trains_as_the_others_once_rows_are_added_up_is_diagnosed() -> None:
    (found,) = diagnosed(recordings())
    assert (found.code, found.backends) == ("sparse-gradient", ("tensorflow",))
    assert found.headline == (
        "SPARSE GRADIENT: tensorflow takes the gradient of user/embeddings row by row; "
        "added up first, it trains as jax and torch do"
    )
    assert found.evidence["optimizer"] == "Adagrad"
    assert "tf.convert_to_tensor(gradient)" in found.remedy


def test_of_several_weights_that_differ_none_is_said_to_have_the_rows() -> None:
    other = "train/weight/dense/bias"

    def with_another(observations):
        return {**observations, other: observations[NAME]} if NAME in observations else observations

    made = {
        backend: replace(
            recording, observations=with_another(recording.observations), reference={},
            variants=tuple(replace(variant, observations=with_another(variant.observations)) for variant in recording.variants),
        )
        for backend, recording in recordings().items()
    }  # fmt: skip
    assert diagnosed(made)[0].headline == (
        "SPARSE GRADIENT: tensorflow takes a gradient row by row, which changes dense/bias and user/embeddings; "
        "added up first, it trains as jax and torch do"
    )


def test_one_other_backend_will_do_and_none_will() -> None:
    assert diagnosed(recordings("tensorflow", "jax"))[0].headline.endswith("added up first, it trains as jax")
    assert diagnosed(recordings("tensorflow"))[0].headline.endswith("added up first, it trains otherwise")


def test_nothing_of_the_kind_is_said_where_the_others_train_to_something_else_still() -> None:
    made = recordings()
    seen = made["torch"].observations[NAME]
    made["torch"] = replace(made["torch"], observations={NAME: observation(seen.value + np.float32(0.01))})
    assert "sparse-gradient" not in codes(made)


def test_nothing_of_the_kind_is_said_where_dense_gradients_change_nothing() -> None:
    made = recordings()
    own = made["tensorflow"].observations[NAME]
    variant = Variant(oracle=Oracle.PATHS, path=DENSE_GRADIENTS, observations={NAME: own})
    made["tensorflow"] = replace(made["tensorflow"], variants=(variant,))
    assert codes(made) == ["unexplained"]


def test_where_only_the_state_of_the_optimizer_differs_it_is_diagnosed_too() -> None:
    state = "train/optimizer/user/embeddings/accumulator"

    def renamed(observations):
        return {state: observations[NAME]} if NAME in observations else {}

    legs = {
        backend: replace(
            recording, observations=renamed(recording.observations), reference={},
            variants=tuple(replace(variant, observations=renamed(variant.observations)) for variant in recording.variants),
        )
        for backend, recording in recordings().items()
    }  # fmt: skip
    (diagnosis,) = diagnosed(legs)
    assert diagnosis.headline == (
        "SPARSE GRADIENT: tensorflow takes the gradient of user/embeddings row by row; "
        "added up first, it trains as jax and torch do"
    )


def test_another_path_proves_nothing_about_gradients() -> None:
    made = recordings()
    (variant,) = made["tensorflow"].variants
    made["tensorflow"] = replace(made["tensorflow"], variants=(replace(variant, path="fit"),))
    assert "sparse-gradient" not in codes(made)
