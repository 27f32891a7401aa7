"""What label findings advise is done on each backend: `fit` takes it, and the loss is the one that is computed by hand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from backendcheck.labels import check_labels

pytestmark = pytest.mark.backends

SPARSE, ONE_HOT, BINARY = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"
BACKENDS = ("tensorflow", "jax", "torch")

# Trains each of the models that come as JSON for one step; prints the loss of that step, and the predictions before it.
TRAIN = """
import json, sys
import keras, numpy as np
results = []
for case in json.load(sys.stdin):
    keras.utils.set_random_seed(1)
    y = {name: np.array(labels) for name, labels in case["y"].items()}
    n, middle = len(next(iter(y.values()))), case["middle"]
    x = np.random.default_rng(0).normal(size=(n, *middle, 4)).astype("float32")
    given = keras.Input((*middle, 4))
    last = case["activation"]
    heads = {name: keras.layers.Dense(units, activation=last, name=name)(given) for name, units in case["units"].items()}
    alone = len(heads) == 1
    model = keras.Model(given, next(iter(heads.values())) if alone else heads)
    model.compile("sgd", loss=case["loss"] if alone else dict.fromkeys(heads, case["loss"]))
    predictions = model.predict(x, verbose=0)
    options = dict(case["options"])
    if "class_weight" in options:
        options["class_weight"] = {int(index): weight for index, weight in options["class_weight"].items()}
    if "sample_weight" in options:
        weights = {name: np.array(weight) for name, weight in options["sample_weight"].items()}
        options["sample_weight"] = next(iter(weights.values())) if alone else weights
    history = model.fit(x, next(iter(y.values())) if alone else y, batch_size=n, shuffle=False, verbose=0, **options)
    predictions = {next(iter(heads)): predictions} if alone else predictions
    results.append([history.history["loss"][0], {name: np.asarray(array).tolist() for name, array in predictions.items()}])
print(json.dumps(results))
"""


def advised(labels: Any, code: str, *, loss: str, units: int, **options: Any) -> str:
    head = (units, "sigmoid" if loss == BINARY else "softmax")
    findings = check_labels(labels, loss=loss, head=head, **options)
    return next(finding.message for finding in findings if finding.code == code)


def case(labels: Any, units: int, loss: str, options: dict[str, Any], middle: tuple[int, ...] = ()) -> dict[str, Any]:
    by_output = labels if isinstance(labels, dict) else {"kind": labels}
    return {
        "y": {name: np.asarray(array).tolist() for name, array in by_output.items()}, "units": dict.fromkeys(by_output, units),
        "loss": loss, "activation": "sigmoid" if loss == BINARY else "softmax", "middle": list(middle), "options": options,
    }  # fmt: skip


def balanced(labels: Any, loss: str, middle: tuple[int, ...] = (), shift: int = 0, void: int | None = None) -> dict[str, Any]:
    """The case that L701 advises, with the weights of its message."""
    message = advised(labels, "L701", loss=loss, units=3)
    y: Any = labels - shift
    if found := re.search(r"class_weight=(\{.*\})", message):
        return case(y, 3, loss, {"class_weight": eval(found[1])}, middle)
    found = re.search(r"sample_weight=(.*), with weights = (\{.*\})", message)
    assert found is not None
    weight = eval(found[1], {"np": np, "y": y, "weights": eval(found[2])})
    if void is not None:
        assert not weight[y == void].any()
        y = np.where(y == void, 0, y)
    return case(y, 3, loss, {"sample_weight": {"kind": np.asarray(weight).tolist()}}, middle)


def several_outputs() -> dict[str, Any]:
    labels = {"a": FLAT, "b": FLAT[::-1].copy()}
    head = (3, "softmax")
    findings = check_labels(labels, loss=dict.fromkeys(labels, SPARSE), head=dict.fromkeys(labels, head))
    weights = {}
    for finding in findings:
        found = re.search(r"sample_weight=(.*) for this output, with weights = (\{.*\})", finding.message)
        assert found is not None
        weights[finding.output] = eval(found[1], {"np": np, "y": labels[finding.output], "weights": eval(found[2])}).tolist()
    return case(labels, 3, SPARSE, {"sample_weight": weights})


def rows_of_text() -> dict[str, Any]:
    texts = ["red|dry", "old", "red"] * 4
    code = advised(texts, "L110", loss=BINARY, units=3).split("`")[1]
    return case(np.array(eval(code, {"names": ["red", "dry", "old"], "y": texts}), int), 3, BINARY, {})


def converted(labels: Any) -> dict[str, Any]:
    """What L109 advises for labels that are not probabilities."""
    y = np.array(labels)
    code = re.search(r"Convert them with (.*)\.$", advised(labels, "L109", loss=BINARY, units=1))
    assert code is not None
    return case(np.asarray(eval(code[1], {"y": y}), float)[:, None], 1, BINARY, {})


FLAT = np.array([0] * 32 + [1] * 2 + [2] * 2)
STEPS = FLAT.reshape(9, 4)
WITH_VOID = np.where(np.arange(36).reshape(9, 4) % 7 == 3, 255, STEPS)
CASES = {
    "one label for each example": balanced(FLAT, SPARSE),
    "a column of labels": balanced(FLAT[:, None], SPARSE),
    "labels that start at 1": balanced(FLAT + 1, SPARSE, shift=1),
    "one-hot rows": balanced(np.eye(3)[FLAT], ONE_HOT),
    "a label for each step": balanced(STEPS, SPARSE, middle=(4,)),
    "a one-hot row for each step": balanced(np.eye(3)[STEPS], ONE_HOT, middle=(4,)),
    "steps without a label": balanced(WITH_VOID, SPARSE, middle=(4,), void=255),
    "several outputs": several_outputs(),
    "text that names several classes": rows_of_text(),
    "0 and 255": converted([0, 255, 255, 0]),
    "-1 and 1": converted([-1, 1, 1, -1]),
    "1 and 2": converted([1, 2, 2, 1]),
}


def expected_loss(case: dict[str, Any], predictions: dict[str, Any]) -> float:
    """The sum over the outputs, in float64."""
    total = 0.0
    for name, given in case["y"].items():
        y, p = np.array(given), np.array(predictions[name], np.float64)
        if case["loss"] == BINARY:
            total += float(np.mean(-(y * np.log(p) + (1 - y) * np.log(1 - p))))
            continue
        indices = y.argmax(-1) if case["loss"] == ONE_HOT else y.reshape(p.shape[:-1])
        losses = -np.log(np.take_along_axis(p, indices[..., None], -1))[..., 0]
        table = case["options"].get("class_weight")
        weights = case["options"]["sample_weight"][name] if table is None else np.vectorize(table.get)(indices)
        total += float(np.mean(losses * weights))
    return total


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_advised_can_be_done(backend: str) -> None:
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.run(
        [sys.executable, "-c", TRAIN], input=json.dumps(list(CASES.values())), env=environment, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-2000:]
    results = json.loads(process.stdout.splitlines()[-1])
    for (name, described), (loss, predictions) in zip(CASES.items(), results, strict=True):
        assert loss == pytest.approx(expected_loss(described, predictions), rel=1e-4), name
