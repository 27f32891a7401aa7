"""The former name of `backendcheck.labels.contract.backend_behavior`, for one more release."""

from backendcheck.labels.contract.backend_behavior import DOES, Today, facts, today

__all__ = ["DOES", "Today", "facts", "today"]
