"""Each oracle sees what no other oracle sees: one injected fault for each, and one bug of Keras as it was released."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from backendcheck.recordings.files import read_recording

# One model with two outputs of one shape, a dict of losses and sample weights: what most of the faults are injected into.
TWO_HEADS = """
    import keras
    import numpy as np

    from backendcheck import LossCase, ModelCase

    def two_heads(rng):
        x = keras.Input((4,), name="x")
        hidden = keras.layers.Dense(5, activation="tanh", name="hidden")(x)
        outputs = [keras.layers.Dense(2, activation="sigmoid", name=name)(hidden) for name in ("zebra", "ant")]
        labels = {name: rng.integers(0, 2, (9, 2)).astype("float32") for name in ("zebra", "ant")}
        losses = {"zebra": "binary_crossentropy", "ant": "mean_squared_error"}
        weights = {"zebra": 1.0, "ant": 3.0}
        return ModelCase(keras.Model(x, outputs), losses, rng.normal(size=(9, 4)), labels, loss_weights=weights)

    def case_two_heads(rng):
        \"\"\"Each output is trained with the loss that carries its name.\"\"\"
        return two_heads(rng)
"""

# A case for each fault. A fixture injects what is wrong on every backend.
EACH_FAULT = """
    from backendcheck import OptOut

    def case_scores():
        \"\"\"The scores are the same everywhere.\"\"\"
        scores = keras.ops.softmax(keras.ops.convert_to_tensor([[1.0, 2.0, 3.0]]))
        return {"scores": scores[:, ::-1] if keras.backend.backend() == "jax" else scores}

    def case_weighted(rng, evaluate_without_weights):
        \"\"\"Examples count by their weights.\"\"\"
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="scores")])
        x, y = rng.normal(size=(9, 4)), rng.normal(size=(9, 2))
        return ModelCase(model, "mean_squared_error", x, y, sample_weight=rng.uniform(0.5, 2.0, 9).astype("float32"))

    def case_two_heads_with_losses_of_other_names(rng, losses_of_other_names):
        \"\"\"Each output is trained with the loss that carries its name.\"\"\"
        return two_heads(rng)

    def by_place(y_true, y_pred):
        errors = keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)
        return errors * keras.ops.arange(1.0, errors.shape[0] + 1)

    def case_every_example_counts_alike():
        \"\"\"No example weighs more than another because of its place in the batch.\"\"\"
        return LossCase(by_place, [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [[0.2, 0.8], [0.4, 0.4], [0.9, 0.3]])

    def case_squares(wrong_squares):
        \"\"\"The mean of the squares.\"\"\"
        return LossCase("mean_squared_error", [[0.0, 1.0], [1.0, 0.0]], [[0.2, 0.8], [0.4, 0.4]])

    def costs(y_true, y_pred):
        return keras.ops.sum(y_true * (1 - y_pred) * keras.ops.convert_to_tensor([1.0, 5.0, 2.0]), axis=-1)

    LABELS, SCORES = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.2, 0.5, 0.3], [0.3, 0.3, 0.4]]

    def case_silent():
        \"\"\"A cost for each class.\"\"\"
        return LossCase(costs, LABELS, SCORES, class_names=["cat", "dog", "fox"])

    def case_said():
        \"\"\"A cost for each class, said to belong to its place.\"\"\"
        out = OptOut(relation="classes", reason="the costs belong to the places of the classes")
        return LossCase(costs, LABELS, SCORES, class_names=["cat", "dog", "fox"], order=[out])
"""

ONE_GRADIENT = """
    def case_wrong_gradient(rng, wrong_gradient):
        \"\"\"Each output is trained with the loss that carries its name.\"\"\"
        return two_heads(rng)
"""

FAULTS = """
    import functools

    import keras
    import pytest
    from keras.src.losses import losses
    from keras.src.trainers import compile_utils

    @pytest.fixture
    def evaluate_without_weights(monkeypatch):
        evaluate = keras.Model.evaluate

        def without_weights(self, *arrays, **options):
            return evaluate(self, *arrays, **{name: value for name, value in options.items() if name != "sample_weight"})

        monkeypatch.setattr(keras.Model, "evaluate", without_weights)

    @pytest.fixture
    def losses_of_other_names(monkeypatch):
        declared = compile_utils.CompileLoss.build

        def build(self, y_true, y_pred):
            declared(self, y_true, y_pred)
            losses = [one.loss for one in self._flat_losses]
            self._flat_losses = [one._replace(loss=loss) for one, loss in zip(self._flat_losses, losses[::-1])]

        monkeypatch.setattr(compile_utils.CompileLoss, "build", build)

    @pytest.fixture
    def wrong_squares(monkeypatch):
        right, losses_get = losses.mean_squared_error, keras.losses.get

        @functools.wraps(right)
        def wrong(y_true, y_pred):
            return 1.01 * right(y_true, y_pred)

        monkeypatch.setattr(keras.losses, "get", lambda name: wrong if name == "mean_squared_error" else losses_get(name))

    @pytest.fixture
    def wrong_gradient(monkeypatch):
        build = keras.layers.Dense.build

        def wrong(layer, input_shape):
            build(layer, input_shape)
            if layer.name == "hidden":  # the loss, the predictions and the gradients by them and by all else stay right
                layer.kernel.value.register_hook(lambda gradient: gradient.flip(0))

        monkeypatch.setattr(keras.layers.Dense, "build", wrong)
"""


def project(folder: Path, cases: str, conftest: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "labels.py").write_text(textwrap.dedent(cases), encoding="utf-8")
    if conftest:
        (folder / "conftest.py").write_text(textwrap.dedent(conftest), encoding="utf-8")
    return folder


def run(folder: Path, *options: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "backendcheck", "run", "labels.py", "--out", "out", *options],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False, env=os.environ | (env or {}),
    )  # fmt: skip
    report = folder / "out" / "report.json"
    assert report.exists(), done.stderr
    return done.returncode, json.loads(report.read_text(encoding="utf-8")), done.stdout


def oracles_of(report: dict[str, Any]) -> set[str]:
    return {finding["oracle"] for result in report["results"] for finding in result["findings"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("faults") / "p", TWO_HEADS + EACH_FAULT, FAULTS)


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, dict[str, Any]]:
    """The results of all cases with a fault on every backend, by the name of the case."""
    exit_code, report, output = run(folder, "--backends", "jax,torch")
    assert exit_code == 1, output
    return {result["case"].removeprefix("labels/"): result for result in report["results"]}


def verdict_of(result: dict[str, Any]) -> tuple[str, set[str]]:
    """The verdict, and the oracles with a finding."""
    return result["verdict"], oracles_of({"results": [result]})


def test_a_healthy_model_has_no_finding_on_any_oracle(results: dict[str, dict[str, Any]]) -> None:
    assert verdict_of(results["two_heads"]) == ("PASSED", set())
    seen = {comparison["oracle"] for comparison in results["two_heads"]["comparisons"]}
    assert seen == {"agreement", "paths", "order", "reference"}


@pytest.mark.parametrize(
    ("case", "oracles"),
    [
        pytest.param("scores", {"agreement"}, id="a fault in one backend of a value without reference"),
        pytest.param("weighted", {"paths"}, id="sample weights dropped by evaluate on every backend"),
        pytest.param("two_heads_with_losses_of_other_names", {"paths", "reference"}, id="losses applied to other outputs"),
        pytest.param("every_example_counts_alike", {"order"}, id="a loss that depends on the place of an example"),
        pytest.param("squares", {"reference"}, id="a standard loss that is wrong on every backend"),
    ],
)
def test_each_oracle_sees_what_no_other_one_sees(results: dict[str, dict[str, Any]], case: str, oracles: set[str]) -> None:
    assert verdict_of(results[case]) == ("FAILED", oracles)


def test_sample_weights_dropped_by_evaluate_are_a_finding_there_with_a_diagnosis(results: dict[str, dict[str, Any]]) -> None:
    assert any(finding["right"].endswith(":evaluate") for finding in results["weighted"]["findings"])
    assert results["weighted"]["diagnoses"][0]["code"] == "sample-weight-ignored"


def test_losses_applied_to_the_outputs_of_other_names_differ_from_the_losses_by_name(results: dict[str, dict[str, Any]]) -> None:
    findings = results["two_heads_with_losses_of_other_names"]["findings"]
    assert any(finding["right"] == "jax:losses by name" for finding in findings)


def test_only_the_reference_sees_a_wrong_gradient_by_one_variable_that_a_backend_trains_with(tmp_path: Path) -> None:
    exit_code, report, output = run(project(tmp_path / "p", TWO_HEADS + ONE_GRADIENT, FAULTS), "--backends", "torch")
    assert exit_code == 1, output
    by_case = {result["case"]: result for result in report["results"]}
    wrong, healthy = by_case["labels/wrong_gradient"], by_case["labels/two_heads"]
    found = [(one["oracle"], one["observation"], one["left"], one["right"]) for one in wrong["findings"]]
    assert found == [("reference", "gradient/hidden/kernel", "torch", "reference")]
    assert wrong["verdict"] == "FAILED"
    assert verdict_of(healthy) == ("PASSED", set())
    seen = {one["observation"] for one in healthy["comparisons"] if one["oracle"] == "reference"}
    assert {f"gradient/{layer}/{name}" for layer in ("hidden", "zebra", "ant") for name in ("kernel", "bias")} <= seen


WITHOUT_REFERENCE = """
    import keras
    import numpy as np
    import pytest

    from backendcheck import ModelCase

    L = keras.layers

    class Float32(L.Layer):
        def call(self, x):
            return keras.ops.cast(keras.ops.cast(x, "float32"), x.dtype)

    class Bypass(L.Layer):  # what it multiplies with does not come from its variable
        def build(self, shape):
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

        def call(self, x):
            return x * keras.ops.convert_to_tensor(keras.ops.convert_to_numpy(self.scale._value))

    class OwnLoss(keras.Model):
        def compute_loss(self, *args, **kwargs):
            return 2.0 * super().compute_loss(*args, **kwargs)

    def of(*layers, n_features=4):
        return keras.Sequential([keras.Input((n_features,)), L.Dense(5, activation="tanh", name="hidden"), *layers])

    def own(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    def own_loss():
        x = keras.Input((4,))
        return OwnLoss(x, L.Dense(3)(x))

    CASES = {
        "batch_norm": lambda: (of(L.BatchNormalization(), L.Dropout(0.5), L.Dense(3)), "mse"),
        "nested": lambda: (of(keras.Sequential([keras.Input((5,)), L.Dense(6, kernel_regularizer="l2")]), L.Dense(3)), "mse"),
        "mixed": lambda: (keras.Sequential([keras.Input((4,)), L.Dense(3, dtype="mixed_bfloat16")]), "mse"),
        "float32": lambda: (of(Float32(), L.Dense(3)), "mse"),
        "kink": lambda: (of(L.Dense(3, activation="relu", kernel_initializer="zeros", name="dead")), "mse"),
        "own_function": lambda: (of(L.Dense(3)), own),
        "own_loss": lambda: (own_loss(), "mse"),
        "large": lambda: (of(L.Dense(400), L.Dense(5000), L.Dense(3)), "mse"),
    }

    if keras.backend.backend() == "torch":  # a layer that JAX and TensorFlow cannot compile
        CASES["bypass"] = lambda: (of(Bypass(), L.Dense(3)), "mse")

    @pytest.mark.parametrize("name", CASES)
    def case_model(rng, name):
        model, loss = CASES[name]()
        weights = "as built" if name == "kink" else "seeded"
        return ModelCase(model, loss, rng.normal(size=(8, 4)), rng.normal(size=(8, 3)), weights=weights)
"""


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_gradients_by_weights_without_a_reference_say_why(tmp_path: Path, backend: str) -> None:
    folder = project(tmp_path / "p", WITHOUT_REFERENCE)
    exit_code, report, output = run(folder, "--backends", backend, "--oracles", "order,reference")
    assert (exit_code, oracles_of(report)) == (0, set()), output
    said, compared, observed, notes = {}, {}, {}, {}
    for path in (folder / "out" / backend / "recordings" / "labels").glob("*.safetensors"):
        recording = read_recording(path)
        name = recording.case.partition("[")[2].rstrip("]")
        said[name] = " ".join(note for note in recording.notes if "no reference" in note and "for the update" not in note)
        compared[name] = sorted(key for key, one in recording.reference_values.items() if one.directions is not None)
        by_weights = {key for key in recording.observations if key.startswith("gradient/") and key != "gradient/y_pred"}
        observed[name], notes[name] = by_weights, " ".join(recording.notes)
        assert bool(said[name]) == (by_weights != set(compared[name])), name
    for name, n_variables in {"batch_norm": 6, "nested": 6, "mixed": 2}.items():
        assert (said[name], len(compared[name])) == ("", n_variables), name
    for name, words in {
        "float32": "computes in float32", "own_function": "no reference for the loss, own", "own_loss": "overrides compute_loss",
        "large": "products",
    }.items():  # fmt: skip
        assert words in said[name], (name, said[name])
        assert compared[name] == [], name
    if backend == "torch":
        assert said["bypass"] == ""
        assert len(compared["bypass"]) == 4
        assert not any("scale" in key for key in observed["bypass"])
        assert "scale is missing: torch took no gradient, although the loss depends on it" in notes["bypass"]
    assert "kinks" in said["kink"]
    assert not any("dead" in key for key in compared["kink"])


def test_a_loss_of_costs_by_position_may_say_so(results: dict[str, dict[str, Any]], folder: Path) -> None:
    assert verdict_of(results["silent"]) == ("FAILED", {"order"})
    assert verdict_of(results["said"]) == ("PASSED", set())
    shown = subprocess.run(
        [sys.executable, "-m", "backendcheck", "show", "labels/said", "--out", "out"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "belong to the places" in shown.stdout


def test_oracles_can_be_left_out(tmp_path: Path) -> None:
    exit_code, report, _ = run(project(tmp_path / "p", TWO_HEADS), "--backends", "jax,torch", "--oracles", "agreement")
    assert exit_code == 0
    assert {comparison["oracle"] for comparison in report["results"][0]["comparisons"]} == {"agreement"}


def test_keras_3_5_0_applied_a_dict_of_losses_in_alphabetical_order_and_one_backend_is_enough_to_see_it(tmp_path: Path) -> None:
    old = tmp_path / "keras350"
    installed = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(old), "keras==3.5.0"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if installed.returncode:
        pytest.skip(f"keras 3.5.0 cannot be installed here: {installed.stderr.strip()[-200:]}")
    path = os.pathsep.join(filter(None, [str(old), os.environ.get("PYTHONPATH")]))
    exit_code, report, output = run(project(tmp_path / "p", TWO_HEADS), "--backends", "torch", env={"PYTHONPATH": path})
    assert report["environments"]["torch"]["versions"]["keras"] == "3.5.0"
    assert exit_code == 1, output
    found = [(finding["observation"], finding["right"]) for finding in report["results"][0]["findings"]]
    assert ("loss", "torch:losses by name") in found


def test_tensorflow_on_the_cpu_computes_what_users_get_and_not_what_op_determinism_makes_of_it(tmp_path: Path) -> None:
    cases = """
        import keras
        import numpy as np
        from backendcheck import LossCase

        def case_no_label():
            loss = keras.losses.CategoricalCrossentropy(from_logits=True)
            zeros = np.zeros((1, 3), dtype="float32")
            return LossCase(loss, zeros, zeros, reference={"loss": 0.0, "gradient/y_pred": np.zeros((1, 3))})
    """
    exit_code, report, output = run(project(tmp_path / "p", cases), "--backends", "tensorflow")
    assert exit_code == 1, output
    # softmax - y, which TensorFlow's own kernel takes for the gradient, is 1/3 for each of three equal logits.
    assert {finding["observation"] for finding in report["results"][0]["findings"]} == {"gradient/y_pred"}
