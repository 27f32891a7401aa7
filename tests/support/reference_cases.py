"""Inputs for every loss of Keras, and each place where a backend does not give the reference, with a judgement.

`CASES` holds the inputs, `DISAGREEMENTS` the places. A test fails if a disagreement appears, changes or goes away. Then the
table, or the reference, is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backendcheck.reference import LossSpec, canonical_name

BACKENDS = ("jax", "tensorflow", "torch")
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One loss object called once; `note` says what is asked."""

    name: str
    keras_class: str
    y_true: Any
    y_pred: Any
    options: dict[str, Any] = field(default_factory=dict)
    reduction: str | None = "sum_over_batch_size"
    sample_weight: Any = None
    mask: Any = None

    @property
    def spec(self) -> LossSpec:
        return LossSpec(name=canonical_name(self.keras_class), options=self.options, reduction=self.reduction)


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (raised / raised.sum(axis=-1, keepdims=True)).astype("float32")


def ordinary() -> list[Case]:
    """Every loss on valid labels, with its options, reductions, weights and masks."""
    rng = np.random.default_rng(20)
    logits, volume = (rng.normal(size=shape).astype("float32") for shape in ((4, 3), (2, 5, 3)))
    probabilities, steps = _softmax(logits), _softmax(volume)
    indices, one_hot = np.array([2, 0, 1, 1]), np.eye(3)[[2, 0, 1, 1]]
    step_indices = np.array([[2, 0, 1, 1, 0], [0, 1, 2, 2, 1]])
    step_one_hot = np.eye(3)[step_indices]
    soft, numbers = _softmax(rng.normal(size=(4, 3))), rng.normal(size=(4, 3)).astype("float32")
    positive, counts = np.abs(logits) + 0.25, rng.integers(0, 5, size=(4, 3))
    bits, chances = rng.integers(0, 2, size=(4, 3)), rng.uniform(0.05, 0.95, size=(4, 3)).astype("float32")
    signs = 2 * bits - 1
    embeddings = rng.normal(size=(6, 4))
    embeddings = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype("float32")
    frames = rng.normal(size=(3, 6, 5)).astype("float32")
    sequences = np.array([[1, 2, 2], [4, 0, 0], [3, 1, 3]])
    masks, overlaps = rng.integers(0, 2, size=(2, 3, 4)), rng.uniform(size=(2, 3, 4)).astype("float32")

    plain: list[tuple[str, Any, Any, dict[str, Any]]] = [
        ("MeanSquaredError", numbers, logits, {}),
        ("MeanAbsoluteError", numbers, logits, {}),
        ("MeanAbsolutePercentageError", numbers, logits, {}),
        ("MeanSquaredLogarithmicError", counts, positive, {}),
        ("CosineSimilarity", numbers, logits, {}),
        ("CosineSimilarity", numbers, logits, {"axis": 0}),
        ("Huber", numbers, logits, {}),
        ("Huber", numbers, logits, {"delta": 0.3}),
        ("LogCosh", numbers, logits, {}),
        ("Hinge", bits, logits, {}),
        ("Hinge", signs, logits, {}),
        ("SquaredHinge", bits, logits, {}),
        ("SquaredHinge", signs, logits, {}),
        ("CategoricalHinge", one_hot, logits, {}),
        ("CategoricalHinge", 2 * one_hot - 1, logits, {}),
        ("KLDivergence", soft, probabilities, {}),
        ("KLDivergence", one_hot, probabilities, {}),
        ("Poisson", counts, positive, {}),
        ("BinaryCrossentropy", bits, chances, {}),
        ("BinaryCrossentropy", bits, chances, {"label_smoothing": 0.2}),
        ("BinaryCrossentropy", bits, logits, {"from_logits": True}),
        ("BinaryCrossentropy", bits, logits, {"from_logits": True, "label_smoothing": 0.2, "axis": 0}),
        ("BinaryFocalCrossentropy", bits, chances, {}),
        ("BinaryFocalCrossentropy", bits, chances, {"gamma": 1.5, "apply_class_balancing": True, "alpha": 0.7}),
        ("BinaryFocalCrossentropy", bits, logits, {"from_logits": True, "label_smoothing": 0.2}),
        ("CategoricalCrossentropy", one_hot, probabilities, {}),
        ("CategoricalCrossentropy", soft, probabilities, {"label_smoothing": 0.1}),
        ("CategoricalCrossentropy", one_hot, logits, {"from_logits": True}),
        ("CategoricalCrossentropy", soft, logits, {"from_logits": True, "label_smoothing": 0.1}),
        ("CategoricalCrossentropy", step_one_hot, volume, {"from_logits": True}),
        (
            "CategoricalCrossentropy",
            step_one_hot.transpose(0, 2, 1),
            volume.transpose(0, 2, 1),
            {"from_logits": True, "axis": 1},
        ),
        ("CategoricalFocalCrossentropy", one_hot, probabilities, {}),
        ("CategoricalFocalCrossentropy", one_hot, probabilities, {"alpha": [0.2, 0.5, 0.8], "gamma": 1.5}),
        ("CategoricalFocalCrossentropy", one_hot, logits, {"from_logits": True, "label_smoothing": 0.1}),
        ("SparseCategoricalCrossentropy", indices, probabilities, {}),
        ("SparseCategoricalCrossentropy", indices, logits, {"from_logits": True}),
        ("SparseCategoricalCrossentropy", indices[:, None], logits, {"from_logits": True}),
        ("SparseCategoricalCrossentropy", indices, logits, {"from_logits": True, "ignore_class": 1}),
        ("SparseCategoricalCrossentropy", step_indices, steps, {"ignore_class": 1}),
        ("SparseCategoricalCrossentropy", step_indices, volume, {"from_logits": True}),
        ("CategoricalGeneralizedCrossEntropy", indices, probabilities, {}),
        ("CategoricalGeneralizedCrossEntropy", indices, probabilities, {"q": 0.8}),
        ("Dice", masks, overlaps, {}),
        ("Dice", masks, overlaps, {"axis": [1, 2]}),
        ("Tversky", masks, overlaps, {}),
        ("Tversky", masks, overlaps, {"axis": [1, 2]}),
        ("Circle", np.array([0, 0, 1, 1, 2, 2]), embeddings, {}),
        ("Circle", np.array([0, 0, 1, 1, 2, 2]), embeddings, {"gamma": 10.0, "margin": 0.25}),
        ("CTC", sequences, frames, {}),
    ]
    cases = [
        Case(name=f"plain-{number}-{cls}", keras_class=cls, y_true=y_true, y_pred=y_pred, options=options)
        for number, (cls, y_true, y_pred, options) in enumerate(plain)
    ]
    weights, step_weights = np.array([0.5, 2.0, 0.0, 1.0]), rng.uniform(size=(2, 5)).astype("float32")
    mask, step_mask = np.array([True, True, False, True]), step_indices != 1
    for reduction in REDUCTIONS:
        for label, given in {
            "bare": {},
            "weights": {"sample_weight": weights},
            "column": {"sample_weight": weights[:, None]},
            "mask": {"mask": mask},
            "both": {"sample_weight": weights, "mask": mask},
        }.items():
            cases.append(
                Case(
                    name=f"reduction-{reduction}-{label}",
                    keras_class="CategoricalCrossentropy",
                    y_true=one_hot,
                    y_pred=logits,
                    options={"from_logits": True},
                    reduction=reduction,
                    **given,
                )
            )
        cases.append(
            Case(
                name=f"steps-{reduction}",
                keras_class="SparseCategoricalCrossentropy",
                y_true=step_indices,
                y_pred=volume,
                options={"from_logits": True, "ignore_class": 0},
                reduction=reduction,
                sample_weight=step_weights,
                mask=step_mask,
            )
        )
    ranks = {
        "column": (numbers[:, 0], logits[:, :1]),
        "row": (numbers[:, :1], logits[:, 0]),
        "one": (numbers[0], logits[0]),
    }
    for label, (y_true, y_pred) in ranks.items():
        cases.append(Case(name=f"rank-{label}", keras_class="MeanSquaredError", y_true=y_true, y_pred=y_pred))
    return cases


def _edges() -> list[Case]:
    """Labels and predictions at the borders, where the documentation still says what is right."""
    rng = np.random.default_rng(21)
    sparse, categorical = "SparseCategoricalCrossentropy", "CategoricalCrossentropy"
    wide = rng.normal(size=(2, 3, 5)).astype("float32")
    wide_one_hot = np.eye(3)[rng.integers(0, 3, size=(2, 5))].transpose(0, 2, 1)
    square = rng.normal(size=(3, 3, 3)).astype("float32")
    logits = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]], "float32")
    three = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], "float32")
    far = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]], "float32")
    truth, guess = np.array([[1.0, 1.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 0.0, 0.0]], "float32")
    return [
        Case(
            name="tversky-alpha-is-for-false-positives",
            keras_class="Tversky",
            y_true=truth,
            y_pred=guess,
            options={"alpha": 0.9, "beta": 0.1},
        ),
        Case(
            name="label-smoothing-along-axis",
            keras_class=categorical,
            y_true=wide_one_hot,
            y_pred=wide,
            options={"from_logits": True, "label_smoothing": 0.3, "axis": 1},
        ),
        Case(
            name="focal-label-smoothing-along-axis",
            keras_class="CategoricalFocalCrossentropy",
            y_true=wide_one_hot,
            y_pred=wide,
            options={"from_logits": True, "label_smoothing": 0.3, "axis": 1},
        ),
        Case(
            name="binary-focal-saturated-logits",
            keras_class="BinaryFocalCrossentropy",
            y_true=[[1.0]],
            y_pred=[[-30.0]],
            options={"from_logits": True, "gamma": 0.0},
        ),
        Case(
            name="binary-saturated-logits",
            keras_class="BinaryCrossentropy",
            y_true=[[1.0]],
            y_pred=[[-30.0]],
            options={"from_logits": True},
        ),
        Case(
            name="categorical-focal-saturated-logits",
            keras_class="CategoricalFocalCrossentropy",
            y_true=[[1.0, 0.0]],
            y_pred=[[-30.0, 0.0]],
            options={"from_logits": True, "gamma": 0.0, "alpha": 1.0},
        ),
        Case(
            name="categorical-saturated-logits",
            keras_class=categorical,
            y_true=[[1.0, 0.0]],
            y_pred=[[-200.0, 0.0]],
            options={"from_logits": True},
        ),
        Case(
            name="sparse-saturated-logits",
            keras_class=sparse,
            y_true=[0],
            y_pred=[[-200.0, 0.0]],
            options={"from_logits": True},
        ),
        Case(
            name="categorical-minus-infinity",
            keras_class=categorical,
            y_true=[[0.0, 1.0, 0.0]],
            y_pred=[[1.0, 2.0, -np.inf]],
            options={"from_logits": True},
        ),
        Case(
            name="sparse-minus-infinity",
            keras_class=sparse,
            y_true=[1],
            y_pred=[[1.0, 2.0, -np.inf]],
            options={"from_logits": True},
        ),
        Case(
            name="categorical-row-of-zeros",
            keras_class=categorical,
            y_true=[[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            y_pred=logits,
            options={"from_logits": True},
        ),
        Case(
            name="categorical-multi-hot",
            keras_class=categorical,
            y_true=[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]],
            y_pred=logits,
            options={"from_logits": True},
        ),
        Case(name="categorical-zero-probability", keras_class=categorical, y_true=[[0.0, 1.0]], y_pred=[[1.0, 0.0]]),
        Case(name="sparse-zero-probability", keras_class=sparse, y_true=[1], y_pred=[[1.0, 0.0]]),
        Case(name="binary-zero-probability", keras_class="BinaryCrossentropy", y_true=[[1.0]], y_pred=[[0.0]]),
        Case(name="categorical-unnormalized", keras_class=categorical, y_true=[[0.0, 1.0]], y_pred=[[0.2, 0.6]]),
        Case(name="sparse-unnormalized", keras_class=sparse, y_true=[1], y_pred=[[0.2, 0.6]]),
        Case(
            name="sparse-class-axis-first",
            keras_class=sparse,
            y_true=rng.integers(0, 3, size=(2, 5)),
            y_pred=wide,
            options={"from_logits": True, "axis": 1},
        ),
        Case(
            name="sparse-class-axis-first-square",
            keras_class=sparse,
            y_true=rng.integers(0, 3, size=(3, 3)),
            y_pred=square,
            options={"from_logits": True, "axis": 1},
        ),
        Case(
            name="sparse-everything-ignored",
            keras_class=sparse,
            y_true=[-1, -1],
            y_pred=logits,
            options={"from_logits": True, "ignore_class": -1},
        ),
        Case(
            name="sparse-ignored-nan",
            keras_class=sparse,
            y_true=[-1, 1],
            y_pred=[[np.nan, 0.0, 0.0], [0.5, -1.0, 2.0]],
            options={"from_logits": True, "ignore_class": -1},
        ),
        Case(
            name="masked-nan",
            keras_class="MeanSquaredError",
            y_true=[[1.0], [2.0]],
            y_pred=[[np.nan], [3.0]],
            mask=[False, True],
        ),
        Case(
            name="weights-of-examples-on-a-square-of-steps",
            keras_class="MeanSquaredError",
            y_true=np.zeros((2, 2, 1)),
            y_pred=np.array([[[1.0], [1.0]], [[2.0], [2.0]]], "float32"),
            sample_weight=[1.0, 0.0],
        ),
        Case(
            name="weights-of-examples-on-steps",
            keras_class="MeanSquaredError",
            y_true=np.zeros((2, 3, 1)),
            y_pred=np.ones((2, 3, 1), "float32"),
            sample_weight=[1.0, 0.0],
        ),
        Case(name="circle-alone", keras_class="Circle", y_true=[0, 0, 1], y_pred=three),
        Case(name="circle-far-apart", keras_class="Circle", y_true=[0, 0, 1, 1], y_pred=far),
        Case(
            name="circle-with-itself",
            keras_class="Circle",
            y_true=[0, 0, 1],
            y_pred=three,
            options={"gamma": 4.0, "remove_diagonal": False},
        ),
        Case(name="ctc-does-not-fit", keras_class="CTC", y_true=[[1, 1]], y_pred=np.zeros((1, 2, 3), "float32")),
        Case(
            name="ctc-long-certain",
            keras_class="CTC",
            y_true=[[1, 2]],
            y_pred=np.array([[[0.0, 90, 0], [90, 0, 0], [0, 0, 90]]], "float32"),
        ),
        Case(name="ctc-empty", keras_class="CTC", y_true=[[0, 0]], y_pred=np.zeros((1, 3, 3), "float32")),
        Case(name="log-cosh-small", keras_class="LogCosh", y_true=[[0.0]], y_pred=[[1e-2]]),
        Case(name="log-cosh-large", keras_class="LogCosh", y_true=[[0.0]], y_pred=[[-500.0]]),
        Case(name="cosine-zero-prediction", keras_class="CosineSimilarity", y_true=[[1.0, 2.0]], y_pred=[[0.0, 0.0]]),
        Case(name="cosine-zero-label", keras_class="CosineSimilarity", y_true=[[0.0, 0.0]], y_pred=[[1.0, 2.0]]),
        Case(name="mape-negative-label", keras_class="MeanAbsolutePercentageError", y_true=[[-2.0]], y_pred=[[1.0]]),
        Case(name="mape-zero-label", keras_class="MeanAbsolutePercentageError", y_true=[[0.0]], y_pred=[[1.0]]),
        Case(name="msle-negative", keras_class="MeanSquaredLogarithmicError", y_true=[[-0.5]], y_pred=[[2.0]]),
        Case(name="poisson-zero-rate", keras_class="Poisson", y_true=[[2.0]], y_pred=[[0.0]]),
        Case(
            name="gce-zero-probability",
            keras_class="CategoricalGeneralizedCrossEntropy",
            y_true=[1],
            y_pred=[[1.0, 0.0]],
        ),
        Case(name="kld-zero-prediction", keras_class="KLDivergence", y_true=[[0.0, 1.0]], y_pred=[[1.0, 0.0]]),
        Case(name="huber-at-delta", keras_class="Huber", y_true=[[0.0]], y_pred=[[1.0]]),
        Case(name="mae-at-kink", keras_class="MeanAbsoluteError", y_true=[[1.0]], y_pred=[[1.0]]),
        Case(name="hinge-at-kink", keras_class="Hinge", y_true=[[1.0]], y_pred=[[1.0]]),
        Case(
            name="categorical-hinge-all-negative",
            keras_class="CategoricalHinge",
            y_true=[[0, 1]],
            y_pred=[[-5.0, -1.0]],
        ),
        Case(
            name="sparse-huge-logits",
            keras_class=sparse,
            y_true=[0, 1],
            y_pred=[[1e4, -1e4], [1e38, -1e38]],
            options={"from_logits": True},
        ),
    ]


CASES = {case.name: case for case in ordinary() + _edges()}
ALL = ("unreduced", "loss", "gradient")
LOSS = ("loss", "gradient")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Which observations of which backends are not as the reference says, in Keras 3.15, and who is right."""

    backends: tuple[str, ...]
    observations: tuple[str, ...]
    judgement: str


DISAGREEMENTS: dict[str, tuple[Disagreement, ...]] = {
    "tversky-alpha-is-for-false-positives": (
        Disagreement(
            BACKENDS,
            ALL,
            "Keras is wrong: it gives alpha to the false negatives and beta to the false positives, 0.6429 for 0.1667. "
            "Its docstring and the paper it cites (Salehi et al. 2017) say the opposite. Unseen while alpha = beta.",
        ),
    ),
    "label-smoothing-along-axis": (
        Disagreement(
            BACKENDS,
            ALL,
            "Keras is wrong: num_classes is taken from the last axis (5 steps), not from axis=1 (3 classes), so the "
            "smoothed labels sum to 0.88. The gradient of TensorFlow differs once more: see categorical-row-of-zeros.",
        ),
    ),
    "focal-label-smoothing-along-axis": (Disagreement(BACKENDS, ALL, "Keras is wrong: as for label-smoothing-along-axis."),),
    "binary-focal-saturated-logits": (
        Disagreement(
            ("jax", "torch"),
            ALL,
            "TensorFlow is right, it finds the logits behind the sigmoid again. JAX and torch clip sigmoid(logit) at "
            "1e-7: 16.118 for 30, and gradient 0 for -1. gamma=0 is documented to equal the binary crossentropy.",
        ),
    ),
    "categorical-focal-saturated-logits": (
        Disagreement(
            BACKENDS,
            ALL,
            "Keras is wrong: it clips softmax(logits) at 1e-7: 16.118 for 30, and gradient 0 for -1 and 1. With "
            "gamma=0 and alpha=1 this is the categorical crossentropy, which gives 30.",
        ),
    ),
    "categorical-minus-infinity": (
        Disagreement(
            BACKENDS,
            ("unreduced", "loss"),
            "Keras is wrong: a class ruled out by logit -inf has probability 0 and label 0, and adds 0 log 0 = 0; "
            "every backend gives NaN for 0.3133. TensorFlow and torch do give it for the same integer label.",
        ),
    ),
    "sparse-minus-infinity": (
        Disagreement(
            ("jax",),
            ("unreduced", "loss"),
            "TensorFlow and torch are right. JAX multiplies by a one-hot row, 0 * -inf: NaN for 0.3133.",
        ),
    ),
    "categorical-row-of-zeros": (
        Disagreement(
            ("tensorflow",),
            ("gradient",),
            "JAX and torch are right. The loss of a row without label is 0 whatever the logits are, so its gradient is "
            "0; TensorFlow gives softmax(logits) / N. Its op holds only for labels that sum to 1.",
        ),
    ),
    "categorical-multi-hot": (
        Disagreement(("tensorflow",), ("gradient",), "JAX and torch are right: as for categorical-row-of-zeros."),
    ),
    "sparse-class-axis-first": (
        Disagreement(("jax", "tensorflow"), ALL, "torch is right. `axis` is documented, and JAX and TensorFlow reject it."),
    ),
    "sparse-class-axis-first-square": (
        Disagreement(
            ("tensorflow",),
            ALL,
            "JAX and torch are right; JAX takes axis=1 only where its shape check passes by chance.",
        ),
    ),
    "masked-nan": (
        Disagreement(
            BACKENDS,
            LOSS,
            "Open. A mask is to take an entry out, so the reference leaves it out; Keras multiplies by 0, and NaN * 0 "
            "is NaN. Nothing is documented for this; ignore_class does leave NaN out, on every backend.",
        ),
    ),
    "weights-of-examples-on-a-square-of-steps": (
        Disagreement(
            BACKENDS,
            LOSS,
            "Keras is wrong, in silence: fit documents a flat sample_weight as one weight for each example; with as "
            "many steps as examples it is applied to the steps: 1.25 for 0.5.",
        ),
    ),
    "weights-of-examples-on-steps": (
        Disagreement(BACKENDS, LOSS, "Keras is wrong: as above, but the shapes do not broadcast, and every backend raises."),
    ),
    "circle-alone": (
        Disagreement(
            BACKENDS,
            LOSS,
            "Keras departs from its documentation, on purpose it seems: it divides by the number of examples with a "
            "loss above 0, not by the batch size: 19.2 for 12.8.",
        ),
    ),
    "ctc-does-not-fit": (
        Disagreement(
            ("jax", "tensorflow"),
            ("unreduced", "loss"),
            "torch is right: two equal labels need three steps, the probability is 0 and the loss infinite. JAX gives "
            "100000, TensorFlow 707.7, both from a stand-in for log 0.",
        ),
    ),
    "cosine-zero-prediction": (
        Disagreement(
            ("jax", "torch"),
            ("gradient",),
            "TensorFlow is right: x / max(norm, 1e-7) is linear around 0 and has the slope -4.47e6, -8.94e6. JAX and "
            "torch give NaN: the derivative of 1/sqrt at 0, times 0.",
        ),
    ),
    "gce-zero-probability": (
        Disagreement(
            BACKENDS,
            ("gradient",),
            "Keras is wrong: the loss does not depend on the other class, whose gradient is 0; every backend gives NaN "
            "there: the infinite slope of p^q at 0, times 0.",
        ),
    ),
}
