"""One example of each diagnosis, as docs/diagnoses.md shows it: the case by name, and what each backend recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
from diagnosing import NAMES, cross_entropy, outputs, scores, softmax
from make import BACKENDS, everywhere, observation, raised

from backendcheck.diagnose.evidence.float_formats import rounded
from backendcheck.recordings.recording import Variant
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import DENSE_GRADIENTS

Legs = dict[str, dict[str, Any]]
REJECTS = {"raised": "IndexError: Target 3 is out of bounds.", "expect": {}}


def _f32(value: object) -> np.ndarray:
    return np.asarray(value, np.float32)


def _but(backend: str, usual: dict[str, Any], other: dict[str, Any]) -> Legs:
    """`usual` everywhere but on one backend."""
    return everywhere(**usual) | {backend: other}


def _pets() -> np.ndarray:
    """Probabilities of eight pets: cat, dog or fox."""
    return _f32(softmax(np.random.default_rng(4).standard_normal((8, 3)) * 2))


def _of_pets(predictions: np.ndarray) -> dict[str, Any]:
    return {"predictions": predictions, "class_names": NAMES[:3]}


def _accepting(losses: list[float], **more: Any) -> dict[str, Any]:
    return {
        "per_example_loss": _f32(losses), "loss": float(np.mean(losses)), "labels": {"y_true": np.array([2, 0, 3])},
        "class_names": NAMES[:3], "expect": {},
    } | more  # fmt: skip


def _own(losses: object, **labels: object) -> dict[str, Any]:
    """A loss of the user's own."""
    return {"per_example_loss": _f32(losses), "losses": {"": {"name": "my_loss", "from_keras": False}}, "labels": dict(labels)}


def _declared(name: str, y_true: object, y_pred: object, seen: dict[str, Any], **options: Any) -> dict[str, Any]:
    loss = {"name": name, "from_keras": True, "options": options, "reduction": "sum_over_batch_size", "alone": True}
    return {"losses": {"": loss}, "labels": {"y_true": np.asarray(y_true), "y_pred": _f32(y_pred)}, "observations": seen}


def _ignoring(*, counted: bool) -> dict[str, Any]:
    z, y = scores()
    y = y.copy()
    y[[3, 7]] = -1
    targets = np.eye(4)[np.where(y < 0, 3, y)] * (1 if counted else (y >= 0)[:, None])
    made = cross_entropy(z, y, targets=targets)
    if not counted:
        seen = made["observations"]
        made["observations"] = seen | {name: seen[name] * np.float32(16 / 14) for name in ("loss", "gradient/y_pred")}
    made["losses"][""]["options"] = {"from_logits": True, "ignore_class": -1}
    return made


def _smoothing(amount: float) -> dict[str, Any]:
    z, y = scores()
    hot = np.eye(4, dtype=np.float32)[y]
    made = cross_entropy(z, y, targets=hot * (1 - amount) + amount / 4)
    loss = made["losses"][""] | {"name": "categorical_crossentropy"}
    return made | {"labels": {"y_true": hot, "y_pred": _f32(z)}, "losses": {"": loss}}


def _at_a_kink(slope: float) -> dict[str, Any]:
    seen = {"per_example_loss": _f32([0.5, 0, 1]), "loss": np.float32(0.5), "gradient/y_pred": _f32([[1 / 3], [slope], [-1 / 3]])}
    return _declared("mean_absolute_error", _f32([[1], [2], [3]]), [[1.5], [2.0], [2.0]], seen)


def _saturated(loss: float) -> dict[str, Any]:
    seen = {"per_example_loss": _f32([-np.log(0.75), loss, -np.log(0.5)])}
    return _declared("sparse_categorical_crossentropy", [1, 1, 0], [[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]], seen)


def _wide(y: np.ndarray) -> dict[str, Any]:
    z = np.random.default_rng(0).standard_normal((4, 300)).astype(np.float32).astype(np.float64)
    return cross_entropy(z, np.array([260, 3, 299, 280]), targets=np.eye(300)[y])


def _embedded(*, whole: bool) -> dict[str, Any]:
    """The row of one label that was looked up twice, after a step of Adagrad on the sum of its two gradients, or on each."""
    initial, gradients = np.array([[0.25, 0.5]]), np.array([[0.5, -0.25], [0.25, 0.5]])
    rows = {True: gradients.sum(0) ** 2, False: (gradients**2).sum(0)}
    after = {way: _f32(initial - 0.1 * gradients.sum(0) / np.sqrt(0.1 + squares)) for way, squares in rows.items()}
    name = "train/weight/user/embeddings"
    dense = Variant(oracle=Oracle.PATHS, path=DENSE_GRADIENTS, observations={name: observation(after[True])})
    variants = () if whole else (dense,)
    return {"observations": {name: after[whole]}, "optimizer": "keras.src.optimizers.adagrad.Adagrad", "variants": variants}


TORCH_SGD = "keras.src.backend.torch.optimizers.torch_sgd.SGD"
Z, Y = scores()
WEIGHT = np.arange(1, 17) / 8.0
LOSSES = _f32([0.5, 1.25, 0.75, 2.0, 0.1, 0.3])
MASK = np.array([True, False, True, False, True, True])
GRADIENT = _f32([[0.5, -0.25], [0.125, 0.7]])
VALUES = np.random.default_rng(0).standard_normal((8, 4))
NOISE = np.where(np.arange(32).reshape(8, 4) == 14, 5 * (1e-6 + 1e-5 * np.abs(VALUES)), 0)
DROPPED = np.where([False, True, False, False, True, False], 0, LOSSES)

EXAMPLES: dict[str, tuple[str, Legs]] = {
    "output-order": (
        "patients/outputs",
        {"tensorflow": outputs(["tumor", "age", "Stage"])} | {b: outputs(["Stage", "age", "tumor"]) for b in ("jax", "torch")},
    ),
    "output-swap": ("patients/heads", _but("torch", outputs(["age", "Stage", "tumor"]), outputs(
        ["age", "Stage", "tumor"], age=[[30.0], [40.0]], Stage=[[1.0], [2.0]]))),
    "foreign-optimizer": (
        "models/saved_on_torch",
        {b: {"loss": 1.0, "optimizer": TORCH_SGD} | ({} if b == "torch" else {"raised": raised("TypeError: x", "train")})
         for b in BACKENDS},
    ),
    "sparse-gradient": ("users/embedded", everywhere(**_embedded(whole=True)) | {"tensorflow": _embedded(whole=False)}),
    "silent-acceptance": (
        "labels/one_past_the_end",
        {"tensorflow": REJECTS, "jax": _accepting([0.41, 0.24, 0.0]), "torch": REJECTS},
    ),
    "never-rejected": ("labels/not_a_number", everywhere(**_accepting([0.41, 0.24, 0.0]))),
    "label-wrapped": (
        "labels/class_260_of_300", _but("jax", _wide(np.array([260, 3, 299, 280])), _wide(np.array([4, 3, 43, 24]))),
    ),
    "label-truncated": ("labels/half_a_star", _but("jax", {"ids": _f32([1.9, -0.6, 2.5])}, {"ids": _f32([1, -0.0, 2])})),
    "missing-label-counted": ("labels/unlabeled", _but("jax", _ignoring(counted=False), _ignoring(counted=True))),
    "dropped-label": (
        "labels/out_of_range",
        _but("jax", _own(LOSSES, y_true=np.array([0, 7, 1, 1, 7, 0])), _own(DROPPED, y_true=np.array([0, 7, 1, 1, 7, 0]))),
    ),
    "mask-ignored": ("sentences/padding", _but("torch", _own(LOSSES * MASK, mask=MASK), _own(LOSSES, mask=MASK))),
    "off-by-one": ("pets/padding_first", _but("jax", cross_entropy(Z, Y), cross_entropy(Z, Y, targets=np.eye(4)[(Y + 1) % 4]))),
    "class-order": ("pets/names_from_a_set", _but("torch", _of_pets(_pets()), _of_pets(_pets()[:, [1, 0, 2]]))),
    "example-order": ("pets/batches", _but("jax", _of_pets(_pets()), _of_pets(_pets()[[1, 0, 3, 2, 5, 4, 7, 6]]))),
    "sample-weight-ignored": (
        "patients/weights",
        _but("jax", cross_entropy(Z, Y, weight=WEIGHT), cross_entropy(Z, Y, weight=WEIGHT, applied=np.ones(16))),
    ),
    "sample-weight-misapplied": (
        "patients/weights",
        _but("jax", cross_entropy(Z, Y, weight=WEIGHT), cross_entropy(Z, Y, weight=WEIGHT, applied=WEIGHT**2)),
    ),
    "label-smoothing": ("pets/smooth", _but("jax", _smoothing(0.0), _smoothing(0.1))),
    "broadcast": ("prices/columns", _but("torch", {"loss": _f32(np.ones((4, 1)))}, {"loss": _f32(np.ones((4, 4)))})),
    "axis": ("pixels/softmax", _but("jax", {"predictions": _f32(softmax(Z))}, {"predictions": _f32(softmax(Z.T).T)})),
    "logits-as-probabilities": (
        "pets/head", _but("jax", {"predictions": _f32(softmax(Z))}, {"predictions": _f32(softmax(softmax(Z)))}),
    ),
    "reduction": ("pets/mean", _but("jax", cross_entropy(Z, Y), cross_entropy(Z, Y, factor=16.0))),
    "sign": ("prices/utility", _but("jax", {"observations": {"gradient/dense/kernel": GRADIENT}},
                                    {"observations": {"gradient/dense/kernel": -GRADIENT}})),
    "edge-gradient": ("prices/exact_hit", _but("torch", _at_a_kink(0.0), _at_a_kink(1 / 3))),
    "saturation": ("pets/certain_and_wrong", _but("jax", _saturated(16.118), _saturated(34.5))),
    "tie-order": (
        "ranking/two_alike",
        _but("torch", {"value/values": _f32([[3, 2, 2]]), "value/indices": np.array([[0, 1, 2]])},
             {"value/values": _f32([[3, 2, 2]]), "value/indices": np.array([[0, 2, 1]])}),
    ),
    "nan": ("pets/log_of_zero", _but("jax", {"per_example_loss": _f32([0.5, 16.1])}, {"per_example_loss": _f32([0.5, np.nan])})),
    "precision": (
        "pets/half_precision", _but("jax", {"predictions": _f32(VALUES)}, {"predictions": _f32(rounded(VALUES, "bfloat16"))}),
    ),
    "scale": ("pets/focal", _but("torch", {"observations": {"gradient/dense/kernel": GRADIENT}},
                                 {"observations": {"gradient/dense/kernel": np.float32(0.37) * GRADIENT}})),
    "label-dtype": ("labels/ids", _but("jax", {"ids": np.array([1, 2])}, {"ids": np.array([1, 2], np.int32)})),
    "rounding": ("pets/last_digits", _but("torch", {"predictions": _f32(VALUES)}, {"predictions": _f32(VALUES + NOISE)})),
    "refused-everywhere": (
        "pets/five_labels", everywhere(raised="ValueError: Arguments `target` and `output` must have the same shape."),
    ),
    "unexplained": ("pets/odd", _but("jax", {"predictions": _f32(VALUES)}, {
        "predictions": _f32(VALUES + np.where(np.arange(32).reshape(8, 4) % 20 == 6, 0.5, 0))})),
}  # fmt: skip
