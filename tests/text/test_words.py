"""Words that messages share."""

from __future__ import annotations

import pytest

from backendcheck.text.words import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (8.26, "8.3 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"), (72.4, "1 min 12 s"), (3599.7, "1 h 0 min"),
     (7830, "2 h 10 min")],
)  # fmt: skip
def test_a_measured_time_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
