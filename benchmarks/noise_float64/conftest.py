"""What the cases of this directory need of a backend."""

import sys
from pathlib import Path

import keras
import pytest

sys.path.append(str(Path(__file__).parent.parent / "noise_models"))  # the models are those of the cases there


@pytest.fixture
def float64():
    """The session in float64 while the case lasts; JAX has to be told as well."""
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
