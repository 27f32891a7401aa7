"""Injected faults in single layers of real models on real backends: `locate` names exactly them, and nothing in sound models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from front_door import backendcheck, project, record_request

from backendcheck.compare.layers import Location, locate
from backendcheck.report.formats.layers import sentences

# JAX is the odd one in all of them.
FAULTS = """
    import keras
    import numpy as np
    from keras import layers
    from backendcheck import LossCase, ModelCase

    ODD = keras.backend.backend() == "jax"
    LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    class Scale(layers.Layer):
        def call(self, x):
            return x * 1.01 if ODD else x

    class Swap(layers.Layer):
        def call(self, x):
            return keras.ops.concatenate([x[:, 1:2], x[:, :1], x[:, 2:]], axis=1) if ODD else x

    class WrongGradient(layers.Layer):
        def call(self, x):
            half = 0.5 * x
            return half + (keras.ops.stop_gradient(half) if ODD else half)

    class Stop(layers.Layer):
        def compute_output_shape(self, shape):
            return shape

        def call(self, x):
            if ODD:
                raise ValueError("no such thing")
            return x

    class Noise(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.generator = keras.random.SeedGenerator(1)

        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x), seed=self.generator)

    def data(rng):
        return rng.normal(size=(8, 4)).astype("float32"), rng.integers(0, 3, 8)

    def six(fault):
        x = inputs = keras.Input((4,), name="x")
        for layer in (dense("one"), dense("two"), fault(name="fault"), dense("four"), dense("five"), layers.Dense(3, name="out")):
            x = layer(x)
        return keras.Model(inputs, x, name="six")

    def dense(name):
        return layers.Dense(5, activation="tanh", name=name)

    def case_third_of_six(rng):
        return ModelCase(six(Scale), LOSS, *data(rng))

    def case_gradient_only(rng):
        return ModelCase(six(WrongGradient), LOSS, *data(rng))

    def case_raises(rng):
        return ModelCase(six(Stop), LOSS, *data(rng))

    def case_random(rng):
        return ModelCase(six(Noise), LOSS, *data(rng))

    def case_nested(rng):
        given = keras.Input((5,))
        inner = keras.Model(given, layers.Dense(4, name="after")(Swap(name="fault")(dense("before")(given))), name="inner")
        stack = [keras.Input((4,)), dense("one"), inner, layers.Dense(3, name="out")]
        return ModelCase(keras.Sequential(stack, name="outer"), LOSS, *data(rng))

    class Subclassed(keras.Model):
        def __init__(self, factor):
            super().__init__(name="subclassed")
            self.one, self.shared, self.fault = dense("one"), dense("shared"), Scale(name="fault")
            self.out = layers.Dense(3, name="out")
            self.factor = factor

        def call(self, x, training=False):
            x = self.shared(self.one(x))
            x = self.shared(self.fault(x) if self.factor is None else x * self.factor)
            return self.out(x)

    def case_subclassed_with_a_shared_layer(rng):
        return ModelCase(Subclassed(None), LOSS, *data(rng))

    def case_between_the_layers(rng):
        return ModelCase(Subclassed(1.01 if ODD else 1.0), LOSS, *data(rng))

    def costs(y_true, y_pred):
        errors = keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)
        return 1.01 * errors if ODD else errors

    def case_loss_of_a_model(rng):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="only")], name="small")
        return ModelCase(model, costs, data(rng)[0], rng.normal(size=(8, 2)))

    def case_loss_alone():
        return LossCase(costs, [[0.0, 1.0]], [[0.3, 0.9]])

    def case_healthy(rng):
        ids = keras.Input((7,), dtype="int32", name="ids")
        x = layers.Embedding(6, 4, mask_zero=True, name="embedding")(ids)
        x = layers.GRU(4, name="gru")(x + 1.0)
        x = layers.BatchNormalization(name="norm")(x)
        outputs = {
            "kind": layers.Dense(3, activation="softmax", name="kind")(x),
            "age": layers.Dense(1, name="age", kernel_regularizer="l2", activity_regularizer="l2")(x),
        }
        labels = {"kind": rng.integers(0, 3, 6), "age": rng.normal(size=(6, 1))}
        losses = {"kind": "sparse_categorical_crossentropy", "age": "mse"}
        return ModelCase(keras.Model(ids, outputs, name="healthy"), losses, rng.integers(0, 6, (6, 7)), labels)

    def case_healthy_in_float16(rng):
        stack = [keras.Input((4,)), *(layers.Dense(8, dtype="mixed_float16") for _ in range(3)), layers.Dense(3)]
        return ModelCase(keras.Sequential(stack), LOSS, *data(rng))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Location]]:
    """Every case located, by backend and name, with PyTorch as the source backend."""
    folder = project(tmp_path_factory.mktemp("layers"), {"faults.py": FAULTS})
    source = record_request(folder, "faults.py", layers=True, backend="torch")
    assert set(source.statuses.values()) == {"recorded"}, source.ended.words
    by_backend = {}
    for backend in ("jax", "tensorflow"):
        other = record_request(folder, "faults.py", layers=True, source_leg=source.leg, backend=backend)
        by_backend[backend] = {
            case.partition("/")[2]: locate(source.recordings[case], other.recordings[case]) for case in source.recordings
        }
    return by_backend


def verdicts(location: Location) -> dict[str, str]:
    return {layer.name: layer.verdict for layer in location.layers}


def backwards(location: Location) -> dict[str, str]:
    return {layer.name: layer.backward for layer in location.layers}


def test_the_third_of_six_layers_and_those_after_it_have_inherited(found) -> None:
    location = found["jax"]["third_of_six"]
    assert verdicts(location) == {
        "six": "encloses", "one": "same", "two": "same", "fault": "local", "four": "inherited", "five": "inherited",
        "out": "inherited", "loss": "inherited",
    }  # fmt: skip
    (sentence,) = sentences(location)
    assert sentence.startswith("first difference: layer `fault` (Scale), output; given the same inputs, ")
    assert sentence.endswith("confirmed by replay")


def test_inside_a_nested_model(found) -> None:
    location = found["jax"]["nested"]
    assert verdicts(location) == {
        "outer": "encloses", "one": "same", "inner": "encloses", "inner/before": "same", "inner/fault": "local",
        "inner/after": "inherited", "out": "inherited", "loss": "inherited",
    }  # fmt: skip


def test_a_gradient_alone(found) -> None:
    location = found["jax"]["gradient_only"]
    assert set(verdicts(location).values()) == {"same"}
    assert backwards(location) == {
        "loss": "same", "out": "same", "five": "same", "four": "same", "fault": "local", "two": "inherited", "one": "inherited",
        "six": "encloses",
    }  # fmt: skip
    assert sentences(location)[0].startswith("first difference: layer `fault` (WrongGradient), gradient; ")


def test_a_subclassed_model_with_a_shared_layer(found) -> None:
    assert verdicts(found["jax"]["subclassed_with_a_shared_layer"]) == {
        "subclassed": "encloses", "one": "same", "shared": "same", "fault": "local", "shared (call 2)": "inherited",
        "out": "inherited", "loss": "inherited",
    }  # fmt: skip


def test_what_a_model_computes_between_its_layers(found) -> None:
    location = found["jax"]["between_the_layers"]
    assert verdicts(location) == {
        "subclassed": "local", "one": "same", "shared": "same", "shared (call 2)": "inherited", "out": "inherited",
        "loss": "inherited",
    }  # fmt: skip
    assert "the cause is in its own code, before `shared (call 2)`" in sentences(location)[0]


def test_a_layer_that_raises(found) -> None:
    location = found["jax"]["raises"]
    assert (verdicts(location)["fault"], verdicts(location)["two"]) == ("raised", "same")
    assert sentences(location)[0] == "first difference: layer `fault` (Stop); raised on jax: ValueError: no such thing"


def test_a_layer_that_draws_random_numbers_is_no_cause(found) -> None:
    location = found["jax"]["random"]
    assert (verdicts(location)["fault"], verdicts(location)["four"]) == ("stateful", "inherited")
    assert (location.forward, location.backward) == (None, None)
    assert sentences(location)[0].startswith("not located: ")


@pytest.mark.parametrize("case", ["loss_of_a_model", "loss_alone"])
def test_the_loss_itself(found, case: str) -> None:
    location = found["jax"][case]
    assert (verdicts(location)["loss"], backwards(location)["loss"]) == ("local", "local")
    assert set(verdicts(location).values()) <= {"local", "same"}
    assert sentences(location)[0].startswith("first difference: loss (")


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
@pytest.mark.parametrize("case", ["healthy", "healthy_in_float16"])
def test_nothing_in_healthy_models(found, case: str, backend: str) -> None:
    location = found[backend][case]
    assert set(verdicts(location).values()) == {"same"}, sentences(location)
    assert set(backwards(location).values()) <= {"same", ""}
    assert {layer.name for layer in location.layers if layer.backward == "same"} > {"loss"}


def test_nothing_on_a_backend_without_the_faults(found) -> None:
    for case, location in found["tensorflow"].items():
        assert (location.forward, location.backward) == (None, None), (case, sentences(location))


def test_the_command(tmp_path: Path) -> None:
    cases = """
        import keras
        from backendcheck import ModelCase

        class Scale(keras.layers.Layer):
            def call(self, x):
                return x * 1.01 if keras.backend.backend() == "jax" else x

        def case_scaled(rng):
            model = keras.Sequential([keras.Input((4,)), Scale(name="fault"), keras.layers.Dense(2, name="out")])
            return ModelCase(model, "mse", rng.normal(size=(8, 4)), rng.normal(size=(8, 2)))

        def case_values():
            return {"v": [1.0, 2.0]}
    """
    folder = project(tmp_path, {"labels.py": cases})
    ran = backendcheck("run", "labels.py", "--backends", "torch,jax", "--oracles", "agreement", "--out", "out", cwd=folder)
    assert ran.exit_code == 1, ran.words
    before = sorted(folder.rglob("*.safetensors"))
    done = backendcheck("locate", "labels.py::case_scaled", "--out", "out", "--json", cwd=folder)
    assert done.exit_code == 0, done.words
    (one,) = json.loads(done.out)["comparisons"]
    assert (one["teacher"], one["backend"], one["first_output"]) == ("jax", "torch", "fault")
    assert sorted(folder.rglob("*.safetensors")) == before  # the run itself is left as it was
    assert "has changed" not in done.err
    refused = backendcheck("locate", "labels/values", "--out", "out", cwd=folder)
    assert refused.exit_code == 2
    assert "labels/values: has no layers" in refused.err
    for arguments, said in (
        (("labels/nowhere", "--out", "out"), "no such case in out"),
        (("labels/scaled", "--out", "nowhere"), "no such directory"),
        (("labels/scaled", "--out", "out", "--backends", "jax"), "expected two backends"),
    ):
        refused = backendcheck("locate", *arguments, cwd=folder)
        assert refused.exit_code == 2, refused.words
        assert said in refused.err
    (folder / "labels.py").rename(folder / "other.py")
    gone = backendcheck("locate", "labels/scaled", "--out", "out", cwd=folder)
    assert gone.exit_code == 2
    assert "labels.py: the case file is not here" in gone.err
