"""What the cases of this directory need of a backend."""

import keras
import pytest


@pytest.fixture
def float64():
    """The session in float64 while the case lasts; JAX computes in it only where that was switched on before it started."""
    if keras.backend.backend() == "jax":
        import jax

        if not jax.config.jax_enable_x64:
            pytest.skip("JAX computes in float64 only with JAX_ENABLE_X64=1 in the environment")
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
