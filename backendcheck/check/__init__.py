"""Checks from Python or in one command: a model, a saved model, or a function, on every backend.

    check_model("classifier.keras", x, y)      a model with its labels
    check_function(my_loss, y_true, y_pred)    a function with its values and gradients

Each becomes an ordinary case file with its data next to it (`case_source`). That is recorded, compared and reported as any other
case (`run`) and returned as a `Report`. Nothing here imports keras or a backend, so a notebook keeps its own.
"""

from backendcheck.check.function import check_function
from backendcheck.check.model import check_model
from backendcheck.check.report import Report

__all__ = ["Report", "check_function", "check_model"]
