"""Faults injected into live backends: recorded apart, removed again, detected and named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from front_door import backendcheck, project, record_request, session, variables

from backendcheck.recordings.legs import read_legs
from backendcheck.results.selftest import compare_again


def test_every_fault_has_an_injection() -> None:
    """The recording half is asked in a process of its own: it imports keras."""
    code = (
        "from backendcheck.vocabulary.faults import FAULTS, NO_FAULT; from backendcheck.record.faults import INJECTIONS; "
        "assert set(INJECTIONS) == {NO_FAULT, *(f.name for f in FAULTS)}, set(INJECTIONS) ^ {f.name for f in FAULTS}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables({"KERAS_BACKEND": "torch"}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


PROJECT = {
    "cases/data.py": """
        import numpy as np
        import pytest
        from keras import ops
        from backendcheck import LossCase

        @pytest.fixture(scope="module")
        def shared():
            return []

        def case_with_fixtures(rng, tmp_path, shared):
            \"\"\"Each recording has its own folder and begins with the same random numbers; the module is set up once.\"\"\"
            (tmp_path / "made").mkdir()
            shared.append(1)
            return {"drawn": rng.normal(size=3), "softmax": ops.softmax(np.array([[1.0, 2.0, 4.0]], dtype="float32"))}

        def case_shared(shared):
            \"\"\"The fixture of the module is the same object all along.\"\"\"
            return {"n": len(shared)}

        def case_loss():
            return LossCase(loss="mean_squared_error", y_true=[[1.0], [2.0]], y_pred=[[0.5], [0.25]])
    """,
}


def test_a_fault_is_injected_and_removed(tmp_path: Path) -> None:
    """Recordings with a fault go to their own legs, with their own fixtures; the recording after them is as the one before."""
    folder = project(tmp_path, PROJECT)
    injections = {
        "unplanted": ["*"],
        "softmax-classes-swapped": ["data/with_fixtures"],
        "gradient-reversed": ["data/loss", "data/with_fixtures"],
    }
    recorded = record_request(folder, "cases", injections=injections)
    assert recorded.statuses == dict.fromkeys(["data/loss", "data/shared", "data/with_fixtures"], "recorded"), recorded.ended
    faulty = {leg: session(folder / "out" / "faults" / leg / "jax", recorded.ended) for leg in injections}
    assert {leg: sorted(one.recordings) for leg, one in faulty.items()} == {
        "unplanted": ["data/loss", "data/shared", "data/with_fixtures"],
        "softmax-classes-swapped": ["data/with_fixtures"],
        "gradient-reversed": ["data/loss", "data/with_fixtures"],
    }
    legs = {name: read_legs([folder / "out" / "faults" / name / "jax"])[0] for name in injections}
    clean = read_legs([folder / "out" / "jax"])[0]
    alarms, changed = compare_again(clean, legs["unplanted"])
    assert alarms == changed == [] or changed == ["data/shared on jax: not the same bit for bit after the faults: value/n"]
    # The module's fixture was there for all four recordings of the first case, so that it was set up once.
    assert recorded.value("data/shared", "n") == 4
    swapped = faulty["softmax-classes-swapped"]
    right = recorded.value("data/with_fixtures", "softmax")[0]
    assert swapped.value("data/with_fixtures", "softmax")[0] == [right[1], right[0], right[2]]
    assert swapped.value("data/with_fixtures", "drawn") == recorded.value("data/with_fixtures", "drawn")
    loss = [one.recordings["data/loss"].observations for one in (recorded, faulty["gradient-reversed"])]
    assert np.array_equal(loss[0]["loss"].value, loss[1]["loss"].value)
    assert np.array_equal(loss[0]["gradient/y_pred"].value, -loss[1]["gradient/y_pred"].value)


def test_the_command(tmp_path: Path) -> None:
    """Two faults injected on PyTorch are detected and named among two backends, and kept to be judged again."""
    chosen = ("--faults", "outputs-reordered,loss-negated", "--backends", "jax,torch", "--backend", "torch")
    ended = backendcheck("selftest", *chosen, "--out", "kept", "--json", cwd=tmp_path, timeout=900)
    content = json.loads(ended.out)
    assert content["incomplete"] == content["false_alarms"] == [], ended.words
    assert (content["n_faults"], content["detection_rate"], content["naming_rate"]) == (2, 1.0, 1.0), ended.words
    assert all(trial["first"] for trial in content["trials"] if trial["detected"])
    assert (content["exit_code"], ended.exit_code) == (0, 0)
    assert json.loads((tmp_path / "kept" / "report.json").read_text()) == content
    again = backendcheck("selftest", "--judge", "kept", "--json", cwd=tmp_path)
    assert json.loads(again.out) == content
