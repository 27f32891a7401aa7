"""Where TensorFlow keeps what it compiles. No backend is started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backendcheck.record.kept_programs import keep_programs
from backendcheck.vocabulary.backends import Backend


@pytest.fixture(autouse=True)
def tensorflow_leg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backend, "version", lambda _: "2.21.0")
    variables = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1", "XDG_CACHE_HOME": str(tmp_path)}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def folder(monkeypatch: pytest.MonkeyPatch, flags: str = "") -> str:
    monkeypatch.setenv("TF_XLA_FLAGS", flags)
    keep_programs()
    return os.environ["TF_XLA_FLAGS"]


def test_programs_under_other_flags_of_a_file_are_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file := tmp_path / "flags").write_text("--xla_cpu_enable_fast_math=false")
    without = folder(monkeypatch)
    monkeypatch.setenv("XLA_FLAGS", str(file))
    before = folder(monkeypatch)
    assert folder(monkeypatch) == before
    file.write_text("--xla_cpu_enable_fast_math=true")
    assert len({without, before, folder(monkeypatch)}) == 3


def test_a_file_of_flags_for_tensorflow_stays_a_file_of_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder(monkeypatch, "--tf_xla_auto_jit=2").startswith("--tf_xla_auto_jit=2 --tf_xla_persistent_cache_directory=")
    assert folder(monkeypatch, "/etc/flags") == "/etc/flags"
