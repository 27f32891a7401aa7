"""Training once more with every gradient as one tensor, where TensorFlow hands the optimizer slices of it.

The gradient of an embedding is a `tf.IndexedSlices` there: a row for each time that something was looked up. An optimizer that is
not linear in the gradient has to add up the rows of one label first; with a dense tensor it need not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from backendcheck.record.backends import backend_module
from backendcheck.record.observe.model import fit
from backendcheck.record.observe.model_under_test import Subject
from backendcheck.record.observe.trace import Trace
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import DENSE_GRADIENTS


def fit_with_dense_gradients(subject: Subject, trace: Trace) -> None:
    """The whole training once more, if some gradients came in slices and nothing that is drawn makes a difference of its own."""
    if not subject.gradients_in_slices or not subject.compiles_anew or "train/*" in trace.not_compared:
        return
    if not subject.restore():
        return
    subject.reset_metrics()
    subject.compile()  # the step that is compiled already has the gradients as they come
    with _dense(subject.model.optimizer), subject.variant(trace, Oracle.PATHS, DENSE_GRADIENTS) as door:
        fit(subject, door)
    subject.compile()


@contextmanager
def _dense(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    apply = optimizer.apply

    def applied(grads: Sequence[Any], trainable_variables: Any = None) -> Any:
        return apply([backend_module().dense(one) for one in grads], trainable_variables)

    optimizer.apply = applied
    try:
        yield
    finally:
        del optimizer.apply
