"""Labels that are right have no finding: scikit-learn's bundled data sets in every encoding, with fitting losses and heads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from backendcheck.labels import Severity, check_labels
from backendcheck.model_file import DeclaredLoss

CLASSES = ("digits", "wine", "breast_cancer", "iris")
TARGETS = ("linnerud", "diabetes")
LABEL_TYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"]


@cache
def data_set(name: str) -> Any:
    from sklearn import datasets  # takes a second that processes without these tests spare

    return getattr(datasets, f"load_{name}")()


def serious(*arguments: Any, **options: Any) -> list[str]:
    return [str(one) for one in check_labels(*arguments, **options) if one.severity is not Severity.INFO]


def with_logits(name: str) -> DeclaredLoss:
    return DeclaredLoss(name=name, options={"from_logits": True})


def split(data: Any, encoded: np.ndarray) -> dict[str, Any]:
    """Training and validation data, one in five held out."""
    held_out = np.random.default_rng(0).permutation(len(encoded)) < len(encoded) // 5
    return {
        "y": encoded[~held_out], "x": data.data[~held_out], "validation": (data.data[held_out], encoded[held_out]),
    }  # fmt: skip


# --- classes ---------------------------------------------------------------------------------------------------


def exclusive(name: str) -> Iterator[tuple[str, Any, Any]]:
    """Encoding, loss and head of what takes one class for each example."""
    n = len(data_set(name).target_names)
    for loss in ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy"):
        yield "integer", loss, (n, "softmax")
    yield "integer", with_logits("sparse_categorical_crossentropy"), (n, "linear")
    yield "integer", None, (n, "softmax")
    for loss in ("categorical_crossentropy", "categorical_focal_crossentropy", "kl_divergence", "categorical_hinge"):
        yield "one-hot", loss, (n, "softmax")
    yield "one-hot", with_logits("categorical_crossentropy"), (n, "linear")
    yield "one-hot", None, (n, "softmax")
    yield "one-hot", "mse", (n, "softmax")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, dtype) for name in CLASSES for dtype in LABEL_TYPES if dtype != "bool" or name == "breast_cancer"],
)
def test_classes_as_integers_and_as_one_hot_rows(name: str, dtype: str) -> None:
    data = data_set(name)
    n = len(data.target_names)
    names = [str(one) for one in data.target_names]
    for encoding, loss, head in exclusive(name):
        encoded = data.target if encoding == "integer" else np.eye(n)[data.target]
        for column in (encoded, encoded.reshape(-1, 1)) if encoding == "integer" else (encoded,):
            assert serious(column.astype(dtype), loss=loss, head=head, class_names=names, x=data.data) == []
        assert serious(**split(data, encoded.astype(dtype)), loss=loss, head=head, class_names=names) == []


@pytest.mark.parametrize("name", CLASSES)
def test_classes_by_name(name: str) -> None:
    data = data_set(name)
    names = [str(one) for one in data.target_names]
    texts = np.array(names)[data.target]
    for labels in (texts, texts.tolist(), texts.astype(object), np.char.encode(texts)):
        assert serious(labels, loss="sparse_categorical_crossentropy", head=(len(names), "softmax"), class_names=names) == []
    assert serious(texts, against=names) == []


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("said", ["nothing", "names", "number"])
def test_classes_described_by_less(name: str, said: str) -> None:
    data = data_set(name)
    names = [str(one) for one in data.target_names]
    known = {"nothing": {}, "names": {"class_names": names}, "number": {"n_classes": len(names)}}[said]
    for labels in (data.target, np.eye(len(names))[data.target]):
        assert serious(labels, **known) == []
        assert serious(**split(data, labels), **known) == []


def test_two_classes_as_yes_and_no_and_as_signs() -> None:
    data = data_set("breast_cancer")
    names = [str(one) for one in data.target_names]
    yes = data.target
    for dtype in LABEL_TYPES:
        for labels in (yes.astype(dtype), yes.reshape(-1, 1).astype(dtype)):
            for loss, activation in (
                ("binary_crossentropy", "sigmoid"), ("binary_focal_crossentropy", "sigmoid"), ("mse", "sigmoid"),
                ("dice", "sigmoid"), ("hinge", "linear"), ("squared_hinge", "tanh"), (None, "sigmoid"),
                (with_logits("binary_crossentropy"), "linear"),
            ):  # fmt: skip
                assert serious(labels, loss=loss, head=(1, activation), class_names=names) == []
                assert serious(**split(data, labels), loss=loss, head=(1, activation)) == []
    for loss in ("hinge", "squared_hinge"):
        assert serious(2 * yes - 1, loss=loss, head=(1, "linear"), class_names=names) == []


@pytest.mark.parametrize("name", CLASSES)
def test_yes_and_no_for_several_questions(name: str) -> None:
    data = data_set(name)
    classes = data.target
    columns = [classes == 0, classes != 1, data.data[:, 2] > np.median(data.data[:, 2]), classes == classes.max()]
    for dtype in LABEL_TYPES:
        labels = np.stack(columns, axis=1).astype(dtype)
        questions = ["first", "not second", "large", "last"]
        for loss in ("binary_crossentropy", "binary_focal_crossentropy", "dice", None):
            assert serious(labels, loss=loss, head=(4, "sigmoid"), class_names=questions) == []
        assert serious(labels, loss=with_logits("binary_crossentropy"), head=(4, "linear"), class_names=questions) == []
        assert serious(labels) == []


@pytest.mark.parametrize("name", CLASSES)
def test_soft_labels_and_smoothed_ones(name: str) -> None:
    data = data_set(name)
    n = len(data.target_names)
    smooth = 0.9 * np.eye(n)[data.target] + 0.1 / n
    for dtype in ("float16", "float32", "float64"):
        assert serious(smooth.astype(dtype), loss="categorical_crossentropy", head=(n, "softmax")) == []
        assert serious(smooth.astype(dtype)[:, 0], loss="binary_crossentropy", head=(1, "sigmoid")) == []


# --- numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("name", TARGETS)
def test_targets_of_a_regression(name: str, dtype: str) -> None:
    data = data_set(name)
    target = np.atleast_2d(data.target.astype(dtype).T).T
    width = target.shape[1]
    names = [str(one) for one in getattr(data, "target_names", [])] or None
    for loss in ("mse", "mae", "huber", "log_cosh", "poisson", "mape", "msle", "cosine_similarity"):
        for labels in (target, target[:, 0]) if width == 1 else (target,):
            assert serious(labels, loss=loss, head=(width, "linear"), class_names=names, x=data.data) == []
            assert serious(labels, loss=loss) == []
        assert serious(**split(data, target), loss=loss, head=(width, "linear")) == []
    assert serious(target) == []
    for column in target.T:
        assert serious(column) == []


# --- several outputs -------------------------------------------------------------------------------------------


def test_several_outputs_together() -> None:
    data = data_set("breast_cancer")
    labels = {"tumor": data.target, "radius": data.data[:, 0], "stage": np.digitize(data.data[:, 3], [400, 800])}
    losses = {"tumor": "binary_crossentropy", "radius": "mse", "stage": "sparse_categorical_crossentropy"}
    heads = {"tumor": (1, "sigmoid"), "radius": (1, "linear"), "stage": (3, "softmax")}
    assert serious(labels, loss=losses, head=heads, x=data.data, sample_weight=np.ones(len(data.target))) == []
    assert serious(labels, loss=losses) == []


def test_precision_is_not_deafness() -> None:
    """The same data, one label of which is wrong, are found."""
    for name in CLASSES:
        data = data_set(name)
        n, labels = len(data.target_names), data.target.copy()
        labels[7] = n
        assert serious(labels, loss="sparse_categorical_crossentropy", head=(n, "softmax")), name
        rows = np.eye(n)[data.target]
        rows[7] = 0
        assert serious(rows, loss="categorical_crossentropy", head=(n, "softmax")), name
