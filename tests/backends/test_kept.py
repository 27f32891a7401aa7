"""Recordings that are kept: what runs again, and what does not. One backend, few cases."""

from __future__ import annotations

import json
import resource
from pathlib import Path

from front_door import Ended, backendcheck, project

from backendcheck.recordings.files import read_environment
from backendcheck.recordings.legs import read_leg

CASES = {
    "cases/a.py": """
        from pathlib import Path
        import keras
        from backendcheck import LossCase
        from helper import SCALE

        HERE = Path(__file__).parent

        def case_file(): return {"v": float((HERE / "data.txt").read_text())}
        def case_loss():
            return LossCase(loss=keras.losses.MeanSquaredError(), y_true=[[SCALE]], y_pred=[[2.0]])
        def case_ends():
            if not (HERE / "flag.txt").exists():
                raise SystemExit
            return {"v": 1.0}
    """,
    "cases/b.py": """
        def case_saved(tmp_path, rng):
            import keras
            import numpy as np
            model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
            model.save(tmp_path / "model.keras")
            loaded = keras.saving.load_model(tmp_path / "model.keras")
            return {"v": np.asarray(len(loaded.weights))}
        def case_native_file():
            import h5py
            from pathlib import Path
            with h5py.File(Path(__file__).with_name("native.h5")) as file:
                return {"v": float(file["v"][()])}
    """,
    "cases/helper.py": "SCALE = 1.0\n",
    "cases/data.txt": "3\n",
}
ALL = {"a/file", "a/loss", "a/ends", "b/saved", "b/native_file"}


def run(folder: Path, *arguments: str) -> tuple[Ended, set[str], float]:
    """The end of a run, the cases that it has recorded, and the CPU seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = backendcheck("run", "cases", "--backends", "torch", "--out", "out", *arguments, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    leg = read_leg(folder / "out" / "torch")
    recorded = {case for case, recording in leg.recordings.items() if recording.run == leg.environment.run}
    return ended, recorded, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def not_kept(folder: Path) -> str:
    """Why cases are recorded every time."""
    indexes = [*folder.glob(".backendcheck_cache/recordings/*/index.json")]
    return "".join(str(json.loads(path.read_bytes().partition(b"\n")[2])["index"].get("not_kept")) for path in indexes)


def native_file(path: Path, value: float) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["v"] = value


def test_only_what_has_changed_is_recorded_again(tmp_path: Path) -> None:
    project(tmp_path, CASES)
    native_file(tmp_path / "cases/native.h5", 1.0)
    ended, recorded, first_s = run(tmp_path)
    assert recorded == ALL, ended.words
    assert not_kept(tmp_path) == "{}"
    assert (tmp_path / ".backendcheck_cache" / ".gitignore").read_text(encoding="utf-8").endswith("*\n")
    (tmp_path / "cases/flag.txt").touch()
    ended, recorded, _ = run(tmp_path)
    assert recorded == {"a/ends"}, ended.words + not_kept(tmp_path)

    # Nothing has changed: no backend is imported, and the report says what it is from.
    ended, recorded, unchanged_s = run(tmp_path)
    assert recorded == set(), ended.words
    assert unchanged_s < first_s / 3
    assert "torch: recorded" not in ended.err  # no process was started
    environment = read_environment(tmp_path / "out/torch")
    assert [kept.n_recordings for kept in environment.kept] == [4, 1]
    report = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert report["kept"] == {"n": 5, "of": 5, "since": environment.kept[0].started}
    assert report["environments"]["torch"]["kept"][1]["n_recordings"] == 1
    assert "kept from earlier runs: 5 of 5 recordings, since 20" in ended.out
    assert "kept from earlier runs: 5 of 5 recordings" in (tmp_path / "out/index.html").read_text(encoding="utf-8")

    # A file that the case reads, a file that is read in native code, and a recording in the store that is damaged.
    project(tmp_path, {"cases/data.txt": "4\n"})
    native_file(tmp_path / "cases/native.h5", 2.0)
    stored = next(tmp_path.glob(".backendcheck_cache/recordings/*/recordings/a/loss.safetensors"))
    stored.unlink()
    stored.write_bytes(b"damaged")
    ended, recorded, _ = run(tmp_path)
    assert recorded == {"a/file", "a/loss", "b/native_file"}, ended.words
    leg = read_leg(tmp_path / "out/torch")
    assert leg.recordings["a/file"].observations["value/v"].value == 4.0
    assert leg.recordings["b/native_file"].observations["value/v"].value == 2.0
