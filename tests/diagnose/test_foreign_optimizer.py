"""An optimizer that is one backend's own, on another."""

from __future__ import annotations

import make

from backendcheck.diagnose import diagnose
from backendcheck.recordings.recording import Raised, Recording
from backendcheck.verdicts.verdict import judge

TORCH_SGD = "keras.src.backend.torch.optimizers.torch_sgd.SGD"


def recordings(optimizer: str = TORCH_SGD, stage: str = "train", message: str = "expected Tensor") -> dict[str, Recording]:
    error = Raised(stage=stage, type="TypeError", type_names=("TypeError", "Exception"), message=message)
    return {
        backend: make.recording("a/1", backend, loss=1.0, optimizer=optimizer, raised=None if backend == "torch" else error)
        for backend in make.BACKENDS
    }


def codes(made: dict[str, Recording]) -> list[str]:
    return [one.code for one in diagnose(judge(made, list(made)).findings, made)]


def test_the_backend_that_cannot_use_it_gets_the_owner_and_a_remedy() -> None:
    made = recordings()
    found = diagnose(judge(made, list(made)).findings, made)[0]
    assert (found.code, found.backends) == ("foreign-optimizer", ("tensorflow", "jax"))
    assert found.headline == (
        "FOREIGN OPTIMIZER: tensorflow and jax cannot train with the optimizer of the model, which is torch's own SGD"
    )
    assert "model.compile(optimizer='sgd', …)" in found.message
    assert found.evidence["optimizer"] == TORCH_SGD


def test_a_leg_that_could_not_load_it_says_so_in_its_message() -> None:
    message = "Could not deserialize class 'SGD': module keras.src.backend.torch.optimizers.torch_sgd cannot be imported."
    made = recordings("", "case", message)
    found = diagnose(judge(made, list(made)).findings, made)[0]
    assert found.code == "foreign-optimizer"
    assert "torch's own sgd" in found.headline


def test_nothing_of_the_kind_is_said_of_an_optimizer_of_every_backend() -> None:
    assert "foreign-optimizer" not in codes(recordings("keras.src.optimizers.sgd.SGD"))


def test_nothing_of_the_kind_is_said_of_a_leg_that_raised_before_it_trained() -> None:
    assert "foreign-optimizer" not in codes(recordings(stage="forward"))


def test_without_an_exception_there_is_no_diagnosis() -> None:
    losses = enumerate(make.BACKENDS)
    made = {backend: make.recording("a/1", backend, loss=float(n), optimizer=TORCH_SGD) for n, backend in losses}
    assert "foreign-optimizer" not in codes(made)
