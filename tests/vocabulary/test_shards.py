"""Shards: every case in exactly one of them, wherever it is recorded and whatever else there is."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendcheck.errors import UsageError
from backendcheck.vocabulary.shards import Shard, divided, parse_shard

CASES = [f"labels/case_{n}" for n in range(471)]


@given(case=st.text(alphabet=st.characters(), min_size=1), of=st.integers(1, 50))
def test_a_case_is_in_exactly_one_shard_whatever_it_is_called(case: str, of: int) -> None:
    assert sum(Shard(number=number, of=of).holds(case) for number in range(1, of + 1)) == 1


def test_the_shard_of_a_case_is_the_same_for_ever() -> None:
    # Written down: a shard that moved with a version would leave cases out where old and new are merged.
    assert [next(n for n in range(1, 9) if Shard(number=n, of=8).holds(case)) for case in CASES[:8]] == [5, 7, 6, 5, 2, 2, 1, 3]
    assert Shard(number=6, of=8).holds("a/\ud800")


def test_shards_are_of_about_one_size() -> None:
    sizes = [sum(map(Shard(number=number, of=8).holds, CASES)) for number in range(1, 9)]
    assert sum(sizes) == len(CASES)
    assert max(sizes) < 2 * min(sizes)


def test_a_shard_is_written_as_it_is_read() -> None:
    assert str(parse_shard("2/8")) == "2/8"
    assert parse_shard("1/1").holds("anything")


@pytest.mark.parametrize(
    "text", ["0/8", "9/8", "a/b", "", "/", "2", "2/", "/8", "2/8/3", "-1/8", "2/0", "0/0", "2/8 ", " 2/8", "2 / 8", "1.0/8",
             "2/8\n", "٢/٨", "²/8", "1/10000", "1" * 400 + "/2", "<script>/8"],
)  # fmt: skip
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected K/N with K from 1 to N, such as 2/8"):
        parse_shard(text)


SECONDS = st.dictionaries(st.sampled_from(CASES), st.floats(0.001, 900.0), max_size=60)


@given(seconds=SECONDS, of=st.integers(1, 9), unknown=st.sets(st.sampled_from(CASES), max_size=20), shuffled=st.randoms())
def test_durations_divide_cases_into_balanced_shards_in_any_order(
    seconds: dict[str, float], of: int, unknown: set[str], shuffled: Random
) -> None:
    cases = sorted({*seconds, *unknown})
    numbers = divided(cases, of, seconds)
    assert {*numbers} == {*cases}
    assert {*numbers.values()} <= {*range(1, of + 1)}
    shuffled.shuffle(cases)
    assert divided(cases, of, dict(reversed(seconds.items()))) == numbers
    if seconds and not unknown - {*seconds}:
        loads = [sum(seconds[case] for case, number in numbers.items() if number == shard) for shard in range(1, of + 1)]
        assert max(loads) <= sum(loads) / of + max(seconds.values()) + 0.01 * len(cases)


def test_the_longest_case_is_alone_and_an_unknown_one_counts_as_a_usual_one() -> None:
    seconds = {"a/long": 9.0, "a/b": 3.0, "a/c": 3.0, "a/d": 3.0}
    assert divided([*seconds], 2, seconds) == {"a/long": 1, "a/b": 2, "a/c": 2, "a/d": 2}
    assert divided([*seconds, "a/new"], 2, seconds)["a/new"] == 1  # it is as long as the others, and 9 and 9 are equal


@given(of=st.integers(1, 20))
def test_without_durations_ids_divide(of: int) -> None:
    numbers = divided(CASES, of, {"another/case": 3.0})
    assert all(Shard(number=number, of=of).holds(case) for case, number in numbers.items())
