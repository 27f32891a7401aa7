"""What a search leaves out because it proves nothing, and what stays."""

from collections import deque
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from make import recording

from backendcheck.explore.explore import Exploration, Search
from backendcheck.explore.judging import Judge
from backendcheck.explore.keras_targets import keras_targets
from backendcheck.explore.left_out import is_limit_of_float32
from backendcheck.explore.paths import fits_path
from backendcheck.explore.search import Plan
from backendcheck.explore.situation import Situation
from backendcheck.vocabulary.findings import Oracle
from backendcheck.vocabulary.observations import ReferenceValue
from backendcheck.vocabulary.states import Status

_LEGS = ("tensorflow", "jax", "torch")
_NAN = float("nan")


def _of_trained_weights(losses, label_values="nan"):
    situation = Situation(
        target="keras.losses.CategoricalCrossentropy", labels="soft", head="logits", label_values=label_values,
        label_shape="(N,C)", path="fit",
    )  # fmt: skip
    weights = {"tensorflow": [1.0, _NAN], "jax": [_NAN, _NAN], "torch": [_NAN, _NAN]}
    recordings = {
        leg: recording("explored/x", leg, **{"train/loss": np.array([loss]), "train/weight/first/kernel": np.array(weights[leg])})
        for leg, loss in zip(_LEGS, losses, strict=True)
    }
    return Judge(None, {situation.target: "loss"}).sighting(situation, recordings, look_again=False)


@pytest.mark.parametrize(("policy", "apart", "is_finding"), [
    ("float64", 2e-8, False), ("float64", 1e-3, True), ("float32", 2e-8, True),
])  # fmt: skip
def test_what_a_layer_in_float64_learns_from_a_loss_in_float32_has_its_rounding(policy, apart, is_finding):
    situation = Situation(
        target="keras.losses.Hinge", labels="signed", head="tanh", label_shape="(N,1)", path="fit", policy=policy,
    )  # fmt: skip
    recordings = {
        leg: recording("explored/x", leg, **{"train/loss": np.array([0.5]), "train/weight/first/kernel": np.array([kernel])})
        for leg, kernel in zip(_LEGS, (1.003, 1.003 + apart, 1.003), strict=True)
    }
    sighting = Judge(None, {situation.target: "loss"}).sighting(situation, recordings, look_again=False)
    assert (sighting is not None) is is_finding


def test_weights_trained_on_nan_labels_count_only_if_some_backend_hides_it_in_its_loss():
    assert _of_trained_weights([_NAN] * 3) is None
    assert _of_trained_weights([0.5, _NAN, _NAN]) is not None
    assert _of_trained_weights([_NAN] * 3, label_values="valid") is not None


# Of three classes one is saturated the wrong way. Float32 clips it at 1 - 1.2e-7, float64 at 1 - 1e-7.
@pytest.mark.parametrize(
    ("values", "right", "is_limit"),
    [
        ((5.3141, 5.3141, 5.3141), 5.3727, True),
        ((5.3141, 5.3141, 5.3727), 5.3727, False),
        ((4.0, 4.0, 4.0), 5.3727, False),
    ],
)
def test_the_limit_of_float32_is_what_all_legs_have_alike_and_near(values, right, is_limit):
    reference = {"loss": ReferenceValue(value=np.asarray(right))}
    recordings = {
        leg: recording("explored/x", leg, loss=value, reference_values=reference)
        for leg, value in zip(_LEGS, values, strict=True)
    }
    finding = SimpleNamespace(
        oracle=Oracle.REFERENCE, observation="loss", left=SimpleNamespace(leg="jax"), max_abs=abs(values[1] - right)
    )
    assert is_limit_of_float32(finding, recordings) is is_limit


@pytest.mark.parametrize(("predictions", "is_left_out"), [("saturated", True), ("ordinary", False)])
def test_the_limit_of_float32_is_that_of_saturated_predictions_whatever_the_diagnosis(monkeypatch, predictions, is_left_out):
    situation = Situation(target="keras.losses.BinaryCrossentropy", labels="binary", head="sigmoid", predictions=predictions)
    recordings = {leg: recording("explored/x", leg, loss=15.9424) for leg in _LEGS}
    values = {"loss": ReferenceValue(value=np.asarray(16.1181))}
    right = {leg: replace(one, reference_values=values) for leg, one in recordings.items()}
    monkeypatch.setattr("backendcheck.explore.judging.with_reference", lambda *_: right)
    sighting = Judge(None, {situation.target: "loss"}).sighting(situation, recordings, look_again=False)
    assert (sighting is None) is is_left_out


class _CrashingLegs:
    """Legs of which PyTorch hangs at the calls with these numbers, counted from 0."""

    n_restarts = 0

    def __init__(self, crashes):
        self.crashes, self.n, self.answers = crashes, 0, deque()

    def submit(self, request):
        self.n += 1
        hangs = {"status": Status.TIMED_OUT} if self.crashes(self.n - 1) else {"loss": 1.0}
        of_legs = {"tensorflow": {"loss": 1.0}, "jax": {"loss": 1.0}, "torch": hangs}
        self.answers.append({leg: recording(request["case"], leg, **fields) for leg, fields in of_legs.items()})

    def next_recordings(self):
        return self.answers.popleft()

    def observe(self, requests):
        for request in requests:
            self.submit(request)
        return [self.next_recordings() for _ in requests]


@pytest.mark.parametrize(("crashes", "counts"), [(lambda n: n == 5, False), (lambda n: n >= 5, True)])
def test_a_hang_counts_if_it_comes_again(crashes, counts):
    target = next(target for target in keras_targets() if target.name == "keras.losses.Hinge")
    search = Search(_CrashingLegs(crashes), Plan.of([target], 3), Exploration(seed=3), lambda _: None)
    search.run(n_situations=20, budget_s=None)
    crashed = [each for each in search.exploration.findings if each.sighting.signature.kind == "missing"]
    assert bool(crashed) is counts
    assert search.judge.counts.dismissed["crashed or hung once"] == (0 if counts else 1)


def test_each_element_has_a_weight_only_where_a_model_has_one_output():
    assert fits_path({"path": "fit", "sample_weight": "per-element", "outputs": "one"})
    assert not fits_path({"path": "fit", "sample_weight": "per-element", "outputs": "one-loss"})
    assert fits_path({"path": "fit", "sample_weight": "per-example", "outputs": "one-loss"})
