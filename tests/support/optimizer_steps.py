"""Steps of every optimizer of Keras, with many options, beside the reference: ``KERAS_BACKEND=numpy python optimizer_steps.py``.

Prints one line of JSON: what differs, by optimizer and option, and the share of weights that have a reference. A process of its
own, because pytest imports no backend.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from backendcheck.reference import Weight, expected_update

STEPS = 3
OWN: dict[str, dict[str, dict[str, Any]]] = {
    "SGD": {"momentum": {"momentum": 0.9}, "nesterov": {"momentum": 0.9, "nesterov": True}},
    "RMSprop": {"centered": {"centered": True, "momentum": 0.5}, "rho": {"rho": 0.8}},
    "Adam": {"amsgrad": {"amsgrad": True}, "betas": {"beta_1": 0.8, "beta_2": 0.9}, "epsilon": {"epsilon": 1e-2}},
    "AdamW": {"decay": {"weight_decay": 0.5}},
    "Adamax": {"betas": {"beta_1": 0.5, "beta_2": 0.9}},
    "Adagrad": {"start": {"initial_accumulator_value": 0.5}},
    "Adadelta": {"rate": {"learning_rate": 1.0}, "epsilon": {"epsilon": 1e-3}},
    "Nadam": {},
    "Ftrl": {"l1": {"l1_regularization_strength": 0.05}, "l2": {"l2_regularization_strength": 0.5}, "beta": {"beta": 0.5},
             "power": {"learning_rate_power": -0.8}},
    "Lion": {"betas": {"beta_1": 0.5, "beta_2": 0.6}},
    "Lamb": {"betas": {"beta_1": 0.5}},
    "Adafactor": {"decay": {"beta_2_decay": -0.5}, "threshold": {"clip_threshold": 0.5},
                  "fixed_rate": {"relative_step": False, "learning_rate": 0.9}},
    "Muon": {"excluded": {"exclude_layers": ["head"]}, "plain": {"nesterov": False, "rms_rate": None}},
    "ScheduleFreeAdamW": {},
}  # fmt: skip
SHARED: dict[str, dict[str, Any]] = {
    "decay": {"weight_decay": 0.1}, "norm": {"clipnorm": 0.3}, "norm_of_all": {"global_clipnorm": 0.3},
    "value": {"clipvalue": 0.1},
    "average": {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 2}, "scale": {"loss_scale_factor": 8.0},
    "accumulated": {"gradient_accumulation_steps": 2, "clipnorm": 0.3, "weight_decay": 0.1},
}  # fmt: skip
WITH_SHARED = ("SGD", "Adam", "Muon")


def optimizers() -> Iterator[tuple[str, Any]]:
    import keras  # never in the pytest process

    schedules = keras.optimizers.schedules
    rates = {
        "exponential": schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True),
        "piecewise": schedules.PiecewiseConstantDecay([0, 1], [0.1, 0.05, 0.01]),
        "polynomial": schedules.PolynomialDecay(0.1, 2, 0.01, power=2.0),
        "inverse": schedules.InverseTimeDecay(0.1, 2, 0.5),
        "cosine": schedules.CosineDecay(0.02, 3, alpha=0.1, warmup_target=0.1, warmup_steps=1),
        "restarts": schedules.CosineDecayRestarts(0.1, 1, t_mul=1.5, m_mul=0.8, alpha=0.1),
    }
    for name, own in OWN.items():
        shared = SHARED if name in WITH_SHARED else {}
        for option, options in {"": {}, **shared, **own}.items():
            yield f"{name} {option}".strip(), getattr(keras.optimizers, name)(**{"learning_rate": 0.1} | options)
    for option, rate in rates.items():
        yield f"SGD {option}", keras.optimizers.SGD(rate, momentum=0.5)
    excluded = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    excluded.exclude_from_weight_decay(var_names=["bias"])
    yield "AdamW excluded", excluded
    adam = keras.optimizers.Adam(0.1)
    yield "LossScaleOptimizer", keras.optimizers.LossScaleOptimizer(adam, initial_scale=4.0, dynamic_growth_steps=2)
    of_dense = keras.optimizers.Adam(0.05, clipnorm=0.2)
    by_path = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.1), {"dense/.*": of_dense})
    yield "MultiOptimizer", keras.optimizers.MultiOptimizer(by_path)


def differences(optimizer: Any) -> tuple[set[str], float]:
    """What differs from the reference, W for weights and S for state, and the share of weights that have a reference."""
    import keras  # never in the pytest process

    from backendcheck.record.observe.optimizer_state import named_state
    from backendcheck.record.oracles.update_reference import decays, spec_of

    keras.utils.clear_session()
    layers = [keras.layers.Dense(3, name="dense"), keras.layers.Dense(2, name="head")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    variables, generator = model.trainable_variables, np.random.default_rng(1)
    for variable in variables:
        variable.assign(0.5 * generator.normal(size=variable.shape))
    optimizer.build(variables)
    differ: set[str] = set()
    n_defined = n_weights = 0
    for _ in range(STEPS):
        gradients = [(0.3 * generator.normal(size=variable.shape)).astype("float32") for variable in variables]
        state = named_state(optimizer, model)
        before = {entry.name: number(entry.variable) for entry in state}
        weights = [
            Weight(
                path=variable.path, value=number(variable), gradient=gradient.astype(np.float64),
                decays=decays(optimizer, variable),
                slots={entry.slot: before[entry.name] for entry in state if entry.path == variable.path},
            )
            for variable, gradient in zip(variables, gradients, strict=True)
        ]  # fmt: skip
        scale = getattr(optimizer, "loss_scale_factor", None) or number(getattr(optimizer, "dynamic_scale", 1.0))
        optimizer.apply([keras.ops.convert_to_tensor(gradient * np.float32(scale)) for gradient in gradients], variables)
        scalars = {entry.name: float(before[entry.name]) for entry in state if not entry.path}
        expected_weights, expected_slots, updated = expected_update(spec_of(optimizer, model), weights, scalars, 1.2e-7)
        after = {f"{entry.path}/{entry.slot}": number(entry.variable) for entry in state if entry.path}
        after |= {entry.name: number(entry.variable) for entry in state if not entry.path}
        for variable in variables:
            n_weights += number(variable).size
            if (expected := expected_weights.get(variable.path)) is not None:
                n_defined += int(expected.defined.sum())
                differ |= misses(expected, number(variable), "W")
        for name, expected in expected_slots.items():
            differ |= misses(expected, after[name], "S")
        differ |= {"S" for name, value in updated.scalars.items() if abs(value - float(after[name])) > 1e-6 * abs(value)}
    return differ, n_defined / n_weights


def misses(expected: Any, value: np.ndarray, kind: str) -> set[str]:
    return {kind} if (expected.defined & (np.abs(value - expected.value) > expected.allowed)).any() else set()


def number(value: Any) -> np.ndarray:
    import keras  # never in the pytest process

    return np.asarray(keras.ops.convert_to_numpy(value), np.float64)


if __name__ == "__main__":
    results = {name: differences(optimizer) for name, optimizer in optimizers()}
    # The documentation has no rule for these weights, or no start for these averages.
    unknown = {"Nadam", "ScheduleFreeAdamW", "SGD average", "Adam average", "Muon average"}
    shares = {name: share for name, (_, share) in results.items() if name not in unknown}
    differ = {name: sorted(kinds) for name, (kinds, _) in results.items() if kinds}
    sys.stdout.write(json.dumps({"differ": differ, "covered": shares}) + "\n")
