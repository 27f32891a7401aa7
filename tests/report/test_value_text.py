"""Single numbers as the page and the terminal print them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from backendcheck.report.views.values import value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float16(1.5), "1.5"), (np.float32(0.1), "0.1"), (np.float64(1e7), "1e+7"), (np.float32(-2e-5), "-2e-5"),
        (np.float16(np.nan), "NaN"), (np.float32(-np.inf), "-Inf"), (np.int64(3), "3"), ("cat", "cat"),
    ],
)  # fmt: skip
def test_a_number_has_the_digits_that_distinguish_it(value: Any, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # 1e7 is more than a float16 holds
        assert value_text(value) == text
