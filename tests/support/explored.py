"""The least that findings.json holds, and a finding in it."""

from __future__ import annotations

from typing import Any

FINDING: dict[str, Any] = {
    "signature": "", "target": "", "situation": {"target": "keras.losses.Hinge", "labels": "binary", "head": "linear"},
    "oracle": "", "kind": "", "stage": "", "legs": [], "diagnosis": "", "path": "", "headline": "", "hits": 1, "first_s": 1.0,
    "case": "", "confirmed": 3, "known": None,
}  # fmt: skip
CONTENT: dict[str, Any] = {
    "schema": 1, "seed": 0, "legs": ["jax", "torch"], "targets": [], "environments": {}, "situations": 9, "seconds": 1.5,
    "not_confirmed": 0, "unsupported": 0, "crashed": 0, "dismissed": {}, "restarts": 0, "findings": [FINDING],
}  # fmt: skip
