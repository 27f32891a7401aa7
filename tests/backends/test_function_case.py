"""A function by itself: its values and gradients, through the front door on real backends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from front_door import backendcheck, project

from backendcheck.recordings.files import read_recording
from backendcheck.recordings.paths import recording_path
from backendcheck.recordings.recording import Recording

CASES = """
    import numpy as np
    from keras import ops
    from backendcheck import FunctionCase, Raises

    def squared_error(y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred), axis=-1)

    def case_by_position(rng):
        inputs = [rng.normal(size=(4, 3)), rng.normal(size=(4, 3))]
        def by_hand(y_true, y_pred):
            return {"value/result": ((y_true - y_pred) ** 2).mean(-1)}
        return FunctionCase(squared_error, inputs, reference=by_hand)

    def case_by_parameter(rng):
        labels = np.array([0, 2, 1])
        return FunctionCase(
            lambda labels, logits: {"z": ops.softmax(logits), "a": ops.one_hot(labels, 3)},
            {"logits": rng.normal(size=(3, 3)), "labels": labels},
        )

    def case_nested(rng):
        return FunctionCase(
            lambda pair, more: [pair[0] + pair[1], more["b"] * more["a"]],
            [(rng.normal(size=2), rng.normal(size=2)), {"b": rng.normal(size=3), "a": rng.normal(size=3)}],
        )

    def case_one_number(rng):
        return FunctionCase(lambda x: ops.sum(x * x), [rng.normal(size=3)])

    def case_wrong_on_every_backend():
        return FunctionCase(lambda x: x + 1, [np.ones(2)], reference={"value/result": [1.0, 1.0]})

    def case_leaves_the_backend():
        return FunctionCase(lambda x: ops.convert_to_numpy(x) * 2, [np.ones(2)], gradients=False)

    def case_differentiates_what_left_the_backend():
        return FunctionCase(lambda x: ops.convert_to_numpy(x) * 2, [np.ones(2)])

    def numpy_inside(y_true, y_pred):
        left, right = (ops.convert_to_numpy(y) for y in (y_true, y_pred))
        return ops.convert_to_tensor(np.abs(left - right).mean())

    def case_a_metric_with_numpy_inside():
        return FunctionCase(numpy_inside, [np.ones(2), np.zeros(2)], gradients=False)

    def case_returns_nothing():
        return FunctionCase(lambda x: None, [np.ones(2)])

    def case_rejected():
        return FunctionCase(lambda x: ops.reshape(x, (7, 7)), [np.ones(2)], expect=Raises())

    def case_values_swap_on_torch(rng):
        import keras
        def swap(x):
            return ops.flip(x, axis=0 if keras.backend.backend() == "torch" else 1)
        return FunctionCase(swap, [np.arange(9.0).reshape(3, 3)])

    def case_gradient_lost_on_jax(rng):
        import keras
        def lost(x):
            return ops.stop_gradient(x) * 2 if keras.backend.backend() == "jax" else x * 2
        return FunctionCase(lost, [rng.normal(size=3)])
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = project(tmp_path_factory.mktemp("functions"), {"fns.py": CASES})
    ended = backendcheck("run", "fns.py", "--out", "out", cwd=folder)
    assert ended.exit_code == 3, ended.words  # one case returns nothing, which is an author's mistake
    return folder / "out"


def results(run: Path) -> dict[str, Any]:
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return {one["case"].removeprefix("fns/"): one for one in report["results"]}


def recorded(run: Path, case: str, backend: str = "jax") -> Recording:
    return read_recording(recording_path(run / backend, f"fns/{case}"))


def test_values_and_gradients_are_recorded_under_the_names_of_the_parameters(run: Path) -> None:
    verdicts = {name: one["verdict"] for name, one in results(run).items()}
    agree = ("by_position", "by_parameter", "nested", "one_number", "leaves_the_backend", "rejected")
    assert [verdicts[name] for name in agree] == ["PASSED"] * len(agree)
    seen = {name: sorted(recorded(run, name).observations) for name in agree}
    assert seen["by_position"] == ["gradient/y_pred", "gradient/y_true", "value/result"]
    assert seen["by_parameter"] == ["gradient/logits", "value/a", "value/z"]
    assert seen["nested"] == [
        "gradient/more/a", "gradient/more/b", "gradient/pair/0", "gradient/pair/1", "value/result/0", "value/result/1",
    ]  # fmt: skip
    assert seen["leaves_the_backend"] == ["value/result"]


def test_what_fit_cannot_compile_is_named(run: Path) -> None:
    result = results(run)["a_metric_with_numpy_inside"]
    assert "NumPy inside through compiled" in result["headline"]
    for backend in ("tensorflow", "jax"):
        (variant,) = recorded(run, "a_metric_with_numpy_inside", backend).variants
        assert variant.raised is not None
        assert variant.raised.message.startswith("not compilable, as fit compiles it")


def test_the_gradient_of_a_number_is_the_plain_gradient(run: Path) -> None:
    recording = recorded(run, "one_number", "torch")
    total, gradient = (recording.observations[name].value for name in ("value/result", "gradient/x"))
    assert (gradient**2).sum() == pytest.approx(4 * float(total), rel=1e-5)


def test_a_softmax_has_a_gradient_because_its_results_are_weighted(run: Path) -> None:
    assert abs(recorded(run, "by_parameter").observations["gradient/logits"].value).max() > 1e-3


def test_a_function_is_compared_with_itself_compiled_where_the_backend_compiles(run: Path) -> None:
    legs = ("tensorflow", "jax", "torch")
    paths = {leg: [one.path for one in recorded(run, "by_position", leg).variants] for leg in legs}
    assert paths == {"tensorflow": ["compiled"], "jax": ["compiled"], "torch": []}


@pytest.mark.parametrize(
    ("case", "oracle", "observation"),
    [
        ("wrong_on_every_backend", "reference", "value/result"),
        ("values_swap_on_torch", "agreement", "value/result"),
        ("gradient_lost_on_jax", "agreement", "gradient/x"),
        ("differentiates_what_left_the_backend", "expectation", "raised"),
        ("a_metric_with_numpy_inside", "paths", "raised"),
    ],
)
def test_what_is_wrong_is_found(run: Path, case: str, oracle: str, observation: str) -> None:
    result = results(run)[case]
    assert result["verdict"] == "FAILED"
    assert (oracle, observation) in {(one["oracle"], one["observation"]) for one in result["findings"]}


def test_an_exchange_shows_in_the_gradient_as_well(run: Path) -> None:
    assert "gradient/x" in {one["observation"] for one in results(run)["values_swap_on_torch"]["findings"]}


def test_a_function_that_returns_nothing_is_an_error(run: Path) -> None:
    result = results(run)["returns_nothing"]
    assert result["verdict"] == "ERROR"
    assert "returned None" in result["headline"]
