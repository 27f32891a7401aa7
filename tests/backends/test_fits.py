"""Validation data and several calls of `fit` in a ModelCase, compared with the same written by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from front_door import Session, project, record

from backendcheck.compare.backends import compare_backends
from backendcheck.compare.findings import findings_of
from backendcheck.compare.variants import compare_variants
from backendcheck.recordings.recording import Recording

CASES = '''
"""Training as it is written."""
import keras
import numpy as np
from keras import layers
from backendcheck import Fit, ModelCase, ValueCase

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(8, 4)), RNG.integers(0, 3, 8)
MORE, LABELS, WEIGHTS = RNG.normal(size=(5, 4)), RNG.integers(0, 3, 5), RNG.uniform(0.1, 3.0, 5)
KERNELS = RNG.normal(size=(4, 5)), RNG.normal(size=(5, 3))
LOSS = "sparse_categorical_crossentropy"


def model():
    built = keras.Sequential([
        keras.Input((4,)), layers.Dense(5, "tanh", name="first"), layers.Dense(3, "softmax", name="head"),
    ])
    for name, kernel in zip(("first", "head"), KERNELS):
        built.get_layer(name).kernel.assign(kernel)
    return built


def case_weighted_validation():
    """Weights of validation count in val_loss."""
    return ModelCase(
        model(), LOSS, X, Y, validation=(MORE, LABELS, WEIGHTS), epochs=2, batch_size=3, weights="as built",
        weighted_metrics=["accuracy"],
    )


def case_weighted_validation_by_hand():
    """The same, written by hand."""
    def compute():
        built = model()
        built.compile(keras.optimizers.SGD(0.1), LOSS, weighted_metrics=["accuracy"])
        return built.fit(X, Y, validation_data=(MORE, LABELS, WEIGHTS), epochs=2, batch_size=3, shuffle=False, verbose=0).history

    return ValueCase(compute)


FITS = [Fit(epochs=2), Fit(trainable={"first": False}, compile=True, batch_size=4), Fit(class_weight={0: 2.0, 1: 1.0, 2: 0.5})]


def case_freezing():
    """A layer is frozen after two epochs, and class weights come last."""
    return ModelCase(model(), LOSS, X, Y, fits=FITS, optimizer="adam", weights="as built", metrics=["accuracy"])


def case_freezing_by_hand():
    """The same, written by hand."""
    def compute():
        built = model()
        built.compile("adam", LOSS, metrics=["accuracy"])
        losses = built.fit(X, Y, epochs=2, batch_size=8, shuffle=False, verbose=0).history["loss"]
        built.get_layer("first").trainable = False
        built.compile("adam", LOSS, metrics=["accuracy"])
        losses += built.fit(X, Y, batch_size=4, shuffle=False, verbose=0).history["loss"]
        weights = {0: 2.0, 1: 1.0, 2: 0.5}
        losses += built.fit(X, Y, batch_size=8, class_weight=weights, shuffle=False, verbose=0).history["loss"]
        return {"loss": losses, "first": built.get_layer("first").kernel, "head": built.get_layer("head").kernel}

    return ValueCase(compute)


def case_no_such_layer():
    """The author's mistake."""
    return ModelCase(model(), LOSS, X, Y, fits=[Fit(trainable={"last": False})])


def case_validation_of_another_length():
    """The author's mistake."""
    return ModelCase(model(), LOSS, X, Y, validation=(MORE, LABELS[:-1]))
'''


@pytest.fixture(scope="module")
def legs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Session]:
    folder = project(tmp_path_factory.mktemp("fits"), {"training.py": CASES})
    return {backend: record(folder, "training.py", backend=backend) for backend in ("jax", "torch")}


def of_case(legs: Mapping[str, Session], case: str) -> dict[str, Recording]:
    return {backend: session.recordings[f"training/{case}"] for backend, session in legs.items()}


@pytest.mark.parametrize("case", ["weighted_validation", "freezing"])
def test_no_false_alarm(legs: Mapping[str, Session], case: str) -> None:
    recordings = of_case(legs, case)
    for recording in recordings.values():
        assert not recording.raised, recording.raised
        assert [(variant.path, variant.raised) for variant in recording.variants if variant.raised] == []
    comparisons = compare_backends(recordings)
    assert not findings_of([*comparisons, *compare_variants(recordings)])
    if case == "weighted_validation":
        compared = {comparison.observation for comparison in comparisons}
        assert {"train/metric/val_loss", "train/metric/val_accuracy"} <= compared


def test_validation_is_recorded_for_each_epoch_as_by_hand(legs: Mapping[str, Session]) -> None:
    by_hand = of_case(legs, "weighted_validation_by_hand")
    for backend, recording in of_case(legs, "weighted_validation").items():
        for name in ("loss", "val_loss", "val_accuracy"):
            observation = "train/loss" if name == "loss" else f"train/metric/{name}"
            expected = by_hand[backend].observations[f"value/{name}"].value
            assert expected.shape == (2,)
            np.testing.assert_allclose(recording.observations[observation].value, expected, rtol=1e-6)
        paths = {variant.path: variant.observations for variant in recording.variants}
        assert "train/metric/val_loss" in paths["evaluate after training"]
        assert {"validation/x", "validation/y", "validation/sample_weight"} <= recording.digests.keys()


def test_several_calls_of_fit_have_one_history_and_train_as_by_hand(legs: Mapping[str, Session]) -> None:
    by_hand = of_case(legs, "freezing_by_hand")
    for backend, recording in of_case(legs, "freezing").items():
        kernels = {f"train/weight/sequential/{name}/kernel": name for name in ("first", "head")}
        for observation, name in {"train/loss": "loss", **kernels}.items():
            expected = by_hand[backend].observations[f"value/{name}"].value
            np.testing.assert_allclose(recording.observations[observation].value, expected, rtol=1e-5, atol=1e-7)
        assert recording.observations["train/loss"].value.shape == (4,)


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("no_such_layer", "fits has trainable={'last': False}; expected one of 'first', 'head'"),
        ("validation_of_another_length", "validation/y has 4 examples, validation/x has 5"),
    ],
)
def test_mistakes_of_the_author_are_named(legs: Mapping[str, Session], case: str, problem: str) -> None:
    for recording in of_case(legs, case).values():
        assert recording.status == "error"
        assert problem in recording.problem
