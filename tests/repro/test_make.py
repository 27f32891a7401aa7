"""What a script cannot be made of."""

from __future__ import annotations

from pathlib import Path

import make
import pytest

from backendcheck.errors import UsageError
from backendcheck.repro.make import make_repro


def test_a_leg_with_a_mode_that_a_script_cannot_have_is_refused_with_what_to_do(tmp_path: Path) -> None:
    recordings = [make.recording("a/b", name, loss=loss) for name, loss in (("jax+replicas", 1.0), ("torch", 2.0))]
    legs = [make.leg(recording.backend, recording) for recording in recordings]
    (result,) = make.analyze(legs, today=make.TODAY).cases
    with pytest.raises(UsageError) as refused:
        make_repro(result, nodeid="a.py::case_b", out=tmp_path / "a.py", seconds=0, device="cpu", overrides=(), say=print)
    words = str(refused.value)
    assert words.startswith("a/b: was recorded on the leg jax+replicas; expected none with the mode replicas")
    assert "Record the case without it," in words
