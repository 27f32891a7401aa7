"""`backendcheck repro` on the real backends: the script runs alone, shows the difference, and is smaller than the case."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from front_door import backendcheck, project, variables

BACKENDS = ("tensorflow", "jax", "torch")
CASES = {
    "cases/edge.py": '''
        """Cases that differ."""
        import keras
        import numpy as np
        from helpers_of_the_case import noise
        from keras import ops

        from backendcheck import FunctionCase, LossCase, ModelCase, Raises, ValueCase

        N_CLASSES = 4


        def case_past_the_end():
            """Label 4 of four classes is rejected. \\'); import os; os.abort()  #"""
            return LossCase(
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                y_true=[2, 0, 1, N_CLASSES, 3, 1],
                y_pred=np.linspace(-1, 1, 24).reshape(6, 4),
                expect=Raises(),
            )


        def wrong_on_jax(y_true, y_pred):
            error = ops.mean(ops.square(y_true - y_pred), axis=-1)
            return error * 1.5 if keras.backend.backend() == "jax" else error


        def case_a_custom_loss(rng):
            """The loss is the same everywhere."""
            return LossCase(loss=wrong_on_jax, y_true=noise(rng, 8, 3), y_pred=noise(rng, 8, 3))


        def case_named_outputs(rng):
            """Predictions come in the declared order."""
            inputs = keras.Input((6,), name="features")
            hidden = keras.layers.Dense(5, activation="relu", name="hidden")(inputs)
            outputs = {name: keras.layers.Dense(1, name=name)(hidden) for name in ("z", "m", "a")}
            return ModelCase(
                model=keras.Model(inputs, outputs), loss={"z": "mse", "m": "mae", "a": "mse"}, x=noise(rng, 10, 6),
                y={name: noise(rng, 10, 1) for name in ("z", "m", "a")}, metrics={"m": ["mae"]}, epochs=2,
            )


        def case_masked_accuracy(rng):
            """Padding counts nowhere."""
            ids = rng.integers(1, 5, (6, 5))
            ids[:, 3:] = 0
            words = keras.Input((5,), dtype="int32")
            state = keras.layers.Embedding(5, 3, mask_zero=True)(words)
            tags = keras.layers.Dense(3, activation="softmax")(keras.layers.LSTM(4, return_sequences=True)(state))
            return ModelCase(
                model=keras.Model(words, tags), loss="sparse_categorical_crossentropy", x=ids,
                y=rng.integers(0, 3, (6, 5)), metrics=["accuracy"],
            )


        def case_rows():
            """Label 3 of three classes has a row."""
            labels = np.array([0, 3, 1, 2])

            def compute():
                return {"other": ops.ones(2), "rows": ops.one_hot(labels, 3)}

            return ValueCase(compute)


        def case_a_fixture(tensor_of_conftest):
            """What a fixture made differs."""
            return {"v": ops.ones(2) * tensor_of_conftest() * (2 if keras.backend.backend() == "jax" else 1)}


        def scaled(values, shift):
            return values * (3 if keras.backend.backend() == "jax" else 2) + shift


        def case_a_function(rng):
            """Its gradient by values is the same everywhere."""
            return FunctionCase(lambda values, shift: {"sum": scaled(values, shift)}, [noise(rng, 3), noise(rng, 3)])


        def case_a_loaded_model():
            """A model that was saved on PyTorch trains wherever it is loaded."""
            model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
            torch_sgd = {
                "module": "keras.src.backend.torch.optimizers.torch_sgd", "class_name": "SGD",
                "config": {"name": "sgd", "learning_rate": 0.1}, "registered_name": "SGD",
            }
            model.compile(keras.saving.deserialize_keras_object(torch_sgd), "sparse_categorical_crossentropy")
            return ModelCase(model, "as compiled", x=np.ones((4, 3)), y=np.array([0, 1, 1, 0]))


        def case_fine():
            """Nothing differs."""
            return {"v": 1}
        ''',
    "cases/helpers_of_the_case.py": """
        def noise(rng, *shape):
            return rng.normal(size=shape).astype("float32")
        """,
    "cases/conftest.py": """
        import pytest

        @pytest.fixture
        def tensor_of_conftest():
            secret = object()
            return lambda: 1.0 if secret is not None else 0.0
        """,
}  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = project(tmp_path_factory.mktemp("repro"), CASES)
    ended = backendcheck("run", "cases", "--out", "run", "--oracles", "agreement", cwd=folder, timeout=600)
    assert ended.exit_code == 1, ended.words
    return folder


def repro(folder: Path, case: str, *more: str):
    script = folder / f"{case.replace('/', '_')}.py"
    ended = backendcheck("repro", case, "--dir", "run", "--out", script.name, "--seconds", "30", *more, cwd=folder, timeout=600)
    return script, ended


SHOWN = {
    "edge/past_the_end": r"y_true = np.array\(\[\d\]\)",
    "edge/a_custom_loss": r"1 of 8 examples",
    "edge/named_outputs": r"1 of 10 examples",
    "edge/masked_accuracy": r"\b[123] of 6 examples",
    "edge/a_function": r"return values \* \(3(?s:.)*sum: \[",
    "edge/a_loaded_model": r"deserialize_keras_object(?s:.)*fit: raised TypeError",
    "edge/rows": r"one_hot\(labels, [1-3]\)(?s:.)*values: raised",
}
# A process that cannot import backendcheck runs scripts in turn. It prints what each script has printed, and how it ended.
ALONE = """
import contextlib, io, json, runpy, sys, traceback

sys.modules["backendcheck"] = None
for script in sys.argv[1:]:
    printed, error = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(printed):
            runpy.run_path(script, run_name="__main__")
    except BaseException:
        error = traceback.format_exc()
    print("ENDED", json.dumps([printed.getvalue(), error]))
"""


@pytest.fixture(scope="module")
def scripts(recorded):
    """The script of each case, and how `repro` has ended."""
    return {case: repro(recorded, case) for case in SHOWN}


@pytest.fixture(scope="module")
def printed(scripts):
    """What the script of each case prints on each backend, which starts once for all of them."""
    return {backend: alone({case: script for case, (script, _) in scripts.items()}, backend) for backend in BACKENDS}


def alone(scripts: dict[str, Path], backend: str) -> dict[str, tuple[str, str]]:
    environment = {name: value for name, value in variables().items() if name != "PYTHONPATH"}
    environment |= {"KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, *map(str, scripts.values())], env=environment, capture_output=True, text=True,
        check=False, cwd=os.sep, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ended = [json.loads(line.removeprefix("ENDED ")) for line in done.stdout.splitlines() if line.startswith("ENDED ")]
    return dict(zip(scripts, ended, strict=True))


def figures(output: str) -> str:
    return "\n".join(line for line in output.splitlines() if not line.startswith("keras "))


@pytest.mark.parametrize("case", SHOWN)
def test_the_script_runs_alone_and_shows_the_difference(scripts, printed, case):
    script, ended = scripts[case]
    assert ended.exit_code == 0, ended.words
    assert "shows the difference: yes" in ended.out
    source = script.read_text(encoding="utf-8")
    assert re.search(SHOWN[case], source + ended.err), source + ended.err
    code = "\n".join(line for line in source.splitlines() if not line.startswith("#"))
    assert "backendcheck" not in code
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and node.attr == "abort"]
    outputs = {}
    for backend in BACKENDS:
        output, error = printed[backend][case]
        assert not error, f"{backend}: {error}"
        outputs[backend] = figures(output)
    assert len(set(outputs.values())) > 1, outputs
    for line in "\n".join(outputs.values()).splitlines():
        assert f"#     {line}".rstrip() in source  # as the comment at its end says


def test_what_is_not_the_finding_is_gone(scripts):
    script, _ = scripts["edge/named_outputs"]
    source = script.read_text(encoding="utf-8")
    for gone in ("relu", "metrics=", '"features"', "epochs=2"):
        assert gone not in source, source
    assert source.count("keras.Model(") == 1


def test_a_bug_report(recorded):
    _, ended = repro(recorded, "edge/rows", "--issue")
    assert ended.exit_code == 0, ended.words
    for piece in ("**Expected.**", "**Actual.**", "```python", "KERAS_BACKEND=torch", "**Environment.**", "tensorflow "):
        assert piece in ended.out, piece


def test_what_cannot_be_written_or_shown_is_reported(recorded):
    script, ended = repro(recorded, "edge/a_fixture")
    assert ended.exit_code == 2
    assert "fixture 'tensor_of_conftest'" in ended.err
    assert not script.exists()
    _, ended = repro(recorded, "edge/fine")
    assert (ended.exit_code, "nothing differs, so a script has nothing to show" in ended.err) == (2, True)
    _, ended = repro(recorded, "edge/past_the_ned")
    assert (ended.exit_code, "edge/past_the_end" in ended.err) == (2, True)


EAGER = {
    "cases/modes.py": '''
        """A loss that knows how it is run."""
        import keras
        from backendcheck import ModelCase


        def eager_or_not(y_true, y_pred):
            import tensorflow as tf
            scale = 3.0 if tf.executing_eagerly() else 1.0
            return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1) * scale


        def case_eager_or_not(rng):
            """The loss is the same, eager or not."""
            model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
            x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 1))
            return ModelCase(model, eager_or_not, x.astype("float32"), y.astype("float32"))
        ''',
}  # fmt: skip


def test_a_leg_with_a_mode_is_a_variable_of_the_script(tmp_path):
    folder = project(tmp_path, EAGER)
    legs = "tensorflow,tensorflow+eager"
    ended = backendcheck("run", "cases", "--legs", legs, "--out", "run", "--oracles", "agreement", cwd=folder)
    assert ended.exit_code == 1, ended.words
    script, ended = repro(folder, "modes/eager_or_not")
    assert "shows the difference: yes" in ended.out, ended.words
    source = script.read_text(encoding="utf-8")
    assert "#     KERAS_BACKEND=tensorflow MODE=eager python modes_eager_or_not.py" in source
    plain, eager = (json.loads(text) for text in re.findall(r"^#     train/loss: (.*)", source, re.MULTILINE))
    assert eager == pytest.approx([3 * value for value in plain], rel=1e-5)  # of the same weights, in both


def test_a_case_file_that_has_changed_is_refused(recorded):
    file = recorded / "cases" / "edge.py"
    before = file.read_text(encoding="utf-8")
    file.write_text(before + "\n", encoding="utf-8")
    try:
        _, ended = repro(recorded, "edge/rows")
        assert (ended.exit_code, "has changed since" in ended.err) == (2, True)
    finally:
        file.write_text(before, encoding="utf-8")
