"""Two objectives on one trunk, each with labels that may be missing.

What goes wrong in practice: one loss function is written as if it got the list of all outputs. Keras calls it once
per output, with a tensor, and `len(y_true)` is the batch size. Weights of the objectives as a list follow an order
that is not documented: the declared order for list outputs, the alphabetical order for dict outputs.
"""

import keras
import numpy as np
import pytest
from _data import breast_cancer
from keras import ops

from backendcheck import ModelCase, Raises

TISSUES = ["stroma", "epithelium", "fat"]
UNKNOWN = -1


def tumor_and_tissue(rng, n):
    """N tumors, their detection label (N, 1) and a tissue type (N,).

    The table has no tissue type. The third of the range in which the first measurement lies represents it.
    """
    x, benign = breast_cancer(rng, n)
    tissue = np.digitize(x[:, 0], [1 / 3, 2 / 3])
    return x, (1 - benign).astype("float32")[:, None], tissue.astype("int32")


def two_headed_model(outputs):
    """A shared trunk with the heads tumor_detection and tissue_type, as a dict or as a list."""
    inputs = keras.Input((30,), name="measurements")
    trunk = keras.layers.Dense(8, activation="relu", name="trunk")(inputs)
    tumor = keras.layers.Dense(1, activation="sigmoid", name="tumor_detection")(trunk)
    tissue = keras.layers.Dense(3, activation="softmax", name="tissue_type")(trunk)
    if outputs == "dict":
        return keras.Model(inputs, {"tumor_detection": tumor, "tissue_type": tissue})
    return keras.Model(inputs, [tumor, tissue])


def masked_binary_crossentropy(y_true, y_pred):
    """Binary cross-entropy of each example (N, 1), 0 where the label is -1."""
    known = ops.cast(ops.not_equal(y_true, UNKNOWN), y_pred.dtype)
    return ops.mean(known * ops.binary_crossentropy(ops.maximum(y_true, 0), y_pred), axis=-1)


def masked_sparse_crossentropy(y_true, y_pred):
    """Sparse cross-entropy of each example, 0 where the label is -1."""
    y_true = ops.reshape(y_true, (-1,))
    known = ops.cast(ops.not_equal(y_true, UNKNOWN), y_pred.dtype)
    return known * ops.sparse_categorical_crossentropy(ops.maximum(y_true, 0), y_pred)


def case_one_loss_function_for_all_outputs(rng):
    """As people write it: a loss that loops over `len(y_true)`, as over a list of outputs, should be refused.

    It is called once per output, and loops over the examples of the batch.

    Scenario: P4
    """

    def loss_over_outputs(y_true, y_pred):
        total = 0.0
        for output in range(len(y_true)):
            known = ops.cast(ops.not_equal(y_true[output], UNKNOWN), "float32")
            per_label = ops.square(ops.cast(y_true[output], "float32") - y_pred[output])
            total += ops.sum(known * per_label) / (ops.sum(known) + 1e-7)
        return total

    x, tumor, tissue = tumor_and_tissue(rng, 12)
    return ModelCase(
        model=two_headed_model("list"),
        loss=[loss_over_outputs, loss_over_outputs],
        x=x,
        y=[tumor, np.eye(3, dtype="float32")[tissue]],
        expect=Raises(),
    )


def case_a_masked_loss_per_output(rng):
    """Done right: each output has a masked loss of its own; a label may be missing on either output.

    Scenario: P5
    """
    x, tumor, tissue = tumor_and_tissue(rng, 40)
    tumor[rng.random(40) < 0.3] = UNKNOWN
    tissue[rng.random(40) < 0.5] = UNKNOWN
    return ModelCase(
        model=two_headed_model("dict"),
        loss={"tumor_detection": masked_binary_crossentropy, "tissue_type": masked_sparse_crossentropy},
        x=x,
        y={"tumor_detection": tumor, "tissue_type": tissue},
        epochs=2,
        class_names={"tissue_type": TISSUES},
    )


@pytest.mark.parametrize("outputs", ["dict", "list"])
def case_no_label_no_gradient(rng, outputs):
    """If no example has a tissue type, the head of that output gets no gradient, and the other head trains.

    Scenario: P5
    """
    x, tumor, _ = tumor_and_tissue(rng, 16)
    nothing = np.full(16, UNKNOWN, dtype="int32")
    as_dict = outputs == "dict"
    losses = {"tumor_detection": masked_binary_crossentropy, "tissue_type": masked_sparse_crossentropy}
    labels = {"tumor_detection": tumor, "tissue_type": nothing}
    return ModelCase(
        model=two_headed_model(outputs),
        loss=losses if as_dict else list(losses.values()),
        x=x,
        y=labels if as_dict else list(labels.values()),
        class_names={"tissue_type": TISSUES},
        reference={
            "loss/tissue_type": np.array(0.0),
            "gradient/tissue_type/kernel": np.zeros((8, 3)),
            "gradient/tissue_type/bias": np.zeros(3),
        },
    )


@pytest.mark.parametrize("weights", ["weights_by_dict", "weights_by_list"])
@pytest.mark.parametrize("outputs", ["outputs_by_dict", "outputs_by_list"])
def case_a_weight_per_objective(rng, outputs, weights):
    """The total loss is 10 x that of tumor_detection, which is declared first, plus 1 x that of tissue_type.

    Scenario: P9
    """
    x, tumor, tissue = tumor_and_tissue(rng, 16)
    model = two_headed_model(outputs.removeprefix("outputs_by_"))
    # Heads with a kernel of zeros: the biases alone decide the predictions of every example.
    model.get_layer("tumor_detection").set_weights([np.zeros((8, 1)), np.log([0.25])])
    model.get_layer("tissue_type").set_weights([np.zeros((8, 3)), np.log([0.5, 0.3, 0.2])])
    model.get_layer("trunk").set_weights([rng.normal(size=(30, 8)), np.zeros(8)])
    tumor_loss = -np.mean(np.where(tumor == 1, np.log(0.2), np.log(0.8)))  # the sigmoid of log(1/4) is 1/5
    tissue_loss = -np.mean(np.log([0.5, 0.3, 0.2])[tissue])
    return ModelCase(
        model=model,
        loss={"tumor_detection": "binary_crossentropy", "tissue_type": "sparse_categorical_crossentropy"},
        x=x,
        y={"tumor_detection": tumor, "tissue_type": tissue},
        loss_weights={"tumor_detection": 10.0, "tissue_type": 1.0} if weights == "weights_by_dict" else [10.0, 1.0],
        weights="as built",
        class_names={"tissue_type": TISSUES},
        reference={
            "loss/tumor_detection": tumor_loss,
            "loss/tissue_type": tissue_loss,
            "loss": 10 * tumor_loss + tissue_loss,
        },
    )
