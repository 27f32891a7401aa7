"""Integer labels that name no class.

With C classes the valid integer labels are 0 … C-1. A label outside is a data bug (1-based ids, a -1 for "unknown",
a -100 left over from another library): it should stop training, not quietly train on less data. So should a label that
is no whole number.
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
    """A negative label is rejected: it neither counts from the end nor means "leave this example out".

    -100 is what PyTorch's own losses leave out unasked (`ignore_index`).

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
    """A label of 1.9 or NaN is rejected, not cut down to some class.

    Scenario: E4
    """
    return LossCase(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        y_true=[2.0, label, 0.0],
        y_pred=LOGITS,
        class_names=ANIMALS,
        expect=Raises(),
    )
