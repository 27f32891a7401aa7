"""The precision of an observation is that of the coarsest type it is computed from, whatever the dtype that it ends in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from front_door import Session, project, record

from backendcheck.compare.backends import compare_backends
from backendcheck.compare.findings import Finding
from backendcheck.recordings.recording import Recording
from backendcheck.verdicts.verdict import incomparable
from backendcheck.vocabulary.findings import FindingKind

CASES = '''
"""Float types that a number does not show."""
import keras
import numpy as np
from keras import layers
from backendcheck import FunctionCase, LossCase, ModelCase, ValueCase


def trained(rng, *parts, metrics=("mae",), loss="mean_squared_error", y="float32"):
    model = keras.Sequential([keras.Input((4,)), *parts])
    labels = rng.normal(size=(6, 3)).astype(y)
    return ModelCase(model, loss, rng.normal(size=(6, 4)), labels, metrics=list(metrics))


def case_float32_layers(rng):
    """The session has float64, the layers do not."""
    keras.config.set_floatx("float64")
    return trained(rng, layers.Dense(5, dtype="float32"), layers.Dense(3, dtype="float32"), y="float64")


def case_float64_layers(rng):
    """Layers that follow the session, as in a plain script."""
    keras.config.set_floatx("float64")
    return trained(rng, layers.Dense(5), layers.Dense(3), y="float64")


def case_one_float32_layer(rng):
    """One layer of two rounds to float32."""
    keras.config.set_floatx("float64")
    return trained(rng, layers.Dense(5, dtype="float32"), layers.Dense(3, dtype="float64"), y="float64")


def case_float64_labels(rng):
    """Labels in float64 do not make predictions of float32 more precise."""
    return trained(rng, layers.Dense(3), y="float64")


def case_one_float16_layer(rng):
    """One layer with mixed precision, and an output in float32."""
    return trained(rng, layers.Dense(5, dtype="mixed_float16"), layers.Dense(3, dtype="float32"))


def case_cast_between_layers(rng):
    """An operation that is not a layer."""
    x = keras.Input((4,))
    hidden = keras.ops.cast(keras.ops.cast(layers.Dense(5)(x), "bfloat16"), "float32")
    model = keras.Model(x, layers.Dense(3)(hidden))
    return ModelCase(model, "mean_squared_error", rng.normal(size=(6, 4)), rng.normal(size=(6, 3)))


def case_float16_loss(rng):
    """The loss alone is in float16."""
    return trained(rng, layers.Dense(3), loss=keras.losses.MeanSquaredError(dtype="float16"))


def case_float16_metric(rng):
    """A metric alone is in float16."""
    return trained(rng, layers.Dense(3), metrics=["mae", keras.metrics.MeanSquaredError(dtype="float16")])


def case_loss_in_float16(rng):
    """The gradient has the type of the predictions, and the precision of the loss."""
    return LossCase(keras.losses.MeanSquaredError(dtype="float16"), rng.normal(size=(6, 3)), rng.normal(size=(6, 3)))


def case_function_of_float16(rng):
    """The mean of float16 is float16, also if it is cast."""
    return FunctionCase(lambda a: keras.ops.cast(keras.ops.mean(a), "float32"), {"a": rng.normal(size=7).astype("float16")})


def case_function_through_float16(rng):
    """The gradient by float32 goes through a result in float16."""
    return FunctionCase(lambda a: keras.ops.cast(a, "float16") * 2, {"a": rng.normal(size=7).astype("float32")})


def case_value_through_a_layer(rng):
    """A number that evaluate returns has no dtype."""
    x, y = rng.normal(size=(6, 4)), rng.normal(size=(6, 3))

    def compute():
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="mixed_float16"), layers.Dense(3, dtype="float32")])
        model.compile(loss="mean_squared_error")
        return {"loss": model.evaluate(x, y, verbose=0)}

    return ValueCase(compute)


def case_dict_through_a_layer():
    """The same for a case that returns the dict."""
    return {"y": keras.ops.cast(layers.Dense(3, dtype="float16")(np.ones((2, 4))), "float32")}


def case_value_under_a_policy():
    """A policy says in which type a number was computed."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    return {"number": 0.5, "count": 3}


def case_plain():
    """Nothing is coarser than float32."""
    return {"number": 0.5, "tensor": keras.ops.ones(2)}


def case_number_in_float64():
    """A number of Python in a session with float64."""
    keras.config.set_floatx("float64")
    return {"number": 0.5}
'''


@pytest.fixture(scope="module")
def torch_session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = project(tmp_path_factory.mktemp("torch"), {"floats.py": CASES})
    return record(folder, "floats.py", "--oracles", "agreement", backend="torch")


@pytest.fixture(scope="module")
def torch(torch_session: Session) -> Mapping[str, Recording]:
    return {case.removeprefix("floats/"): recording for case, recording in torch_session.recordings.items()}


def precisions(recording: Recording) -> set[str]:
    """Those of all floats."""
    assert recording.was_observed, recording.problem
    assert not recording.raised, recording.raised
    return {observation.precision for observation in recording.observations.values() if observation.is_float}


@pytest.mark.parametrize(
    ("case", "precision"),
    [
        ("float32_layers", "float32"), ("float64_layers", "float64"), ("one_float32_layer", "float32"),
        ("float64_labels", "float32"), ("one_float16_layer", "float16"), ("cast_between_layers", "bfloat16"),
        ("loss_in_float16", "float16"), ("function_of_float16", "float16"), ("function_through_float16", "float16"),
        ("value_through_a_layer", "float16"), ("dict_through_a_layer", "float16"), ("value_under_a_policy", "bfloat16"),
        ("plain", "float32"), ("number_in_float64", "float64"),
    ],
)  # fmt: skip
def test_every_float_has_the_precision_of_the_coarsest_type_behind_it(
    torch: Mapping[str, Recording], case: str, precision: str
) -> None:
    assert precisions(torch[case]) == {precision}


def test_the_dtype_stays_as_the_backend_returned_it(torch: Mapping[str, Recording]) -> None:
    loss = torch["float32_layers"].observations["loss"]
    assert (loss.dtype, loss.precision) == ("float64", "float32")


def test_predictions_before_a_coarse_loss_keep_their_precision(torch: Mapping[str, Recording]) -> None:
    observations = torch["float16_loss"].observations
    coarse = {name for name, observation in observations.items() if observation.precision == "float16"}
    assert {"loss", "per_example_loss", "gradient/y_pred", "train/loss"} <= coarse
    assert observations["predictions"].precision == "float32"


def test_a_coarse_metric_concerns_metrics_alone(torch: Mapping[str, Recording]) -> None:
    observations = torch["float16_metric"].observations
    coarse = {name for name, observation in observations.items() if observation.precision == "float16"}
    assert {"metric/mean_squared_error", "train/metric/mean_squared_error"} <= coarse
    assert observations["train/loss"].precision == observations["loss"].precision == "float32"


def test_a_session_without_float64_on_jax_differs_in_dtype_and_not_in_value(
    torch: Mapping[str, Recording], tmp_path: Path
) -> None:
    folder = project(tmp_path, {"floats.py": CASES})
    chosen = "float32_layers or float64_layers or number_in_float64"
    jax = record(folder, "floats.py", "-k", chosen, "--oracles", "agreement", backend="jax")
    number = jax.recordings["floats/number_in_float64"].observations["value/number"]
    assert (number.dtype, number.precision) == ("float64", "float32")
    for case in ("float32_layers", "float64_layers"):
        recordings = {"torch": torch[case], "jax": jax.recordings[f"floats/{case}"]}
        assert incomparable(recordings) == []  # both start from the same weights
        kinds = {comparison.kind for comparison in compare_backends(recordings) if isinstance(comparison, Finding)}
        assert kinds <= {FindingKind.DTYPE}
