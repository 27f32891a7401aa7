"""`backendcheck model`: from a saved model and data to a report, in one command."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from front_door import project, variables

SAVE = """
    import sys
    import keras
    import numpy as np
    from PIL import Image

    sys.path.insert(0, ".")
    import own_layers

    rng = np.random.default_rng(0)

    iris = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")], name="iris")
    iris.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = rng.normal(size=(90, 4)).astype("float32"), np.repeat([0, 1, 2], 30)
    iris.fit(x, y, epochs=1, verbose=0)
    iris.save("iris <script>alert(1)<!--'.keras")
    np.savez("iris.npz", x=x, y=y, class_names=["setosa", "versicolor", "virginica"])
    np.savez("one_based.npz", x=x, y=y + 1)
    iris.save_weights("iris.weights.h5")
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    rows = [",".join([*map(str, row), name]) for row, name in zip(x, names)]
    open("iris.csv", "w").write("a,b,c,d,species\\n" + "\\n".join(rows) + "\\n")

    image = keras.Input((8, 8, 1), name="photo")
    flat = keras.layers.Flatten()(own_layers.OnlyTwoBackends()(image))
    photos = keras.Model(image, {"tag": keras.layers.Dense(2, "softmax", name="tag")(flat)})
    photos.compile("sgd", {"tag": "sparse_categorical_crossentropy"})
    photos.save("photos.keras")
    for name in ("cat", "dog"):
        import os
        os.makedirs(f"photos/{name}")
        for number in range(3):
            Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(f"photos/{name}/{number}.png")
"""
OWN_LAYERS = """
    import keras

    @keras.saving.register_keras_serializable("own")
    class OnlyTwoBackends(keras.layers.Layer):
        def call(self, x):
            return x / 255.0

        @classmethod
        def from_config(cls, config):
            if keras.backend.backend() == "jax":
                raise NotImplementedError("not for JAX yet")
            return cls(**config)

    def build():
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = project(tmp_path_factory.mktemp("saved"), {"own_layers.py": OWN_LAYERS})
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SAVE)], cwd=made, env=variables({"KERAS_BACKEND": "jax"}), capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    return made
