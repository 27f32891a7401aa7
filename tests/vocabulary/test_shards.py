"""Shards: every case in exactly one of them, wherever it is recorded and whatever else there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendcheck.errors import UsageError
from backendcheck.vocabulary.shards import Shard, parse_shard

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
