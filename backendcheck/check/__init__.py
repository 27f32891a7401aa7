"""A model, a saved model or a function in, a case file recorded on every backend, and a report out.

    check_model("classifier.keras", x, y)      a model with its labels
    check_function(my_loss, y_true, y_pred)    a function with its values and gradients

Each becomes an ordinary case file with its data next to it (`case_source`). That is recorded, compared and reported as any other
case (`run`) and returned as a `Report`. Nothing here imports keras or a backend, so a notebook keeps its own.
"""

from backendcheck.check.function import check_function
from backendcheck.check.model import check_model
from backendcheck.check.report import Report

__all__ = ["Report", "check_function", "check_model"]
