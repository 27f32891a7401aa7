"""An optimizer with gradients and state in, the weights after one update out: float64 NumPy from documented definitions.

The rules are those of the docstrings in ``keras.optimizers`` and of the papers that they name. Where the documentation gives no
rule, the weight or the state has no value, and `Update.doubts` says why.

    weight = Weight(path="kernel", value=np.array([1.0]), gradient=np.array([0.5]))
    update(OptimizerSpec(name="SGD", options={"learning_rate": 0.1, "momentum": 0.0}), [weight], {"iteration": 0})
"""

from backendcheck.reference.optimizers.margin import UPDATE_RTOL, UPDATE_ULPS, Expected, expected_update
from backendcheck.reference.optimizers.spec import OptimizerSpec, Update, Weight
from backendcheck.reference.optimizers.step import covered_optimizers, update

__all__ = [
    "UPDATE_RTOL",
    "UPDATE_ULPS",
    "Expected",
    "OptimizerSpec",
    "Update",
    "Weight",
    "covered_optimizers",
    "expected_update",
    "update",
]
