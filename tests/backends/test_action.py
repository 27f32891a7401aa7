"""The GitHub Action: its scripts run as a runner runs them, and all files for CI systems are what those systems read."""

from __future__ import annotations

from pathlib import Path

from action_steps import run
from front_door import project
from pieces import write_leg

from backendcheck.recordings.files import read_environment


def test_recording_shards_and_merging_them(tmp_path: Path) -> None:
    cases = "".join(f"def case_{name}(): return {{'v': 1.0}}\n" for name in "abcdef")
    project(tmp_path, {"cases/labels.py": cases, "cases/known_divergences.toml": ""})
    for shard in ("1/2", "2/2"):
        inputs = {
            "command": "record", "backends": "jax", "paths": "cases", "shard": shard,
            "out": f"artifacts/backendcheck-jax-{shard.replace('/', '-of-')}",
        }  # fmt: skip
        code, words, outputs = run("backendcheck", tmp_path, inputs)
        assert (code, outputs["exit-code"]) == (0, "0"), words
        assert outputs["artifact"] == Path(inputs["out"]).name
    ids = [f"labels/{name}" for name in "abcdef"]
    write_leg(tmp_path / "artifacts" / "backendcheck-torch" / "torch", "torch", ids)
    _, words, outputs = run("backendcheck", tmp_path, {"command": "merge", "backends": "jax,torch"})
    assert outputs["report"] == "reports/index.html", words
    environment = read_environment(tmp_path / "reports" / "jax")
    assert (environment.exit_state, {*environment.digests}) == ("complete", {*ids})
    assert [part.shard for part in environment.parts] == ["1/2", "2/2"]
