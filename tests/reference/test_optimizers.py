"""The references of optimizers: examples by hand, the options that all share, schedules, margins, and what has no value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from backendcheck.reference import NoReference, OptimizerSpec, Update, Weight, covered_optimizers, expected_update, update
from backendcheck.reference.optimizers.schedules import learning_rate

W, G = np.array([1.0, -2.0, 0.5]), np.array([0.5, -0.1, 2.0])
SHARED = {"learning_rate": 0.1, "weight_decay": None, "clipnorm": None, "clipvalue": None, "global_clipnorm": None}
OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.0, "nesterov": False},
    "RMSprop": {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
    "Adam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False},
    "AdamW": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False, "weight_decay": 0.004},
    "Adamax": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "Adagrad": {"initial_accumulator_value": 0.1, "epsilon": 1e-7},
    "Adadelta": {"rho": 0.95, "epsilon": 1e-7},
    "Nadam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "Ftrl": {
        "learning_rate_power": -0.5, "l1_regularization_strength": 0.0, "l2_regularization_strength": 0.0,
        "l2_shrinkage_regularization_strength": 0.0, "beta": 0.0,
    },
    "Lion": {"beta_1": 0.9, "beta_2": 0.99},
    "Lamb": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "Adafactor": {"beta_2_decay": -0.8, "epsilon_1": 1e-30, "epsilon_2": 1e-3, "clip_threshold": 1.0, "relative_step": True},
    "Muon": {
        "adam_beta_1": 0.9, "adam_beta_2": 0.999, "epsilon": 1e-7, "exclude_layers": [], "exclude_embeddings": True,
        "muon_a": 3.4445, "muon_b": -4.775, "muon_c": 2.0315, "adam_lr_ratio": 1, "momentum": 0.95, "ns_steps": 5,
        "nesterov": True, "adam_weight_decay": None, "rms_rate": 0.2,
    },
    "ScheduleFreeAdamW": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "warmup_steps": 0},
}  # fmt: skip


def spec(name: str, **options: Any) -> OptimizerSpec:
    return OptimizerSpec(name=name, options={**SHARED, **OPTIONS[name], **options})


def weight(value: Any = W, gradient: Any = G, path: str = "w", **slots: Any) -> Weight:
    arrays = {name: np.broadcast_to(np.asarray(slot, float), np.shape(value)) for name, slot in slots.items()}
    return Weight(path=path, value=np.asarray(value, float), gradient=np.asarray(gradient, float), slots=arrays)


def after(name: str, start: Weight, iteration: int = 0, **options: Any) -> Update:
    return update(spec(name, **options), [start], {"iteration": iteration})


def test_all_optimizers_of_keras_have_a_reference() -> None:
    assert covered_optimizers() == tuple(sorted([*OPTIONS, "LossScaleOptimizer", "MultiOptimizer"]))
    assert len(covered_optimizers()) == 16


# --- rules -----------------------------------------------------------------------------------------------------


def test_sgd() -> None:
    assert after("SGD", weight()).weights["w"] == pytest.approx(W - 0.1 * G)
    rolling = weight(momentum=[1.0, 0.0, -1.0])
    velocity = 0.9 * np.array([1.0, 0.0, -1.0]) - 0.1 * G
    plain = after("SGD", rolling, momentum=0.9)
    assert plain.weights["w"] == pytest.approx(W + velocity)
    assert plain.slots["w"]["momentum"] == pytest.approx(velocity)
    nesterov = after("SGD", rolling, momentum=0.9, nesterov=True)
    assert nesterov.weights["w"] == pytest.approx(W + 0.9 * velocity - 0.1 * G)


def test_rmsprop_follows_the_example_of_its_docstring() -> None:
    moved = after("RMSprop", weight([10.0], [10.0], velocity=0.0))
    assert moved.weights["w"] == pytest.approx([9.683772])
    assert moved.slots["w"]["velocity"] == pytest.approx([10.0])


def test_rmsprop_centered_with_momentum() -> None:
    start = weight([1.0], [2.0], velocity=1.0, average_gradient=0.5, momentum=0.1)
    moved = after("RMSprop", start, centered=True, momentum=0.5)
    velocity, average = 0.9 + 0.1 * 4, 0.45 + 0.2
    step = 0.05 + 0.1 * 2 / math.sqrt(velocity - average**2 + 1e-7)
    assert moved.weights["w"] == pytest.approx([1.0 - step])
    assert {name: value.tolist() for name, value in moved.slots["w"].items()} == {
        "velocity": pytest.approx([velocity]), "average_gradient": pytest.approx([average]), "momentum": pytest.approx([step]),
    }  # fmt: skip


def test_adam_has_epsilon_hat() -> None:
    start = weight([1.0], [0.01], momentum=0.02, velocity=0.0004)
    moved = after("Adam", start, iteration=2, epsilon=1e-3)
    momentum, velocity = 0.9 * 0.02 + 0.1 * 0.01, 0.999 * 0.0004 + 0.001 * 0.0001
    rate = 0.1 * math.sqrt(1 - 0.999**3) / (1 - 0.9**3)
    assert moved.weights["w"] == pytest.approx([1.0 - rate * momentum / (math.sqrt(velocity) + 1e-3)])
    assert moved.scalars == {"iteration": 3}


def test_the_first_step_of_adam_is_the_learning_rate() -> None:
    assert after("Adam", weight(momentum=0.0, velocity=0.0)).weights["w"] == pytest.approx(W - 0.1 * np.sign(G), rel=1e-4)


def test_amsgrad_takes_the_largest_second_moment() -> None:
    start = weight([1.0], [0.1], momentum=0.0, velocity=0.0, velocity_hat=4.0)
    moved = after("Adam", start, iteration=5, amsgrad=True)
    rate = 0.1 * math.sqrt(1 - 0.999**6) / (1 - 0.9**6)
    assert moved.weights["w"] == pytest.approx([1.0 - rate * 0.01 / 2.0], rel=1e-6)
    assert moved.slots["w"]["velocity_hat"] == pytest.approx([4.0])


def test_adamw_decays_before_the_step() -> None:
    without = after("AdamW", weight(momentum=0.0, velocity=0.0), weight_decay=None)
    moved = after("AdamW", weight(momentum=0.0, velocity=0.0))
    assert moved.weights["w"] == pytest.approx(without.weights["w"] - 0.1 * 0.004 * W)
    excluded = Weight(path="w", value=W, gradient=G, slots={"momentum": 0 * W, "velocity": 0 * W}, decays=False)
    assert after("AdamW", excluded).weights["w"] == pytest.approx(without.weights["w"])


def test_adamax() -> None:
    moved = after("Adamax", weight([1.0], [0.5], momentum=0.2, norm=2.0), iteration=1)
    assert moved.weights["w"] == pytest.approx([1.0 - 0.1 / (1 - 0.81) * (0.18 + 0.05) / (1.998 + 1e-7)])
    assert moved.slots["w"]["norm"] == pytest.approx([1.998])


def test_adagrad() -> None:
    moved = after("Adagrad", weight([1.0], [0.5], accumulator=0.1))
    assert moved.weights["w"] == pytest.approx([1.0 - 0.05 / math.sqrt(0.35)], rel=1e-6)


def test_adadelta_with_the_learning_rate_of_the_paper() -> None:
    moved = after("Adadelta", weight([1.0], [0.5], accumulated_grad=0.0, accumulated_delta_var=0.0), learning_rate=1.0)
    step = math.sqrt(1e-7) / math.sqrt(0.05 * 0.25 + 1e-7) * 0.5
    assert moved.weights["w"] == pytest.approx([1.0 - step])
    assert moved.slots["w"]["accumulated_delta_var"] == pytest.approx([0.05 * step**2])


def test_ftrl_with_l1_and_l2() -> None:
    start = weight([1.0, 0.01], [0.5, 0.001], accumulator=0.1, linear=0.0)
    moved = after("Ftrl", start, l1_regularization_strength=0.2, l2_regularization_strength=3.0, beta=0.5)
    root, sigma = math.sqrt(0.35), (math.sqrt(0.35) - math.sqrt(0.1)) / 0.1
    linear = 0.5 - sigma
    assert moved.slots["w"]["linear"][0] == pytest.approx(linear)
    assert moved.weights["w"] == pytest.approx([(-0.2 - linear) / ((0.5 + root) / 0.1 + 3.0), 0.0])


def test_lion_takes_the_sign() -> None:
    moved = after("Lion", weight(momentum=[-1.0, -1.0, 0.0]))
    assert moved.weights["w"] == pytest.approx(W - 0.1 * np.array([-1.0, -1.0, 1.0]))
    assert moved.slots["w"]["momentum"] == pytest.approx(np.array([-0.99, -0.99, 0.0]) + 0.01 * G)


def test_lamb_moves_by_a_share_of_the_norm_of_the_weight() -> None:
    moved = after("Lamb", weight(momentum=0.0, velocity=0.0)).weights["w"]
    assert np.linalg.norm(moved - W) == pytest.approx(0.1 * np.linalg.norm(W))
    assert np.sign(moved - W).tolist() == np.sign(-G).tolist()


def test_adafactor_of_a_vector_and_of_a_matrix() -> None:
    moved = after("Adafactor", weight(velocity=0.0)).weights["w"]
    assert moved == pytest.approx(W - 0.1 * np.sqrt(np.mean(W**2)) * np.sign(G))
    rows, columns = np.array([[1.0], [2.0]]), np.array([[3.0, 1.0, 0.5]])
    of_rank_one = after("Adafactor", weight(np.ones((2, 3)), rows * columns, velocity=0.0, r=0.0, c=0.0))
    assert of_rank_one.slots["w"]["velocity"] == pytest.approx((rows * columns) ** 2)
    assert of_rank_one.weights["w"] == pytest.approx(np.full((2, 3), 0.9))


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_muon_makes_the_step_nearly_orthogonal(shape: tuple[int, int]) -> None:
    gradient = np.random.default_rng(0).normal(size=shape)
    moved = after("Muon", weight(np.zeros(shape), gradient, momentum=0.0), rms_rate=None)
    sizes = np.linalg.svd(moved.weights["w"] / -0.1, compute_uv=False)
    assert (sizes > 0.6).all()
    assert (sizes < 1.3).all()
    scaled = after("Muon", weight(np.zeros(shape), gradient, momentum=0.0))
    assert scaled.weights["w"] == pytest.approx(moved.weights["w"] * math.sqrt(5) * 0.2)
    assert moved.slots["w"]["momentum"] == pytest.approx(gradient)


@pytest.mark.parametrize(
    ("path", "shape", "options"),
    [("w", (3,), {}), ("table/embeddings", (3, 2), {}), ("head/kernel", (3, 2), {"exclude_layers": ["head"]})],
)
def test_muon_updates_other_weights_as_adam_does(path: str, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    start = weight(np.ones(shape), np.full(shape, 0.5), path=path, momentum=0.0, velocity=0.0)
    moved = after("Muon", start, adam_lr_ratio=0.5, **options)
    assert moved.weights[path] == pytest.approx(after("Adam", start, learning_rate=0.05).weights[path])


def test_schedule_free_adamw_has_a_reference_for_its_first_step() -> None:
    start = weight(momentum=W, velocity=0.0)
    moved = after("ScheduleFreeAdamW", start, warmup_steps=4)
    assert moved.weights["w"] == pytest.approx(W - 0.025 * np.sign(G))
    later = after("ScheduleFreeAdamW", start, iteration=1)
    assert not later.weights
    assert later.doubts


def test_nadam_has_a_reference_for_its_moments_only() -> None:
    moved = after("Nadam", weight(momentum=0.0, velocity=0.0))
    assert not moved.weights
    assert moved.slots["w"]["momentum"] == pytest.approx(0.1 * G)
    assert moved.slots["w"]["velocity"] == pytest.approx(0.001 * G**2)


# --- options that all share ------------------------------------------------------------------------------------


def test_clipping() -> None:
    pair = [weight([0.0, 0.0], [3.0, 4.0], "a"), weight([0.0], [12.0], "b")]

    def moved(**options: Any) -> dict[str, Any]:
        return {path: value.tolist() for path, value in update(spec("SGD", **options), pair, {"iteration": 0}).weights.items()}

    assert moved(clipnorm=1.0) == {"a": pytest.approx([-0.06, -0.08]), "b": pytest.approx([-0.1])}
    assert moved(clipnorm=50.0) == {"a": pytest.approx([-0.3, -0.4]), "b": pytest.approx([-1.2])}
    assert moved(global_clipnorm=1.3) == {"a": pytest.approx([-0.03, -0.04]), "b": pytest.approx([-0.12])}
    assert moved(clipvalue=3.5) == {"a": pytest.approx([-0.3, -0.35]), "b": pytest.approx([-0.35])}


def test_gradients_are_accumulated() -> None:
    before = np.array([1.0, 0.0, 0.0])
    start = weight(gradient_accumulator=before)
    between = after("SGD", start, gradient_accumulation_steps=3)
    assert between.weights["w"] == pytest.approx(W)
    assert between.slots["w"]["gradient_accumulator"] == pytest.approx(G + before)
    third = after("SGD", start, iteration=2, gradient_accumulation_steps=3)
    assert third.weights["w"] == pytest.approx(W - 0.1 * (G + before) / 3)
    assert third.slots["w"]["gradient_accumulator"] == pytest.approx(0 * W)


def test_the_average_of_the_weights() -> None:
    options = {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": None}
    later = after("SGD", weight(average=1.0), iteration=1, **options)
    average = 0.9 + 0.1 * (W - 0.1 * G)
    assert later.slots["w"]["average"] == pytest.approx(average)
    assert later.weights["w"] == pytest.approx(W - 0.1 * G)
    replaced = after("SGD", weight(average=1.0), iteration=1, **options | {"ema_overwrite_frequency": 2})
    assert replaced.weights["w"] == pytest.approx(average)
    first = after("SGD", weight(average=0.0), **options)
    assert "average" not in first.slots["w"]
    assert first.doubts


def test_the_loss_scale_grows() -> None:
    inner = {"class_name": "SGD", "config": dict(spec("SGD").options)}
    scaled = OptimizerSpec(name="LossScaleOptimizer", options={"inner_optimizer": inner, "dynamic_growth_steps": 2})
    scalars = {"step_counter": 0, "dynamic_scale": 8.0, "inner_optimizer/iteration": 0}
    first = update(scaled, [weight()], scalars)
    assert first.weights["w"] == pytest.approx(W - 0.1 * G)
    assert first.scalars == {"step_counter": 1, "dynamic_scale": 8.0, "inner_optimizer/iteration": 1}
    second = update(scaled, [weight()], first.scalars)
    assert second.scalars == {"step_counter": 0, "dynamic_scale": 16.0, "inner_optimizer/iteration": 2}


def test_each_of_several_optimizers_clips_its_own_gradients() -> None:
    parts = [
        {"class_name": "SGD", "config": dict(spec("SGD", global_clipnorm=1.0).options), "paths": ["a"]},
        {"class_name": "Lion", "config": dict(spec("Lion").options), "paths": ["b"]},
    ]
    several = OptimizerSpec(name="MultiOptimizer", options={"optimizers": parts})
    scalars = {"iteration": 4, "optimizers/0/iteration": 4, "optimizers/1/iteration": 4}
    moved = update(several, [weight([0.0], [2.0], "a"), weight([0.0], [50.0], "b", momentum=0.0)], scalars)
    assert moved.weights == {"a": pytest.approx([-0.1]), "b": pytest.approx([-0.1])}
    assert moved.scalars == {"iteration": 5, "optimizers/0/iteration": 5, "optimizers/1/iteration": 5}


# The values follow from the formulas in the docstrings.
RATES = [
    ("ExponentialDecay", {"decay_steps": 2, "decay_rate": 0.25, "staircase": False}, [1.0, 0.5, 0.25, 0.125]),
    ("ExponentialDecay", {"decay_steps": 2, "decay_rate": 0.25, "staircase": True}, [1.0, 1.0, 0.25, 0.25]),
    ("InverseTimeDecay", {"decay_steps": 2, "decay_rate": 1.0, "staircase": False}, [1.0, 2 / 3, 0.5, 0.4]),
    ("InverseTimeDecay", {"decay_steps": 2, "decay_rate": 1.0, "staircase": True}, [1.0, 1.0, 0.5, 0.5]),
    ("PiecewiseConstantDecay", {"boundaries": [0, 2], "values": [3.0, 2.0, 1.0]}, [3.0, 2.0, 2.0, 1.0]),
    ("PolynomialDecay", {"decay_steps": 2, "end_learning_rate": 0.2, "power": 2.0, "cycle": False}, [1.0, 0.4, 0.2, 0.2]),
    ("PolynomialDecay", {"decay_steps": 2, "end_learning_rate": 0.2, "power": 1.0, "cycle": True}, [1.0, 0.6, 0.2, 0.4]),
    ("CosineDecay", {"decay_steps": 2, "alpha": 0.5, "warmup_target": None}, [1.0, 0.75, 0.5, 0.5]),
    ("CosineDecay", {"decay_steps": 2, "alpha": 0.0, "warmup_target": 3.0, "warmup_steps": 2}, [1.0, 2.0, 3.0, 1.5]),
    ("CosineDecayRestarts", {"first_decay_steps": 2, "t_mul": 1.0, "m_mul": 0.5, "alpha": 0.0}, [1.0, 0.5, 0.5, 0.25]),
]


@pytest.mark.parametrize(("name", "options", "rates"), RATES)
def test_schedules(name: str, options: dict[str, Any], rates: list[float]) -> None:
    declared = {"class_name": name, "config": {"initial_learning_rate": 1.0, **options}}
    assert [learning_rate("SGD", declared, step) for step in range(4)] == pytest.approx(rates)
    assert after("SGD", weight(), iteration=1, learning_rate=declared).weights["w"] == pytest.approx(W - rates[1] * G)


# --- what has no value -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("Lamb", {"weight_decay": 0.1}, "its place in this rule"),
        ("Adafactor", {"weight_decay": 0.1}, "its place in this rule"),
        ("Ftrl", {"l2_shrinkage_regularization_strength": 0.1}, "its formula is not documented"),
        ("Muon", {"adam_weight_decay": 0.1, "adam_lr_ratio": 0.5}, "its effect on weight decay"),
        ("Adam", {"beta_1": "a function"}, "expected a number"),
    ],
)
def test_what_the_documentation_leaves_open_has_no_value(name: str, options: dict[str, Any], reason: str) -> None:
    moved = after(name, weight(momentum=0.0, velocity=0.0), **options)
    assert not moved.weights
    assert reason in moved.doubts[0]


def test_no_reference() -> None:
    with pytest.raises(NoReference, match="no reference for this optimizer"):
        update(OptimizerSpec(name="Mine"), [weight()], {"iteration": 0})
    with pytest.raises(NoReference, match="neither a number nor a schedule"):
        after("SGD", weight(), learning_rate={"class_name": "Mine", "config": {}})
    with pytest.raises(NoReference, match="does not fit"):
        after("SGD", weight(gradient=[1.0, np.nan, 0.0]))


def test_noise_of_the_gradient_decides_nothing() -> None:
    gradient = np.array([1.0, 1e-5, -1e-5, 0.3])
    expected, slots, _ = expected_update(
        spec("Adam"), [weight(np.ones(4), gradient, momentum=0.0, velocity=0.0)], {"iteration": 0}, 1.2e-7
    )
    assert expected["w"].defined.tolist() == [True, False, False, True]
    assert slots["w/momentum"].defined.all()
    assert 0.9e-4 < expected["w"].allowed < 1.1e-4
    plain, _, _ = expected_update(spec("SGD"), [weight(np.ones(4), gradient)], {"iteration": 0}, 1.2e-7)
    assert plain["w"].defined.all()


def test_both_readings_of_epsilon_have_to_agree() -> None:
    far, near = [1.0, 1.0], [1.0, 3e-3]
    expected, _, _ = expected_update(spec("RMSprop"), [weight([0.0, 0.0], near, velocity=0.0)], {"iteration": 0}, 1.2e-7)
    assert expected["w"].defined.tolist() == [True, False]
    expected, _, _ = expected_update(spec("RMSprop"), [weight([0.0, 0.0], far, velocity=0.0)], {"iteration": 0}, 1.2e-7)
    assert expected["w"].defined.all()


def test_a_weight_without_any_gradient_has_no_value() -> None:
    expected, _, _ = expected_update(
        spec("SGD", weight_decay=0.1), [weight(gradient=0 * G), weight(path="other")], {"iteration": 0}, 1.2e-7
    )
    assert set(expected) == {"other"}
