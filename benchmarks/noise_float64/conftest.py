"""A fixture for the cases of this directory."""

import sys
from pathlib import Path

import keras
import pytest

sys.path.append(str(Path(__file__).parent.parent / "noise_models"))  # the models are in that directory


@pytest.fixture
def float64():
    """Set float64 during a case, on JAX in its own configuration too."""
    if keras.backend.backend() == "jax":
        import jax

        before = jax.config.jax_enable_x64
        jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    if keras.backend.backend() == "jax":
        jax.config.update("jax_enable_x64", before)
