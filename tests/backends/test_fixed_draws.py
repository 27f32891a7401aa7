"""Fixed random numbers have the distributions of `keras.random`. Run by one backend in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

_PROGRAM = """
import keras, numpy as np
from backendcheck.record.observe.fixed_draws import fixed_draws
seed = keras.random.SeedGenerator(1)
draw = lambda op, *args, **options: np.asarray(keras.ops.convert_to_numpy(getattr(keras.random, op)(*args, seed=seed, **options)))
with fixed_draws(7):
    n = 20000
    uniform = draw("uniform", (n,), -1.0, 3.0)
    assert uniform.min() >= -1 and uniform.max() < 3
    assert abs(uniform.mean() - 1) < 0.05 and abs(uniform.std() - 4 / 12**0.5) < 0.05
    normal = draw("normal", (n,), 2.0, 0.5)
    assert abs(normal.mean() - 2) < 0.02 and abs(normal.std() - 0.5) < 0.02 and abs(np.mean((normal - 2) ** 3)) < 0.01
    truncated = draw("truncated_normal", (n,))
    assert np.abs(truncated).max() < 2 and abs(truncated.mean()) < 0.03 and abs(truncated.std() - 0.88) < 0.02
    integers = draw("randint", (n,), 2, 7)
    assert set(integers) == {2, 3, 4, 5, 6} and np.bincount(integers)[2:].std() < 150
    kept = draw("dropout", np.ones((100, 200), "float32"), 0.3)
    assert abs((kept == 0).mean() - 0.3) < 0.02 and abs(kept.max() - 1 / 0.7) < 1e-5
    assert (draw("dropout", np.ones((5, 8), "float32"), 0.5, noise_shape=(5, 1)).std(axis=1) == 0).all()
    classes = draw("categorical", np.log([[0.1, 0.2, 0.7]]).astype("float32"), n)
    assert np.abs(np.bincount(classes[0]) / n - [0.1, 0.2, 0.7]).max() < 0.02
    shuffled = draw("shuffle", np.arange(50))
    assert sorted(shuffled) == list(range(50)) and list(shuffled) != list(range(50))
    first, second = draw("uniform", (n,)), draw("uniform", (n,))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03 and abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.03
"""


def test_distributions() -> None:
    command = [sys.executable, "-c", _PROGRAM]
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
