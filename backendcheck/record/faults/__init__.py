"""How to inject each fault of `backendcheck.vocabulary.faults` into the running backend, by name."""

from __future__ import annotations

from backendcheck.record.faults import labels, losses, operations, outputs, training, weights
from backendcheck.record.faults.injection import FaultInjection, Inject
from backendcheck.vocabulary.faults import NO_FAULT

__all__ = ["INJECTIONS", "FaultInjection", "injected"]

INJECTIONS: dict[str, Inject] = {
    **operations.INJECTIONS,
    **labels.INJECTIONS,
    **losses.INJECTIONS,
    **weights.INJECTIONS,
    **outputs.INJECTIONS,
    **training.INJECTIONS,
    NO_FAULT: lambda _: None,
}


def injected(name: str) -> FaultInjection:
    """A context in which the fault `name` is in force."""
    return FaultInjection(INJECTIONS[name])
