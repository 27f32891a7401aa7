"""What a session of pytest with the plugin reports, for the tests of `in_pytest`."""

from __future__ import annotations

import json
from typing import Any

import pytest

BACKENDS = "--backends=jax,torch"


def outcomes(result: pytest.RunResult) -> dict[str, int]:
    return {name.removesuffix("s"): n for name, n in result.parseoutcomes().items() if name not in ("warnings", "warning")}


def report(pytester: pytest.Pytester, folder: str = "reports/pytest") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((pytester.path / folder / "report.json").read_text(encoding="utf-8"))
    return found
