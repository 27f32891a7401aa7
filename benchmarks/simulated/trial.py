"""A trial: a world, a cause injected into it on some legs, and recordings as workers write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from backendcheck.compare.tolerances import Allowed, default_tolerance
from backendcheck.recordings.recording import Raised, Recording
from backendcheck.reference.of_recording import built_in_reference_values
from backendcheck.vocabulary.observations import Observation, Quantity, quantity_of
from simulated.backend import Array, Fault, Head, run

LEGS = ("tensorflow", "jax", "torch")
_NAMES = {
    "sparse": "sparse_categorical_crossentropy", "categorical": "categorical_crossentropy", "binary": "binary_crossentropy",
    "mse": "mean_squared_error", "mae": "mean_absolute_error", "huber": "huber", "hinge": "hinge",
}  # fmt: skip


@dataclass(kw_only=True)
class World:
    """What a case declares: heads by output (``""`` if there is only one), or plain values; and how it runs."""

    heads: dict[str, Head] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)
    loss_weights: dict[str, float] = field(default_factory=dict)
    floatx: str = "float32"
    noise: float = 0.0  # standard deviation in tenths of the tolerance: about the measured noise floor
    n_legs: int = 3
    custom: bool = False  # the user's own loss, which cannot be computed again
    reference: bool = True  # whether the reference oracle is on
    class_names: object = None
    size: str = ""

    @property
    def head(self) -> Head:
        return next(iter(self.heads.values()))


@dataclass(kw_only=True)
class Injection:
    """A cause in a world: the fault of an output, or a change of the observations."""

    fault: Fault = field(default_factory=Fault)
    output: str = ""
    edit: Callable[[dict[str, Array]], None] = field(default=lambda _: None)
    rewire: Callable[[dict[str, Head]], dict[str, Head]] = field(default=lambda heads: heads)
    raised: Raised | None = None


def kind_allowance(name: str, floatx: str) -> Allowed:
    kind = quantity_of(name)
    norm_wise = kind in (Quantity.GRADIENT, Quantity.TRAIN_WEIGHT)
    return Allowed(tolerance=default_tolerance(kind, floatx), origin="default", norm_wise=norm_wise)


def noisy(rng: np.random.Generator, amount: float, floatx: str) -> Callable[[str, Array], Array]:
    """Gaussian noise of `amount` tenths of the tolerance, for every element that is not zero."""

    def add(name: str, value: Array) -> Array:
        if not amount or value.dtype.kind != "f" or not value.size:
            return value
        with np.errstate(all="ignore"):
            allowance = kind_allowance(name, floatx)
            scale = allowance.scale(np.abs(np.where(np.isfinite(value), value, 0.0)))
            within = allowance.tolerance.atol + allowance.tolerance.rtol * scale
            return np.where(value == 0.0, value, value + amount / 10 * within * rng.standard_normal(value.shape))

    return add


def record(world: World, leg: str, injection: Injection | None, rng: np.random.Generator) -> Recording:
    """The recording of one leg; without noise, it depends only on the world and the injection."""
    noise = noisy(rng, world.noise, world.floatx)
    arrays: dict[str, Array] = {}
    injection = injection or Injection()
    if world.heads:
        wired = injection.rewire(world.heads)
        for output, head in wired.items():
            observed = run(head, injection.fault if output == injection.output else Fault(), noise, world.floatx)
            arrays |= observed if not output else {_placed(name, output): value for name, value in observed.items()}
        if "" not in world.heads:
            _total(world, arrays)
            arrays["output_order"] = np.array([*world.heads], dtype=object)
    else:
        for name, value in world.values.items():
            is_float = value.dtype.kind == "f"
            computed = noise(f"value/{name}", value) if is_float and not np.isin(value, (0.0, 1.0)).all() else value
            arrays[f"value/{name}"] = computed.astype(world.floatx) if is_float else computed
    injection.edit(arrays)
    recording = Recording(
        case="simulated/trial", backend=leg, run=leg, status="raised" if injection.raised else "recorded",
        observations={} if injection.raised else {name: _observation(value, world.floatx) for name, value in arrays.items()},
        raised=(injection.raised,) if injection.raised else (),
        labels=_labels(world), losses=_losses(world), class_names=world.class_names,
        settings={"floatx": world.floatx, "epsilon": "1e-07"},
        oracles=("agreement", "paths", "order", "reference") if world.reference else ("agreement", "paths", "order"),
    )  # fmt: skip
    if world.reference and not injection.raised:
        return replace(recording, reference_values=built_in_reference_values(recording))
    return recording


def recordings(world: World, faulty: Mapping[str, Injection], rng: np.random.Generator) -> dict[str, Recording]:
    """The recordings of all legs; those in `faulty` have an injection."""
    return {leg: record(world, leg, faulty.get(leg), rng) for leg in LEGS[: world.n_legs]}


def _placed(name: str, output: str) -> str:
    if name.startswith(("gradient/dense", "train/weight/dense")):
        return name.replace("dense", f"dense_{output}")
    if name.startswith(("metric/", "train/loss")):
        return f"metric/{output}_{name.rpartition('/')[2]}"
    return f"{name}/{output}"


def _total(world: World, arrays: dict[str, Array]) -> None:
    weights = world.loss_weights or dict.fromkeys(world.heads, 1.0)
    total = sum(weights[output] * float(arrays[f"loss/{output}"]) for output in world.heads)
    arrays["loss"] = np.asarray(total, world.floatx)
    arrays["train/loss"] = np.asarray([total], np.float64)


def _observation(value: Array, floatx: str) -> Observation:
    """As the worker records it: Python floats from Keras have the precision of their computation."""
    if value.dtype == object:
        return Observation(value=value, dtype="text", precision="float32")
    name = str(value.dtype)
    return Observation(value=value, dtype=name, precision=floatx if "float" in name else "float32")


def _labels(world: World) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for output, head in world.heads.items():
        suffix = f"/{output}" if output else ""
        arrays[f"y_true{suffix}"] = head.y
        for name, value in (("sample_weight", head.weight), ("mask", head.mask)):
            if value is not None:
                arrays[f"{name}{suffix}"] = value
        if head.y_pred is not None:
            arrays["y_pred"] = head.y_pred.astype(world.floatx)
    return arrays


def _losses(world: World) -> dict[str, dict[str, object]]:
    described: dict[str, dict[str, object]] = {}
    for output, head in world.heads.items():
        options: dict[str, object] = {}
        if head.loss in ("sparse", "categorical", "binary"):
            options["from_logits"] = head.from_logits
        if head.ignore_class is not None:
            options["ignore_class"] = head.ignore_class
        described[output] = {
            "name": "my_loss" if world.custom else _NAMES[head.loss], "from_keras": not world.custom,
            "options": {} if world.custom else options, "reduction": head.reduction, "alone": len(world.heads) == 1,
        }  # fmt: skip
        if world.loss_weights:
            described[output]["weight"] = world.loss_weights[output]
    return described


# Weights, metrics and what is trained follow from these, and say less: a decision among near-uniform scores is made by noise.
_WHERE_IT_BEGINS = (Quantity.VALUE, Quantity.OUTPUT_ORDER, Quantity.PREDICTIONS, Quantity.PER_EXAMPLE_LOSS, Quantity.LOSS)


def injected_excess(clean: Sequence[Mapping[str, Observation]], floatx: str) -> float:
    """The largest change of an observation by the injection, without noise, as a multiple of its tolerance; infinite for NaN."""
    healthy, faulty = clean
    largest = 0.0
    for name in {*healthy} & {*faulty}:
        left, right = healthy[name].value, faulty[name].value
        if quantity_of(name) not in _WHERE_IT_BEGINS and not name.startswith("gradient/y_pred"):
            continue
        if left.shape != right.shape or object in (left.dtype, right.dtype) or left.dtype.kind != "f":
            if left.dtype != right.dtype or not np.array_equal(left, right):
                return np.inf
            continue
        left, right = left.astype(np.float64), right.astype(np.float64)
        if not (np.isfinite(left).all() and np.isfinite(right).all()):
            return np.inf
        allowance = kind_allowance(name, floatx)
        scale = allowance.scale(np.maximum(np.abs(left), np.abs(right)))
        within = allowance.tolerance.atol + allowance.tolerance.rtol * scale
        largest = max(largest, float(np.max(np.abs(left - right) / within, initial=0.0)))
    return largest
