"""A model with several outputs that raises before it has any is recorded as raised, whatever the form of its losses."""

from __future__ import annotations

from pathlib import Path

from front_door import project, record

from backendcheck.vocabulary.states import Status

CASES = '''
import keras
import numpy as np
from backendcheck import ModelCase

def case_names():
    """TensorFlow refuses the name of a layer with a space in it, once it compiles."""
    x = keras.Input((3,))
    model = keras.Model(x, [keras.layers.Dense(2, name="a b")(x), keras.layers.Dense(2, name="c")(x)])
    return ModelCase(model, ["mse", "mae"], np.ones((4, 3)), [np.ones((4, 2))] * 2)
'''


def test_a_model_that_raises_before_it_has_outputs_is_recorded_as_raised(tmp_path: Path) -> None:
    session = record(project(tmp_path, {"cases.py": CASES}), "cases.py", backend="tensorflow")
    assert session.recordings["cases/names"].status is Status.RAISED, session.ended.words
