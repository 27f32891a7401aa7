"""Backends by name: those that may be named, their order, and what to install."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import make
import pytest

from backendcheck.errors import UsageError
from backendcheck.recordings.files import write_environment
from backendcheck.recordings.leg_directory import legs_below
from backendcheck.vocabulary import backends
from backendcheck.vocabulary.backends import BUILT_IN, Backend, backend_order, backends_by_name, parse_backend


def test_every_backend_of_keras_may_be_named() -> None:
    assert [parse_backend(name) for name in (" NumPy", "openvino")] == [Backend("numpy"), Backend("openvino")]
    assert {"tensorflow", "jax", "torch", "numpy", "openvino"} <= set(backends_by_name())


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("tensorfow", "backend 'tensorfow': not a backend; expected one of tensorflow, jax, torch, .*Did you mean tensorflow"),
        ("pytorch", "Keras calls PyTorch 'torch'"),
        ("theano", "expected one of tensorflow, jax, torch, numpy, openvino"),
    ],
)
def test_any_other_name_is_refused_with_a_close_one(name: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_backend(name)


def test_a_package_brings_a_backend_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint(name="mlx", value="mlx_on_keras:backend", group=backends.ENTRY_POINTS)
    monkeypatch.setattr(backends.importlib.metadata, "entry_points", lambda **_: [point])
    backends_by_name.cache_clear()
    try:
        assert parse_backend("mlx") == Backend("mlx")
        assert Backend("mlx").install_command == "pip install mlx"
    finally:
        backends_by_name.cache_clear()


def test_the_built_in_backends_come_first_in_their_order() -> None:
    names = [backend.value for backend in BUILT_IN]
    assert sorted(["zeta", "alpha", *reversed(names)], key=backend_order) == [*names, "alpha", "zeta"]


def test_a_folder_is_a_leg_if_it_has_the_name_of_a_backend_or_says_so_itself(tmp_path: Path) -> None:
    for name, backend in (("numpy", "numpy"), ("brought", "brought"), ("jax", "jax"), ("jax-old", "jax")):
        (tmp_path / name).mkdir()
        write_environment(tmp_path / name, make.environment(backend))
    (tmp_path / "cases").mkdir()
    assert [leg.name for leg in legs_below(tmp_path)] == ["jax", "numpy", "brought"]
    assert legs_below(tmp_path / "nowhere") == []
