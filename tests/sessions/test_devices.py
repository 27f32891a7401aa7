"""What a device of a leg sets in the environment of its processes."""

from __future__ import annotations

import pytest

from backendcheck.errors import UsageError
from backendcheck.sessions.child_processes import session_variables
from backendcheck.vocabulary.leg_names import parse_leg

NAMES = (
    "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS", "KERAS_TORCH_DEVICE", "TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_PREALLOCATE",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def variables(leg: str, device: str = "cpu") -> dict[str, str]:
    return {name: value for name, value in session_variables(parse_leg(leg), device, 1).items() if name in NAMES}


def test_a_cpu_hides_accelerators_from_every_backend() -> None:
    hidden = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "KERAS_TORCH_DEVICE": "cpu"}
    assert variables("torch") == variables("jax@cpu", "gpu") == hidden


def test_two_legs_may_share_the_memory_of_a_gpu() -> None:
    shared = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    assert variables("jax@tpu") == variables("jax", "auto") == shared
    assert variables("torch@gpu") == variables("torch", "gpu") == {**shared, "KERAS_TORCH_DEVICE": "cuda"}
    assert variables("torch@mps") == {**shared, "KERAS_TORCH_DEVICE": "mps"}


def test_what_the_caller_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")
    monkeypatch.setenv("KERAS_TORCH_DEVICE", "xpu")
    found = variables("torch@gpu")
    assert (found["XLA_PYTHON_CLIENT_PREALLOCATE"], found["KERAS_TORCH_DEVICE"]) == ("true", "xpu")


def test_a_numbered_gpu_is_counted_among_those_that_are_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    assert variables("jax@gpu1")["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert variables("jax@gpu1")["CUDA_VISIBLE_DEVICES"] == "6"
    with pytest.raises(UsageError, match=r"device gpu2: CUDA_VISIBLE_DEVICES=4,6 shows 2 of them; expected a number below 2"):
        variables("jax@gpu2")
