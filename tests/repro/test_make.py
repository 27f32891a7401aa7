"""What a script cannot be made of."""

from __future__ import annotations

from pathlib import Path

import make
import pytest

from backendcheck.errors import UsageError
from backendcheck.repro.make import make_repro
from backendcheck.vocabulary.leg_names import backend_in


@pytest.mark.parametrize("leg", ["jax+eager", "jax/keras-3.14.1"])
def test_a_leg_with_a_mode_or_a_version_is_refused_with_what_to_do(leg: str, tmp_path: Path) -> None:
    recordings = [make.recording("a/b", name, loss=loss) for name, loss in ((leg, 1.0), ("torch", 2.0))]
    legs = [make.leg(recording.backend, recording) for recording in recordings]
    (result,) = make.analyze(legs, today=make.TODAY).cases
    with pytest.raises(UsageError) as refused:
        make_repro(result, nodeid="a.py::case_b", out=tmp_path / "a.py", seconds=0, device="cpu", overrides=(), say=print)
    words = str(refused.value)
    assert words.startswith(f"a/b: was recorded on the leg {leg}; expected backends alone")
    assert f"Record the case on {backend_in(leg)}," in words
