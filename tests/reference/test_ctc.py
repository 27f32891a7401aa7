"""CTC against the enumeration of every alignment."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from backendcheck.reference import LossSpec, NoReference, gradient, loss, unreduced

CTC = LossSpec(name="ctc")


def by_enumeration(label: list[int], logits: Any) -> float:
    """-log of the summed probability of all paths that collapse to `label`."""
    log_p = scipy.special.log_softmax(logits, axis=-1)
    total = 0.0
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        collapsed = [state for state, _ in itertools.groupby(path) if state != 0]
        if collapsed == label:
            total += np.exp(sum(log_p[step, state] for step, state in enumerate(path)))
    return float(-np.log(total)) if total else np.inf


@settings(max_examples=40, deadline=None)
@given(
    label=st.lists(st.integers(1, 2), max_size=4),
    n_steps=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_alignment_is_counted(label: list[int], n_steps: int, seed: int) -> None:
    logits = 3 * np.random.default_rng(seed).normal(size=(n_steps, 3))
    padded = [label + [0] * (5 - len(label))]
    actual = unreduced(CTC, padded, logits[None])[0]
    np.testing.assert_allclose(actual, by_enumeration(label, logits), rtol=1e-10)


def test_values_by_hand() -> None:
    """Uniform over 3 symbols: 'a' in 2 steps has the paths aa, a-, -a; 'ab' only itself; nothing has --; 'aa' none."""
    uniform = np.zeros((4, 2, 3))
    losses = unreduced(CTC, [[1, 0], [1, 2], [0, 0], [1, 1]], uniform)
    np.testing.assert_allclose(losses, [np.log(3), np.log(9), np.log(9), np.inf], rtol=1e-12)


def test_sharp_logits_do_not_overflow() -> None:
    logits = np.array([[[0.0, 900, 0], [900, 0, 0], [0, 0, 900]]])
    assert loss(CTC, [[1, 2]], logits) == pytest.approx(0, abs=1e-9)
    assert loss(CTC, [[2, 1]], logits) == pytest.approx(1800, rel=1e-9)


def test_gradient_is_softmax_minus_expected_counts() -> None:
    """For one step and one label, CTC is the crossentropy of that label."""
    logits = np.array([[[0.3, -1.0, 2.0]]])
    slope = gradient(CTC, [[2]], logits)
    np.testing.assert_allclose(slope.value[0, 0], scipy.special.softmax(logits[0, 0]) - [0, 0, 1], atol=1e-9)
    assert slope.smooth.all()


def test_impossible_sequence_has_no_gradient() -> None:
    assert not gradient(CTC, [[1, 1]], np.zeros((1, 2, 3))).smooth.any()


@pytest.mark.parametrize(
    ("labels", "message"), [([[0, 1]], "0 stands before"), ([[3, 0]], "is not a class"), ([1, 2], "do not fit")]
)
def test_no_reference(labels: Any, message: str) -> None:
    with pytest.raises(NoReference, match=message):
        loss(CTC, labels, np.zeros((1, 4, 3)))
