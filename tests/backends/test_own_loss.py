"""Models with a loss of their own, compiled without one: their loss is the loss. Labels that nothing takes are refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from front_door import Session, project, record

from backendcheck.compare.backends import compare_backends
from backendcheck.compare.findings import findings_of
from backendcheck.compare.variants import compare_variants
from backendcheck.recordings.recording import Recording
from backendcheck.vocabulary.states import Status

CASES = '''
"""Losses of one's own."""
import keras
from keras import layers, ops
from backendcheck import ModelCase


class OwnLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.square(ops.subtract(y, y_pred)))


class OwnStep(keras.Model):
    """Its step has the loss, and neither compile nor compute_loss knows it."""

    def figures(self, loss):
        return {"loss": loss, "root": ops.sqrt(loss)}

    def train_step(self, *args):
        return (self.of_jax if keras.backend.backend() == "jax" else self.of_torch)(*args)

    def of_torch(self, data):
        import torch

        x, y = data[:2]
        self.zero_grad()
        loss = ops.mean(ops.square(ops.subtract(self(x, training=True), y)))
        loss.backward()
        with torch.no_grad():
            self.optimizer.apply([weight.value.grad for weight in self.trainable_weights], self.trainable_weights)
        return self.figures(loss.detach())

    def of_jax(self, state, data):
        import jax

        trained, others, of_optimizer, of_metrics = state
        x, y = data[:2]

        def total(trained):
            return ops.mean(ops.square(self.stateless_call(trained, others, x, training=True)[0] - y))

        loss, gradients = jax.value_and_grad(total)(trained)
        trained, of_optimizer = self.optimizer.stateless_apply(of_optimizer, gradients, trained)
        return self.figures(loss), (trained, others, of_optimizer, of_metrics)


def model(cls, *, compiled=True):
    x = keras.Input((4,))
    built = cls(x, layers.Dense(2)(layers.Dense(5, "tanh")(x)))
    if compiled:
        built.compile(optimizer=keras.optimizers.SGD(0.05))
    return built


def data(rng):
    return rng.normal(size=(6, 4)), rng.normal(size=(6, 2))


def case_compute_loss_as_compiled(rng):
    """Compiled without a loss."""
    return ModelCase(model(OwnLoss), "as compiled", *data(rng))


def case_compute_loss_not_compiled(rng):
    """Not compiled at all."""
    return ModelCase(model(OwnLoss, compiled=False), "as compiled", *data(rng))


def case_train_step_as_compiled(rng):
    """Compiled without a loss."""
    return ModelCase(model(OwnStep), "as compiled", *data(rng))


def case_train_step_in_batches(rng):
    """Two epochs of two batches."""
    return ModelCase(model(OwnStep), None, *data(rng), batch_size=4, epochs=2)


def case_no_loss(rng):
    """Labels that nothing takes."""
    return ModelCase(model(keras.Model), None, *data(rng))


def case_no_loss_as_compiled(rng):
    """The same, compiled without a loss."""
    return ModelCase(model(keras.Model), "as compiled", *data(rng))


def case_not_compiled(rng):
    """The loss is to be as compiled, and nothing is."""
    return ModelCase(model(keras.Model, compiled=False), "as compiled", *data(rng))
'''
FINE = ["compute_loss_as_compiled", "compute_loss_not_compiled", "train_step_as_compiled", "train_step_in_batches"]
OF_FIT = {"train/loss", "train/metric/root", "train/weight/dense/kernel", "train/weight/dense_1/bias"}


@pytest.fixture(scope="module")
def legs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Session]:
    folder = project(tmp_path_factory.mktemp("own"), {"own.py": CASES})
    return {backend: record(folder, "own.py", backend=backend) for backend in ("jax", "torch")}


def of_case(legs: Mapping[str, Session], case: str) -> dict[str, Recording]:
    return {backend: session.recordings[f"own/{case}"] for backend, session in legs.items()}


@pytest.mark.parametrize("case", FINE)
def test_a_loss_of_its_own_is_the_loss_and_gives_no_false_alarm(legs: Mapping[str, Session], case: str) -> None:
    recordings = of_case(legs, case)
    for recording in recordings.values():
        assert recording.status is Status.RECORDED, (recording.problem, recording.raised)
        assert {"predictions", "train/loss"} <= recording.observations.keys()
        assert [variant.path for variant in recording.variants if variant.raised] == []
    assert not findings_of([*compare_backends(recordings), *compare_variants(recordings)])


def test_a_compute_loss_has_losses_and_gradients_before_training(legs: Mapping[str, Session]) -> None:
    for case in FINE[:2]:
        for recording in of_case(legs, case).values():
            assert {"loss", "gradient/y_pred", "gradient/dense/kernel"} <= recording.observations.keys()


def test_a_train_step_is_observed_by_what_fit_reports_and_on_its_own_paths(legs: Mapping[str, Session]) -> None:
    for case in FINE[2:]:
        for recording in of_case(legs, case).values():
            assert recording.observations.keys() >= OF_FIT
            assert not {"loss", "metric/loss", "train/metric/val_loss"} & recording.observations.keys()
            assert any("only the train_step of the model has a loss" in note for note in recording.notes)
            assert any("evaluate is not compared" in note for note in recording.notes)
    for recording in of_case(legs, "train_step_as_compiled").values():
        paths = {variant.path: variant.observations for variant in recording.variants}
        assert paths["train_on_batch"].keys() >= OF_FIT
        assert "predictions" in paths["examples permuted"]


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("no_loss", "there are labels (y), but Functional has no loss; expected a declared loss"),
        ("no_loss_as_compiled", "there are labels (y), but Functional has no loss; expected a declared loss"),
        ("not_compiled", "'as compiled', but the model is not compiled"),
    ],
)
def test_labels_without_any_loss_are_the_mistake_of_the_author(legs: Mapping[str, Session], case: str, problem: str) -> None:
    for recording in of_case(legs, case).values():
        assert recording.status is Status.ERROR
        assert problem in recording.problem
