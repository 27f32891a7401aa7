"""Sizes of memory as people write them."""

from __future__ import annotations

import pytest

from backendcheck.errors import UsageError
from backendcheck.vocabulary.backends import DEFAULT_BACKENDS
from backendcheck.vocabulary.memory import WORKER_MEMORY, parse_size


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("1500M", 1500 << 20), ("2G", 2 << 30), ("2g", 2 << 30), ("1.5GB", 3 << 29), ("512MiB", 512 << 20), (" 64 k ", 64 << 10),
        ("1048576", 1 << 20), ("0", 0), ("0M", 0),
    ],
)  # fmt: skip
def test_a_size_is_a_number_with_a_unit(text: str, n_bytes: int) -> None:
    assert parse_size(text) == n_bytes


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5.2G", "1,5G", "2 giga", "2X", "nan", "9" * 15 + "T", "['2G']", "True"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"invalid size .*: expected a number with K, M or G, such as 1500M or 2G"):
        parse_size(text)


def test_each_backend_has_a_bound() -> None:
    assert WORKER_MEMORY.keys() == {*DEFAULT_BACKENDS}
