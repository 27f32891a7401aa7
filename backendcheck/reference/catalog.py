"""The losses that have a reference: formula, check of the labels, options, and the axes that each loss takes together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backendcheck.reference import ctc, hinge, metric_learning, probabilistic, regression, segmentation
from backendcheck.reference.spec import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One loss.

    Attributes:
        formula: ``(labels, y_pred, options) -> unreduced loss``.
        prepare: ``(where, y_true, y_pred, options) -> labels``, or raises `NoReference`.
        axes: the axes of y_pred from which one value of the unreduced loss is computed. ``"axis"``: the axis in the option.
            ``"axes"``: one or several axes in the option, all if None. ``"last"``. ``"sequence"``: all but the first.
            ``"batch"``: all, because the examples depend on each other.
        options: the options of the loss, with the defaults of Keras.
        counted: where a label counts, or None if labels always count.
    """

    formula: Callable[[Any, Any, Options], NDArray[np.float64]]
    prepare: Callable[[str, Any, Any, Options], Any] = regression.prepare
    axes: Literal["axis", "axes", "last", "sequence", "batch"] = "last"
    options: Mapping[str, Any] = field(default_factory=dict)
    counted: Callable[[Any, Options], NDArray[np.bool_] | None] | None = None


_CROSSENTROPY: dict[str, Any] = {"from_logits": False, "label_smoothing": 0.0, "axis": -1}

DEFINITIONS: Mapping[str, Definition] = MappingProxyType(
    {
        "binary_crossentropy": Definition(
            formula=probabilistic.binary_crossentropy,
            prepare=probabilistic.prepare_binary,
            axes="axis",
            options=_CROSSENTROPY,
        ),
        "binary_focal_crossentropy": Definition(
            formula=probabilistic.binary_focal_crossentropy,
            prepare=probabilistic.prepare_binary_focal,
            axes="axis",
            options={**_CROSSENTROPY, "apply_class_balancing": False, "alpha": 0.25, "gamma": 2.0},
        ),
        "categorical_crossentropy": Definition(
            formula=probabilistic.categorical_crossentropy,
            prepare=probabilistic.prepare_distribution,
            axes="axis",
            options=_CROSSENTROPY,
        ),
        "categorical_focal_crossentropy": Definition(
            formula=probabilistic.categorical_focal_crossentropy,
            prepare=probabilistic.prepare_focal_distribution,
            axes="axis",
            options={**_CROSSENTROPY, "alpha": 0.25, "gamma": 2.0},
        ),
        "categorical_generalized_cross_entropy": Definition(
            formula=probabilistic.categorical_generalized_cross_entropy,
            prepare=probabilistic.prepare_class_of_each,
            options={"q": 0.5},
        ),
        "categorical_hinge": Definition(formula=hinge.categorical_hinge, prepare=hinge.prepare_one_hot),
        "circle": Definition(
            formula=metric_learning.circle,
            prepare=metric_learning.prepare_embeddings,
            axes="batch",
            options={"gamma": 80.0, "margin": 0.4, "remove_diagonal": True},
        ),
        "cosine_similarity": Definition(formula=regression.cosine_similarity, axes="axis", options={"axis": -1}),
        "ctc": Definition(formula=ctc.ctc, prepare=ctc.prepare_sequences, axes="sequence"),
        "dice": Definition(formula=segmentation.dice, prepare=segmentation.prepare_overlap, axes="axes", options={"axis": None}),
        "hinge": Definition(formula=hinge.hinge, prepare=hinge.prepare_signs),
        "huber": Definition(formula=regression.huber, options={"delta": 1.0}),
        "kl_divergence": Definition(formula=probabilistic.kl_divergence),
        "log_cosh": Definition(formula=regression.log_cosh),
        "mean_absolute_error": Definition(formula=regression.mean_absolute_error),
        "mean_absolute_percentage_error": Definition(formula=regression.mean_absolute_percentage_error),
        "mean_squared_error": Definition(formula=regression.mean_squared_error),
        "mean_squared_logarithmic_error": Definition(formula=regression.mean_squared_logarithmic_error),
        "poisson": Definition(formula=regression.poisson, prepare=regression.prepare_counts),
        "sparse_categorical_crossentropy": Definition(
            formula=probabilistic.sparse_categorical_crossentropy,
            prepare=probabilistic.prepare_indices,
            axes="axis",
            options={"from_logits": False, "ignore_class": None, "axis": -1},
            counted=probabilistic.counted_labels,
        ),
        "squared_hinge": Definition(formula=hinge.squared_hinge, prepare=hinge.prepare_signs),
        "tversky": Definition(
            formula=segmentation.tversky,
            prepare=segmentation.prepare_overlap,
            axes="axes",
            options={"alpha": 0.5, "beta": 0.5, "axis": None},
        ),
    }
)
