"""One example of each diagnosis, as docs/diagnoses.md shows it: the case by name, and what each backend recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
from diagnosing import NAMES, cross_entropy, outputs, scores, softmax
from make import BACKENDS, called, everywhere, observation, raised

from backendcheck.diagnose.evidence.float_formats import rounded
from backendcheck.recordings.recording import Variant
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import AFTER_ANOTHER, DENSE_GRADIENTS, MASK_PATHS, OPTIMIZER_BY_HAND, ReferenceValue

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


def _calling(
    value: str, name: str, inputs: dict[str, np.ndarray], usual: np.ndarray, other: tuple[str, np.ndarray], **options: Any
) -> Legs:  # fmt: skip
    """A case that returns the result of one operation, which one backend computes otherwise."""
    legs = {leg: other[1] if leg == other[0] else usual for leg in BACKENDS}
    return {leg: {value: result, "operations": (called(name, inputs, result, **options),)} for leg, result in legs.items()}


def _label_mass() -> Legs:
    """A cross-entropy of rows with two labels; TensorFlow's gradient is that of rows with one."""
    z, y = _f32([[0.5, 1.0, -1.0], [2.0, 0.1, 0.3]]), _f32([[1, 1, 0], [0, 1, 0]])
    p = softmax(z)
    usual = {"loss": _f32(1.0), "gradient/y_pred": _f32((y.sum(axis=-1, keepdims=True) * p - y) / 2)}
    made = _declared("categorical_crossentropy", y, z, usual, from_logits=True)
    return everywhere(**made) | {"tensorflow": made | {"observations": usual | {"gradient/y_pred": _f32((p - y) / 2)}}}


def _batch_means() -> Legs:
    """The losses of two outputs over five examples in batches of two; TensorFlow reports the mean over batches."""
    by_output = {"age": _f32([0.1, 0.2, 0.3, 0.4, 1.0]), "stage": _f32([0.5, 0.1, 0.2, 0.6, 0.05])}
    losses = {f"per_example_loss/{name}": values for name, values in by_output.items()}
    over_examples = {f"metric/{name}_loss": _f32(values.mean()) for name, values in by_output.items()}
    over_batches = {
        f"metric/{name}_loss": _f32(np.mean([values[:2].mean(), values[2:4].mean(), values[4]]))
        for name, values in by_output.items()
    }
    return everywhere(observations=losses | over_examples) | {"tensorflow": {"observations": losses | over_batches}}


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


def _masked(*, arrives: bool) -> dict[str, Any]:
    mask = np.array([[True, False, False], [True, True, False]])
    seen = {"mask": observation(mask if arrives else np.ones_like(mask))}
    return {"mask": mask, "variants": (Variant(oracle=Oracle.PATHS, path=MASK_PATHS[-1], observations=seen),)}


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


def _accuracy(chosen: str, value: float) -> dict[str, Any]:
    metric = {"class": chosen, "declared": "accuracy", "options": {}, "output": "", "weighted": False, "batch_size": 4}
    return {"observations": {"metric/accuracy": np.float32(value)}, "metrics": {"accuracy": metric}}


def _stepped(*, twice: bool) -> dict[str, Any]:
    """A weight after a step of Ftrl by its rule, or with its L2 strength counted twice, in `fit` and by hand."""
    name, initial, gradient = "train/weight/dense/kernel", np.array([[0.5, -1.0, 2.0]]), np.array([[0.5, -0.25, 1.0]])
    root = np.sqrt(0.1 + gradient**2)
    linear = gradient - (root - np.sqrt(0.1)) / 0.1 * initial
    right, wrong = (-linear / (root / 0.1 + strength) for strength in (0.5, 1.0))
    values = {name: _f32(wrong if twice else right)}
    by_hand = Variant(oracle=Oracle.PATHS, path=OPTIMIZER_BY_HAND, observations={name: observation(values[name])})
    return {
        "observations": values, "optimizer": "keras.src.optimizers.ftrl.Ftrl",
        "reference_values": {name: ReferenceValue(value=right, allowed=np.asarray(1e-3 * np.abs(right - initial).max()))},
        "variants": (by_hand,) * twice,
    }  # fmt: skip


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
    "chosen-function": (
        "pets/accuracy_of_a_column",
        _but("jax", _accuracy("SparseCategoricalAccuracy", 0.5), _accuracy("BinaryAccuracy", 0.75)),
    ),
    "wrong-update": ("clicks/a_step", everywhere(**_stepped(twice=True))),
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
    "dropped-mask": ("sentences/dropped", _but("jax", _masked(arrives=True), _masked(arrives=False))),
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
    "unsupported-type": ("pets/bool_labels", everywhere(counts=np.array([1, 2])) | {"torch": {
        "raised": raised("NotImplementedError: \"bincount_cpu\" not implemented for 'Bool'", "compute")}}),
    "unsupported-shape": ("pets/a_table_of_edges", everywhere(bins=np.array([1, 2])) | {"tensorflow": {
        "raised": raised("InvalidArgumentError: Leading dim_size of both tensors must match. [Op:UpperBound]", "compute")}}),
    "unsupported-argument": ("pets/five_best_of_four", everywhere(hits=np.array([1, 1])) | {"torch": {
        "raised": raised("RuntimeError: selected index k out of range", "compute")}}),
    "memory-layout": ("pets/pixels", everywhere(loss=0.5, observations={"gradient/y_pred": VALUES}) | {"torch": {
        "loss": 0.5, "raised": raised("RuntimeError: grad_input must be contiguous", "gradient")}}),
    "no-gradient": ("pets/noisy_or", everywhere(loss=0.5, observations={"gradient/y_pred": VALUES}) | {"jax": {
        "loss": 0.5, "raised": raised("NotImplementedError: scatter_mul gradients are only implemented if `unique_indices=True`",
                                      "gradient")}}),
    "not-traceable": ("pets/own_metric", everywhere(loss=0.5, observations={"metric/own": 0.5}) | {"jax": {
        "loss": 0.5, "raised": raised("TracerBoolConversionError: Attempted boolean conversion of traced array", "metrics")}}),
    "numpy-inside": ("pets/weights_in_an_array", everywhere(loss=0.5) | {"torch": {
        "raised": raised("TypeError: unsupported operand type(s) for *: 'numpy.ndarray' and 'Tensor'")}}),
    "no-text": ("pets/back_to_names", everywhere(names=np.array(["cat", "dog"])) | {"jax": {
        "raised": raised("TypeError: Currently, string arrays can only be made from NumPy arrays.", "compute")}}),
    "empty-input": ("pets/no_tag", everywhere(rows=np.zeros(3)) | {"torch": {
        "raised": raised("IndexError: amax(): Expected reduction dim 1 to have non-zero size.", "compute")}}),
    "undefined-integer": ("pets/bits", _calling(
        "flags", "left_shift", {"x": np.array([1], np.uint8), "y": np.array([9], np.uint8)}, np.array([0], np.uint8),
        ("tensorflow", np.array([128], np.uint8)))),
    "stale-metrics": ("pets/batches_one_by_one", everywhere(loss=0.5) | {"jax": {"loss": 0.5, "variants": (Variant(
        oracle=Oracle.PATHS, path=f"test_on_batch {AFTER_ANOTHER}", observations={"loss": observation(0.7)}),)}}),
    "batch-means": ("models/two_heads", _batch_means()),
    "stale-optimizer": ("models/frozen_later", everywhere(loss=0.5, observations={"train/loss": 0.5}) | {"jax": {
        "loss": 0.5, "raised": raised(
            "ValueError: Argument `optimizer_variables` must be a list of tensors corresponding 1:1 to the trainable variables "
            "list that the optimizer was built with.", "train")}}),
    "internal-error": ("pets/one_feature", everywhere(loss=0.5) | {"jax": {
        "raised": raised("IndexError: tuple index out of range", "compute")}}),
    "cast-out-of-range": ("pets/ages_in_bytes", _calling("ages", "cast", {"x": _f32([1, 300])}, np.array([1, 44], np.uint8),
                                                         ("jax", np.array([1, 255], np.uint8)), dtype="uint8")),
    "index-out-of-range": ("pets/a_fourth_class", _calling(
        "hit", "in_top_k", {"targets": np.array([0, 3]), "predictions": _f32([[3, 2, 1], [3, 2, 1]])}, np.array([True, False]),
        ("torch", np.array([True, True])), k=1)),
    "nan-order": ("pets/one_nan", _calling("class", "argmax", {"x": _f32([[0.1, np.nan, 0.9]])}, np.array([1]),
                                           ("tensorflow", np.array([2])), axis=-1)),
    "infinite-scores": ("pets/ruled_out", _calling(
        "hit", "in_top_k", {"targets": np.array([0]), "predictions": _f32([[3, 2, -np.inf]])}, np.array([True]),
        ("tensorflow", np.array([False])), k=1)),
    "denormal": ("pets/tiny", _calling("class", "argmax", {"x": _f32([[1e-40, 3e-39]])}, np.array([1]),
                                       ("jax", np.array([0])), axis=-1)),
    "half-way": ("pets/median_score", _calling("score", "quantile", {"x": _f32([0.1, 0.2, 0.3, 0.4])}, _f32(0.3),
                                               ("jax", _f32(0.2)), q=0.5, method="nearest")),
    "label-rounded": ("pets/large_ids", _calling(
        "bins", "digitize", {"x": np.array([2**24]), "bins": np.array([2**24 + 1])}, np.array([0]),
        ("tensorflow", np.array([1])))),
    "label-mass": ("pets/two_tags", _label_mass()),
    "nan-everywhere": ("pets/no_chance", everywhere(per_example_loss=_f32([0.5, np.nan]))),
    "wrong-everywhere": ("pets/own_formula", everywhere(score=0.5, reference={"score": 0.25})),
    "refused-everywhere": (
        "pets/five_labels", everywhere(raised="ValueError: Arguments `target` and `output` must have the same shape."),
    ),
    "unexplained": ("pets/odd", _but("jax", {"predictions": _f32(VALUES)}, {
        "predictions": _f32(VALUES + np.where(np.arange(32).reshape(8, 4) % 20 == 6, 0.5, 0))})),
}  # fmt: skip
