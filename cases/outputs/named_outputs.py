"""A model returns its named outputs in different orders on different backends.

What goes wrong in practice: `tumor, age, stage = model.predict(x).values()`. TensorFlow returns a dict of outputs as
it was declared. JAX and PyTorch sort it by name (capital letters first), so the same program takes the stage for the
tumor. Labels, losses, metrics and weights given as a *list* for a dict of outputs follow that sorted order too.
"""

import keras
import numpy as np
import pytest
from _data import breast_cancer

from backendcheck import ModelCase

STAGES = ["early", "locally_advanced", "metastatic"]
LOSSES = {"tumor": "binary_crossentropy", "age": "mean_squared_error", "Stage": "sparse_categorical_crossentropy"}


def patients(rng, n):
    """N patients (N, 30) and their labels by output name.

    The table has the tumor. The second measurement represents the age, and a third of the range of the first one the stage.
    """
    x, benign = breast_cancer(rng, n)
    labels = {
        "tumor": (1 - benign).astype("float32")[:, None],
        "age": (20 + 60 * x[:, 1:2]).astype("float32"),
        "Stage": np.digitize(x[:, 0], [1 / 3, 2 / 3]).astype("int32"),
    }
    return x, labels


def patient_model():
    """Three heads whose names are not in alphabetical order, as a dict."""
    inputs = keras.Input((30,), name="patient")
    tumor = keras.layers.Dense(1, activation="sigmoid", name="tumor")(inputs)
    age = keras.layers.Dense(1, name="age")(inputs)
    stage = keras.layers.Dense(3, activation="softmax", name="Stage")(inputs)
    return keras.Model(inputs, {"tumor": tumor, "age": age, "Stage": stage})


def case_predict_returns_declared_order(rng):
    """`predict` returns tumor, age and Stage in the declared order, or at least in the same order on every backend.

    Scenario: O1
    """
    x, labels = patients(rng, 20)
    return ModelCase(
        model=patient_model(),
        loss=LOSSES,
        x=x,
        y=labels,
        optimizer=keras.optimizers.SGD(1e-4),
        class_names={"Stage": STAGES},
    )


def case_every_door_returns_the_same_order(rng):
    """`model(x)`, `predict` and `predict_on_batch` return the named outputs in the same order.

    Scenario: O1
    """
    x, _ = patients(rng, 4)
    model = patient_model()
    return {
        "model": list(model(x)),
        "predict": list(model.predict(x, verbose=0)),
        "predict_on_batch": list(model.predict_on_batch(x)),
        "output_names": list(model.output_names),
    }


def case_metric_names_and_their_order(rng):
    """`fit`, `evaluate` and `metrics_names` give the metrics of named outputs the same names in the same order.

    `evaluate` returns a plain list by default, and only its order says which number is which.

    Scenario: O1
    """
    x, labels = patients(rng, 8)
    model = patient_model()
    model.compile(
        optimizer=keras.optimizers.SGD(1e-4),
        loss=LOSSES,
        metrics={"tumor": ["accuracy", "mae"], "age": ["mae"], "Stage": ["accuracy"]},
    )
    history = model.fit(x, labels, batch_size=8, verbose=0).history
    return {
        "fit": list(history),
        "evaluate": list(model.evaluate(x, labels, batch_size=8, verbose=0, return_dict=True)),
        "metrics_names": list(model.metrics_names),
    }


@pytest.mark.parametrize("metrics", ["by_name", "in_other_order"])
def case_several_metrics_per_output(rng, metrics):
    """Each metric is computed on its own output, in any order of the dict.

    Scenario: O1
    """
    x, labels = patients(rng, 20)
    by_name = {"tumor": ["accuracy", "mae"], "age": ["mae"], "Stage": ["accuracy"]}
    return ModelCase(
        model=patient_model(),
        loss=LOSSES,
        x=x,
        y=labels,
        optimizer=keras.optimizers.SGD(1e-4),
        metrics=by_name if metrics == "by_name" else dict(sorted(by_name.items())),
        class_names={"Stage": STAGES},
    )


def case_labels_by_list_for_named_outputs(rng):
    """As people write it: labels as a list in the declared order reach the outputs in the declared order.

    They follow the sorted names: the tumor label goes to Stage, the stage to the tumor. Only the age is in the middle
    of both orders.

    Scenario: O1
    """
    x, labels = patients(rng, 20)
    model = patient_model()
    for name, bias in {"tumor": [-1.0], "age": [50.0], "Stage": np.log([0.5, 0.3, 0.2])}.items():
        model.get_layer(name).set_weights([np.zeros((30, len(bias))), np.array(bias)])
    tumor, age, stage = labels.values()
    probability = 1 / (1 + np.exp(1.0))  # the sigmoid of the bias -1
    expected = {
        "tumor": -np.mean(np.where(tumor == 1, np.log(probability), np.log(1 - probability))),
        "age": np.mean((age.astype("float64") - 50) ** 2),
        "Stage": -np.mean(np.log([0.5, 0.3, 0.2])[stage]),
    }
    return ModelCase(
        model=model,
        loss=LOSSES,
        x=x,
        y=[tumor, age, stage],
        optimizer=keras.optimizers.SGD(1e-4),
        weights="as built",
        class_names={"Stage": STAGES},
        reference={f"metric/{name}_loss": loss for name, loss in expected.items()} | {"loss": sum(expected.values())},
    )
