"""Several outputs, and which loss, label and metric belongs to which.

What goes wrong in practice: two outputs have the same shape, so exchanged losses or labels raise nothing, and the
total loss looks plausible. Keras 3.5 and 3.6 gave a dict of losses to list outputs in alphabetical order, on every
backend. Here the predictions are fixed, and the loss of every output is known in advance.
"""

import keras
import numpy as np
import pytest
from _data import exercise

from backendcheck import ModelCase, Raises, ValueCase

# Declared in this order, which is not the alphabetical one.
OUTPUTS = ["waist", "pulse", "body_weight"]


def men(rng, n):
    """N men (N, 3) and their body measurements, each (N, 1) as a fraction of the largest value."""
    x, body = exercise(rng, n)
    weight, waist, pulse = np.split(body, 3, axis=1)
    return x, {"waist": waist, "pulse": pulse, "body_weight": weight}


def three_headed_model(outputs):
    """Three heads of equal shape that always predict 0.9, 0.5 and 0.1, as a dict or as a list."""
    inputs = keras.Input((3,), name="exercise")
    heads = {name: keras.layers.Dense(1, name=name)(inputs) for name in OUTPUTS}
    model = keras.Model(inputs, heads if outputs == "dict" else list(heads.values()))
    for name, answer in zip(OUTPUTS, [0.9, 0.5, 0.1], strict=True):
        model.get_layer(name).set_weights([np.zeros((3, 1)), np.array([answer])])
    return model


def right_losses(labels):
    """The right loss of each output: squared error, absolute error and squared error."""
    y = {name: label.astype("float64") for name, label in labels.items()}
    return in_total(
        {
            "waist": np.mean((y["waist"] - 0.9) ** 2),
            "pulse": np.mean(np.abs(y["pulse"] - 0.5)),
            "body_weight": np.mean((y["body_weight"] - 0.1) ** 2),
        }
    )


def in_total(losses):
    """The reference for these losses by output: each by itself, as Keras reports it, and their sum."""
    alone = {f"loss/{name}": loss for name, loss in losses.items()}
    reported = {f"metric/{name}_loss": loss for name, loss in losses.items()}
    return alone | reported | {"loss": sum(losses.values())}


LOSSES = {"waist": "mean_squared_error", "pulse": "mean_absolute_error", "body_weight": "mean_squared_error"}
ORDERS = {"as_declared": OUTPUTS, "alphabetical": sorted(OUTPUTS), "backwards": OUTPUTS[::-1]}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("outputs", ["dict", "list"])
def case_losses_and_labels_by_name(rng, outputs, order):
    """Losses and labels by name reach the outputs of these names, in any order of the dicts.

    Scenario: O2, O3
    """
    x, labels = men(rng, 12)
    return ModelCase(
        model=three_headed_model(outputs),
        loss={name: LOSSES[name] for name in ORDERS[order]},
        x=x,
        y={name: labels[name] for name in ORDERS[order]},
        weights="as built",
        reference=right_losses(labels),
    )


def case_losses_and_labels_by_list(rng):
    """Losses and labels as lists reach list outputs in the declared order.

    Scenario: O2
    """
    x, labels = men(rng, 12)
    return ModelCase(
        model=three_headed_model("list"),
        loss=list(LOSSES.values()),
        x=x,
        y=list(labels.values()),
        weights="as built",
        reference=right_losses(labels),
    )


def case_losses_by_name_and_labels_by_list(rng):
    """Losses by name and labels as a list reach the right output if the outputs are a list.

    Scenario: O3
    """
    x, labels = men(rng, 12)
    return ModelCase(
        model=three_headed_model("list"),
        loss={name: LOSSES[name] for name in sorted(OUTPUTS)},
        x=x,
        y=list(labels.values()),
        weights="as built",
        reference=right_losses(labels),
    )


def case_losses_by_list_for_named_outputs(rng):
    """As people write it: a list of losses in the declared order reaches named outputs in the declared order.

    It follows the sorted names: body_weight, pulse, waist. Here the absolute error is meant for the *first* output.

    Scenario: O2
    """
    x, labels = men(rng, 12)
    y = {name: label.astype("float64") for name, label in labels.items()}
    expected = {
        "waist": np.mean(np.abs(y["waist"] - 0.9)),
        "pulse": np.mean((y["pulse"] - 0.5) ** 2),
        "body_weight": np.mean((y["body_weight"] - 0.1) ** 2),
    }
    return ModelCase(
        model=three_headed_model("dict"),
        loss=["mean_absolute_error", "mean_squared_error", "mean_squared_error"],
        x=x,
        y=labels,
        weights="as built",
        reference=in_total(expected),
    )


def case_an_output_without_a_loss(rng):
    """An output without a loss adds nothing to the total, and the others keep theirs.

    Scenario: O4
    """
    x, labels = men(rng, 12)
    expected = {name: loss for name, loss in right_losses(labels).items() if "pulse" not in name}
    return ModelCase(
        model=three_headed_model("dict"),
        loss={"waist": LOSSES["waist"], "body_weight": LOSSES["body_weight"]},
        x=x,
        y={"waist": labels["waist"], "body_weight": labels["body_weight"]},
        weights="as built",
        reference=expected | {"loss": expected["loss/waist"] + expected["loss/body_weight"]},
    )


OPTIMIZERS = {
    "Ftrl": lambda: keras.optimizers.Ftrl(0.1), "SGD_with_decay": lambda: keras.optimizers.SGD(0.1, weight_decay=0.5),
}  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def case_an_output_without_a_loss_is_not_trained(optimizer):
    """The weights of an output without a loss stay as they are, with every optimizer.

    Scenario: O4
    """

    def compute():
        inputs = keras.Input((1,))
        heads = {name: keras.layers.Dense(1, use_bias=False, name=name) for name in ("waist", "pulse")}
        model = keras.Model(inputs, {name: head(inputs) for name, head in heads.items()})
        model.set_weights([np.full((1, 1), 0.25)] * 2)
        model.compile(OPTIMIZERS[optimizer](), loss={"waist": "mean_squared_error"})
        model.fit(np.ones((2, 1)), {"waist": np.zeros((2, 1))}, verbose=0)
        return {"pulse": heads["pulse"].get_weights()[0]}

    return ValueCase(compute, reference={"value/pulse": np.array([[0.25]])})


@pytest.mark.parametrize("weights", ["one_array", "by_name"])
def case_weights_beside_labels_by_name(weights):
    """Labels by name for a list of outputs come with sample weights, as one array for all outputs or by name."""
    of_examples = np.array([1.0, 3.0])
    labels = {"waist": np.array([[0.4], [0.8]]), "pulse": np.array([[0.5], [0.7]])}

    def compute():
        inputs = keras.Input((3,))
        heads = [keras.layers.Dense(1, name=name, kernel_initializer="zeros")(inputs) for name in labels]
        model = keras.Model(inputs, heads)
        model.compile(loss="mean_squared_error")
        given = of_examples if weights == "one_array" else dict.fromkeys(labels, of_examples)
        return {"loss": model.evaluate(np.ones((2, 3)), labels, sample_weight=given, verbose=0, return_dict=True)["loss"]}

    exact = sum(np.mean(of_examples[:, None] * label**2) for label in labels.values())
    return ValueCase(compute, reference={"value/loss": exact})


def case_an_output_with_several_metrics(rng):
    """Each metric is computed on the output that it is given for: several on one output, none on another.

    Scenario: O4
    """
    x, labels = men(rng, 12)
    error = np.abs(labels["waist"].astype("float64") - 0.9)
    return ModelCase(
        model=three_headed_model("dict"),
        loss=LOSSES,
        x=x,
        y=labels,
        metrics={"waist": ["mean_absolute_error", "mean_squared_error"], "body_weight": ["mean_absolute_error"]},
        weights="as built",
        reference={
            "metric/waist_mean_absolute_error": np.mean(error),
            "metric/waist_mean_squared_error": np.mean(error**2),
        },
    )


def case_losses_by_output_with_a_short_last_batch(rng):
    """`evaluate` reports the loss of each output as its mean over the examples, so that they add up to the total loss.

    The last batch has one example, the others four.
    """
    x, labels = men(rng, 9)
    losses = {
        "waist": (labels["waist"] - 0.9) ** 2,
        "pulse": np.abs(labels["pulse"] - 0.5),
        "body_weight": (labels["body_weight"] - 0.1) ** 2,
    }
    means = {name: np.mean(loss, dtype="float64") for name, loss in losses.items()}
    return ModelCase(
        model=three_headed_model("list"),
        weights="as built",
        loss=list(LOSSES.values()),
        x=x,
        y=list(labels.values()),
        batch_size=4,
        reference={f"metric/{name}_loss": mean for name, mean in means.items()} | {"metric/loss": sum(means.values())},
    )


def case_a_nested_output_structure(rng):
    """Predictions and losses of a nested structure of outputs stay with their names.

    Scenario: O4
    """
    x, labels = men(rng, 12)

    def compute():
        inputs = keras.Input((3,), name="exercise")
        head = {name: keras.layers.Dense(1, name=name) for name in OUTPUTS}
        outputs = {
            "size": {"waist": head["waist"](inputs), "body_weight": head["body_weight"](inputs)},
            "pulse": head["pulse"](inputs),
        }
        model = keras.Model(inputs, outputs)
        for name, answer in zip(OUTPUTS, [0.9, 0.5, 0.1], strict=True):
            model.get_layer(name).set_weights([np.zeros((3, 1)), np.array([answer])])
        model.compile(
            optimizer="sgd",
            loss={"size": {name: LOSSES[name] for name in ("waist", "body_weight")}, "pulse": LOSSES["pulse"]},
        )
        predictions = model.predict(x, verbose=0)
        y = {"size": {name: labels[name] for name in ("waist", "body_weight")}, "pulse": labels["pulse"]}
        return {
            "predictions": predictions,
            "loss": model.evaluate(x, y, batch_size=12, verbose=0, return_dict=True)["loss"],
            "order": [*predictions, *predictions["size"]],
        }

    return ValueCase(
        compute,
        reference={
            "value/predictions/size/waist": np.full((12, 1), 0.9),
            "value/predictions/size/body_weight": np.full((12, 1), 0.1),
            "value/predictions/pulse": np.full((12, 1), 0.5),
            "value/loss": right_losses(labels)["loss"],
        },
    )


def case_labels_that_no_loss_takes(rng):
    """Labels for an output without a loss are ignored; they add nothing to the total.

    Scenario: O4
    """
    x, labels = men(rng, 12)
    expected = right_losses(labels)

    def compute():
        model = three_headed_model("dict")
        model.compile(optimizer="sgd", loss={name: LOSSES[name] for name in ("waist", "body_weight")})
        return {"loss": np.array(model.fit(x, labels, batch_size=12, verbose=0).history["loss"])}

    return ValueCase(compute, reference={"value/loss": np.array([expected["loss/waist"] + expected["loss/body_weight"]])})


@pytest.mark.parametrize("wrong", ["labels_for_no_output", "a_loss_for_no_output", "a_loss_without_labels"])
def case_a_name_that_is_no_output(rng, wrong):
    """`fit` refuses labels or a loss for an unknown output, and a loss without labels."""
    x, labels = men(rng, 12)
    losses = dict(LOSSES)
    if wrong == "labels_for_no_output":
        labels["height"] = labels["waist"]
    elif wrong == "a_loss_for_no_output":
        losses["height"] = "mean_squared_error"
    else:
        del labels["pulse"]

    def compute():
        model = three_headed_model("dict")
        model.compile(optimizer="sgd", loss=losses)
        return {"loss": np.array(model.fit(x, labels, batch_size=12, verbose=0).history["loss"])}

    return ValueCase(compute, expect=Raises())
