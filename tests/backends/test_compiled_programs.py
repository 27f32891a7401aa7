"""What a backend compiles, and how."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from front_door import project, variables


def test_jax_lowers_several_programs_in_one_context(tmp_path: Path) -> None:
    pytest.importorskip("jax")
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
