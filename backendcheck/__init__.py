"""backendcheck: do your labels mean the same under every Keras 3 backend?

What the author of a case needs, and the questions that can be asked from Python. Importing this package imports no backend and no
keras.
"""

from typing import TYPE_CHECKING, Any

from backendcheck.case import Fit, FunctionCase, LossCase, ModelCase, OptOut, Raises, Tolerance, ValueCase

if TYPE_CHECKING:
    from backendcheck.check import Report, check_function, check_model
    from backendcheck.labels import ClassMap, LabelFinding, check_labels

__all__ = [
    "ClassMap", "Fit", "FunctionCase", "LabelFinding", "LossCase", "ModelCase", "OptOut", "Raises", "Report", "Tolerance",
    "ValueCase", "__version__", "check_function", "check_labels", "check_model",
]  # fmt: skip

__version__ = "0.1.0"

# What asks questions brings the whole harness along; the author of a case, and a worker, need none of it.
_ON_DEMAND = {
    **dict.fromkeys(("Report", "check_function", "check_model"), "backendcheck.check"),
    **dict.fromkeys(("ClassMap", "LabelFinding", "check_labels"), "backendcheck.labels"),
}


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    import importlib

    return getattr(importlib.import_module(_ON_DEMAND[name]), name)


def __dir__() -> list[str]:
    """All public names, also those that are imported on demand, for completion."""
    return sorted({*globals(), *__all__})
