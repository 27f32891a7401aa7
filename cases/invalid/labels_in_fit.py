"""Labels that name no class, in a training step.

What goes wrong in practice: one label in a million is wrong, and `fit` trains on without any message, on less data or
on another class. Where XLA compiles the step, the check of the label is gone, and every weight may become NaN.
"""

import keras
import numpy as np
import pytest

from backendcheck import Raises, ValueCase


def trained_on(labels, *, xla=False):
    """The value of a case: the loss of one step of `fit` on integer labels (N,), and how many weights are finite after it."""

    def compute():
        images = keras.Input((2,), name="image")
        head = keras.layers.Dense(3, activation="softmax", name="animal", kernel_initializer="ones")
        model = keras.Model(images, head(images))
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", jit_compile=xla or "auto")
        x = np.array([[0.5, 1.0], [1.0, -0.5], [0.25, 0.75]], dtype="float32")
        history = model.fit(x, labels, batch_size=len(x), verbose=0).history
        finite = sum(int(np.isfinite(weight).sum()) for weight in model.get_weights())
        return {"loss": np.array(history["loss"]), "finite_weights": np.array(finite)}

    return compute


@pytest.mark.parametrize(
    "label",
    [
        pytest.param(3, id="one_past_the_last"),
        pytest.param(-1, id="minus_one"),
        pytest.param(-100, id="minus_hundred"),
        pytest.param(255, id="void"),  # the "no class" of image files
        pytest.param(2**32 + 1, id="hashed"),
    ],
)
def case_fit_on_a_label_that_names_no_class(label):
    """`fit` refuses a label outside 0 ... C-1, as the loss does on most backends when it is called by hand."""
    return ValueCase(trained_on(np.array([0, 1, label], dtype="int64")), expect=Raises())


def case_fit_compiled_by_xla():
    """`fit` refuses label 3 of three classes, even where TensorFlow compiles the step (`jit_compile=True`).

    JAX always compiles with XLA. PyTorch has no XLA on a CPU.
    """
    return ValueCase(trained_on(np.array([0, 1, 3]), xla=keras.backend.backend() == "tensorflow"), expect=Raises())


def case_the_ignored_label_compiled_by_xla():
    """`fit` refuses label -100 of three classes, even where TensorFlow compiles the step (`jit_compile=True`)."""
    return ValueCase(trained_on(np.array([0, 1, -100]), xla=keras.backend.backend() == "tensorflow"), expect=Raises())


def case_fit_on_labels_of_every_class():
    """`fit` on valid labels keeps every weight finite, and reports the loss at the start of the step: log 3."""
    return ValueCase(
        trained_on(np.array([0, 1, 2], dtype="int64")),
        reference={"value/loss": np.array([np.log(3)]), "value/finite_weights": np.array(9)},
    )
