"""The calls of operations that are recorded of a case that returns values, for diagnoses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from front_door import project, record_request

from backendcheck.recordings.legs import read_legs

PROJECT = {
    "cases/calls.py": """
        import keras
        import numpy as np
        from keras import ops
        from backendcheck import FunctionCase, ModelCase, ValueCase

        def case_values():
            scores = ops.convert_to_tensor(np.array([[0.1, np.nan]], "float32"))

            def compute():
                wide = ops.cast(np.zeros(5000, "float32"), "int32")
                return {"class": ops.argmax(scores, axis=-1), "one_hot": ops.one_hot(np.array([1, -1]), 2), "n": ops.size(wide)}

            return ValueCase(compute)

        def case_metric():
            metric = keras.metrics.SparseTopKCategoricalAccuracy(k=1)
            metric.update_state(np.array([0]), np.array([[0.9, 0.1]], "float32"))
            return {"share": metric.result()}

        def case_function():
            return FunctionCase(lambda x: ops.argmax(x, axis=-1), {"x": np.array([[1.0, 2.0]], "float32")})

        def case_compiled():
            model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
            return ModelCase(model, "mse", np.ones((2, 2)), np.ones((2, 1)))
    """,
}


def test_calls_of_operations_are_recorded_with_inputs_and_results(tmp_path: Path) -> None:
    folder = project(tmp_path, PROJECT)
    recorded = record_request(folder, "cases")
    recordings = {case.rpartition("/")[2]: each for case, each in read_legs([folder / "out" / "jax"])[0].recordings.items()}
    assert {each.status for each in recordings.values()} == {"recorded"}, recorded.ended
    convert, argmax, one_hot = recordings["values"].operations
    assert [call.name for call in (convert, argmax, one_hot)] == ["convert_to_tensor", "argmax", "one_hot"]
    np.testing.assert_array_equal(argmax.inputs["x"].value, np.float32([[0.1, np.nan]]))
    assert argmax.options == {"axis": -1}
    assert argmax.results["0"].value.tolist() == [1]
    assert one_hot.results["0"].value.tolist() == [[0, 1], [0, 0]]
    assert "in_top_k" in [call.name for call in recordings["metric"].operations]
    assert [call.name for call in recordings["function"].operations][-1:] == ["argmax"]
    assert recordings["compiled"].operations == ()
