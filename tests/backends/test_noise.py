"""Recording noise: what jitter does to numbers, and a noise floor measured through the front door."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from front_door import Ended, backendcheck, project

from backendcheck.recordings.files import read_environment, write_environment
from backendcheck.recordings.legs import find_legs, read_legs
from backendcheck.recordings.noise import recordings_for
from backendcheck.recordings.paths import recording_path

CASES = {
    "labels.py": """
        import keras
        import numpy as np
        from backendcheck import LossCase, ModelCase, Raises

        def case_model(rng):
            \"\"\"A healthy model; a padded step is no number to be moved.\"\"\"
            x = rng.normal(size=(6, 4, 3)).astype("float32")
            x[:3, 2:] = 0.0
            layers = [keras.Input((4, 3)), keras.layers.Masking(0.0), keras.layers.GRU(4), keras.layers.Dense(3)]
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            return ModelCase(keras.Sequential(layers), loss, x, rng.integers(0, 3, 6), metrics=["accuracy"])

        def case_ids(rng):
            \"\"\"Ids that come as floats: half an id is no noise.\"\"\"
            layers = [keras.Input((4,)), keras.layers.Embedding(9, 4), keras.layers.Flatten(), keras.layers.Dense(1)]
            x = rng.integers(0, 9, (6, 4)).astype("float32")
            return ModelCase(keras.Sequential(layers), "mean_squared_error", x, rng.normal(size=(6, 1)))

        def case_kink():
            \"\"\"At its kink the slope of a loss hangs on the last bit.\"\"\"
            return LossCase("mean_absolute_error", [[0.5], [0.25]], [[0.5], [0.75]])

        def case_rejected():
            \"\"\"Every backend rejects this.\"\"\"
            return LossCase("no_such_loss", [[0.0]], [[0.0]], expect=Raises(ValueError))
    """
}
BACKENDS = ("tensorflow", "jax", "torch")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    folder = project(tmp_path_factory.mktemp("noise"), CASES)
    return folder, backendcheck("run", "labels.py", "--out", "out", "--noise-floor", cwd=folder, timeout=900)


def report(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return read


def comparisons(read: dict[str, Any], case: str, observation: str) -> list[dict[str, Any]]:
    (result,) = (one for one in read["results"] if one["case"] == f"labels/{case}")
    return [c for c in result["comparisons"] if c["oracle"] == "agreement" and c["observation"] == observation]


def test_a_run_measures_the_noise_of_every_backend(place: tuple[Path, Ended]) -> None:
    folder, ended = place
    read = report(folder / "out")
    assert read["noise_floor"] == {"recordings": {name: list(recordings_for(name)) for name in BACKENDS}, "problems": []}
    assert "noise_notes" not in json.dumps(read["results"])
    for observation in ("predictions", "loss", "gradient/y_pred", "train/weight/sequential/dense/kernel"):
        pairs = comparisons(read, "model", observation)
        assert len(pairs) == 3
        for pair in pairs:
            floor = pair["noise_floor"]
            # On a CPU that was told to be deterministic the same twice is the same.
            assert floor["repeat"]["max_abs"] == 0.0
            assert floor["jitter"]["excess"] < 0.5
            assert (floor["float64"] is None) == ("tensorflow" not in (pair["left"], pair["right"]))
        assert max(pair["noise_floor"]["max_abs"] for pair in pairs) > 0.0
    assert "noise floor of " in ended.out


def test_jitter_leaves_padding_and_ids_alone(place: tuple[Path, Ended]) -> None:
    folder, _ = place
    read = report(folder / "out")
    # Unmasking a padded step would move predictions by percents.
    assert all(pair["noise_floor"]["jitter"]["max_abs"] < 1e-5 for pair in comparisons(read, "model", "predictions"))
    assert all(pair["noise_floor"]["jitter"] is None for pair in comparisons(read, "ids", "loss"))
    assert all(pair["noise_floor"]["repeat"] is not None for pair in comparisons(read, "ids", "loss"))


def test_at_a_kink_jitter_shows_how_sensitive_the_case_is_and_the_verdict_stays(place: tuple[Path, Ended]) -> None:
    folder, ended = place
    read = report(folder / "out")
    for pair in comparisons(read, "kink", "gradient/y_pred"):
        assert pair["noise_floor"]["jitter"]["excess"] > 1e3
        assert pair["noise_floor"]["repeat"]["excess"] == 0.0
    assert {one["case"]: one["verdict"] for one in read["results"]}["labels/rejected"] == "PASSED"
    plain = backendcheck("compare", *(folder / "out" / name for name in BACKENDS), "--out", "again", cwd=folder)
    shutil.move(folder / "out" / ".noise", folder / "noise-aside")
    without = backendcheck("compare", "out", "--out", "without", cwd=folder)
    shutil.move(folder / "noise-aside", folder / "out" / ".noise")
    assert ended.exit_code == plain.exit_code == without.exit_code
    again, bare = report(folder / "again"), report(folder / "without")
    assert again["results"] == read["results"]
    assert "noise_floor" not in json.dumps(bare)
    verdicts = [[(one["case"], one["verdict"]) for one in found["results"]] for found in (bare, read)]
    assert verdicts[0] == verdicts[1]


def test_of_a_noise_floor_that_was_interrupted_the_rest_is_recorded(place: tuple[Path, Ended], tmp_path: Path) -> None:
    folder, _ = place
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    leg = tmp_path / "out" / ".noise" / "jitter-2" / "jax"
    recording_path(leg, "labels/kink").unlink()
    write_environment(leg, replace(read_environment(leg), exit_state="interrupted"))
    arguments = ("run", "labels.py", "--out", "out", "--noise-floor")
    ended = backendcheck(*arguments, "--resume", cwd=tmp_path, timeout=900)
    lines = ended.err.splitlines()
    assert lines[:3] == [f"{name}: 4 of 4 cases are recorded already and kept" for name in BACKENDS]
    assert lines[3:] == ["jax jitter-2: 1 case", "jax jitter-2: recorded"]
    assert report(tmp_path / "out")["results"] == report(folder / "out")["results"]


def test_show_tells_the_floor_beside_the_tolerance(place: tuple[Path, Ended]) -> None:
    folder, _ = place
    shown = backendcheck("show", "labels/model", "--out", "out", "--verbose", cwd=folder)
    assert "noise floor, least headroom: " in shown.out
    assert "the tolerance is " in shown.out


@pytest.mark.parametrize("name", ["jitter-1", "float64"])
def test_a_jittered_recording_is_not_compared_as_a_leg(place: tuple[Path, Ended], tmp_path: Path, name: str) -> None:
    folder, _ = place
    ended = backendcheck("compare", f"out/.noise/{name}/tensorflow", "out/torch", "--out", tmp_path, cwd=folder)
    assert ended.exit_code == 3
    assert "not comparable: tensorflow and torch ran under different settings" in ended.out


def test_a_noise_recording_that_fails_is_said_and_the_next_run_clears_what_was_measured(tmp_path: Path) -> None:
    crashes = """
        import json, os
        from pathlib import Path
        from backendcheck import LossCase

        def case_a():
            session = json.loads(Path(os.environ["BACKENDCHECK_SESSION"]).read_text())
            if session["request"]["noise"] == "jitter-1":
                os._exit(3)
            return LossCase("mean_squared_error", [[0.5]], [[0.25]])
    """
    folder = project(tmp_path, {"labels.py": crashes})
    ended = backendcheck("run", "labels.py", "--backends", "jax,torch", "--out", "out", "--noise-floor", cwd=folder, timeout=900)
    assert ended.exit_code == 0, ended.words
    shown = backendcheck("show", "labels/a", "--out", "out", cwd=folder).out
    assert "jitter-1 on jax crashed: the process exited with code 3" in " ".join(shown.split())
    ended = backendcheck("run", "labels.py", "--backends", "jax,torch", "--out", "out", cwd=folder)
    assert not (folder / "out" / ".noise").exists()
    assert [leg.noise for leg in read_legs(find_legs([folder / "out"]))] == [{}, {}]
    assert "noise" not in ended.out
