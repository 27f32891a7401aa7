"""What in a source does not move, by its syntax tree: the lines that do not, and none of those that do."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from backendcheck.errors import UsageError
from backendcheck.migrate.source_scan import python_files, scan


def codes(folder: Path, text: str, target: str = "jax") -> list[tuple[int, str]]:
    path = folder / "own.py"
    path.write_text("import keras\nimport numpy as np\nimport tensorflow as tf\n" + textwrap.dedent(text), encoding="utf-8")
    return [(finding.line - 3, finding.code) for finding in scan([path], target)]


def test_operations_on_tensors(tmp_path: Path) -> None:
    text = """\
    def my_loss(y_true, y_pred):
        error = tf.square(y_true - y_pred)
        return np.mean(error)
    class Own(keras.layers.Layer):
        def call(self, inputs):
            return inputs.numpy() if self.eager else keras.ops.sum(inputs)
        def train_step(self, data):
            with tf.GradientTape() as tape:
                return tape
    """
    expected = [
        (2, "tensorflow-on-tensor"), (3, "numpy-on-tensor"), (6, "numpy-on-tensor"), (8, "tensorflow-gradient")
    ]  # fmt: skip
    assert codes(tmp_path, text) == expected
    assert codes(tmp_path, text, "tensorflow") == [(3, "numpy-on-tensor"), (6, "numpy-on-tensor")]


def test_what_moves_is_not_reported(tmp_path: Path) -> None:
    assert codes(tmp_path, """\
    def pipeline(x, y):
        return tf.data.Dataset.from_tensor_slices((x, tf.cast(y, tf.float32)))
    class Own(keras.layers.Layer):
        def build(self, shape):
            self.n = np.prod(shape[1:])
        def call(self, inputs, depth=3):
            n = np.prod(inputs.shape[1:]) * np.sqrt(depth) * np.float32(2.0)
            if keras.backend.backend() == "tensorflow":
                inputs = tf.identity(inputs)
            return keras.ops.reshape(inputs, (-1, n))
    class Command(Base):
        def call(self, values):
            return np.mean(values)
    scores = {"a": 1}.values()
    named = model.predict(x).items()
    """) == []  # fmt: skip


def test_outputs_by_position_lambdas_and_text(tmp_path: Path) -> None:
    text = """\
    a, b = model.predict(x).values()
    p = model.predict(x)
    c, d = p.values()
    layer = keras.layers.Lambda(lambda t: tf.abs(t))
    words = keras.Input((1,), dtype="string")
    """
    assert codes(tmp_path, text) == [
        (1, "outputs-by-position"), (3, "outputs-by-position"), (4, "tensorflow-on-tensor"), (4, "lambda-layer"),
        (5, "text-input"),
    ]  # fmt: skip


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def (", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be read as Python"):
        scan(python_files([tmp_path]), "jax")
    with pytest.raises(UsageError, match="no Python source there"):
        python_files([tmp_path / "none"])
