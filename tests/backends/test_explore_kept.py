"""Situations that share a program: each has the same numbers as in a process of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backendcheck.explore.judging import request_of
from backendcheck.explore.legs import Legs
from backendcheck.explore.situation import Situation

_TRAINED = Situation(
    target="keras.losses.CategoricalCrossentropy", labels="one-hot", head="softmax", label_shape="(N,C)", path="fit",
    optimizer="Adam", sample_weight="per-example", batch="ragged-last",
)  # fmt: skip
_EVALUATED = Situation(
    target="keras.metrics.CategoricalAccuracy", labels="one-hot", head="softmax", label_shape="(N,C)", path="evaluate",
)  # fmt: skip
_KINDS = {_TRAINED.target: "loss", _EVALUATED.target: "metric"}


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_what_shares_a_program_has_the_numbers_of_a_process_of_its_own(backend):
    last = [replace(situation, numbers=3) for situation in (_TRAINED, _EVALUATED)]
    before = [
        replace(situation, **changes)
        for situation, changes in (
            (_TRAINED, {}), (_TRAINED, {"numbers": 1}), (_TRAINED, {"numbers": 2, "label_values": "nan"}),
            (_TRAINED, {"numbers": 2, "sample_weight": "negative"}), (_EVALUATED, {}), (_EVALUATED, {"numbers": 1}),
        )
    ]  # fmt: skip
    requests = [request_of(situation, kind=_KINDS[situation.target]) for situation in (*before, *last)]
    assert len({request["source"] for request in requests}) == 2  # or nothing would be shared

    def observed(requests):
        with Legs([backend]) as legs:
            return [recordings[backend] for recordings in legs.observe(requests)]

    shared, alone = observed(requests)[-2:], observed(requests[-2:])
    for after_others, by_itself in zip(shared, alone, strict=True):
        assert not after_others.raised
        assert {*after_others.observations} == {*by_itself.observations} != set()
        for name, observation in by_itself.observations.items():
            assert after_others.observations[name].value.tobytes() == observation.value.tobytes(), name
