"""Random worlds without a fault, each with its sizes, confidence and float type."""

from __future__ import annotations

import numpy as np

from simulated.backend import Head, sigmoid, softmax
from simulated.trial import World

LOGIT_SCALES = (0.01, 0.1, 1.0, 3.0, 8.0)  # near-uniform to confident
_EXAMPLES = (2, 3, 4, 8, 16, 64, 256)
_CLASSES = (2, 3, 4, 5, 10, 30)


def heads_world(rng: np.random.Generator, *, losses: tuple[str, ...], like: dict[str, object] | None = None) -> World:
    """A model or a loss, with one of `losses`. `like` fixes weights, mask, ignore_class, sizes and custom, by name."""
    want = like or {}
    floatx = str(rng.choice(["float32", "float32", "float32", "float16", "float64"]))
    n, c = int(want.get("n", rng.choice(_EXAMPLES))), int(want.get("c", rng.choice(_CLASSES)))
    if n * c > 2000 and not want.get("large"):
        n = max(2, 2000 // c)
    scale = float(rng.choice(LOGIT_SCALES[:-1] if floatx == "float16" else LOGIT_SCALES))
    head = draw_head(rng, str(rng.choice(losses)), (n, c), scale, floatx, want)
    world = World(
        heads={"": head}, floatx=floatx, noise=float(rng.choice([0.0, 0.3, 1.0, 3.0, 10.0])), n_legs=int(rng.choice([2, 3, 3])),
        custom=bool(want.get("custom", rng.random() < 0.25)), reference=bool(rng.random() < 0.6),
        class_names=[f"class {k}" for k in range(c)] if rng.random() < 0.5 else None,
        size=f"N={n} C={c} {floatx} logits x {scale:g}",
    )  # fmt: skip
    # At the limit of a clip the simulated gradient and the reference are both right. That is neither noise nor an injected cause.
    if world.custom or (head.activation and scale >= 3):
        world.reference = False
    return world


def draw_head(
    rng: np.random.Generator, loss: str, size: tuple[int, int], scale: float, floatx: str, want: dict[str, object]
) -> Head:
    n, c = size
    steps = int(want.get("steps", 3 if rng.random() < 0.15 and n <= 64 else 0))
    lead = (n, steps) if steps else (n,)
    if loss in ("mse", "mae", "huber", "hinge"):
        c = 1 if rng.random() < 0.6 else c
    d = 4
    x, kernel = rng.standard_normal((*lead, d)), rng.standard_normal((d, c)) * scale / 2
    bias = rng.standard_normal(c) * 0.1 * scale
    activation = ""
    if loss in ("sparse", "categorical"):
        # The gradient by a probability of 1e-5 overflows float16: that is another cause.
        activation = "" if floatx == "float16" and scale >= 3 else str(rng.choice(["", "softmax"]))
        y = rng.integers(0, c, lead)
        if loss == "categorical":
            y = np.eye(c, dtype=np.float32)[y]
    elif loss == "binary":
        activation = str(rng.choice(["", "sigmoid"]))
        y = (rng.random((*lead, c)) < 0.5).astype(np.float32)
    elif loss == "hinge":
        y = np.where(rng.random((*lead, c)) < 0.5, -1.0, 1.0).astype(np.float32)
    else:
        y = rng.standard_normal((*lead, c)).astype(np.float32) * (1.5 if loss == "huber" else 1.0)
    weight = rng.uniform(0.2, 3.0, n).astype(np.float32) if want.get("weight", rng.random() < 0.2) else None
    mask, ignore = None, None
    if want.get("mask", False):
        mask = rng.random(lead) < 0.7
        mask.flat[0], mask.flat[-1] = True, False
    if want.get("ignore", False) and loss == "sparse":
        ignore = -1 if rng.random() < 0.7 else 0
        y = y.copy()
        y[rng.random(lead) < 0.25] = ignore
        y.flat[-1] = ignore
        if (y == ignore).all():
            y.flat[0] = c - 1
    head = Head(
        loss=loss, x=x, kernel=kernel, bias=bias, y=y, activation=activation, weight=weight, mask=mask, ignore_class=ignore,
        reduction=str(want.get("reduction", rng.choice(["sum_over_batch_size", "sum_over_batch_size", "sum"]))),
    )  # fmt: skip
    if want.get("alone", mask is None and rng.random() < 0.5):
        z = (x @ kernel + bias).astype(floatx).astype(np.float64)
        p = softmax(z) if activation == "softmax" else sigmoid(z) if activation == "sigmoid" else z
        head.y_pred = p.astype(floatx).astype(np.float64)
    return head


def outputs_world(rng: np.random.Generator, *, same_loss: bool) -> World:
    """A model of two or three named outputs; `same_loss`: two of them have the same shape and loss."""
    floatx = str(rng.choice(["float32", "float32", "float16", "float64"]))
    n, scale = int(rng.choice(_EXAMPLES)), float(rng.choice([0.1, 1.0, 3.0]))
    kinds = ["categorical", "categorical"] if same_loss else ["categorical", "binary"]
    if rng.random() < 0.5:
        kinds.append("mse")
    c = int(rng.choice([2, 3, 5]))
    heads = {}
    for output, kind in zip(("stage", "tumor", "age"), kinds, strict=False):
        want = {"alone": False, "steps": 0, "weight": False, "reduction": "sum_over_batch_size"}
        heads[output] = draw_head(rng, kind, (n, c), scale, floatx, want)
    if same_loss:
        heads["tumor"].activation = heads["stage"].activation
    loss_weights = dict(zip(heads, rng.uniform(0.3, 3.0, len(heads)), strict=True)) if rng.random() < 0.5 else {}
    return World(
        heads=heads, floatx=floatx, noise=float(rng.choice([0.0, 1.0, 3.0, 10.0])), n_legs=int(rng.choice([2, 3, 3])),
        loss_weights={name: float(weight) for name, weight in loss_weights.items()}, reference=bool(rng.random() < 0.6),
        size=f"N={n} C={c} {floatx} logits x {scale:g} {len(heads)} outputs",
    )  # fmt: skip


def values_world(rng: np.random.Generator, name: str, value: np.ndarray, **more: np.ndarray) -> World:
    """Plain values; floats have noise."""
    floatx = str(rng.choice(["float32", "float32", "float16", "float64"]))
    return World(
        values={name: value, **more}, floatx=floatx, noise=float(rng.choice([0.0, 1.0, 3.0, 10.0])), reference=False,
        n_legs=int(rng.choice([2, 3, 3])), size=f"{name} {value.shape} {floatx}",
    )  # fmt: skip
