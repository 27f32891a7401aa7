"""Integer labels that name no class.

With C classes the valid integer labels are 0 … C-1. A label outside is a data bug (1-based ids, a -1 for "unknown", a
-100 from another library). It should stop training, not quietly train on less data. So should a label that is not a
whole number.
"""

import keras
import numpy as np
import pytest

from backendcheck import LossCase, Raises

ANIMALS = ["cat", "dog", "fox"]
LOGITS = [[1.0, 2.0, 3.0], [0.5, -1.0, 2.0], [0.0, 0.0, 0.0]]


def case_one_past_the_last_class():
    """Label 3 of three classes is rejected, not given zero loss.

    Scenario: L5
    """
    return LossCase(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        y_true=[2, 0, 3],
        y_pred=LOGITS,
        class_names=ANIMALS,
        expect=Raises(),
    )


@pytest.mark.parametrize("label", [pytest.param(-1, id="minus_one"), pytest.param(-100, id="minus_hundred")])
def case_a_negative_class(label):
    """A negative label is rejected: it does not count from the end, and does not mean "leave this example out".

    The losses of PyTorch itself leave out -100 by default (`ignore_index`).

    Scenario: P6
    """
    return LossCase(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        y_true=[2, 0, label],
        y_pred=LOGITS,
        class_names=ANIMALS,
        expect=Raises(),
    )


@pytest.mark.parametrize("label", [pytest.param(1.9, id="between_two_classes"), pytest.param(np.nan, id="nan")])
def case_a_label_that_is_no_whole_number(label):
    """A label of 1.9 or NaN is rejected, not truncated to a class.

    Scenario: E4
    """
    return LossCase(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        y_true=[2.0, label, 0.0],
        y_pred=LOGITS,
        class_names=ANIMALS,
        expect=Raises(),
    )


@pytest.mark.parametrize("label", [-1.0, np.nan], ids=["minus_one", "nan"])
def case_no_class_under_the_generalized_loss(label):
    """Generalized cross-entropy refuses a label that names no class, or at least has a finite gradient for it."""
    return LossCase(
        loss=keras.losses.CategoricalGeneralizedCrossEntropy(),
        y_true=np.array([2.0, label], dtype="float32"),
        y_pred=np.array([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]], dtype="float32"),
        class_names=ANIMALS,
    )
