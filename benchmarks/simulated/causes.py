"""Every cause of the table, injected: each function draws a world in which it can occur, and the fault.

Worlds that have another cause by construction are not drawn: a cycle of all classes by one (`off-by-one`), an exchange of equal
rows, or weights dropped or applied twice on one of two legs under an unknown loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from backendcheck.recordings.recording import Raised
from simulated.backend import Array, Fault, Head, sigmoid, softmax, softmax_pullback
from simulated.trial import Injection, World, kind_allowance
from simulated.worlds import heads_world, outputs_world, values_world

Draw = Callable[[np.random.Generator], tuple[World, Injection]]
CLASSES = ("sparse", "categorical")
ALL = ("sparse", "categorical", "binary", "mse", "mae", "huber")


def _permutation(rng: np.random.Generator, n: int) -> Array:
    """Some elements moved, not all by one place."""
    while True:
        moved = rng.choice(n, size=min(n, int(rng.choice([2, 3, n]))), replace=False)
        p = np.arange(n)
        p[moved] = np.roll(moved, 1)
        if rng.random() < 0.3:
            p[moved] = rng.permutation(moved)
        steps = (np.arange(n) - p) % n
        if not (steps == 0).all() and (n == 2 or not ((steps == 1).all() or (steps == n - 1).all())):
            return p


def _gathered(p: Array, axis: int) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    return (lambda a: np.take(a, p, axis=axis)), (lambda g: np.take(g, np.argsort(p), axis=axis))


# --- orders ----------------------------------------------------------------------------------------------------


def class_order(rng):
    sort = rng.choice(["forward", "labels", "rows", "names", "integers"], p=[0.4, 0.3, 0.1, 0.1, 0.1])
    if sort == "names":
        names = np.array([f"class {k}" for k in range(int(rng.integers(2, 9)))], object)
        p = _permutation(rng, len(names))
        world = values_world(rng, "vocabulary", names)
        return world, Injection(edit=lambda arrays: arrays.update({"value/vocabulary": names[p]}))
    if sort == "rows":
        n, c = int(rng.choice([4, 16, 64])), int(rng.choice([3, 5, 10]))
        labels = np.arange(n) % c
        p = _permutation(rng, min(c, n))
        p = np.concatenate([p, np.arange(len(p), c)])
        rows = np.eye(c, dtype=np.float32)[labels]
        world = values_world(rng, "rows", rows)
        return world, Injection(edit=lambda arrays: arrays.update({"value/rows": arrays["value/rows"][:, p]}))
    if sort == "integers":
        c = int(rng.choice([3, 5, 10]))
        labels = np.repeat(np.arange(c), 3)
        rng.shuffle(labels)
        p = _permutation(rng, c)
        return values_world(rng, "classes", labels), Injection(edit=lambda arrays: arrays.update({"value/classes": p[labels]}))
    world = heads_world(rng, losses=CLASSES)
    p = _permutation(rng, world.head.n_classes)
    if sort == "forward":
        world.heads[""] = replace(world.head, y_pred=None)
        apply, pull = _gathered(p, -1)
        return world, Injection(fault=Fault(forward=apply, forward_pullback=pull))
    # Enough examples that each class that moves occurs twice: one example does not show a rule.
    n, c = world.head.y.shape[0], world.head.n_classes
    if n < 3 * c:
        world = heads_world(rng, losses=CLASSES, like={"c": int(rng.choice([2, 3, 4])), "n": int(rng.choice([16, 64]))})
        p = _permutation(rng, world.head.n_classes)
    inverse = np.argsort(p)
    return world, Injection(fault=Fault(targets=lambda t: t[..., inverse]))


def off_by_one(rng):
    sort, step = rng.choice(["forward", "labels", "clip", "rows", "lost", "integers"]), int(rng.choice([1, -1]))
    if sort == "integers":
        labels = rng.integers(0, 6, 12)
        return values_world(rng, "labels", labels), Injection(edit=lambda arrays: arrays.update({"value/labels": labels + step}))
    if sort in ("rows", "lost"):
        c, n = int(rng.choice([3, 5, 10])), int(rng.choice([6, 16, 64]))
        rows = np.eye(c, dtype=np.float32)[np.arange(n) % c]
        shifted = np.roll(rows, step, axis=-1)
        if sort == "lost":
            shifted[:, 0 if step == 1 else -1] = 0
        return values_world(rng, "rows", rows), Injection(
            edit=lambda arrays: arrays.update({"value/rows": shifted.astype(arrays["value/rows"].dtype)})
        )
    like = {"c": int(rng.choice([3, 4, 5, 10, 30])), "n": int(rng.choice([4, 8, 16, 64]))}
    if sort == "forward":
        world = heads_world(rng, losses=CLASSES, like=like | {"alone": False})
        rolled = Fault(forward=lambda a: np.roll(a, step, -1), forward_pullback=lambda g: np.roll(g, -step, -1))
        return world, Injection(fault=rolled)
    world = heads_world(rng, losses=("sparse",) if sort == "clip" else CLASSES, like=like)
    c = world.head.n_classes
    if sort == "clip":
        world.custom = False
        return world, Injection(fault=Fault(labels=lambda y: np.clip(y + step, 0, c - 1)))
    return world, Injection(fault=Fault(targets=lambda t: np.roll(t, step, -1)))


def example_order(rng):
    sort = rng.choice(["forward", "reverse labels", "roll labels", "losses"])
    like = {"n": int(rng.choice([3, 4, 8, 16, 64])), "steps": 0}
    world = heads_world(rng, losses=ALL, like=like)
    n = len(world.head.y)
    p = _permutation(rng, n) if n > 3 else np.arange(n)[::-1]
    if sort == "forward":
        world.heads[""] = replace(world.head, y_pred=None)
        apply, pull = _gathered(p, 0)
        return world, Injection(fault=Fault(forward=apply, forward_pullback=pull))
    if sort == "losses":
        return world, Injection(edit=lambda arrays: arrays.update({"per_example_loss": arrays["per_example_loss"][p]}))
    world.custom = False
    change = (lambda t: t[::-1]) if sort == "reverse labels" else (lambda t: np.roll(t, 1, axis=0))
    return world, Injection(fault=Fault(targets=change))


def output_order(rng):
    world = outputs_world(rng, same_loss=bool(rng.random() < 0.5))
    order = np.array([*world.heads][::-1], dtype=object)
    return world, Injection(edit=lambda arrays: arrays.update({"output_order": order}))


def output_swap(rng):
    sort = rng.choice(["predictions", "labels", "losses", "weights"])
    world = outputs_world(rng, same_loss=sort in ("predictions", "labels"))
    if sort == "predictions":
        # The layers of two outputs are exchanged, and all later values follow.
        def rewire(heads: dict[str, Head]) -> dict[str, Head]:
            a, b = heads["stage"], heads["tumor"]
            fields = ("x", "kernel", "bias")
            of_a, of_b = ({field: getattr(head, field) for field in fields} for head in (a, b))
            return heads | {"stage": replace(a, **of_b), "tumor": replace(b, **of_a)}

        return world, Injection(rewire=rewire)
    if sort == "labels":

        def labels(heads: dict[str, Head]) -> dict[str, Head]:
            return heads | {
                "stage": replace(heads["stage"], y=heads["tumor"].y),
                "tumor": replace(heads["tumor"], y=heads["stage"].y),
            }

        return world, Injection(rewire=labels)
    world = outputs_world(rng, same_loss=False)
    if sort == "weights":
        a, b = rng.uniform(0.3, 1.0), rng.uniform(1.5, 3.0)
        world.loss_weights = dict.fromkeys(world.heads, 1.0) | {"stage": float(a), "tumor": float(b)}

        def weights(arrays: dict[str, Array]) -> None:
            total = arrays["loss"] + (b - a) * arrays["loss/stage"] + (a - b) * arrays["loss/tumor"]
            arrays["loss"] = total.astype(arrays["loss"].dtype)
            arrays["train/loss"] = np.asarray([total], np.float64)

        return world, Injection(edit=weights)
    for output in ("stage", "tumor"):  # cross-entropies exchanged: both take (N, C) and rows of 0 and 1
        world.heads[output].activation = {"stage": "softmax", "tumor": "sigmoid"}[output]

    def losses(heads: dict[str, Head]) -> dict[str, Head]:
        return heads | {"stage": replace(heads["stage"], loss="binary"), "tumor": replace(heads["tumor"], loss="categorical")}

    world.reference = True
    world.n_legs = 3
    return world, Injection(rewire=losses)


# --- labels ----------------------------------------------------------------------------------------------------


def label_wrapped(rng):
    if rng.random() < 0.3:
        world = heads_world(rng, losses=("sparse",), like={"c": 300, "n": 6, "custom": False, "steps": 0})
        world.reference = False  # finite differences over 300 classes take a second
        world.head.y[:] = rng.integers(256, 300, world.head.y.shape)
        return world, Injection(fault=Fault(labels=lambda y: y.astype(np.uint8).astype(np.int64)))
    width = str(rng.choice(["int8", "uint8", "int16", "int32"]))
    labels = rng.integers(0, 100, 8)
    labels[-2:] = int(np.iinfo(width).max) + rng.integers(1, 50, 2)
    return values_world(rng, "labels", labels), Injection(
        edit=lambda arrays: arrays.update({"value/labels": labels.astype(width).astype(np.int64)})
    )


def label_truncated(rng):
    if rng.random() < 0.5:
        labels = rng.uniform(0, 5, 8).astype(np.float32)
        world = values_world(rng, "labels", labels)
        world.noise = 0.0
        change = np.trunc if rng.random() < 0.5 else np.rint
        return world, Injection(edit=lambda arrays: arrays.update({"value/labels": change(arrays["value/labels"])}))
    world = heads_world(rng, losses=("mse", "mae", "huber"), like={"custom": False})
    world.heads[""] = replace(world.head, y=(world.head.y * 3).astype(np.float32))
    return world, Injection(fault=Fault(targets=np.trunc))


def label_smoothing(rng):
    amount = float(rng.choice([0.05, 0.1, 0.2, 0.3]))
    if rng.random() < 0.3:
        c = int(rng.choice([3, 5, 10]))
        rows = np.eye(c, dtype=np.float32)[rng.integers(0, c, 12)]
        smooth = rows * (1 - amount) + amount / c
        return values_world(rng, "rows", rows), Injection(
            edit=lambda arrays: arrays.update({"value/rows": smooth.astype(arrays["value/rows"].dtype)})
        )
    world = heads_world(rng, losses=("categorical", "binary"), like={"custom": False})
    c = world.head.n_classes if world.head.loss == "categorical" else 2
    return world, Injection(fault=Fault(targets=lambda t: t * (1 - amount) + amount / c))


def label_dtype(rng):
    labels = rng.integers(0, 9, 6)
    world = values_world(rng, "labels", labels)
    return world, Injection(edit=lambda arrays: arrays.update({"value/labels": labels.astype(np.int32)}))


def dropped_label(rng):
    if rng.random() < 0.3:
        c = int(rng.choice([3, 5, 10]))
        rows = np.eye(c, dtype=np.float32)[rng.integers(0, c, 12)]
        lost = rows.copy()
        lost[rng.choice(12, int(rng.integers(1, 4)), replace=False)] = 0
        return values_world(rng, "rows", rows), Injection(
            edit=lambda arrays: arrays.update({"value/rows": lost.astype(arrays["value/rows"].dtype)})
        )
    world = heads_world(rng, losses=CLASSES, like={"steps": 0, "n": int(rng.choice([3, 4, 8, 16, 64])), "weight": False})
    n = len(world.head.y)
    lost = rng.choice(n, int(rng.integers(1, max(2, n // 3))), replace=False)

    def drop(t: Array) -> Array:
        t = t.copy()
        t[lost] = 0.0
        return t

    return world, Injection(fault=Fault(targets=drop))


def missing_label_counted(rng):
    like = {"ignore": True, "n": int(rng.choice([4, 8, 16, 64])), "steps": 0, "custom": False}
    world = heads_world(rng, losses=("sparse",), like=like)
    c = world.head.n_classes
    counted = int(rng.choice([0, c - 1]))
    ignored = world.head.ignore_class
    if ignored == 0:
        counted = 0
    return world, Injection(fault=Fault(ignore=False, labels=lambda y: np.where(y == ignored, counted, y)))


# --- masks, weights, reductions --------------------------------------------------------------------------------


def mask_ignored(rng):
    like = {
        "mask": True,
        "alone": False,
        "n": int(rng.choice([3, 4, 8, 16, 64])),
        "steps": int(rng.choice([0, 3, 5])),
        "weight": False,
    }
    world = heads_world(rng, losses=ALL, like=like)
    if like["steps"]:
        world.custom, world.reference = False, bool(rng.random() < 0.6)
    change = (lambda _: None) if rng.random() < 0.8 or world.custom else (lambda m: ~m)
    return world, Injection(fault=Fault(mask=change))


def _weighted_world(rng):
    world = heads_world(rng, losses=ALL, like={"weight": True, "n": int(rng.choice([3, 4, 8, 16, 64]))})
    if world.custom:  # with two legs, weights dropped on one look like weights applied twice on the other
        world.n_legs = 3
    return world


def sample_weight_ignored(rng):
    world = _weighted_world(rng)
    return world, Injection(fault=Fault(weight=lambda _: None))


def sample_weight_misapplied(rng):
    world = _weighted_world(rng)
    change = [
        lambda w: w * w, lambda w: w / w.mean(), lambda w: w / w.sum(), lambda w: w[::-1], lambda w: np.roll(w, 1),
    ][int(rng.integers(5))]  # fmt: skip
    return world, Injection(fault=Fault(weight=change))


def reduction(rng):
    world = heads_world(rng, losses=ALL, like={"n": int(rng.choice([3, 4, 8, 16, 64])), "mask": False})
    n, c = len(world.head.y), world.head.n_classes
    choices = [1.0 / n, float(n)] + ([1.0 / c, float(c), 1.0 / (n * c)] if c > 1 else [])
    if world.head.weight is not None:
        choices.append(1.0 / float(world.head.weight.sum()))
    return world, Injection(fault=Fault(factor=float(rng.choice(choices))))


def broadcast(rng):
    n = int(rng.choice([2, 3, 4, 8, 16]))
    if rng.random() < 0.3:
        value = rng.standard_normal((n, 1))
        spread = rng.standard_normal((n, n))
        return values_world(rng, "losses", value), Injection(
            edit=lambda arrays: arrays.update({"value/losses": spread.astype(arrays["value/losses"].dtype)})
        )
    world = heads_world(
        rng, losses=("mse", "mae"), like={"n": n, "c": 1, "steps": 0, "custom": False, "weight": False, "alone": True}
    )
    head = world.head
    p, t = head.y_pred.reshape(n), head.y.reshape(n).astype(np.float64)
    d = p[:, None] - t[None, :]
    each = (d**2 if head.loss == "mse" else np.abs(d)).mean(axis=1)

    def spread_losses(arrays: dict[str, Array]) -> None:
        total = each.mean() if head.reduction == "sum_over_batch_size" else each.sum()
        arrays["per_example_loss"] = each.astype(world.floatx)
        arrays["loss"] = np.asarray(total, world.floatx)
        slope = (2 * d if head.loss == "mse" else np.sign(d)).mean(axis=1)[:, None]
        arrays["gradient/y_pred"] = (slope / (n if head.reduction == "sum_over_batch_size" else 1)).astype(world.floatx)

    return world, Injection(edit=spread_losses)


# --- how the loss uses predictions -----------------------------------------------------------------------------


def axis(rng):
    sort = rng.choice(["softmax", "transposed", "shape"])
    n, c = int(rng.choice([3, 4, 8, 16])), int(rng.choice([3, 5, 10]))
    if sort == "transposed":
        n = c
    if sort == "shape" and n == c:
        c += 1
    z = rng.standard_normal((n, c)) * float(rng.choice([0.3, 1.0, 3.0]))
    world = values_world(rng, "scores", softmax(z) if sort == "softmax" else z)
    changed = softmax(z.T).T if sort == "softmax" else None
    if sort == "softmax":  # the noise of a probability comes from its logit, and `values_world` does not add that
        world.noise = 0.0

    def edit(arrays: dict[str, Array]) -> None:
        scores = arrays["value/scores"]
        arrays["value/scores"] = scores.T.copy() if changed is None else changed.astype(scores.dtype)

    return world, Injection(edit=edit)


def logits_as_probabilities(rng):
    sort = rng.choice(["predict", "loss", "flag"])
    if sort == "predict":
        world = heads_world(rng, losses=("sparse", "categorical"), like={"alone": False})

        arrays: dict[str, Array] = {}

        def once_more(p: Array) -> Array:
            arrays["q"] = softmax(p)
            return arrays["q"]

        def pull(g: Array) -> Array:
            return softmax_pullback(arrays["q"])(g)

        return world, Injection(fault=Fault(forward=once_more, forward_pullback=pull))
    world = heads_world(rng, losses=("sparse", "categorical", "binary"), like={"custom": False})
    if sort == "flag" and world.head.from_logits is False:
        return world, Injection(fault=Fault(logits=True))
    kept: dict[str, Array] = {}
    if world.head.loss == "binary":

        def squash(p: Array) -> Array:
            kept["q"] = sigmoid(p)
            return kept["q"]

        return world, Injection(fault=Fault(into_loss=squash, into_loss_pullback=lambda g: g * kept["q"] * (1 - kept["q"])))

    def again(p: Array) -> Array:
        kept["q"] = softmax(p)
        return kept["q"]

    def back(g: Array) -> Array:
        return softmax_pullback(kept["q"])(g)

    return world, Injection(fault=Fault(into_loss=again, into_loss_pullback=back))


# --- edges -----------------------------------------------------------------------------------------------------


def tie_order(rng):
    n, k = int(rng.choice([3, 8, 16])), 4
    values = np.sort(rng.standard_normal((n, k)), axis=-1)[:, ::-1].copy()
    indices = np.array([rng.permutation(10)[:k] for _ in range(n)])
    tied = rng.choice(n, max(1, n // 3), replace=False)
    values[tied, 1] = values[tied, 2]
    exchanged = indices.copy()
    exchanged[tied, 1], exchanged[tied, 2] = indices[tied, 2], indices[tied, 1]
    world = values_world(rng, "indices", indices, values=values)
    world.noise = 0.0
    return world, Injection(edit=lambda arrays: arrays.update({"value/indices": exchanged}))


def saturation(rng):
    world = heads_world(rng, losses=CLASSES, like={"n": int(rng.choice([4, 8, 16])), "steps": 0, "alone": True, "weight": False})
    world.floatx, world.noise = "float32", 0.0
    head = world.head
    n, c = head.y.shape[0], head.n_classes
    p = softmax(rng.standard_normal((n, c)))
    labels = head.y if head.loss == "sparse" else head.y.argmax(axis=-1)
    lost = rng.choice(n, max(1, n // 4), replace=False)
    p[lost] = np.eye(c)[(labels[lost] + 1) % c]
    world.heads[""] = replace(head, activation="softmax", y_pred=p.astype(np.float32).astype(np.float64))
    less = float(rng.uniform(3, 12))

    def clip_elsewhere(arrays: dict[str, Array]) -> None:
        each = arrays["per_example_loss"].astype(np.float64)
        changed = each.copy()
        changed[lost] += less
        arrays["per_example_loss"] = changed.astype(np.float32)
        share = n if head.reduction == "sum_over_batch_size" else 1
        arrays["loss"] = np.asarray(arrays["loss"] + less * len(lost) / share, np.float32)

    return world, Injection(edit=clip_elsewhere)


def edge_gradient(rng):
    sort = str(rng.choice(["mae", "hinge"]))
    world = heads_world(rng, losses=(sort,), like={"n": int(rng.choice([4, 8, 16])), "steps": 0, "alone": True, "weight": False})
    head = world.head
    p = head.y_pred.copy()
    at = rng.choice(p.size, max(1, p.size // 4), replace=False)
    y = head.y.astype(np.float64)
    p.flat[at] = y.flat[at]  # |p - y| = 0, and y * p = 1
    p = p.astype(world.floatx).astype(np.float64)
    world.heads[""] = replace(head, y_pred=p, y=p.astype(np.float32) if sort == "mae" and world.floatx != "float32" else head.y)
    if sort == "mae":
        labels = head.y.copy().astype(np.float64)
        labels.flat[at] = p.flat[at]
        world.heads[""] = replace(world.head, y=labels.astype(np.float32))

    def other_side(arrays: dict[str, Array]) -> None:
        g = arrays["gradient/y_pred"].copy()
        size = np.abs(g).max() or 1.0
        g.flat[at] = size if sort == "mae" else -np.sign(y.flat[at]) * size
        arrays["gradient/y_pred"] = g

    return world, Injection(edit=other_side)


def nan(rng):
    world = heads_world(rng, losses=ALL, like={"steps": 0, "n": int(rng.choice([3, 8, 64]))})
    n = len(world.head.y)
    at = int(rng.integers(n))
    if rng.random() < 0.5:

        def in_gradient(arrays: dict[str, Array]) -> None:
            for name in [name for name in arrays if name.startswith(("gradient", "train/weight"))]:
                arrays[name] = arrays[name].copy()
                arrays[name].flat[0] = np.nan

        return world, Injection(edit=in_gradient)

    def poison(t: Array) -> Array:
        t = t.astype(np.float64).copy()
        t[at] = np.nan
        return t

    return world, Injection(fault=Fault(targets=poison))


# --- factors and digits ----------------------------------------------------------------------------------------


def sign(rng):
    world = heads_world(rng, losses=ALL)
    if rng.random() < 0.5:
        return world, Injection(fault=Fault(each=-1.0))

    def flip(arrays: dict[str, Array]) -> None:
        for name in [name for name in arrays if name.startswith("gradient")]:
            arrays[name] = -arrays[name]

    return world, Injection(edit=flip)


def scale(rng):
    factor = float(rng.choice([0.37, 0.71, 1.7, 2.9, 7.3])) * float(rng.uniform(0.95, 1.05))
    world = heads_world(rng, losses=ALL, like={"n": int(rng.choice([4, 8, 16, 64])), "weight": False})
    if rng.random() < 0.5:
        return world, Injection(fault=Fault(each=factor))

    def times(arrays: dict[str, Array]) -> None:
        for name in [name for name in arrays if name.startswith("gradient")]:
            arrays[name] = (arrays[name] * factor).astype(arrays[name].dtype)

    return world, Injection(edit=times)


def precision(rng):
    world = heads_world(rng, losses=ALL, like={"n": int(rng.choice([8, 16, 64])), "alone": False})
    world.floatx = str(rng.choice(["float32", "float64"]))
    coarse = "float16" if world.floatx == "float32" else str(rng.choice(["float16", "float32"]))

    def rounded(p: Array) -> Array:
        return p.astype(coarse).astype(np.float64)

    return world, Injection(fault=Fault(forward=rounded))


def rounding(rng):
    world = heads_world(rng, losses=ALL)
    world.floatx, world.noise, world.reference = "float32", 0.0, False
    k = float(rng.uniform(1.5, 6.0))

    def nudge(arrays: dict[str, Array]) -> None:
        name = "predictions" if "predictions" in arrays else "per_example_loss"
        value = arrays[name].astype(np.float64)
        allowance = kind_allowance(name, "float32")
        within = allowance.tolerance.atol + allowance.tolerance.rtol * np.abs(value)
        arrays[name] = (value + within * rng.uniform(-1, 1, value.shape)).astype(np.float32)
        arrays[name].flat[0] = value.flat[0] + k * within.flat[0]

    return world, Injection(edit=nudge)


# --- labels that some reject -----------------------------------------------------------------------------------


def silent_acceptance(rng):
    world = heads_world(rng, losses=("sparse",), like={"steps": 0, "n": int(rng.choice([3, 4, 8, 16])), "weight": False})
    world.n_legs = int(rng.choice([2, 3]))
    head = world.head
    c = head.n_classes
    head.y[0] = int(rng.choice([c, c + 5, -1]))
    fate = str(rng.choice(["dropped", "counted", "nan"]))
    k = int(rng.integers(0, c))

    def poison(t: Array) -> Array:
        t = t.copy()
        t[0] = 0.0 if fate == "dropped" else np.nan if fate == "nan" else np.eye(c)[k]
        return t

    return world, Injection(fault=Fault(targets=poison))


def large(cause: str, n: int, c: int, rng: np.random.Generator) -> tuple[World, Injection]:
    """A cause in a batch too large for the reference of gradients."""
    weighted = cause == "sample-weight-ignored"
    like = {"n": n, "c": c, "large": True, "steps": 0, "alone": weighted, "weight": weighted}
    world = heads_world(rng, losses=("sparse",), like=like | {"custom": False})
    world.reference = False
    p = {"class-order": lambda: _permutation(rng, c), "example-order": lambda: _permutation(rng, n)}
    if cause in p:
        apply, pull = _gathered(p[cause](), -1 if cause == "class-order" else 0)
        return world, Injection(fault=Fault(forward=apply, forward_pullback=pull))
    if cause == "off-by-one":
        return world, Injection(fault=Fault(forward=lambda a: np.roll(a, 1, -1), forward_pullback=lambda g: np.roll(g, -1, -1)))
    if cause == "reduction":
        return world, Injection(fault=Fault(factor=float(n)))
    return world, Injection(fault=Fault(weight=lambda _: None))


CAUSES: dict[str, Draw] = {
    "output-order": output_order,
    "output-swap": output_swap,
    "silent-acceptance": silent_acceptance,
    "label-wrapped": label_wrapped,
    "label-truncated": label_truncated,
    "missing-label-counted": missing_label_counted,
    "dropped-label": dropped_label,
    "mask-ignored": mask_ignored,
    "off-by-one": off_by_one,
    "class-order": class_order,
    "example-order": example_order,
    "sample-weight-ignored": sample_weight_ignored,
    "sample-weight-misapplied": sample_weight_misapplied,
    "label-smoothing": label_smoothing,
    "broadcast": broadcast,
    "axis": axis,
    "logits-as-probabilities": logits_as_probabilities,
    "reduction": reduction,
    "sign": sign,
    "edge-gradient": edge_gradient,
    "saturation": saturation,
    "tie-order": tie_order,
    "nan": nan,
    "precision": precision,
    "scale": scale,
    "label-dtype": label_dtype,
    "rounding": rounding,
}

REJECTED = Raised(stage="loss", type="IndexError", type_names=("IndexError",), message="Target 3 is out of bounds.")
