"""Whether a model draws random numbers: no two backends draw the same, so what depends on them is not compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from backendcheck.record.observe import outputs
from backendcheck.record.observe.arrays import observed
from backendcheck.record.observe.model_under_test import Subject
from backendcheck.record.observe.variables import State, variables_of


def random_state(model: Any) -> list[Any]:
    """The state of every random generator in the model; it moves when numbers are drawn."""
    states = [variable for variable in model.variables if "seed_generator" in variable.path]
    return [observed(variable, where="random state").value.tolist() for variable in states]


def draws_in_training(subject: Subject) -> bool:
    """Whether two training passes over the same data differ. On PyTorch, Keras leaves the state of its generators alone."""
    model = subject.model
    if not random_state(model):
        return False
    before = State(one for one in variables_of(model) if "seed_generator" not in one.path)
    data = subject.tensors(subject.arrays)
    try:
        passes = []
        for _ in range(2):
            before.put_back()
            passes.append(outputs.by_output(model(data["x"], training=True), model))
    except Exception:  # noqa: BLE001 - whatever it is, `fit` meets it too, and there it is recorded
        return False
    finally:
        before.put_back()
    arrays = [[observed(one, where=name).value for name, one in named.items()] for named in passes]
    return not all(np.array_equal(first, second, equal_nan=True) for first, second in zip(*arrays, strict=True))
