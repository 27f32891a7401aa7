"""What a backend compiles: kept for the next process, with the same numbers there, and made without needless work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from front_door import project, record, variables

CASES = '''
import keras
import pytest
from backendcheck import ModelCase

@pytest.mark.parametrize("units", [3, 4])
def case_model(rng, units):
    """XLA compiles a training step."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units, "tanh"), keras.layers.Dense(2)])
    return ModelCase(model, "mse", rng.normal(size=(4, 2)), rng.normal(size=(4, 2)), optimizer="adam")
'''


def test_programs_of_xla_are_kept_and_a_damaged_one_is_compiled_again(tmp_path: Path) -> None:
    folder, cache = project(tmp_path / "p", {"cases.py": CASES}), tmp_path / "cache"

    def recorded() -> dict[str, str]:
        session = record(folder, "cases.py", backend="tensorflow", env={"XDG_CACHE_HOME": str(cache)})
        assert session.environment.determinism["compilation_cache"] == "on"
        assert len(session.recordings) == 2, session.ended.words
        numbers = {}
        for case, recording in session.recordings.items():
            paths = {variant.path: variant.observations for variant in recording.variants}
            assert "train/loss" in recording.observations
            assert paths["jit_compile: train_on_batch"]
            for path, observations in {"": recording.observations, **paths}.items():
                numbers |= {f"{case} {path} {name}": str(one.value.tolist()) for name, one in observations.items()}
        return numbers

    compiled = recorded()
    damaged, *kept = sorted(cache.rglob("*XLA_CPU_JIT.pb"))
    damaged.write_bytes(damaged.read_bytes()[:1000])
    before = [path.stat().st_mtime_ns for path in kept]
    assert before
    assert recorded() == compiled
    assert [path.stat().st_mtime_ns for path in kept] == before  # read, and not written again


def test_jax_lowers_several_programs_in_one_context(tmp_path: Path) -> None:
    script = """
        from backendcheck.record.backends import backend_module, jax as ours
        import jax, jax.numpy as jnp
        from jax._src.interpreters import mlir

        ours._PROGRAMS_OF_A_CONTEXT = 3
        for _ in range(2):  # the second time changes nothing
            backend_module().configure("cpu")
        x = jnp.ones(2)
        made, make = [], mlir.make_ir_context
        mlir.make_ir_context = lambda: made.append(1) or make()
        texts = [jax.jit(lambda x: jnp.sin(x) + n).lower(x).as_text() for n in range(9)]
        assert len(set(texts)) == 9
        print(len(made))
    """
    file = project(tmp_path, {"lower.py": script}) / "lower.py"
    env = variables({"KERAS_BACKEND": "jax"})
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr
