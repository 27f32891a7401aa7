"""Why: small pure detectors, most specific first. A diagnosis never changes a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backendcheck.comparison import Comparison
from backendcheck.diagnose import output_order, silent_acceptance
from backendcheck.diagnose.diagnosis import Diagnosis
from backendcheck.recording import Recording

__all__ = ["Diagnosis", "diagnose"]

_DETECTORS = (output_order.detect, silent_acceptance.detect)


def diagnose(findings: Sequence[Comparison], recordings: Mapping[str, Recording]) -> list[Diagnosis]:
    """What explains `findings`, most specific first; empty where nothing does."""
    if not findings:
        return []
    found = [detect(findings, recordings) for detect in _DETECTORS]
    return [diagnosis for diagnosis in found if diagnosis is not None]
