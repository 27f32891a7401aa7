"""The former name of `backendcheck.labels.contract.backend_behavior`, kept for one more release."""

from backendcheck.labels.contract.backend_behavior import DOES, facts
from backendcheck.labels.contract.backend_behavior import BackendBehavior as Today
from backendcheck.labels.contract.backend_behavior import backend_behavior as today

__all__ = ["DOES", "Today", "facts", "today"]
